// The search field of a log: Enter for the next line, Shift+Enter for the one before.

const REST = 250; // milliseconds without a key, then it searches by itself

class Search {
  /** `source` and `list` are those of the panel; `changed()` when lines look otherwise now. */
  constructor(kernel, source, list, changed) {
    Object.assign(this, { kernel, source, list, changed });
    this.find = finder("");
    this.line = null; // the row that was found
    this.input = el("input", {
      type: "search",
      placeholder: "Search",
      "aria-label": "Search the log",
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => this.#typed(),
      onkeydown: (event) => this.#pressed(event),
    });
    this.said = el("span", { class: "pj-found", role: "status" });
    const step = (forward, name, label) =>
      el(
        "button",
        {
          type: "button",
          class: "pj-button",
          title: label,
          "aria-label": label,
          onclick: () => this.next(forward),
        },
        icon(name),
      );
    this.node = el(
      "span",
      { class: "pj-search" },
      el("span", { class: "pj-field" }, icon("search"), this.input),
      step(false, "up", "Previous match (Shift+Enter)"),
      step(true, "down", "Next match (Enter)"),
      this.said,
    );
  }

  /** Search again from the start, in what is shown now. */
  reset() {
    this.kernel.drop(this.question);
    this.line = null;
    say(this.said, "");
  }

  /** Go to the next line that matches, or the one before. */
  next(forward, start = this.#start(forward)) {
    const text = this.input.value;
    clearTimeout(this.timer);
    if (!text) return;
    this.kernel.drop(this.question);
    say(this.said, "searching \u2026");
    this.question = this.kernel.ask(
      { do: "find", view: this.source.view, text, start, forward },
      (answer) => this.#answered(answer),
      () => say(this.said, this.kernel.silence),
    );
  }

  stop() {
    clearTimeout(this.timer);
  }

  #start(forward) {
    if (this.line !== null) return this.line + (forward ? 1 : -1);
    return forward ? this.list.first : this.list.last;
  }

  #answered({ number, matches, capped }) {
    this.line = number;
    if (number === null || number === undefined) say(this.said, "no match");
    else {
      const many = `${capped ? "more than " : ""}${counted(matches, "match")}`;
      say(this.said, `line ${count(number + 1)}, ${many}`);
      this.list.go(number - Math.floor(this.list.page / 2));
      this.list.setFollow(false);
    }
    this.changed();
  }

  #typed() {
    clearTimeout(this.timer);
    this.reset();
    this.find = finder(this.input.value);
    this.changed();
    if (this.input.value) this.timer = setTimeout(() => this.next(true, this.list.first), REST);
  }

  #pressed(event) {
    if (event.key === "Enter") this.next(!event.shiftKey);
    else if (event.key === "Escape") {
      this.input.value = "";
      this.#typed();
      this.list.node.focus();
    } else return;
    event.preventDefault();
  }
}
