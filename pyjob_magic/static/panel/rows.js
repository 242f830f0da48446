// Rows of a table: filtered, sorted, counted. Pure.

/** Return the rows that have all words of `text` and one of `states`, where any are given. */
function filteredRows(rows, text, states) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter(
    (row) =>
      (!states.size || states.has(row.state)) && words.every((word) => wordsOf(row).includes(word)),
  );
}

/** Return the rows in the order of a column; those without a value come last, ties go by name. */
function sortedRows(rows, value, down) {
  const keyed = rows.map((row) => [value(row), row]);
  const sign = down ? -1 : 1;
  keyed.sort(
    ([a, one], [b, other]) =>
      (empty(a) || empty(b) ? empty(a) - empty(b) : sign * compared(a, b)) ||
      compared(one.name, other.name),
  );
  return keyed.map(([, row]) => row);
}

const TONES = ["running", "waiting", "bad", "ok", "idle"];

/** Return how many rows are in which state, those that go on first: [state, tone, count]. */
function statesOf(rows) {
  const states = new Map();
  for (const { state, tone } of rows) {
    const known = states.get(state) ?? [state, tone, 0];
    known[2] += 1;
    states.set(state, known);
  }
  const place = ([, tone]) => TONES.indexOf(tone);
  return [...states.values()].sort((a, b) => place(a) - place(b) || compared(a[0], b[0]));
}

function wordsOf(row) {
  return [row.name, row.namespace, row.target, row.who, row.asked, row.state]
    .join("\n")
    .toLowerCase();
}

const SORTED = new Intl.Collator("en", { numeric: true }).compare;

function compared(a, b) {
  return typeof a === "number" && typeof b === "number" ? a - b : SORTED(String(a), String(b));
}

function empty(value) {
  return value === null || value === undefined || value === "";
}
