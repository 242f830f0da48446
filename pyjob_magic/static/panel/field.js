// One option of the form: what it is called, what is said, what that means, what is wrong with it.

class Field {
  /** `changed(value)` is called with what is said, undefined for nothing. */
  constructor(spec, id, changed) {
    Object.assign(this, { spec, id, changed });
    this.error = "";
    this.input = INPUTS[spec.kind] ? new INPUTS[spec.kind](this) : new TextInput(this);
    this.hint = el("p", { class: "pj-hint", id: `${id}-hint` }, sentence(spec.help));
    this.wrong = el("p", { class: "pj-wrong", id: `${id}-wrong`, hidden: true });
    this.note = el("p", { class: "pj-remark", id: `${id}-note`, role: "status", hidden: true });
    this.node = el(
      "div",
      { class: "pj-option", "data-field": spec.field, "data-kind": spec.kind },
      this.input.node,
      this.wrong,
      this.note,
      this.hint,
    );
  }

  get described() {
    return `${this.id}-wrong ${this.id}-note ${this.id}-hint`;
  }

  /** The title of the field, which names the input of that id. */
  label(target) {
    return [
      el("label", { class: "pj-optionname", for: target, id: `${this.id}-name` }, this.spec.label),
      flagOf(this.spec),
    ];
  }

  set(value) {
    this.input.set(value);
  }

  /** Take another default and other choices. */
  learn(spec) {
    this.spec = spec;
    for (const input of this.input.inputs)
      if (input.type === "text") attribute(input, "placeholder", hinted(spec));
  }

  /** Offer words; others can still be typed. */
  offer(words) {
    this.input.offer?.([...new Set([...(this.spec.choices ?? []), ...words])]);
  }

  /** Say what is wrong, or that nothing is. */
  tell(error) {
    if (error === this.error) return;
    this.error = error;
    this.wrong.hidden = !error;
    put(this.wrong, error && icon("bad"), error && el("span", {}, error));
    attribute(this.node, "data-wrong", Boolean(error));
    for (const input of this.input.inputs) attribute(input, "aria-invalid", error ? "true" : null);
  }

  /** Say what should be known of what is said, which is not wrong by itself. */
  remark(...content) {
    this.note.hidden = content.length === 0;
    put(this.note, content.length > 0 && [icon("waiting"), el("span", {}, content)]);
  }

  focus() {
    this.input.inputs[0]?.focus();
  }
}

class TextInput {
  constructor(field) {
    this.field = field;
    const { spec, id } = field;
    this.list = el("datalist", { id: `${id}-list` });
    this.input = textBox(field, id, () =>
      field.changed(this.input.value === "" ? undefined : this.input.value),
    );
    this.inputs = [this.input];
    this.node = el(
      "div",
      { class: "pj-optionbox" },
      el("div", { class: "pj-optionhead" }, field.label(id)),
      this.input,
      this.list,
    );
    this.offer(spec.choices ?? []);
  }

  set(value) {
    const text = value === undefined || value === null ? "" : String(value);
    if (this.input.value !== text) this.input.value = text;
  }

  offer(words) {
    offered(this.list, words);
  }
}

class SwitchInput {
  constructor(field) {
    const { id } = field;
    const onchange = () => field.changed(this.input.checked ? true : undefined);
    this.input = el("input", {
      type: "checkbox",
      id,
      "aria-describedby": field.described,
      onchange,
    });
    this.inputs = [this.input];
    this.node = el("div", { class: "pj-optionhead pj-switch" }, this.input, field.label(id));
  }

  set(value) {
    this.input.checked = Boolean(value);
  }
}

/** What may be said several times: a row for each. */
class LinesInput {
  constructor(field) {
    this.field = field;
    this.made = 0;
    this.list = el("datalist", { id: `${field.id}-list` });
    this.rows = el("div", { class: "pj-lines" });
    this.add = el(
      "button",
      {
        type: "button",
        class: "pj-button",
        id: field.id,
        "aria-label": `Add: ${field.spec.label}`,
        onclick: () => this.#more(),
      },
      icon("plus"),
      el("span", {}, "Add"),
    );
    this.node = el(
      "div",
      {
        class: "pj-optionbox",
        role: "group",
        "aria-labelledby": `${field.id}-name`,
        "aria-describedby": field.described,
      },
      el(
        "div",
        { class: "pj-optionhead" },
        el("span", { class: "pj-optionname", id: `${field.id}-name` }, field.spec.label),
        flagOf(field.spec),
      ),
      this.rows,
      this.add,
      this.list,
    );
    this.offer(field.spec.choices ?? []);
  }

  get inputs() {
    const boxes = [...this.rows.querySelectorAll("input")];
    return boxes.length ? boxes : [this.add];
  }

  /** Each row as it is written, also an empty one: that is only not said yet. */
  get texts() {
    return [...this.rows.querySelectorAll("input")].map((input) => input.value);
  }

  set(value) {
    const texts = value ?? [];
    if (JSON.stringify(texts) === JSON.stringify(this.texts.filter(Boolean))) return;
    put(this.rows, ...texts.map((text) => this.#row(text)));
  }

  offer(words) {
    offered(this.list, words);
  }

  #more() {
    const row = this.#row("");
    this.rows.append(row);
    row.querySelector("input").focus();
  }

  #row(text) {
    this.made += 1;
    const { field } = this;
    const input = textBox(field, `${field.id}-${this.made}`, () => this.#changed());
    input.value = text;
    attribute(input, "aria-label", field.spec.label);
    attribute(input, "aria-invalid", field.error ? "true" : null);
    const drop = el(
      "button",
      {
        type: "button",
        class: "pj-button pj-onlysign",
        "aria-label": `Remove: ${field.spec.label}`,
        title: "Remove",
        onclick: () => this.#drop(row),
      },
      icon("close"),
    );
    const row = el("div", { class: "pj-linerow" }, input, drop);
    return row;
  }

  #drop(row) {
    const next = row.nextSibling ?? row.previousSibling;
    row.remove();
    (next?.querySelector("input") ?? this.add).focus();
    this.#changed();
  }

  #changed() {
    const said = this.texts.filter(Boolean);
    this.field.changed(said.length ? said : undefined);
  }
}

const INPUTS = { switch: SwitchInput, lines: LinesInput };

function textBox({ spec, id, described }, own, oninput) {
  return el("input", {
    type: "text",
    id: own,
    list: `${id}-list`,
    placeholder: hinted(spec),
    inputmode: spec.kind === "number" ? "numeric" : null,
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    "aria-describedby": described,
    oninput,
  });
}

/** How the option is typed in a cell. */
function flagOf({ flag }) {
  return el("code", { class: "pj-flag", title: flag }, flag);
}

function hinted({ placeholder, metavar }) {
  return placeholder || metavar;
}

function offered(list, words) {
  const drawn = JSON.stringify(words);
  if (drawn === list.drawn) return;
  list.drawn = drawn;
  put(
    list,
    words.map((value) => el("option", { value })),
  );
}

/** Return a help text without what holds otherwise, which the placeholder says. */
function sentence(help) {
  return help.replace(/\s*\([^()]*\)\.$/, ".");
}
