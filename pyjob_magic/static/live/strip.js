// The row of the job alone, always in sight: a strip, and its times in words.

class Strip {
  constructor() {
    this.bar = el("div", { class: "pj-strip", "aria-hidden": "true" });
    this.words = el("div", { class: "pj-stripwords" });
    this.node = el("div", { class: "pj-stripbox", hidden: true }, this.bar, this.words);
  }

  render(timeline, now) {
    const row = timeline?.rows[0];
    this.node.hidden = !row?.spans.length;
    if (this.node.hidden) return;
    const times = row.spans.map(({ kind, start, end }) => [
      kind,
      Math.max(0, (end ?? now) - start),
    ]);
    const seconds = new Map();
    for (const [kind, time] of times) seconds.set(kind, (seconds.get(kind) ?? 0) + time);
    put(
      this.bar,
      times.map(([kind, time]) => {
        const part = el("span", { class: `pj-part pj-kind-${kind}` });
        // Shares of less than one in all would leave the bar unfilled.
        part.style.flexGrow = String(1000 * Math.max(time, 1e-3));
        return part;
      }),
    );
    put(
      this.words,
      [...seconds].map(([kind, time]) =>
        el(
          "span",
          {},
          el("span", { class: `pj-swatch pj-kind-${kind}` }),
          `${KINDS[kind] ?? kind} ${duration(time)}`,
        ),
      ),
    );
  }
}
