// A text area for Python: what is typed is drawn behind it, in colours.

const INDENT = "    ";

class Editor {
  /** `changed(text)` is called when somebody has typed. */
  constructor(id, changed) {
    this.changed = changed;
    this.keys = []; // what the drawn lines show
    this.area = el("textarea", {
      id,
      class: "pj-codearea",
      rows: "12",
      wrap: "off",
      autocomplete: "off",
      autocapitalize: "off",
      autocorrect: "off",
      spellcheck: "false",
      "aria-label": "Python code of the job. Tab indents; to leave, press Escape, then Tab.",
      oninput: () => this.#typed(),
      onkeydown: (event) => this.#pressed(event),
      onscroll: () => this.#scrolled(),
    });
    this.lines = el("div", { class: "pj-codelines" });
    this.back = el("div", { class: "pj-codeback", "aria-hidden": "true" }, this.lines);
    this.node = el("div", { class: "pj-code" }, this.back, this.area);
    this.#draw();
  }

  get text() {
    return this.area.value;
  }

  /** Show another text; the cursor stays where it can. */
  set(text) {
    if (text === this.area.value) return;
    const { selectionStart, selectionEnd } = this.area;
    this.area.value = text;
    if (this.area.matches(":focus")) this.area.setSelectionRange(selectionStart, selectionEnd);
    this.#draw();
  }

  lock(locked) {
    this.area.readOnly = locked;
    attribute(this.node, "data-locked", locked);
  }

  #typed() {
    this.#draw();
    this.changed(this.area.value);
  }

  /** Draw the lines that are not drawn yet: those between what is as before at both ends. */
  #draw() {
    const lines = pythonLines(this.area.value);
    const keys = lines.map((parts) => JSON.stringify(parts));
    const old = this.keys;
    const most = Math.min(keys.length, old.length);
    let [head, tail] = [0, 0];
    while (head < most && keys[head] === old[head]) head += 1;
    while (tail < most - head && keys.at(-1 - tail) === old.at(-1 - tail)) tail += 1;
    for (let i = head; i < old.length - tail; i += 1) this.lines.children[head].remove();
    const next = this.lines.children[head] ?? null;
    for (const parts of lines.slice(head, lines.length - tail))
      this.lines.insertBefore(codeLine(parts), next);
    this.keys = keys;
    this.#scrolled();
  }

  #scrolled() {
    this.lines.style.transform = `translate(${-this.area.scrollLeft}px, ${-this.area.scrollTop}px)`;
  }

  #pressed(event) {
    if (event.key === "Escape") this.leaving = true;
    else if (event.key === "Tab" && !this.leaving && !this.area.readOnly) this.#indent(event);
    else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) this.#newline(event);
    if (!["Escape", "Shift", "Tab"].includes(event.key)) this.leaving = false;
  }

  #indent(event) {
    event.preventDefault();
    const { value, selectionStart: from, selectionEnd: to } = this.area;
    if (from === to && !event.shiftKey) return void typeIn(INDENT);
    const start = value.lastIndexOf("\n", from - 1) + 1;
    const block = value.slice(start, to);
    const moved = event.shiftKey
      ? block.replace(/^ {1,4}|^\t/gm, "")
      : block.replace(/^(?=.)/gm, INDENT);
    this.area.setSelectionRange(start, to);
    typeIn(moved);
    const lines = block.includes("\n");
    this.area.setSelectionRange(lines ? start : start + moved.length, start + moved.length);
  }

  /** Begin a line under the one before, and further in behind a colon. */
  #newline(event) {
    if (this.area.readOnly) return;
    const { value, selectionStart: from } = this.area;
    const before = value.slice(value.lastIndexOf("\n", from - 1) + 1, from);
    const indent = /^[ \t]*/.exec(before)[0] + (/:\s*$/.test(before) ? INDENT : "");
    event.preventDefault();
    typeIn(`\n${indent}`);
  }
}

/** Type a text where the cursor is: so it can be undone. */
function typeIn(text) {
  document.execCommand(text ? "insertText" : "delete", false, text);
}

/** Return a line of code; its characters stand as in the text area, also those without a sign. */
function codeLine(parts) {
  const node = el("div", { class: "pj-codeline" });
  for (const [kind, text] of parts) {
    const part = document.createTextNode(text);
    if (!kind) node.append(part);
    else {
      const span = el("span", { class: `pj-tok-${kind}` });
      span.append(part);
      node.append(span);
    }
  }
  return node;
}
