// One chart as a picture: axes, lines, and the cross at a step.

const DASHES = ["", "6 3", "2 3", "8 3 2 3"];
const HIGH = 182; // pixels
const EDGES = { top: 10, right: 12, bottom: 36, left: 46 };

/** One chart on a width in pixels. */
class Plot {
  /** `log` is whether a logarithmic scale is wanted; there is none where a value is not above 0. */
  constructor({ series, axis }, width, log = false) {
    Object.assign(this, { series, axis });
    this.width = Math.max(width, 120);
    this.steps = [...new Set(series.flatMap((each) => each.x))].sort((a, b) => a - b);
    this.xs = [this.steps[0] ?? 0, this.steps.at(-1) ?? 1];
    const values = extent(series.flatMap((each) => each.y));
    this.log = log && values[0] > 0;
    this.ys = padded(values.map((value) => this.#scaled(value)));
  }

  x(step) {
    const [low, high] = this.xs;
    const part = high > low ? (step - low) / (high - low) : 0.5;
    return EDGES.left + part * (this.width - EDGES.left - EDGES.right);
  }

  y(value) {
    const [low, high] = this.ys;
    const part = (this.#scaled(value) - low) / (high - low);
    return HIGH - EDGES.bottom - part * (HIGH - EDGES.bottom - EDGES.top);
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
    for (const value of this.log ? logTicks(...this.ys) : ticks(...this.ys, 4)) {
      const y = this.y(value);
      picture.append(
        svg("line", {
          class: "pj-grid",
          x1: EDGES.left,
          x2: this.width - EDGES.right,
          y1: y,
          y2: y,
        }),
        svg(
          "text",
          { class: "pj-tick", x: EDGES.left - 6, y: y + 3.5, "text-anchor": "end" },
          figure(value),
        ),
      );
    }
    for (const step of ticks(...this.xs, Math.max(2, this.width / 90)))
      picture.append(
        svg(
          "text",
          { class: "pj-tick", x: this.x(step), y: HIGH - 20, "text-anchor": "middle" },
          figure(step),
        ),
      );
    const middle = (EDGES.left + this.width - EDGES.right) / 2;
    picture.append(
      svg("text", { class: "pj-tick", x: middle, y: HIGH - 5, "text-anchor": "middle" }, this.axis),
    );
    for (const each of this.series) {
      const pen = palette.get(each.replica);
      const faint = chosen !== ALL && chosen !== each.replica;
      picture.append(line(this.path(each), pen, faint));
      for (const stroke of this.#strokes(each))
        if (stroke.length === 1) picture.append(dot(stroke[0], pen));
      for (const i of each.breaks ?? [])
        if (each.y[i] !== null)
          picture.append(again([this.x(each.x[i]), this.y(each.y[i])], pen, faint));
    }
    return picture;
  }

  /** Return the path of a series; it breaks where a value is not finite or a run begins again. */
  path(series) {
    return this.#strokes(series)
      .map((points) => `M${points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`)
      .join("");
  }

  /** Return the places that are joined by a line, for each line without a break. */
  #strokes({ x, y, breaks = [] }) {
    const strokes = [];
    const begin = new Set([0, ...breaks]);
    x.forEach((step, i) => {
      if (begin.has(i) || y[i] === null) strokes.push([]);
      if (y[i] !== null) strokes.at(-1).push([this.x(step), this.y(y[i])]);
    });
    return strokes.filter((points) => points.length > 0);
  }

  #scaled(value) {
    return this.log ? Math.log10(value) : value;
  }

  cross(step, values, palette) {
    const x = this.x(step);
    const dots = values
      .filter(({ y }) => y !== null)
      .map(({ x: at, y, replica }) =>
        svg("circle", {
          class: "pj-dot",
          cx: this.x(at),
          cy: this.y(y),
          r: 3.5,
          fill: palette.get(replica).colour,
        }),
      );
    return svg(
      "g",
      {},
      svg("line", { class: "pj-cross", x1: x, x2: x, y1: EDGES.top, y2: HIGH - EDGES.bottom }),
      ...dots,
    );
  }
}

function line(d, { colour, dash }, faint) {
  return svg("path", {
    class: `pj-line${faint ? " pj-faint" : ""}`,
    d,
    stroke: colour,
    "stroke-dasharray": dash || null,
  });
}

function dot([cx, cy], { colour }) {
  return svg("circle", { cx, cy, r: 2.5, fill: colour });
}

/** Return the mark where a run begins again, further back. */
function again([cx, cy], { colour }, faint) {
  return svg(
    "circle",
    { class: `pj-again-at${faint ? " pj-faint" : ""}`, cx, cy, r: 3, stroke: colour },
    svg("title", {}, "the steps go back here: resumed or started again"),
  );
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
  return svg(
    "svg",
    { class: "pj-sample", viewBox: "0 0 22 8", "aria-hidden": "true" },
    svg("path", {
      d: "M0 4h22",
      stroke: pen.colour,
      "stroke-width": 2,
      "stroke-dasharray": pen.dash || null,
    }),
  );
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
