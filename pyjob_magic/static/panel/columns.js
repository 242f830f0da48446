// The columns of the tables: how each is called, sorted and shown. `from` is the width of the
// table from which on there is room for it.

const STATE = {
  key: "state",
  title: "State",
  track: "118px",
  from: 0,
  value: (row) => row.state,
  draw: (row) =>
    el(
      "span",
      { class: "pj-rowstate", "data-tone": row.tone },
      icon(row.tone in ICONS ? row.tone : "idle"),
      el("span", {}, row.state),
    ),
};
const NAME = {
  key: "name",
  title: "Name",
  track: "minmax(150px, 2.2fr)",
  from: 0,
  value: (row) => row.name,
  draw: (row, { several }) => [
    el("b", { class: "pj-jobname", title: row.name }, row.name),
    several && el("span", { class: "pj-dim" }, ` ${row.namespace}`),
  ],
  text: (row) => row.name,
};
const JOB_COLUMNS = [
  STATE,
  NAME,
  worded({
    key: "created",
    title: "Age",
    track: "64px",
    from: 430,
    number: true,
    value: (row) => row.created,
    turned: true,
    text: (row, { now }) => since(row.created, null, now, age),
  }),
  worded({
    key: "duration",
    title: "Duration",
    track: "92px",
    from: 610,
    number: true,
    value: (row, { now }) => lasted(row, now),
    text: (row, { now }) => since(row.started, row.ended, now, duration),
  }),
  worded({
    key: "ready",
    title: "Ready",
    track: "60px",
    from: 500,
    number: true,
    value: (row) => row.replicas[0] / (row.replicas[1] || 1),
    text: (row) => row.replicas.join("/"),
  }),
  worded({
    key: "asked",
    title: "Request",
    track: "minmax(110px, 1.4fr)",
    from: 860,
    value: (row) => row.asked,
    text: (row) => row.asked,
  }),
  worded({
    key: "who",
    title: "User",
    track: "minmax(70px, 0.8fr)",
    from: 940,
    value: (row) => row.who,
    text: (row) => row.who,
  }),
  {
    key: "progress",
    title: "Progress",
    track: "104px",
    from: 730,
    value: (row) => row.progress,
    draw: (row) =>
      empty(row.progress)
        ? ""
        : el(
            "span",
            { class: "pj-rowprogress", "data-tone": row.tone },
            bar(row.progress),
            el("span", {}, percent(row)),
          ),
    text: (row) => percent(row),
  },
];
const HISTORY_COLUMNS = [
  STATE,
  { ...NAME, draw: (row) => NAME.draw(row, {}) },
  worded({
    key: "target",
    title: "Target",
    track: "minmax(110px, 1.2fr)",
    from: 640,
    value: (row) => `${row.target} / ${row.namespace}`,
    text: (row) => `${row.target} / ${row.namespace}`,
  }),
  worded({
    key: "submitted",
    title: "Submitted",
    track: "150px",
    from: 520,
    number: true,
    value: (row) => row.submitted,
    text: (row) => (empty(row.submitted) ? "" : clock(row.submitted)),
  }),
  worded({
    key: "duration",
    title: "Duration",
    track: "92px",
    from: 860,
    number: true,
    value: took,
    text: (row) => (took(row) === null ? "" : duration(took(row))),
  }),
  worded({
    key: "gone",
    title: "In cluster",
    track: "96px",
    from: 750,
    value: (row) => (row.gone ? 1 : 0),
    text: (row) => (row.gone ? "deleted" : "yes"),
  }),
];

/** A column of words. */
function worded(column) {
  return { ...column, draw: column.text };
}

/** Return how long ago in the largest unit: `8 s`, `5 min`, `3 h`, `2 d`. */
function age(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [size, unit] = [
    [DAY, "d"],
    [HOUR, "h"],
    [MINUTE, "min"],
  ].find(([each]) => whole >= each) ?? [1, "s"];
  return `${Math.floor(whole / size)} ${unit}`;
}

function since(from, to, now, words) {
  return empty(from) ? "" : words((to ?? now) - from);
}

function lasted({ started, ended }, now) {
  return empty(started) ? null : (ended ?? now) - started;
}

function took({ submitted, ended }) {
  return empty(submitted) || empty(ended) ? null : ended - submitted;
}

function percent({ progress }) {
  return empty(progress) ? "" : `${Math.floor(100 * progress)} %`;
}
