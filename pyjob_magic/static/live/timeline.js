// Where the time went, to scale: a row for the job and one for each replica.

const KINDS = {
  suspended: "suspended",
  queued: "queued",
  scheduling: "scheduling",
  preparing: "preparing",
  running: "running",
  succeeded: "run, succeeded",
  failed: "run, failed",
  stopped: "run, stopped",
  backoff: "waiting to restart",
};
const TICK = "M0-5v10";
const MARKS = {
  submitted: TICK,
  admitted: TICK,
  scheduled: TICK,
  pulled: TICK,
  started: "M-3-4l6 4-6 4z",
  restarted: "M-4 0a4 4 0 1 0 1.5-3.1M-4-4v2.5h2.5",
  ended: "M-3-3h6v6h-6z",
  warning: "M0-5l5 9h-10z",
};
const TALL = 22; // pixels of a row
const THIN = 12; // where there are many
const MANY = 32;

/** The times of one job on a width in pixels. */
class Scale {
  constructor({ start, end }, now, from, to) {
    Object.assign(this, { start, now, from, to });
    this.length = Math.max((end ?? now) - start, 1);
  }

  x(time) {
    const part = ((time ?? this.now) - this.start) / this.length;
    return this.from + Math.min(1, Math.max(0, part)) * (this.to - this.from);
  }
}

class Timeline {
  constructor() {
    this.chart = el("div", {
      class: "pj-timechart",
      tabindex: "0",
      role: "region",
      "aria-label": "Timeline of the replicas",
    });
    this.legend = el("ul", { class: "pj-legend", "aria-label": "Colours of the timeline" });
    this.node = el("div", { class: "pj-timeline" }, this.legend, this.chart);
  }

  render(timeline, now) {
    const width = this.chart.clientWidth;
    if (!width) return;
    const { rows } = timeline;
    const tall = rows.length > MANY ? THIN : TALL;
    const names = Math.min(
      width * 0.3,
      10 + 6.6 * Math.max(...rows.map((row) => row.name.length), 0),
    );
    const scale = new Scale(timeline, now, names + 6, width - 14);
    const height = rows.length * tall + 26;
    const picture = svg("svg", {
      width,
      height,
      role: "img",
      "aria-label": `Time from ${clock(scale.start)}, ${duration(scale.length)}`,
    });
    picture.append(...grid(scale, height));
    rows.forEach((row, i) => picture.append(timeRow(row, i * tall + 22, tall, names, scale)));
    put(
      this.chart,
      picture,
      el(
        "ul",
        { class: "pj-unseen" },
        rows.slice(0, 64).map((row) => el("li", {}, spoken(row, now))),
      ),
    );
    this.#legend(rows);
  }

  #legend(rows) {
    const there = new Set(rows.flatMap((row) => row.spans.map((span) => span.kind)));
    const marked = new Set(
      rows.length > MANY ? [] : rows.flatMap((row) => row.marks.map((mark) => mark.kind)),
    );
    const kinds = Object.keys(KINDS).filter((kind) => there.has(kind));
    const signs = Object.keys(MARKS).filter((kind) => marked.has(kind) && MARKS[kind] !== TICK);
    const drawn = [...kinds, ...signs].join();
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    put(
      this.legend,
      kinds.map((kind) =>
        el("li", {}, el("span", { class: `pj-swatch pj-kind-${kind}` }), KINDS[kind]),
      ),
      signs.map((kind) =>
        el(
          "li",
          {},
          svg(
            "svg",
            { class: "pj-signs", viewBox: "-6 -6 12 12", "aria-hidden": "true" },
            svg("path", { class: `pj-mark pj-mark-${kind}`, d: MARKS[kind] }),
          ),
          kind,
        ),
      ),
    );
  }
}

function grid(scale, height) {
  return timeTicks(scale.length, Math.max(2, (scale.to - scale.from) / 90)).flatMap((seconds) => {
    const x = scale.x(scale.start + seconds);
    return [
      svg("line", { class: "pj-grid", x1: x, x2: x, y1: 18, y2: height }),
      svg(
        "text",
        { class: "pj-tick", x, y: 11, "text-anchor": seconds ? "middle" : "start" },
        brief(seconds),
      ),
    ];
  });
}

function timeRow(row, y, tall, names, scale) {
  const middle = y + tall / 2;
  const label = svg(
    "text",
    { class: "pj-rowname", x: names, y: middle + 4, "text-anchor": "end" },
    clipped(row.name, names / 6.6),
  );
  label.append(svg("title", {}, row.name));
  const group = svg("g", { class: tall === THIN ? "pj-thin" : "" }, label);
  const high = tall - (tall === THIN ? 3 : 8);
  for (const { kind, start, end, title } of row.spans) {
    const x = scale.x(start);
    const long = duration((end ?? scale.now) - start);
    const bar = {
      class: `pj-span pj-kind-${kind}`,
      x,
      y: middle - high / 2,
      height: high,
      width: Math.max(1.5, scale.x(end) - x),
      rx: 2,
    };
    group.append(svg("rect", bar, svg("title", {}, `${title || KINDS[kind] || kind}, ${long}`)));
  }
  for (const { kind, at, title } of row.marks) {
    const place = `translate(${scale.x(at)} ${middle})`;
    const words = `${title || kind}, ${clock(at)}`;
    group.append(
      svg(
        "path",
        { class: `pj-mark pj-mark-${kind}`, d: MARKS[kind] ?? MARKS.submitted, transform: place },
        svg("title", {}, words),
      ),
    );
  }
  return group;
}

function clipped(text, most) {
  return text.length <= most ? text : `${text.slice(0, Math.max(1, Math.floor(most) - 1))}\u2026`;
}

function spoken({ name, spans, marks }, now) {
  const parts = spans.map(
    ({ kind, start, end }) => `${KINDS[kind] ?? kind} ${duration((end ?? now) - start)}`,
  );
  const points = marks.map(({ kind, at }) => `${kind} at ${clock(at)}`);
  return `${name}: ${[...parts, ...points].join(", ")}`;
}
