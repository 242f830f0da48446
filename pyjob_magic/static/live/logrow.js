// One line of the log as an element.

const WIDEST = 2000; // columns shown of a line, until more is asked for
const MOST = 1_000_000;

/** Return a function that finds `text` in a string, as [start, end] pairs. */
function finder(text) {
  if (!text) return () => [];
  const pattern = new RegExp(text.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&"), "giu");
  return (line) => Array.from(line.matchAll(pattern), (m) => [m.index, m.index + m[0].length]);
}

/**
 * Return the element of a row.
 *
 * `look` has `names` (of the replicas), `single` (whether only one is shown), `theme`, `find`
 * (see `finder`), `hit` (whether it is the one found) and `more` (called to see all of it; null
 * where all is shown).
 */
function logRow(row, look) {
  const { spans, cut } = terminal(row.text, look.more ? WIDEST : MOST);
  const name = look.names[row.replica] ?? "";
  const text = el("span", { class: "pj-text", dir: "ltr" });
  let column = 0;
  for (const span of spans) {
    span.text = visible(span.text);
    span.start = column;
    column += span.text.length;
  }
  const marks = look.find(spans.map((span) => span.text).join(""));
  for (const span of spans) text.append(...pieces(span, marks, look.theme));
  if (cut && look.more) {
    const label = `\u2026 show all ${counted(row.text.length, "character")}`;
    text.append(el("button", { type: "button", class: "pj-more", onclick: look.more }, label));
  }
  const kinds = { partial: row.partial, hit: look.hit, begins: row.begins };
  const shown = Object.keys(kinds).filter((kind) => kinds[kind]);
  return el(
    "div",
    { class: ["pj-row", ...shown.map((kind) => `pj-${kind}`)].join(" ") },
    el(
      "span",
      { class: "pj-num", "aria-hidden": "true" },
      row.number === null ? "" : String(row.number),
    ),
    look.single ? null : who(name, row.replica, look.theme),
    row.begins && el("span", { class: "pj-again" }, "started again"),
    text,
  );
}

/** Return the row of a line that is not here yet. */
function missingRow(index) {
  return el(
    "div",
    { class: "pj-row pj-missing" },
    el("span", { class: "pj-num", "aria-hidden": "true" }, String(index + 1)),
    el("span", { class: "pj-text" }, "\u2026"),
  );
}

function who(name, replica, theme) {
  const node = el("span", { class: "pj-who", title: name }, name);
  node.style.color = replicaColour(replica, theme);
  return node;
}

/** Return the elements of a span, what was searched for among them marked. */
function pieces(span, marks, theme) {
  const end = span.start + span.text.length;
  const inside = marks.filter(([from, to]) => to > span.start && from < end);
  const cuts = inside.flatMap(([from, to]) => [Math.max(from, span.start), Math.min(to, end)]);
  const edges = [span.start, ...cuts, end];
  return edges
    .slice(1)
    .map((edge, i) => {
      const part = span.text.slice(edges[i] - span.start, edge - span.start);
      return part && piece(part, span.style, i % 2 === 1, theme);
    })
    .filter(Boolean);
}

function piece(text, style, marked, theme) {
  if (marked) return el("mark", {}, text);
  if (style === PLAIN) return document.createTextNode(text);
  const node = el("span", {}, text);
  Object.assign(node.style, coloursOf(style, theme));
  if (style.bold) node.style.fontWeight = "bold";
  if (style.italic) node.style.fontStyle = "italic";
  const lines = [style.underline && "underline", style.strike && "line-through"].filter(Boolean);
  if (lines.length) node.style.textDecoration = lines.join(" ");
  return node;
}
