// The fields of the form, in the groups that the kernel has made of the list of options.

const KNOWN = ["placeholder", "choices"]; // of a field: they may change with the profile

class Form {
  /** `changed(field, value)` is called when something is said. */
  constructor(changed) {
    this.changed = changed;
    this.fields = new Map();
    this.groups = [];
    this.node = el("div", { class: "pj-form" });
  }

  /** Make the fields, or where they are made already, say what else is known of them. */
  build(groups) {
    const made = JSON.stringify(groups, (key, value) => (KNOWN.includes(key) ? undefined : value));
    const specs = groups.flatMap(({ fields }) => fields);
    if (made === this.made) return specs.forEach((spec) => this.fields.get(spec.field).learn(spec));
    this.made = made;
    this.fields.clear();
    this.groups = groups.map((group) => this.#group(group));
    put(this.node, ...this.groups.map(({ node }) => node));
  }

  /** Show what is said. */
  set(values) {
    for (const [name, field] of this.fields) field.set(values[name]);
    this.count(values);
  }

  /** Say of folded groups how many of their fields are said. */
  count(values) {
    for (const { many, names } of this.groups) {
      const said = names.filter((name) => values[name] !== undefined).length;
      if (many) say(many, said ? String(said) : "");
    }
  }

  offer(offers) {
    for (const [name, field] of this.fields) field.offer(offers[name] ?? []);
  }

  /** Show the errors beside their fields; a group that holds a new one opens. */
  tell(errors) {
    for (const { node, names } of this.groups) {
      const fresh = names.some((name) => errors[name] && !this.fields.get(name).error);
      if (fresh && node.matches("details")) node.open = true;
    }
    for (const [name, field] of this.fields) field.tell(errors[name] ?? "");
  }

  /** Go to a field, wherever it is folded away. */
  focus(name) {
    const field = this.fields.get(name);
    field.node.closest("details")?.setAttribute("open", "");
    field.focus();
  }

  #group({ title, folded, fields }) {
    const made = fields.map((spec) => this.#field(spec));
    const grid = el(
      "div",
      { class: "pj-options" },
      made.map((field) => field.node),
    );
    const names = fields.map((spec) => spec.field);
    if (!folded)
      return {
        names,
        node: el("section", { class: "pj-group", "aria-label": title }, el("h4", {}, title), grid),
      };
    const many = el("span", { class: "pj-many" });
    return {
      names,
      many,
      node: el(
        "details",
        { class: "pj-group" },
        el("summary", {}, icon("down"), el("span", { class: "pj-grouptitle" }, title), many),
        grid,
      ),
    };
  }

  #field(spec) {
    const field = new Field(spec, freshId(`pj-${spec.field}`), (value) =>
      this.changed(spec.field, value),
    );
    this.fields.set(spec.field, field);
    return field;
  }
}
