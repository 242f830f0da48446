// What can be done with the rows that are selected. What cannot be taken back asks once.
//
// An action with `not` is for those rows that can do it, by what the kernel says of each; others
// are left alone.

const BATCH = {
  open: { label: "Open", doing: "Opening", icon: "open", least: 1, title: "Show their cards below" },
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
    not: "None of the selected jobs can be suspended",
    keep: "Keep running",
    asks: (what) => `Suspend ${what}? Progress since the last checkpoint is lost.`,
  },
  resume: {
    label: "Resume",
    doing: "Resuming",
    icon: "play",
    least: 1,
    title: "Start the replicas again",
    not: "None of the selected jobs is suspended",
  },
  rerun: {
    label: "Rerun",
    doing: "Submitting",
    icon: "rerun",
    least: 1,
    title: "Submit the same jobs again",
  },
  load: {
    label: "Load into form",
    doing: "Loading",
    icon: "form",
    least: 1,
    most: 1,
    title: "Fill in the form with this job",
  },
  delete: {
    label: "Delete",
    doing: "Deleting",
    icon: "trash",
    least: 1,
    title: "Delete the jobs, their replicas and logs",
    asks: (what) => `Delete ${what} with all logs?`,
  },
  remove: {
    label: "Remove",
    doing: "Removing",
    icon: "trash",
    least: 1,
    title: "Remove them from this list; the cluster keeps its jobs",
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
      "aria-label": "Actions for the selected rows",
    });
    this.node = el("div", { class: "pj-batch" }, this.chosen, this.buttons);
  }

  render(rows) {
    this.rows = rows;
    if (this.asking && !this.#able(this.asking).length) this.asking = null;
    const drawn = JSON.stringify([rows.map(({ uid, can }) => [uid, can]), this.asking]);
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

  /** Return the selected rows that an action is for. */
  #able(action) {
    return BATCH[action].not ? this.rows.filter(({ can }) => can.includes(action)) : this.rows;
  }

  /** Return why an action cannot be done; nothing if it can. */
  #obstacle(action) {
    const { least, most = Infinity, not } = BATCH[action];
    const { length } = this.rows;
    if (length < least) return least > 1 ? "Select two or more rows" : "Select at least one row";
    if (length > most) return "Select only one row";
    return this.#able(action).length ? "" : not;
  }

  #button(action) {
    const { label, icon: sign, title, asks } = BATCH[action];
    const off = this.#obstacle(action);
    const go = () => !off && (asks ? this.#ask(action) : this.#act(action));
    return button(sign, label, go, {
      title: off || title,
      "data-action": action,
      "aria-disabled": off ? "true" : null,
    });
  }

  #question(action) {
    const { asks, label, keep = "Keep" } = BATCH[action];
    const rows = this.#able(action);
    const what = rows.length === 1 ? rows[0].name : counted(rows.length, this.noun);
    return question(asks(what), {
      does: `${label} ${what}`,
      keep,
      confirm: () => this.#act(action),
      leave: () => this.#ask(null, action),
    });
  }

  #ask(action, before) {
    this.asking = action;
    this.render(this.rows);
    this.#found(action ? "keep" : before)?.focus();
  }

  #act(action) {
    const uids = this.#able(action).map((row) => row.uid);
    this.asking = null;
    this.render(this.rows);
    this.#found(action)?.focus();
    this.act(action, uids);
  }
}
