// A line as a terminal would show it: colours, carriage returns, backspaces. Pure.

const PLAIN = Object.freeze({});
const SPECIAL = /[\x00-\x1f\x7f-\x9f]/;
const TOKEN =
  /(?:\x1b\[|\x9b)([0-?]*)[ -/]*([@-~])|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]+[0-~]|\x1b[0-9=>A-OQ-WYZ\\a-z]|([\r\b\t])|([^\x1b\x9b\r\b\t]+|.)/gs;
const JOINED = /^[\p{M}\u200d\ufe0e\ufe0f]$/u; // no column of its own
const TAB = 8;
const RAW = 20_000; // characters looked at, unless all are asked for

/**
 * Return what a terminal shows after a line.
 *
 * `limit` is the number of columns to keep. Returns `{spans: [{text, style}], cut}`; a style has
 * any of fg, bg (a number of the 256, or [r, g, b]), bold, dim, italic, underline, strike, inverse.
 */
function terminal(text, limit) {
  if (!SPECIAL.test(text)) {
    const cut = text.length > limit;
    return { spans: [{ text: cut ? whole(text.slice(0, limit)) : text, style: PLAIN }], cut };
  }
  const near = text.length > Math.max(RAW, limit) ? nearby(text, Math.max(RAW, limit)) : text;
  const screen = new Row(limit);
  for (const [, parameters, final, mover, run] of near.matchAll(TOKEN)) {
    if (final) screen.control(final, parameters);
    else if (mover) screen.move(mover);
    else if (run) screen.write(run);
  }
  return { spans: screen.spans(), cut: screen.cut || near !== text };
}

/** Return the part of a long line that decides what is seen: the last state of a progress bar. */
function nearby(text, length) {
  const last = text.slice(-length);
  const redrawn = last.indexOf("\r");
  return redrawn >= 0 && redrawn < last.length - 1
    ? last.slice(redrawn)
    : whole(text.slice(0, length));
}

/** Return the text without half of a surrogate pair at its end. */
function whole(text) {
  return /[\ud800-\udbff]$/.test(text) ? text.slice(0, -1) : text;
}

class Row {
  constructor(limit) {
    this.limit = limit;
    this.cells = [];
    this.styles = [];
    this.column = 0;
    this.style = PLAIN;
    this.cut = false;
  }

  write(run) {
    for (const character of run) {
      if (this.column > 0 && JOINED.test(character)) {
        const cell = this.cells[this.column - 1] ?? "";
        if (cell.length < 16) this.cells[this.column - 1] = cell + character;
      } else if (this.column >= this.limit) {
        this.cut = true;
      } else {
        this.pad(this.column);
        this.cells[this.column] = character;
        this.styles[this.column] = this.style;
        this.column += 1;
      }
    }
  }

  move(character) {
    if (character === "\r") this.column = 0;
    else if (character === "\b") this.column = Math.max(0, this.column - 1);
    else this.go((Math.floor(this.column / TAB) + 1) * TAB);
  }

  control(final, parameters) {
    const first = parseInt(parameters, 10) || 0;
    if (final === "m") this.style = styled(this.style, parameters);
    else if (final === "K" || final === "J") this.erase(first);
    else if (final === "C") this.go(this.column + Math.max(1, first));
    else if (final === "D") this.go(this.column - Math.max(1, first));
    else if (final === "G" || final === "`") this.go(Math.max(1, first) - 1);
  }

  go(column) {
    this.column = Math.min(this.limit, Math.max(0, column));
    this.pad(this.column);
  }

  erase(what) {
    if (what === 0) this.cells.length = Math.min(this.cells.length, this.column);
    else if (what === 1) this.cells.fill(" ", 0, this.column);
    else this.cells.length = 0;
  }

  pad(column) {
    while (this.cells.length < column) {
      this.styles[this.cells.length] = PLAIN;
      this.cells.push(" ");
    }
  }

  spans() {
    const spans = [];
    this.cells.forEach((cell, i) => {
      const last = spans.at(-1);
      if (last && last.style === this.styles[i]) last.text += cell;
      else spans.push({ text: cell, style: this.styles[i] });
    });
    return spans;
  }
}

const FLAGS = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse", 9: "strike" };
const ENDS = {
  22: ["bold", "dim"],
  23: ["italic"],
  24: ["underline"],
  27: ["inverse"],
  29: ["strike"],
  39: ["fg"],
  49: ["bg"],
};

/** Return the style after the numbers of an SGR sequence. */
function styled(style, parameters) {
  const codes = parameters.split(/[;:]/).map((part) => Number(part) || 0);
  const next = { ...style };
  for (let i = 0; i < codes.length; i += 1) {
    const code = codes[i];
    if (code === 0) Object.keys(next).forEach((key) => delete next[key]);
    else if (code in FLAGS) next[FLAGS[code]] = true;
    else if (code === 21) next.underline = true;
    else if (code in ENDS) ENDS[code].forEach((key) => delete next[key]);
    else if (code === 38 || code === 48) i = extended(next, code === 38 ? "fg" : "bg", codes, i);
    else if (code >= 30 && code <= 37) next.fg = code - 30;
    else if (code >= 40 && code <= 47) next.bg = code - 40;
    else if (code >= 90 && code <= 97) next.fg = code - 82;
    else if (code >= 100 && code <= 107) next.bg = code - 92;
  }
  return Object.keys(next).length ? next : PLAIN;
}

/** Take `38;5;N` or `38;2;R;G;B` from the codes; return where it ends. */
function extended(style, key, codes, at) {
  const byte = (value) => Math.min(255, value ?? 0);
  if (codes[at + 1] === 5) {
    style[key] = byte(codes[at + 2]);
    return at + 2;
  }
  if (codes[at + 1] === 2) {
    style[key] = codes.slice(at + 2, at + 5).map(byte);
    return at + 4;
  }
  return at;
}

/** Return the colours of a style on a page: `{color, background}`, either may be missing. */
function coloursOf(style, theme) {
  const colour = (value) => (typeof value === "number" ? xterm(value) : value);
  let fg = colour(style.fg);
  let bg = colour(style.bg);
  if (style.inverse) [fg, bg] = [bg ?? theme.ground, fg ?? theme.text];
  if (!fg && !bg && !style.dim) return {};
  const ground = bg ?? theme.ground;
  const wanted = fg ?? theme.text;
  const text = readable(style.dim ? mixed(wanted, ground, 0.35) : wanted, ground);
  return { color: css(text), background: bg && css(bg) };
}
