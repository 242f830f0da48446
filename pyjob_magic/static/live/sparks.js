// The newest values, small, above the tabs: at most four metrics.

class Sparks {
  constructor(open) {
    this.open = open;
    this.tiles = el("div", { class: "pj-sparks" });
    this.note = el("p", { class: "pj-sparknote" });
    this.node = el(
      "section",
      { class: "pj-section", "aria-label": "Newest metrics" },
      this.tiles,
      this.note,
    );
  }

  render(charts, note, names, theme) {
    const shown = charts.slice(0, 4);
    this.node.hidden = shown.length === 0;
    const palette = paletteOf(shown, names, theme);
    while (this.tiles.childElementCount > shown.length) this.tiles.lastChild.remove();
    say(this.note, note);
    shown.forEach((data, i) => {
      const button =
        this.tiles.children[i] ??
        this.tiles.appendChild(
          el("button", {
            type: "button",
            class: "pj-spark",
            title: "Show the charts",
            onclick: this.open,
          }),
        );
      const plot = new Plot(data, 0);
      const picture = svg("svg", {
        viewBox: `${EDGES.left} ${EDGES.top} ${120 - EDGES.left - EDGES.right} ${HIGH - EDGES.top - EDGES.bottom}`,
        preserveAspectRatio: "none",
        "aria-hidden": "true",
      });
      picture.append(
        ...data.series
          .slice(0, 8)
          .map((each) => line(plot.path(each), { colour: palette.get(each.replica).colour })),
      );
      put(
        button,
        el("span", { class: "pj-sparkname" }, data.name),
        el("b", {}, range(data.series.map((each) => each.y.at(-1)))),
        picture,
      );
    });
  }
}
