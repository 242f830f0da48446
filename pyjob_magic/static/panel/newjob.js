// The tab in which a job is put together.

class NewJob {
  constructor(panel) {
    const { model, kernel, notebook } = panel;
    this.model = model;
    this.draft = new Draft(model, kernel, {
      loaded: () => this.#loaded(),
      changed: () => {
        this.summary.heard();
        panel.changed("checked");
      },
    });
    this.form = new Form((field, value) => this.draft.say(field, value));
    this.code = new Code(freshId("pj-code"), notebook, kernel, (source) =>
      this.draft.code(source),
    );
    this.summary = new Summary(this.draft, kernel, notebook, (field) => this.#go(field));
    this.node = el(
      "div",
      { class: "pj-newjob" },
      el("div", { class: "pj-saying" }, this.code.node, this.form.node),
      this.summary.node,
    );
    this.code.set(this.draft.source);
    notebook.watch(() => panel.changed("cells"), panel.signal);
  }

  render(dirty) {
    if (dirty.has("groups")) {
      this.form.build(this.model.get("groups") ?? []);
      this.form.set(this.draft.values);
    }
    if (dirty.has("groups") || dirty.has("offers")) this.form.offer(this.model.get("offers") ?? {});
    if (dirty.has("cells")) this.code.refresh();
    if (dirty.has("groups") || dirty.has("checked")) this.#found();
    if (["groups", "checked", "taken"].some((part) => dirty.has(part))) this.#taken();
  }

  stop() {
    this.draft.stop();
  }

  #loaded() {
    this.form.set(this.draft.values);
    this.code.set(this.draft.source);
    this.summary.heard();
  }

  /** Show what was found, unless it is about what has been changed since. */
  #found() {
    this.form.count(this.draft.values);
    const titles = new Map([...this.form.fields].map(([name, { spec }]) => [name, spec.label]));
    if (this.draft.current) {
      const { errors = {}, source_error: wrong } = this.draft.found;
      this.form.tell(errors);
      this.code.tell(wrong ?? "");
    }
    this.summary.render(titles);
  }

  /** Say beside the name that a job has it, and offer one that is free. */
  #taken() {
    const { name, free } = this.model.get("taken") ?? {};
    const drawn = name && name === this.draft.values.name ? JSON.stringify([name, free]) : "";
    const field = this.form.fields.get("name");
    this.summary.warn(drawn ? "Ready, but the name is taken." : "");
    if (!field || drawn === this.remarked) return;
    this.remarked = drawn;
    if (!drawn) return void field.remark();
    const use = el(
      "button",
      { type: "button", class: "pj-linkbutton", onclick: () => this.#rename(free) },
      free,
    );
    field.remark(`A job named ${name} exists already; use `, use, " or leave the name empty.");
  }

  #rename(name) {
    this.draft.say("name", name);
    this.form.fields.get("name").set(name);
    this.form.focus("name");
    this.#taken();
  }

  /** Go to a field; what has no field is the code. */
  #go(field) {
    if (this.form.fields.has(field)) this.form.focus(field);
    else this.code.focus();
  }
}
