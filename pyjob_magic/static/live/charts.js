// Measured values by step, the replicas over one another.

const TOLD = 8; // values said at the pointer

class Charts {
  constructor(card) {
    this.card = card;
    this.charts = new Map();
    this.legend = el("ul", { class: "pj-legend", "aria-label": "Lines of the charts" });
    this.note = el("p", { class: "pj-note" });
    this.grid = el("div", { class: "pj-charts" });
    this.empty = el(
      "p",
      { class: "pj-empty", hidden: true },
      "No metrics yet. Printed lines such as loss=0.5, or JSON objects, become charts.",
    );
    this.node = el("div", {}, this.legend, this.grid, this.empty, this.note);
  }

  render(charts, note, names, chosen, theme) {
    if (!this.node.offsetParent) return;
    const palette = paletteOf(charts, names, theme);
    this.#legend(charts.length ? palette : new Map());
    for (const [name, chart] of this.charts)
      if (!charts.some((data) => data.name === name)) {
        chart.node.remove();
        this.charts.delete(name);
      }
    for (const data of charts) {
      if (!this.charts.has(data.name)) this.charts.set(data.name, new Chart());
      const chart = this.charts.get(data.name);
      this.grid.append(...(chart.node.parentNode ? [] : [chart.node]));
      chart.render(data, palette, chosen);
    }
    this.empty.hidden = charts.length > 0;
    say(this.note, note);
  }

  #legend(palette) {
    const drawn = JSON.stringify([...palette]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    put(
      this.legend,
      [...palette].map(([name, pen]) => el("li", {}, sample(pen), name)),
    );
  }
}

class Chart {
  constructor() {
    this.at = null; // the step that is pointed at
    this.name = el("span", { class: "pj-chartname" });
    this.last = el("span", { class: "pj-chartlast" });
    this.picture = el("div", {
      class: "pj-plot",
      tabindex: "0",
      role: "img",
      onpointermove: (event) =>
        this.#point(this.plot.step(event.clientX - this.picture.getBoundingClientRect().left)),
      onpointerleave: () => this.#point(null),
      onblur: () => this.#point(null),
      onkeydown: (event) => this.#pressed(event),
    });
    this.values = el("div", { class: "pj-values", "aria-live": "polite" });
    this.node = el(
      "figure",
      { class: "pj-chart" },
      el("figcaption", {}, this.name, this.last),
      this.picture,
      this.values,
    );
  }

  render(data, palette, chosen) {
    this.data = data;
    this.palette = palette;
    say(this.name, data.name);
    const ends = data.series.map((series) => series.y.at(-1));
    const last = ends.length === 1 ? `last ${figure(ends[0])}` : `last ${range(ends)}`;
    say(this.last, last);
    attribute(
      this.picture,
      "aria-label",
      `${data.name} by ${data.axis}, ${counted(data.series.length, "line")}, ${last}. Arrow keys show the values.`,
    );
    this.plot = new Plot(data, this.picture.clientWidth);
    put(this.picture, this.plot.draw(palette, chosen));
    this.#cross();
  }

  #point(at) {
    this.at = at;
    this.#cross();
  }

  #pressed(event) {
    const { steps } = this.plot;
    const at = this.at === null ? steps.length : steps.findIndex((step) => step >= this.at);
    const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: steps.length - 1 };
    if (event.key === "Escape") this.#point(null);
    else if (event.key in moves && steps.length)
      this.#point(steps[Math.min(steps.length - 1, Math.max(0, moves[event.key]))]);
    else return;
    event.preventDefault();
  }

  #cross() {
    this.cross?.remove();
    this.values.hidden = this.at === null;
    if (this.at === null) return;
    const told = this.data.series.map((series) => ({
      replica: series.replica,
      ...nearest(series, this.at),
    }));
    const here = told.filter((value) => value.y !== undefined);
    this.cross = this.plot.cross(this.at, here, this.palette);
    const x = this.plot.x(this.at);
    const left = x < this.plot.width / 2; // there is more room on the other side
    this.values.style.left = left ? `${x + 10}px` : "auto";
    this.values.style.right = left ? "auto" : `${this.plot.width - x + 10}px`;
    this.picture.firstChild.append(this.cross);
    const more = here.length - TOLD;
    put(
      this.values,
      el("span", { class: "pj-dim" }, `${this.data.axis} ${figure(this.at)}`),
      here
        .slice(0, TOLD)
        .map(({ replica, y }) =>
          el("span", {}, sample(this.palette.get(replica)), `${replica} `, el("b", {}, figure(y))),
        ),
      more > 0 && el("span", { class: "pj-dim" }, `and ${more} more`),
    );
  }
}
