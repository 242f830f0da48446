// The newest values, small, above the tabs: at most four metrics.

class Sparks {
  constructor(open) {
    this.open = open;
    this.node = el("div", { class: "pj-sparks", role: "group", "aria-label": "Newest metrics" });
  }

  render(charts, names, theme) {
    const shown = charts.slice(0, 4);
    this.node.hidden = shown.length === 0;
    const palette = paletteOf(shown, names, theme);
    while (this.node.childElementCount > shown.length) this.node.lastChild.remove();
    shown.forEach((data, i) => {
      const button =
        this.node.children[i] ??
        this.node.appendChild(
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
