// The head of the card: what the job is called, how it fares, since when; and why.

class Head {
  constructor(kernel, shown) {
    this.shown = shown;
    this.actions = new Actions(kernel);
    this.badge = el("span", { class: "pj-badge", role: "status" });
    this.name = el("strong", { class: "pj-name" });
    this.place = el("span", { class: "pj-place" });
    this.times = el("span", { class: "pj-times" });
    this.node = el(
      "header",
      { class: "pj-head" },
      this.badge,
      el(
        "div",
        { class: "pj-title" },
        this.name,
        el("div", { class: "pj-facts" }, this.place, this.times),
      ),
      this.actions.buttons,
    );
    this.link = el("div", { class: "pj-link", role: "status" });
    this.diagnosis = el("section", {
      class: "pj-diagnosis",
      role: "alert",
      "aria-label": "Why",
      hidden: true,
    });
    this.notes = el("ul", { class: "pj-notes", "aria-label": "Notes" });
  }

  render(head, live, theme) {
    say(this.name, head.name);
    say(this.place, [head.target, head.namespace].filter(Boolean).join(" / "));
    this.#state(head.gone ? "Deleted" : head.state, head.gone ? "none" : head.tone);
    this.actions.render(head.actions ?? [], live, head.name);
    const lost = `No kernel is attached; this is the last known state. Run %load_ext pyjob_magic and ${head.open_command} to reattach.`;
    say(this.link, live ? head.status : lost);
    this.#why(head.diagnosis, theme);
    this.#notes(head.notes ?? []);
  }

  /** Count the time on; `now` is the kernel's clock. */
  tick(head, now) {
    const { submitted, started, ended, queued } = head;
    const from = started ?? submitted;
    const waited = queued ?? (submitted !== null && !ended ? now - submitted : null);
    const parts = [];
    if (from !== null && (ended || started)) parts.push(["elapsed", (ended ?? now) - from]);
    if (waited !== null) parts.push([queued === null ? "waiting for" : "queued", waited]);
    const words = JSON.stringify(parts.map(([name, seconds]) => [name, duration(seconds)]));
    if (words === this.words) return;
    this.words = words;
    put(
      this.times,
      ...parts.map(([name, seconds]) =>
        el(
          "span",
          { class: "pj-time" },
          el("span", { class: "pj-dim" }, name),
          " ",
          duration(seconds),
        ),
      ),
    );
  }

  #state(state, tone) {
    if (this.state === state && this.tone === tone) return;
    if (this.state !== state) this.actions.settle();
    [this.state, this.tone] = [state, tone];
    put(this.badge, icon(tone in ICONS ? tone : "idle"), state);
    attribute(this.badge, "data-tone", tone);
  }

  #why(diagnosis, theme) {
    const drawn = JSON.stringify([diagnosis, theme.key]);
    if (drawn === this.why) return;
    this.why = drawn;
    this.diagnosis.hidden = !diagnosis;
    if (!diagnosis) return void put(this.diagnosis);
    const { text, summary, advice, replica, traceback, cell_line: line } = diagnosis;
    const place = line !== null && line !== undefined && `line ${line} of the cell`;
    put(
      this.diagnosis,
      el("p", { class: "pj-summary" }, summary || text),
      advice && el("p", { class: "pj-advice" }, advice),
      el(
        "p",
        { class: "pj-where" },
        replica &&
          el(
            "button",
            { type: "button", class: "pj-linkbutton", onclick: () => this.shown(replica) },
            `Log of ${replica}`,
          ),
        place && !`${summary || text}`.includes(place) && el("span", {}, place),
      ),
      traceback &&
        el(
          "details",
          { open: traceback.split("\n").length <= 14 },
          el("summary", {}, `Traceback${replica ? ` of ${replica}` : ""}`),
          el("pre", { class: "pj-traceback", tabindex: "0" }, ...styledLines(traceback, theme)),
        ),
    );
  }

  #notes(notes) {
    const drawn = JSON.stringify(notes);
    if (drawn === this.noted) return;
    this.noted = drawn;
    put(this.notes, ...notes.map((note) => el("li", {}, note)));
    this.notes.hidden = notes.length === 0;
  }
}

/** Return text of several lines with its terminal colours. */
function styledLines(text, theme) {
  return text
    .split("\n")
    .flatMap((line, i) => [
      ...(i ? [document.createTextNode("\n")] : []),
      ...terminal(line, WIDEST).spans.map((span) => piece(span.text, span.style, false, theme)),
    ]);
}
