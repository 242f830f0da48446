// Elements. Whatever a job has written enters the page here: as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";
// Characters that would hide, or turn the text around them: controls, bidi marks, line separators.
const UNSEEN =
  /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** Return the text with a sign for what could not be seen: `^G` for a bell, as terminals have it. */
function visible(text) {
  return String(text).replace(UNSEEN, (character) => {
    const code = character.codePointAt(0);
    if (code < 0x20 || code === 0x7f) return `^${String.fromCodePoint(code ^ 0x40)}`;
    return `\u27e8U+${code.toString(16).toUpperCase().padStart(4, "0")}\u27e9`;
  });
}

/** Return an HTML element; attributes named `on…` are listeners, strings become text nodes. */
function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** Return an SVG element, likewise. */
function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else attribute(node, name, value);
  }
  node.append(...nodes(children));
  return node;
}

/** Set an attribute; false, null and undefined take it away. */
function attribute(node, name, value) {
  if (value === false || value === null || value === undefined) node.removeAttribute(name);
  else node.setAttribute(name, value === true ? "" : visible(value));
}

/** Replace what an element holds. */
function put(node, ...children) {
  node.replaceChildren(...nodes(children));
  return node;
}

/** Replace the text of an element, and leave it alone where it already stands there. */
function say(node, text) {
  const seen = visible(text);
  if (node.textContent !== seen) node.textContent = seen;
  return node;
}

function nodes(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false)
    .map((child) => (child instanceof Node ? child : document.createTextNode(visible(child))));
}

const MODULE = Math.random().toString(36).slice(2, 8); // each widget loads its own copy of this
let idsMade = 0;

/** Return an id that nothing else on the page has, in no other widget either. */
function freshId(name) {
  idsMade += 1;
  return `${name}-${MODULE}-${idsMade}`;
}

/** Bring an element into sight, at once and while it grows to its size: its parts come later. */
function bringIntoSight(node) {
  const observer = new ResizeObserver(() => node.scrollIntoView({ block: "nearest" }));
  observer.observe(node);
  const stop = () => observer.disconnect();
  setTimeout(stop, 2000);
  for (const kind of ["wheel", "pointerdown", "keydown"]) // somebody goes elsewhere
    document.addEventListener(kind, stop, { once: true, capture: true, passive: true });
}

/**
 * Copy a text to the clipboard, or what a promise of one brings.
 *
 * Also where a page without TLS has no `navigator.clipboard`; it is called at once, as browsers
 * only let those copy who have just been clicked.
 */
async function copyText(text) {
  const blob = Promise.resolve(text).then((told) => new Blob([told], { type: "text/plain" }));
  try {
    await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
    return true;
  } catch {
    const area = el("textarea", { class: "pj-unseen", "aria-hidden": "true" });
    area.value = await text;
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    return copied;
  }
}

/** Return a button that copies what `text()` returns or promises, and says whether it did. */
function copyButton(label, text, title = null) {
  const button = el(
    "button",
    { type: "button", class: "pj-button", title, onclick },
    icon("copy"),
    el("span", {}, label),
  );
  async function onclick() {
    const told = text();
    if (told instanceof Promise) put(button, icon("copy"), el("span", {}, "Copying \u2026"));
    const copied = await copyText(told);
    put(button, icon(copied ? "check" : "copy"), el("span", {}, copied ? "Copied" : "Not allowed"));
    button.addEventListener("blur", restore, { once: true });
    button.addEventListener("pointerleave", restore, { once: true });
  }
  const restore = () => put(button, icon("copy"), el("span", {}, label));
  return button;
}

/** Return a button that is on or off. */
function toggle(name, label, title, onclick) {
  return el(
    "button",
    { type: "button", class: "pj-button", title, "aria-pressed": "false", onclick },
    icon(name),
    el("span", {}, label),
  );
}

function pressed(button, on) {
  attribute(button, "aria-pressed", String(on));
}

/** Keep JupyterLab from what is typed: `d d` deletes the cell, line breaks and undoing are cancelled. */
function keepKeys(root) {
  root.addEventListener("focusin", ({ target }) =>
    attribute(target, "data-lm-suppress-shortcuts", "true"),
  );
  root.addEventListener("beforeinput", (event) => event.stopPropagation(), { capture: true });
}
