// Small pictures of 16 by 16, drawn with the colour of the text beside them.

const ICONS = {
  bad: "M4.5 4.5l7 7M11.5 4.5l-7 7",
  cell: "M2.5 4h11v8h-11zM5 6.5l1.8 1.5L5 9.5M8.2 10h2.6",
  check: "M3.5 8.5l3 3 6-7",
  close: "M4.5 4.5l7 7M11.5 4.5l-7 7",
  compare: "M6.5 3.5h-4v9h4M9.5 3.5h4v9h-4M8 2v12",
  copy: "M6 6h7v7H6zM10 3.5V3H3v7h.5",
  down: "M4 6l4 4 4-4",
  download: "M8 2.5v7M5 7l3 3 3-3M3 13h10",
  follow: "M8 2.5v8M4.5 7.5L8 11l3.5-3.5M3.5 13.5h9",
  form: "M3 4.5h10M3 8h6M3 11.5h4M10 11.8l3.2-3.2",
  idle: "M6 4.5v7M10 4.5v7",
  none: "M5 8h6",
  log: "M3 2.5v10.5h10.5M5.5 4c.3 5 2.5 6.7 7.5 6.7",
  ok: "M3.5 8.5l3 3 6-7",
  open: "M2.5 3.5h11v9h-11zM2.5 7h11",
  pause: "M6 4v8M10 4v8",
  play: "M5.5 4l6 4-6 4z",
  plus: "M8 3.5v9M3.5 8h9",
  rerun: "M12.5 8a4.5 4.5 0 1 1-1.3-3.2M12.5 2.5v3h-3",
  running: "M5.5 4l6 4-6 4z",
  search: "M10.5 7a3.5 3.5 0 1 1-7 0 3.5 3.5 0 0 1 7 0zM9.7 9.7l3.3 3.3",
  send: "M2.8 8h9.5M8.5 4l4 4-4 4",
  server: "M3 3h10v4H3zM3 9h10v4H3zM5.2 5h.1M5.2 11h.1",
  trash: "M3 4.5h10M6.5 4V2.5h3V4M4.5 4.5l.6 9h5.8l.6-9",
  up: "M4 10l4-4 4 4",
  wait: "M5 2.5h6M5 13.5h6M5.5 2.5v2L8 8l2.5-3.5v-2M5.5 13.5v-2L8 8l2.5 3.5v2",
  waiting: "M8 4.5V8l2.5 1.5M13 8A5 5 0 1 1 3 8a5 5 0 0 1 10 0z",
  wrap: "M2.5 4h11M2.5 8h8.5a2.2 2.2 0 0 1 0 4.4H8.5M10 10.6l-1.8 1.8L10 14.2M2.5 12h3",
};

/** Return the picture of that name; the words beside it say the same. */
function icon(name) {
  return svg(
    "svg",
    { class: `pj-icon pj-icon-${name}`, viewBox: "0 0 16 16", "aria-hidden": "true" },
    svg("path", { d: ICONS[name] }),
  );
}
