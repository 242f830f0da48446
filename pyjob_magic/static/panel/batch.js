// What can be done with the rows that are selected. What cannot be taken back asks once.

const BATCH = {
  open: { label: "Open", doing: "Opening", icon: "open", least: 1, title: "Show the cards below" },
  compare: {
    label: "Compare",
    doing: "Comparing",
    icon: "compare",
    least: 2,
    title: "Options side by side, metrics in one chart",
  },
  suspend: {
    label: "Suspend",
    doing: "Suspending",
    icon: "pause",
    least: 1,
    title: "Stop the replicas and keep the jobs",
  },
  resume: {
    label: "Resume",
    doing: "Resuming",
    icon: "play",
    least: 1,
    title: "Start the replicas again",
  },
  rerun: {
    label: "Rerun",
    doing: "Submitting",
    icon: "rerun",
    least: 1,
    title: "Submit the same once more",
  },
  load: {
    label: "To the form",
    doing: "Loading",
    icon: "form",
    least: 1,
    most: 1,
    title: "Put what was said into the form",
  },
  delete: {
    label: "Delete",
    doing: "Deleting",
    icon: "trash",
    least: 1,
    title: "Delete the jobs, their replicas and logs",
    asks: (what) => `Delete ${what} and the logs?`,
  },
  remove: {
    label: "Remove",
    doing: "Removing",
    icon: "trash",
    least: 1,
    title: "Forget them here; what is on a cluster stays",
    asks: (what) => `Remove ${what} from the history?`,
  },
};

class Batch {
  /** `act(action, uids)` does it to these rows. */
  constructor(actions, noun, act) {
    Object.assign(this, { actions, noun, act });
    this.rows = [];
    this.asking = null;
    this.chosen = el("span", { class: "pj-chosen", role: "status" });
    this.buttons = el("div", {
      class: "pj-buttons",
      role: "group",
      "aria-label": "With the selected rows",
    });
    this.node = el("div", { class: "pj-batch" }, this.chosen, this.buttons);
  }

  render(rows) {
    this.rows = rows;
    if (!rows.length) this.asking = null;
    const drawn = JSON.stringify([rows.map((row) => row.uid), this.asking]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    say(this.chosen, rows.length ? `${count(rows.length)} selected` : "None selected");
    const focused =
      this.buttons.contains(document.activeElement) && document.activeElement.dataset.action;
    put(
      this.buttons,
      this.asking
        ? this.#question(this.asking)
        : this.actions.map((action) => this.#button(action)),
    );
    if (focused) this.#found(focused)?.focus();
  }

  #found(action) {
    return this.buttons.querySelector(`[data-action="${action}"]`);
  }

  #button(action) {
    const { label, icon: sign, title, least, most = Infinity, asks } = BATCH[action];
    const off = this.rows.length < least || this.rows.length > most;
    const go = () => !off && (asks ? this.#ask(action) : this.#act(action));
    return button(sign, label, go, {
      title,
      "data-action": action,
      "aria-disabled": off ? "true" : null,
    });
  }

  #question(action) {
    const what = this.rows.length === 1 ? this.rows[0].name : counted(this.rows.length, this.noun);
    const onkeydown = (event) =>
      event.key === "Escape" && (event.stopPropagation(), this.#ask(null, action));
    const answer = (name, label, kind, onclick) =>
      el(
        "button",
        { type: "button", class: `pj-button ${kind}`, "data-action": name, onclick, onkeydown },
        label,
      );
    return [
      el("span", { class: "pj-question" }, BATCH[action].asks(what)),
      answer("confirm", `${BATCH[action].label} ${what}`, "pj-danger", () => this.#act(action)),
      answer("keep", "Keep", "", () => this.#ask(null, action)),
    ];
  }

  #ask(action, before) {
    this.asking = action;
    this.render(this.rows);
    this.#found(action ? "keep" : before)?.focus();
  }

  #act(action) {
    this.asking = null;
    this.render(this.rows);
    this.#found(action)?.focus();
    this.act(
      action,
      this.rows.map((row) => row.uid),
    );
  }
}
