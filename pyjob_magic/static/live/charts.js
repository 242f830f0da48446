// Measured values by step, the replicas over one another.

const DASHES = ["", "6 3", "2 3", "8 3 2 3"];
const HIGH = 168; // pixels
const EDGES = { top: 10, right: 12, bottom: 22, left: 46 };
const TOLD = 8; // values said at the pointer

class Charts {
  constructor(card) {
    this.card = card;
    this.charts = new Map();
    this.legend = el("ul", { class: "pj-legend", "aria-label": "Lines of the charts" });
    this.note = el("p", { class: "pj-note" });
    this.grid = el("div", { class: "pj-charts" });
    this.empty = el("p", { class: "pj-empty" }, "No metrics yet: lines such as loss=0.5, or objects of JSON, become charts.");
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
    put(this.legend, [...palette].map(([name, pen]) => el("li", {}, sample(pen), name)));
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
      onpointermove: (event) => this.#point(this.plot.step(event.clientX - this.picture.getBoundingClientRect().left)),
      onpointerleave: () => this.#point(null),
      onblur: () => this.#point(null),
      onkeydown: (event) => this.#pressed(event),
    });
    this.values = el("div", { class: "pj-values", "aria-live": "polite" });
    this.node = el("figure", { class: "pj-chart" }, el("figcaption", {}, this.name, this.last), this.picture, this.values);
  }

  render(data, palette, chosen) {
    this.data = data;
    this.palette = palette;
    say(this.name, data.name);
    const ends = data.series.map((series) => series.y.at(-1));
    const last = ends.length === 1 ? `last ${figure(ends[0])}` : `last ${range(ends)}`;
    say(this.last, last);
    attribute(this.picture, "aria-label", `${data.name} by ${data.axis}, ${counted(data.series.length, "line")}, ${last}. Arrow keys show the values.`);
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
    const told = this.data.series.map((series) => ({ replica: series.replica, ...nearest(series, this.at) }));
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
      here.slice(0, TOLD).map(({ replica, y }) => el("span", {}, sample(this.palette.get(replica)), `${replica} `, el("b", {}, figure(y)))),
      more > 0 && el("span", { class: "pj-dim" }, `and ${more} more`),
    );
  }
}

/** One chart on a width in pixels. */
class Plot {
  constructor({ series }, width) {
    this.series = series;
    this.width = Math.max(width, 120);
    this.steps = [...new Set(series.flatMap((each) => each.x))].sort((a, b) => a - b);
    this.xs = [this.steps[0] ?? 0, this.steps.at(-1) ?? 1];
    this.ys = padded(extent(series.flatMap((each) => each.y)));
  }

  x(step) {
    const [low, high] = this.xs;
    const part = high > low ? (step - low) / (high - low) : 0.5;
    return EDGES.left + part * (this.width - EDGES.left - EDGES.right);
  }

  y(value) {
    const [low, high] = this.ys;
    return HIGH - EDGES.bottom - ((value - low) / (high - low)) * (HIGH - EDGES.bottom - EDGES.top);
  }

  /** Return the step nearest to a place on the picture. */
  step(x) {
    let best = null;
    for (const step of this.steps)
      if (best === null || Math.abs(this.x(step) - x) < Math.abs(this.x(best) - x)) best = step;
    return best;
  }

  draw(palette, chosen) {
    const picture = svg("svg", { width: this.width, height: HIGH, "aria-hidden": "true" });
    for (const value of ticks(...this.ys, 4)) {
      const y = this.y(value);
      picture.append(
        svg("line", { class: "pj-grid", x1: EDGES.left, x2: this.width - EDGES.right, y1: y, y2: y }),
        svg("text", { class: "pj-tick", x: EDGES.left - 6, y: y + 3.5, "text-anchor": "end" }, figure(value)),
      );
    }
    for (const step of ticks(...this.xs, Math.max(2, this.width / 90)))
      picture.append(svg("text", { class: "pj-tick", x: this.x(step), y: HIGH - 6, "text-anchor": "middle" }, figure(step)));
    for (const each of this.series) {
      const pen = palette.get(each.replica);
      const faint = chosen !== ALL && chosen !== each.replica;
      picture.append(line(this.path(each), pen, faint));
      if (each.x.length === 1 && each.y[0] !== null)
        picture.append(svg("circle", { cx: this.x(each.x[0]), cy: this.y(each.y[0]), r: 2.5, fill: pen.colour }));
    }
    return picture;
  }

