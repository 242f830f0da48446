// YAML in colours, as the kernel writes it. Pure.

const YAML_LINE = /^(\s*(?:- )*)(?:("(?:\\.|[^"\\])*"|'[^']*'|[^\s#:"'][^:]*?)(:)(?=\s|$))?(.*)$/s;

/** Return a line as [kind, text] in order. */
function yamlLine(text) {
  const [, indent, key, colon, rest] = YAML_LINE.exec(text);
  return [
    ["", indent],
    ["key", key],
    ["", colon],
    [valueKind(rest.trim()), rest],
  ].filter(([, part]) => part);
}

function valueKind(value) {
  if (value.startsWith("#")) return "comment";
  if (/^["'|>]/.test(value)) return "string";
  if (/^(true|false|null|-?\d[\d.]*)$/.test(value)) return "number";
  return "";
}
