// Beside the form: what it comes to, what is still missing, and what to do with it.

class Summary {
  /** `go(problem)` leads to a field; `done(what)` when the form has been submitted. */
  constructor(draft, kernel, notebook, go) {
    Object.assign(this, { draft, kernel, notebook, go });
    this.totals = new Totals();
    this.preview = new Preview();
    this.said = new Said();
    this.busy = el("p", { class: "pj-hint", role: "status" });
    this.problems = el("ul", { class: "pj-problems", "aria-label": "To fix", hidden: true });
    this.state = el("p", { class: "pj-ready", role: "status" });
    this.submit = button("send", "Submit", () => this.#submit(), { class: "pj-button pj-main" });
    this.server = button("server", "Check with the server", () => this.#server());
    this.cell = button("cell", "As a cell", () => this.#cell());
    this.text = el("div", { class: "pj-celltext", hidden: true });
    this.node = el(
      "aside",
      { class: "pj-side", "aria-label": "Summary" },
      this.totals.node,
      el(
        "section",
        { class: "pj-box", "aria-label": "Submit" },
        this.state,
        this.problems,
        el("div", { class: "pj-buttons" }, this.submit, this.server, this.cell),
        this.busy,
        this.said.node,
        this.text,
      ),
      this.preview.node,
    );
  }

  /** Note that something was said or found: what came of an action may be about another draft. */
  heard() {
    const { values, source, found } = this.draft;
    const { errors, source_error: wrong, missing } = found;
    const about = JSON.stringify([values, source, errors, wrong, missing]);
    if (about !== this.about) this.said.settle();
    this.about = about;
  }

  /** Show a warning in place of "Ready to submit."; none if it is empty. */
  warn(warning) {
    this.warning = warning;
    this.#standing();
  }

  /** Show what was found; `titles` are the names of the fields. */
  render(titles) {
    const { found, late } = this.draft;
    this.totals.render(found.totals ?? [], found.free ?? [], found.place ?? "");
    this.preview.render(found);
    say(this.busy, late ? `${this.kernel.silence}; what is shown is out of date.` : "");
    this.wrong = problemsOf(found, titles);
    this.missing = found.missing ?? [];
    const known = found.revision !== undefined;
    const drawn = JSON.stringify([known, this.wrong, this.missing]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const ready = known && !this.wrong.length && !this.missing.length;
    const missing = this.missing.map((name) => titles.get(name) ?? name);
    this.standing = known ? standing(this.wrong.length, missing) : "Checking \u2026";
    this.ready = ready;
    this.#standing();
    this.problems.hidden = this.wrong.length === 0;
    put(
      this.problems,
      this.wrong.map((problem) => this.#problem(problem)),
    );
    for (const node of [this.submit, this.server, this.cell])
      attribute(node, "aria-disabled", ready ? null : "true");
  }

  #standing() {
    const warned = this.ready && this.warning;
    say(this.state, warned || this.standing || "");
    attribute(this.state, "data-tone", this.ready && !warned ? "ok" : "waiting");
  }

  #problem({ field, title, message }) {
    const link = el(
      "button",
      { type: "button", class: "pj-linkbutton", onclick: () => this.go(field) },
      title,
    );
    return el("li", {}, field ? link : el("b", {}, title), el("span", {}, ` ${message}`));
  }

  /** Whether it can be done; if not, lead to what is in the way. */
  #ready() {
    const first = this.wrong.length ? this.wrong[0].field : this.missing[0];
    if (!this.wrong.length && !this.missing.length) return this.draft.found.revision !== undefined;
    this.go(first);
    return false;
  }

  #submit() {
    if (this.#ready()) this.#order({ do: "submit" }, "Submitting");
  }

  #server() {
    if (this.#ready()) this.#order({ do: "server" }, "Asking the server");
  }

  #cell() {
    if (!this.#ready()) return;
    this.#order({ do: "as cell" }, "Writing", ({ ok, text }) => ok !== false && this.#write(text));
  }

  async #write(text) {
    if (this.notebook.shared) {
      try {
        return void this.said.outcome(await this.notebook.insert(text));
      } catch (error) {
        this.said.tell(`The cell could not be inserted: ${error.message}`, true);
      }
    } else this.said.tell("Copy this into a cell:");
    this.text.hidden = false;
    put(
      this.text,
      el("pre", { class: "pj-yaml", tabindex: "0", "aria-label": "The cell" }, text),
      copyButton("Copy the cell", () => text),
    );
  }

  #order(message, doing, done) {
    if (this.pending) return;
    this.pending = true;
    this.text.hidden = true;
    order(this.kernel, this.said, { ...message, ...this.draft.content }, doing, (answer) => {
      this.pending = false;
      done?.(answer);
    });
  }
}

/** Return what is wrong, with the field it is wrong with: "source" is the code. */
function problemsOf({ errors = {}, source_error: code }, titles) {
  const wrong = Object.entries(errors).map(([field, message]) => ({
    field: titles.has(field) ? field : null,
    title: titles.get(field) ?? field,
    message,
  }));
  return code ? [{ field: "source", title: "Code", message: code }, ...wrong] : wrong;
}

function standing(wrong, missing) {
  const parts = [
    wrong && `${counted(wrong, "field")} to fix`,
    missing.length && `still missing: ${missing.join(", ")}`,
  ].filter(Boolean);
  const text = parts.join("; ") || "Ready to submit.";
  return text[0].toUpperCase() + text.slice(1);
}
