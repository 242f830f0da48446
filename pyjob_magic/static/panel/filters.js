// Which rows of a table are shown: by words, and by state.

const REST = 250; // milliseconds without a key, then the kernel looks

class Filters {
  /** `changed()` when others are wanted; `search(text)` where the kernel looks for more than is here. */
  constructor(label, changed, search) {
    Object.assign(this, { changed, search });
    this.searched = ""; // what the rows were looked for by
    this.states = new Set();
    this.input = el("input", {
      type: "search",
      placeholder: "Filter",
      "aria-label": label,
      autocomplete: "off",
      spellcheck: "false",
      oninput: () => this.#typed(),
    });
    this.chips = el("div", { class: "pj-chips", role: "group", "aria-label": "States" });
    this.mine = button("cell", "Mine", () => this.#own(!this.own), {
      class: "pj-chip",
      title: "Only the jobs I submitted",
    });
    this.#own(false);
    this.node = el(
      "div",
      { class: "pj-filters" },
      el("span", { class: "pj-field" }, icon("search"), this.input),
      this.chips,
      this.mine,
    );
  }

  /** Return the rows that are wanted. */
  of(rows) {
    return filteredRows(this.#owned(rows), this.#text, this.states);
  }

  /** The rows that come now were looked for by the kernel, also in what is not shown of them. */
  found(text) {
    this.searched = text;
    this.changed();
  }

  /** What the rows at hand must have: nothing, where the kernel has chosen them by it. */
  get #text() {
    return this.search && this.input.value === this.searched ? "" : this.input.value;
  }

  stop() {
    clearTimeout(this.rest);
  }

  #owned(rows) {
    return this.own ? rows.filter((row) => row.who === this.user) : rows;
  }

  #own(own) {
    this.own = own;
    attribute(this.mine, "aria-pressed", String(own));
    this.changed();
  }

  #typed() {
    this.changed();
    clearTimeout(this.rest);
    if (this.search) this.rest = setTimeout(() => this.search(this.input.value), REST);
  }

  /** Show how many rows are in which state; and offer those of `user`, if there are others. */
  render(rows, user) {
    this.user = user;
    this.mine.hidden = !user || (!this.own && rows.every((row) => row.who === user));
    const states = statesOf(filteredRows(this.#owned(rows), this.#text, new Set()));
    for (const state of this.states)
      if (!states.some(([each]) => each === state)) states.push([state, "idle", 0]);
    const drawn = JSON.stringify([states, [...this.states]]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const focused =
      this.chips.contains(document.activeElement) && document.activeElement.dataset.state;
    put(
      this.chips,
      states.map((state) => this.#chip(state)),
    );
    if (focused) [...this.chips.children].find((chip) => chip.dataset.state === focused)?.focus();
  }

  #chip([state, tone, many]) {
    const pressed = String(this.states.has(state));
    return el(
      "button",
      {
        type: "button",
        class: "pj-chip",
        "data-state": state,
        "data-tone": tone,
        "aria-pressed": pressed,
        onclick: () => this.#toggle(state),
      },
      icon(tone in ICONS ? tone : "idle"),
      el("span", {}, state),
      el("span", { class: "pj-many" }, count(many)),
    );
  }

  #toggle(state) {
    if (!this.states.delete(state)) this.states.add(state);
    this.changed();
  }
}
