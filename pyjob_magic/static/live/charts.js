// Measured values by step, the replicas over one another.

const TOLD = 8; // values said at the pointer

class Charts {
  constructor() {
    this.charts = new Map();
    this.log = false; // whether values stand at their logarithms, where they can
    this.legend = el("ul", { class: "pj-legend", "aria-label": "Lines of the charts" });
    this.scale = toggle("log", "Log scale", "Values at their logarithms", () => this.#rescale());
    this.notes = el("p", { class: "pj-note" });
    this.grid = el("div", { class: "pj-charts" });
    this.empty = el(
      "p",
      { class: "pj-empty", hidden: true },
      "No metrics yet. Printed lines such as loss=0.5, or JSON objects, become charts.",
    );
    this.head = el("div", { class: "pj-chartshead" }, this.legend, this.scale);
    this.node = el("div", {}, this.head, this.grid, this.empty, this.notes);
  }

  /**
   * Draw the charts.
   *
   * `look` has `palette` (pens by the names of the lines), `legend` (pens with their names) and
   * `chosen` (the line that stands out, or ALL).
   */
  render(charts, notes, look) {
    if (!this.node.offsetParent) return;
    this.shown = [charts, notes, look];
    this.#legend(look.legend);
    const keys = charts.map(keyOf);
    for (const [key, chart] of this.charts)
      if (!keys.includes(key)) {
        chart.node.remove();
        this.charts.delete(key);
      }
    charts.forEach((data, i) => {
      if (!this.charts.has(keys[i])) this.charts.set(keys[i], new Chart());
      const chart = this.charts.get(keys[i]);
      this.grid.append(...(chart.node.parentNode ? [] : [chart.node]));
      chart.render(data, look, this.log);
    });
    this.head.hidden = charts.length === 0;
    this.empty.hidden = charts.length > 0;
    say(this.notes, notes.filter(Boolean).join("; "));
  }

  #legend(legend) {
    const drawn = JSON.stringify(legend);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    put(
      this.legend,
      legend.map(([name, pen]) => el("li", {}, sample(pen), name)),
    );
  }

  #rescale() {
    this.log = !this.log;
    pressed(this.scale, this.log);
    this.render(...this.shown);
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

  render(data, { palette, chosen }, log) {
    this.data = data;
    this.palette = palette;
    this.plot = new Plot(data, this.picture.clientWidth, log);
    say(this.name, data.name);
    const ends = data.series.map((series) => series.y.at(-1));
    const last = ends.length === 1 ? `last ${figure(ends[0])}` : `last ${range(ends)}`;
    const refused = log && !this.plot.log;
    say(this.last, refused ? `${last}, linear scale` : last);
    attribute(this.last, "title", refused ? "Only values above 0 have logarithms" : null);
    const scale = this.plot.log ? " on a log scale" : "";
    attribute(
      this.picture,
      "aria-label",
      `${data.name} by ${data.axis}${scale}, ${counted(data.series.length, "line")}, ${last}. Arrow keys show the values.`,
    );
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

function keyOf({ name, axis }) {
  return `${axis} ${name}`;
}
