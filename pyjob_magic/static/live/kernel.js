// What the card asks of the kernel, and the answers, which may come late or never.

const ALL = ""; // the view of all replicas
const LATE = 1000; // milliseconds
const PASSING = 15_000; // milliseconds that it is said what came of an action; errors stay

class Kernel {
  /** `changed()` is called when there is no kernel any more, or one again. */
  constructor(model, changed) {
    this.model = model;
    this.changed = changed;
    this.live = true;
    this.name = Math.random().toString(36).slice(2); // other views of the card ask as well
    this.asked = 0;
    this.open = new Map();
    this.hear = (content, buffers) => this.#hear(content, buffers);
    model.on("msg:custom", this.hear);
  }

  /** Why there is no answer, as people are told it. */
  get silence() {
    return this.live
      ? "The kernel is busy until the running cell ends"
      : "No kernel is attached";
  }

  /** Note whether there is a kernel: one that says something is there. */
  seen(live) {
    if (live === this.live) return;
    this.live = live;
    this.changed();
  }

  /** Send and expect nothing back. */
  tell(message) {
    try {
      this.model.send(message);
    } catch {
      this.seen(false);
    }
  }

  /** Ask; `answer(content, buffers)` returns true when more will come; `late()` after a second. */
  ask(message, answer, late = () => {}) {
    this.asked += 1;
    const id = `${this.name}-${this.asked}`;
    const timer = setTimeout(late, LATE);
    this.open.set(id, { answer, timer });
    this.tell({ ...message, id });
    return id;
  }

  /** Want no answer any more. */
  drop(id) {
    clearTimeout(this.open.get(id)?.timer);
    this.open.delete(id);
  }

  stop() {
    this.model.off("msg:custom", this.hear);
    for (const id of [...this.open.keys()]) this.drop(id);
  }

  #hear(content, buffers) {
    this.seen(true);
    const question = this.open.get(content?.id);
    if (!question) return;
    clearTimeout(question.timer);
    if (!question.answer(content, buffers)) this.open.delete(content.id);
  }
}
