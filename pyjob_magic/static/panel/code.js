// Where the code comes from: it is typed here, or it is a cell's, a file's, or that of a name.

const ORIGINS = [
  { key: "text", title: "Editor" },
  { key: "cell", title: "Cell" },
  {
    key: "file",
    title: "File",
    label: "Path to a Python file",
    placeholder: "train.py",
    load: "Load file",
  },
  {
    key: "name",
    title: "Function",
    label: "Name of a function or string in this notebook",
    placeholder: "train",
    load: "Load code",
  },
];
const MAGIC = /^%%pytorchjob\b/;

class Code {
  /** `changed(source)` is called when there is other code. */
  constructor(id, notebook, kernel, changed) {
    Object.assign(this, { id, notebook, kernel, changed });
    this.cells = [];
    this.said = new Said();
    this.editor = new Editor(`${id}-code`, (text) => {
      this.said.settle();
      changed(text);
    });
    this.wrong = el("p", { class: "pj-wrong", id: `${id}-codewrong`, hidden: true });
    attribute(this.editor.area, "aria-describedby", `${id}-codewrong`);
    this.from = el("div", { class: "pj-from" });
    this.origins = el(
      "div",
      {
        class: "pj-segments",
        role: "radiogroup",
        "aria-label": "Code from",
        onkeydown: (event) => this.#pressed(event),
      },
      ORIGINS.map((origin) => this.#origin(origin)),
    );
    this.node = el(
      "section",
      { class: "pj-group", "aria-label": "Code" },
      el("div", { class: "pj-codehead" }, el("h4", {}, "Code from"), this.origins, this.from),
      this.editor.node,
      this.wrong,
      this.said.node,
    );
    this.#choose("text");
  }

  /** Show the code of another draft, and the cell it is of. */
  set(source) {
    this.editor.set(source);
    this.said.tell("");
    if (this.origin === "cell" && !this.#follows(source)) this.#choose("text");
  }

  tell(error) {
    this.wrong.hidden = !error;
    put(this.wrong, error && icon("bad"), error && el("span", {}, error));
    attribute(this.editor.area, "aria-invalid", error ? "true" : null);
    attribute(this.editor.node, "data-wrong", Boolean(error));
  }

  focus() {
    (this.origin === "text" ? this.editor.area : this.from.querySelector("select, input")).focus();
  }

  /** The notebook has changed: a cell that is followed may have other code. */
  refresh() {
    if (this.origin !== "cell") return;
    this.#list();
    const cell = this.cells.find(({ id }) => id === this.select.value);
    if (cell && !MAGIC.test(cell.source)) this.#take(cell.source);
  }

  #origin({ key, title }) {
    return el(
      "button",
      { type: "button", role: "radio", "data-origin": key, onclick: () => this.#choose(key, true) },
      title,
    );
  }

  #pressed(event) {
    const at = ORIGINS.findIndex(({ key }) => key === this.origin);
    const moves = { ArrowLeft: at - 1, ArrowUp: at - 1, ArrowRight: at + 1, ArrowDown: at + 1 };
    if (!(event.key in moves)) return;
    event.preventDefault();
    const { key } = ORIGINS[(moves[event.key] + ORIGINS.length) % ORIGINS.length];
    this.#choose(key);
    this.origins.querySelector(`[data-origin="${key}"]`).focus();
  }

  #choose(key, on = false) {
    this.origin = key;
    for (const node of this.origins.children) {
      const chosen = node.dataset.origin === key;
      attribute(node, "aria-checked", String(chosen));
      attribute(node, "tabindex", chosen ? "0" : "-1");
    }
    this.said.tell("");
    this.editor.lock(key === "cell");
    if (key === "cell") this.#cellChoice();
    else
      put(this.from, key !== "text" && this.#loading(ORIGINS.find((origin) => origin.key === key)));
    if (on) this.focus();
  }

  #cellChoice() {
    this.select = el("select", {
      "aria-label": "Cell of this notebook",
      onchange: () => this.#chosen(),
    });
    this.choices = "";
    this.#list();
    if (this.notebook.shared) put(this.from, this.select);
    else
      put(
        this.from,
        el(
          "p",
          { class: "pj-hint" },
          "The cells of the notebook cannot be read on this page. Save the code to a file and choose File.",
        ),
      );
    if (!this.notebook.shared) this.editor.lock(false);
  }

  /** Offer the cells that there are now. */
  #list() {
    this.cells = this.notebook.cells();
    const choices = JSON.stringify(this.cells.map(({ id, number, first }) => [id, number, first]));
    if (choices === this.choices) return;
    this.choices = choices;
    const { value } = this.select;
    put(
      this.select,
      el("option", { value: "" }, this.cells.length ? "Choose a cell" : "No code cells"),
      this.cells.map(({ id, number, first }) =>
        el("option", { value: id }, `${number}: ${first.slice(0, 80)}`),
      ),
    );
    this.select.value = this.cells.some(({ id }) => id === value) ? value : "";
  }

  #chosen() {
    const cell = this.cells.find(({ id }) => id === this.select.value);
    if (!cell) return;
    if (MAGIC.test(cell.source)) return void this.#load("cell", cell.source);
    this.#take(cell.source);
    this.said.tell("Follows the cell. To edit the code here, choose Editor.");
  }

  #take(source) {
    if (source === this.editor.text) return;
    this.editor.set(source);
    this.changed(source);
  }

  /** Whether the chosen cell has that code, or is where it was loaded from. */
  #follows(source) {
    const cell = this.cells.find(({ id }) => id === this.select.value);
    return cell !== undefined && cell.source.endsWith(source);
  }

  #loading({ key, label, placeholder, load }) {
    const input = el("input", {
      type: "text",
      "aria-label": label,
      title: label,
      placeholder,
      autocomplete: "off",
      spellcheck: "false",
      onkeydown: (event) => event.key === "Enter" && go(),
    });
    const go = () => input.value.trim() && this.#load(key, input.value.trim());
    return [input, el("button", { type: "button", class: "pj-button", onclick: go }, load)];
  }

  #load(what, value) {
    order(this.kernel, this.said, { do: "load", what, value }, "Loading");
  }
}
