// Python in colours, line by line. Pure.

const KEYWORDS = new Set(
  (
    "False None True and as assert async await break class continue def del elif else except " +
    "finally for from global if import in is lambda nonlocal not or pass raise return try while " +
    "with yield match case"
  ).split(" "),
);
const QUOTED = [
  String.raw`"""(?:\\[^]|[^\\])*?(?:"""|$)`,
  String.raw`'''(?:\\[^]|[^\\])*?(?:'''|$)`,
  String.raw`"(?:\\[^]|[^"\\\n])*"?`,
  String.raw`'(?:\\[^]|[^'\\\n])*'?`,
].join("|");
const PYTHON = new RegExp(
  [
    String.raw`(?<comment>#[^\n]*)`,
    `(?<string>[rbfuRBFU]{0,2}(?:${QUOTED}))`,
    String.raw`(?<word>[\p{L}_][\p{L}\p{N}_]*)`,
    String.raw`(?<number>\.?\d(?:[eE][+-]|[\w.])*)`,
    String.raw`(?<magic>(?<=^|\n)[%!][^\n]*)`,
    String.raw`(?<decorator>(?<=^|\n)[ \t]*@[\w.]+)`,
  ].join("|"),
  "gu",
);

/** Return the lines of a source, each as [kind, text] in order; kind is "" for plain text. */
function pythonLines(source) {
  const lines = [[]];
  let end = 0;
  const add = (kind, text) =>
    text.split("\n").forEach((part, i) => {
      if (i) lines.push([]);
      if (part) lines.at(-1).push([kind, part]);
    });
  for (const { 0: text, index, groups } of source.matchAll(PYTHON)) {
    add("", source.slice(end, index));
    add(kindOf(groups, text), text);
    end = index + text.length;
  }
  add("", source.slice(end));
  return lines;
}

function kindOf(groups, text) {
  if (groups.word !== undefined) return KEYWORDS.has(text) ? "keyword" : "";
  return Object.keys(groups).find((kind) => groups[kind] !== undefined);
}
