// The buttons of the head. What cannot be taken back asks once, here in the card.

const ACTIONS = {
  wait: {
    label: "Wait",
    doing: "Waiting",
    icon: "wait",
    title: "Wait in the notebook until the job has ended",
  },
  suspend: {
    label: "Suspend",
    doing: "Suspending",
    icon: "pause",
    title: "Stop the replicas and keep the job",
    asks: () => "Suspend? Replicas stop; progress since the last checkpoint is lost.",
    keep: "Keep running",
  },
  resume: { label: "Resume", doing: "Resuming", icon: "play", title: "Start the replicas again" },
  rerun: {
    label: "Rerun",
    doing: "Submitting",
    icon: "rerun",
    title: "Submit the same job once more",
  },
  panel: {
    label: "Open in panel",
    doing: "Opening",
    icon: "form",
    title: "Fill the form in with this job",
  },
  delete: {
    label: "Delete",
    doing: "Deleting",
    icon: "trash",
    title: "Delete the job and its replicas",
    asks: (job) => `Delete ${job} and its logs?`,
    keep: "Keep",
  },
};

class Actions {
  constructor(kernel) {
    this.kernel = kernel;
    this.buttons = el("div", { class: "pj-actions", role: "group", "aria-label": "Actions" });
    this.said = el("div", { class: "pj-said", role: "status" });
    this.drawn = "";
    this.asking = null; // the action that is asked about
    this.pending = null;
  }

  /** Show the buttons of these actions; `live` is whether a kernel is there to do them. */
  render(names, live, job) {
    this.now = [names, live, job];
    if (!live) this.pending = null; // nobody will answer
    const known = names.filter((name) => name in ACTIONS);
    if (!live || !known.includes(this.asking)) this.asking = null;
    const drawn = JSON.stringify([known, live, this.asking, this.pending, job]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const focused =
      this.buttons.contains(document.activeElement) && document.activeElement.dataset.action;
    if (this.asking) put(this.buttons, ...this.#question(this.asking, job));
    else put(this.buttons, ...known.map((name) => this.#button(name, live)));
    if (focused) (this.#found(focused) ?? this.buttons.querySelector("button"))?.focus();
  }

  /** Take back what was said of an action that is over. */
  settle() {
    if (this.pending === null) this.#tell("", false);
  }

  #found(name) {
    return this.buttons.querySelector(`[data-action="${name}"]`);
  }

  #button(name, live) {
    const { label, doing, icon: picture, title, asks } = ACTIONS[name];
    const off = !live || this.pending !== null;
    return el(
      "button",
      {
        type: "button",
        class: "pj-button",
        "data-action": name,
        "aria-disabled": off ? "true" : null,
        title: live ? title : "There is no kernel to do this",
        onclick: () => !off && (asks ? this.#ask(name) : this.#act(name)),
      },
      icon(picture),
      this.pending === name ? `${doing} \u2026` : label,
    );
  }

  #question(action, job) {
    const { label: does, asks, keep } = ACTIONS[action];
    return question(asks(job), {
      does,
      keep,
      confirm: () => this.#act(action),
      leave: () => this.#ask(null, action),
    });
  }

  /** Ask about an action; null goes back to the button of the one that was asked about before. */
  #ask(action, before) {
    this.asking = action;
    this.render(...this.now);
    this.#found(action ? "keep" : before)?.focus();
  }

  #act(action) {
    this.asking = null;
    this.pending = action;
    this.render(...this.now);
    this.#tell("", false);
    this.kernel.ask(
      { do: "act", action },
      ({ ok, message }) => {
        this.pending = null;
        this.#tell(message ?? "", !ok);
        if (ok) this.passing = setTimeout(() => this.settle(), PASSING);
        this.render(...this.now);
      },
      () => this.#tell(`${this.kernel.silence}.`, false),
    );
  }

  #tell(text, bad) {
    clearTimeout(this.passing);
    attribute(this.said, "role", bad ? "alert" : "status");
    this.said.classList.toggle("pj-bad", bad);
    say(this.said, text);
  }
}
