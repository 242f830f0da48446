// The lines that a log panel shows: of all replicas or of one, moving or paused.

const AHEAD = 100; // lines asked for beyond those on screen

class LogSource {
  /** `changed` is called when there is something new to draw. */
  constructor(model, kernel, changed) {
    this.model = model;
    this.kernel = kernel;
    this.changed = changed;
    this.asked = new Map(); // blocks that are on their way, and their questions
    this.held = null; // what was there when it was paused
    this.late = false; // whether the kernel lets us wait
    this.caches = new Map();
    this.job = {}; // whose lines they are
    this.renewed();
    this.select(model.get("view") ?? ALL, { tell: false });
    this.takeTail();
  }

  get replicas() {
    return this.#log.replicas ?? [];
  }

  /** How many lines there are, the unfinished ones not among them. */
  get total() {
    return this.held?.total ?? this.#live;
  }

  /** How many rows there are to draw. */
  get rows() {
    return this.total + this.partial.length;
  }

  get partial() {
    return this.held?.partial ?? this.tailPartial;
  }

  /** How many lines have come since it was paused. */
  get news() {
    return this.held ? Math.max(0, this.#live - this.held.total) : 0;
  }

  /** Whether only the lines at hand can be shown: the kernel has not answered for this view. */
  get makeshift() {
    return this.lines.total === 0 && this.#known > 0 && this.view !== ALL && this.#whole.total > 0;
  }

  /** Number behind the last line that is shown while it is paused; undefined if it is not. */
  get end() {
    return this.makeshift ? undefined : this.held?.total;
  }

  /** The lines of this view that are here already. */
  get atHand() {
    return this.makeshift ? this.#found() : [...this.lines.all()];
  }

  get note() {
    return this.#log.note ?? "";
  }

  /**
   * Return row `index` as `{number, replica, text, partial, begins}`; undefined while it is not here.
   *
   * `begins` is whether the replica was started again before it.
   */
  row(index) {
    const { total } = this;
    const partial = index >= total;
    const line = partial ? this.partial[index - total] : this.#line(index);
    if (!line) return undefined;
    const number = partial || this.makeshift ? null : index + 1;
    const begins = number !== null && this.lines.begun.has(index);
    return { number, replica: line[0], text: line[1], partial, begins };
  }

  /** Show another view from now on: "" for all, or the name of a replica. */
  select(view, { tell = true } = {}) {
    this.view = view;
    this.held = null;
    this.late = false;
    this.tailPartial = [];
    for (const name of [...this.caches.keys()])
      if (name !== ALL && name !== view) this.caches.delete(name);
    this.lines = this.#cache(view);
    if (tell) this.kernel.tell({ do: "view", view });
    this.takeTail();
    if (tell) this.want(this.#known - AHEAD, this.#known - 1);
    this.changed();
  }

  /** Forget everything where the lines are another job's now; return whether they are. */
  renewed() {
    const { name, metadata = [] } = this.model.get("head") ?? {};
    const uid = metadata.find(([key]) => key === "uid")?.[1];
    const before = this.job;
    this.job = { name, uid, total: this.#log.total ?? 0 };
    const other = (key) => before[key] !== undefined && this.job[key] !== before[key];
    if (!other("name") && !other("uid") && !(this.job.total < before.total)) return false;
    for (const question of this.asked.values()) this.kernel.drop(question);
    this.asked.clear();
    this.caches.clear();
    this.stale = this.taken; // the tail is told later than the head
    return true;
  }

  /** Stop or go on; lines are kept and counted all the while. */
  pause(paused) {
    this.held = paused ? { total: this.total, partial: this.partial } : null;
    this.changed();
  }

  /** Take the newest lines from the model. */
  takeTail() {
    const tail = this.model.get("tail");
    if (!tail || tail === this.stale) return;
    this.taken = tail;
    if (tail.view === ALL || tail.view === this.view) {
      this.#cache(tail.view).put(tail.start, tail.lines);
      this.#cache(tail.view).begun = new Set(tail.begun);
    }
    if (tail.view === this.view) this.tailPartial = tail.partial ?? [];
    this.found = null;
    this.changed();
  }

  /** Ask for the lines from `first` to `last` that are not here, and for some beyond. */
  want(first, last) {
    const known = this.#known;
    if (this.lines.total) {
      this.lines.total = Math.max(this.lines.total, known);
      for (const gap of this.lines.missing(first - AHEAD, last + AHEAD)) this.#ask(gap);
    } else if (known)
      this.#ask({ start: Math.max(0, known - BLOCK), count: Math.min(BLOCK, known) });
  }

  #ask(gap) {
    const { lines } = this;
    const key = `${lines.view}\n${gap.start}`;
    if (this.asked.has(key)) return;
    const question = this.kernel.ask(
      { do: "lines", view: lines.view, ...gap },
      (answer) => {
        lines.put(answer.start, answer.lines);
        // What the kernel cannot give is not asked for again.
        if (!lines.missing(gap.start, gap.start + gap.count - 1).length) this.asked.delete(key);
        this.late = false;
        this.found = null;
        this.changed();
      },
      () => {
        this.late = true;
        this.changed();
      },
    );
    this.asked.set(key, question);
  }

  #line(index) {
    return this.makeshift ? this.#found()[index] : this.lines.get(index);
  }

  get #log() {
    return this.model.get("log") ?? {};
  }

  /** How many lines of this view the kernel knows. */
  get #known() {
    return (this.view === ALL ? this.#log.total : this.#log.totals?.[this.view]) ?? 0;
  }

  get #live() {
    if (this.makeshift) return this.#found().length;
    const followed = this.model.get("tail")?.view === this.view; // its end is the end
    return followed || !this.lines.total
      ? this.lines.total
      : Math.max(this.lines.total, this.#known);
  }

  get #whole() {
    return this.#cache(ALL);
  }

  #cache(view) {
    if (!this.caches.has(view)) this.caches.set(view, new LogLines(view));
    return this.caches.get(view);
  }

  /** Return those of the lines at hand that are of the replica. */
  #found() {
    const replica = this.replicas.indexOf(this.view);
    this.found ??= [...this.#whole.all()].filter((line) => line[0] === replica);
    return this.found;
  }
}
