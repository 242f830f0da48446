// What is said in the form so far, and what the kernel finds of it.

const PAUSE = 30; // milliseconds between two checks at least
const KEEP = 500; // milliseconds without a key, then the kernel keeps it

class Draft {
  /** `loaded()` when another draft has been put here; `changed()` when something is known of it. */
  constructor(model, kernel, { loaded, changed }) {
    Object.assign(this, { model, kernel, loaded, changed });
    this.late = false; // whether the kernel lets us wait
    this.asked = null; // the revision that is being checked
    this.askedAt = -Infinity;
    this.heard = {
      "change:values": () => this.#load(),
      "change:source": () => this.#load(),
      "change:checked": () => this.#checked(),
    };
    for (const [name, heard] of Object.entries(this.heard)) model.on(name, heard);
    this.#take();
    this.revision = (this.found.revision ?? 0) + 1; // no answer is like the one before
    this.#ask();
  }

  /** What the kernel has found, of this draft or the one before. */
  get found() {
    return this.model.get("checked") ?? {};
  }

  /** Whether what was found is about what is said now. */
  get current() {
    return (this.found.revision ?? -1) >= this.revision;
  }

  /** What is sent with every question. */
  get content() {
    return { revision: this.revision, values: this.values, source: this.source };
  }

  /** Say something in a field; undefined takes it back. */
  say(field, value) {
    if (JSON.stringify(this.values[field]) === JSON.stringify(value)) return;
    const { [field]: _, ...others } = this.values;
    this.values = value === undefined ? others : { ...others, [field]: value };
    this.#touched();
  }

  /** Say what is to run. */
  code(source) {
    if (source === this.source) return;
    this.source = source;
    this.#touched();
  }

  stop() {
    clearTimeout(this.pause);
    clearTimeout(this.wait);
    if (this.keeping) this.#keep();
    for (const [name, heard] of Object.entries(this.heard)) this.model.off(name, heard);
  }

  #touched() {
    this.revision += 1;
    this.#check();
    clearTimeout(this.keeping);
    this.keeping = setTimeout(() => this.#keep(), KEEP);
    this.changed();
  }

  /** Have it checked, but nothing more as long as a check is on its way. */
  #check() {
    if (this.pause || (this.asked !== null && !this.late)) return;
    const rest = PAUSE - (performance.now() - this.askedAt);
    this.pause = setTimeout(() => this.#ask(), Math.max(0, rest));
  }

  #ask() {
    this.pause = null;
    this.asked = this.revision;
    this.askedAt = performance.now();
    this.kernel.tell({ do: "check", ...this.content });
    clearTimeout(this.wait);
    this.wait = setTimeout(() => {
      this.late = true;
      if (this.revision > this.asked) this.#check();
      this.changed();
    }, LATE);
  }

  /** Give it to the kernel, where other views and a page loaded again find it. */
  #keep() {
    clearTimeout(this.keeping);
    this.keeping = null;
    this.mine = true;
    this.model.set("values", this.values);
    this.model.set("source", this.source);
    this.mine = false;
    try {
      this.model.save_changes();
    } catch {
      this.kernel.seen(false);
    }
  }

  #take() {
    this.values = { ...(this.model.get("values") ?? {}) };
    this.source = this.model.get("source") ?? "";
  }

  #load() {
    if (this.mine) return;
    clearTimeout(this.keeping);
    this.keeping = null;
    this.#take();
    this.revision += 1;
    this.#check();
    this.loaded();
  }

  #checked() {
    const { revision = -1 } = this.found;
    this.revision = Math.max(this.revision, revision);
    if (this.asked !== null && revision >= this.asked) {
      this.asked = null;
      this.late = false;
      clearTimeout(this.wait);
      if (!this.current) this.#check();
    }
    this.changed();
  }
}