  /** Return the path of a series; it breaks where a value is not finite. */
  path({ x, y }) {
    let drawing = false;
    return x.map((step, i) => {
      if (y[i] === null) return (drawing = false), "";
      const point = `${drawing ? "L" : "M"}${this.x(step).toFixed(1)} ${this.y(y[i]).toFixed(1)}`;
      drawing = true;
      return point;
    }).join("");
  }

  cross(step, values, palette) {
    const x = this.x(step);
    const dots = values.filter(({ y }) => y !== null).map(({ x: at, y, replica }) =>
      svg("circle", { class: "pj-dot", cx: this.x(at), cy: this.y(y), r: 3.5, fill: palette.get(replica).colour }),
    );
    return svg("g", {}, svg("line", { class: "pj-cross", x1: x, x2: x, y1: EDGES.top, y2: HIGH - EDGES.bottom }), ...dots);
  }
}

/** The newest values, small, above the tabs: at most four metrics. */
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
      const button = this.node.children[i] ?? this.node.appendChild(el("button", { type: "button", class: "pj-spark", title: "Show the charts", onclick: this.open }));
      const plot = new Plot(data, 0);
      const picture = svg("svg", { viewBox: `${EDGES.left} ${EDGES.top} ${120 - EDGES.left - EDGES.right} ${HIGH - EDGES.top - EDGES.bottom}`, preserveAspectRatio: "none", "aria-hidden": "true" });
      picture.append(...data.series.slice(0, 8).map((each) => line(plot.path(each), { colour: palette.get(each.replica).colour })));
      put(button, el("span", { class: "pj-sparkname" }, data.name), el("b", {}, range(data.series.map((each) => each.y.at(-1)))), picture);
    });
  }
}

function line(d, { colour, dash }, faint) {
  return svg("path", { class: `pj-line${faint ? " pj-faint" : ""}`, d, stroke: colour, "stroke-dasharray": dash || null });
}

/** Return the pen of each replica: as in the log, and dashed where colours come again. */
function paletteOf(charts, names, theme) {
  const palette = new Map();
  for (const { series } of charts)
    for (const { replica } of series) {
      const i = Math.max(0, names.indexOf(replica));
      palette.set(replica, { colour: replicaColour(i, theme), dash: DASHES[i % DASHES.length] });
    }
  return new Map([...palette].sort((a, b) => names.indexOf(a[0]) - names.indexOf(b[0])));
}

function sample(pen) {
  return svg("svg", { class: "pj-sample", viewBox: "0 0 22 8", "aria-hidden": "true" }, svg("path", { d: "M0 4h22", stroke: pen.colour, "stroke-width": 2, "stroke-dasharray": pen.dash || null }));
}

/** Return the point of a series nearest to a step, where it has one near. */
function nearest({ x, y }, step) {
  let best = -1;
  x.forEach((value, i) => {
    if (best < 0 || Math.abs(value - step) <= Math.abs(x[best] - step)) best = i;
  });
  return best < 0 ? {} : { x: x[best], y: y[best] };
}

function extent(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values)
    if (value !== null) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  return low <= high ? [low, high] : [0, 1];
}

function padded([low, high]) {
  const room = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
  return [low - room, high + room];
}

function range(values) {
  const [low, high] = extent(values);
  if (values.every((value) => value === null || value === undefined)) return "not finite";
  return figure(low) === figure(high) ? figure(low) : `${figure(low)} to ${figure(high)}`;
}
