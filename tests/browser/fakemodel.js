// The model of a widget without a kernel: holds traits, answers what the card asks.

/**
 * A log of `total` lines, made when they are asked for; `special` has the text of some of them,
 * `begun` the numbers of those that a replica printed first when it ran again.
 */
class GeneratedLog {
  constructor({ replicas, total, special = {}, begun = [] }) {
    Object.assign(this, { replicas, total, special, begun });
  }

  text(number) {
    return this.special[number] ?? `step ${number} loss=${(2 / (1 + number / 1000)).toFixed(4)}`;
  }

  /** The number in the whole log of line `index` of a view. */
  number(view, index) {
    const replica = this.replicas.indexOf(view);
    return replica < 0 ? index : index * this.replicas.length + replica;
  }

  count(view) {
    const replica = this.replicas.indexOf(view);
    if (replica < 0) return this.total;
    return Math.floor((this.total - replica - 1) / this.replicas.length) + 1;
  }

  lines(view, start, count) {
    const end = Math.min(start + count, this.count(view));
    return Array.from({ length: Math.max(0, end - start) }, (_, i) => {
      const number = this.number(view, start + i);
      return [number % this.replicas.length, this.text(number)];
    });
  }

  find(view, text, start, forward) {
    const wanted = text.toLowerCase();
    const hits = [];
    for (let i = 0; i < this.count(view); i += 1)
      if (this.text(this.number(view, i)).toLowerCase().includes(wanted)) hits.push(i);
    const next = forward ? hits.find((i) => i >= start) : hits.findLast((i) => i <= start);
    return {
      number: next ?? (forward ? hits[0] : hits.at(-1)) ?? null,
      matches: hits.length,
      capped: false,
    };
  }

  tail(view, partial = []) {
    const start = Math.max(0, this.count(view) - 200);
    const lines = this.lines(view, start, 200);
    return { view, start, lines, partial, begun: view ? [] : this.begun };
  }

  counts() {
    const totals = Object.fromEntries(this.replicas.map((name) => [name, this.count(name)]));
    return { replicas: this.replicas, totals, total: this.total, note: "" };
  }
}

class FakeModel {
  constructor(traits, log) {
    this.log = new GeneratedLog(log);
    this.traits = { view: "", ...traits, log: this.log.counts(), tail: this.log.tail("") };
    this.heard = new Map();
    this.sent = [];
    this.busy = false; // whether questions stay unanswered, as while a cell runs
  }

  get(name) {
    return this.traits[name];
  }

  set(name, value) {
    this.traits[name] = value;
    this.trigger(`change:${name}`);
  }

  save_changes() {}

  on(name, callback) {
    if (!this.heard.has(name)) this.heard.set(name, new Set());
    this.heard.get(name).add(callback);
  }

  off(name, callback) {
    this.heard.get(name)?.delete(callback);
  }

  trigger(name, ...args) {
    for (const callback of this.heard.get(name) ?? []) callback(...args);
  }

  get listeners() {
    return [...this.heard.values()].reduce((sum, callbacks) => sum + callbacks.size, 0);
  }

  send(message) {
    if (this.gone) throw new Error("the comm is closed");
    this.sent.push(message);
    if (!this.busy) setTimeout(() => this.answer(message));
  }

  /** Answer what was asked while it was busy. */
  wake() {
    this.busy = false;
    for (const message of this.sent) this.answer(message);
  }

  /** The job prints so many lines more. */
  print(count, partial = []) {
    this.log.total += count;
    this.traits.log = this.log.counts();
    this.traits.tail = this.log.tail(this.traits.view, partial);
    this.trigger("change:log");
    this.trigger("change:tail");
  }

  answer(message) {
    const { do: what, id, view } = message;
    const tell = (content, buffers = []) => this.trigger("msg:custom", { id, ...content }, buffers);
    if (what === "lines") {
      const { start } = message;
      const lines = this.log.lines(view, start, message.count);
      tell({ is: "lines", view, start, total: this.log.count(view), lines });
    } else if (what === "find") {
      tell({
        is: "found",
        view,
        ...this.log.find(view, message.text, message.start, message.forward),
      });
    } else if (what === "view") {
      this.set("view", view);
      this.set("tail", this.log.tail(view));
    } else if (what === "act") {
      tell({
        is: "acted",
        action: message.action,
        ok: message.action !== "rerun",
        message: `${message.action} was asked for`,
      });
    } else if (what === "download") this.download(message, tell);
  }

  /** Send the lines; where a size is given, the last ones that it holds at 2000 bytes each. */
  async download({ view, end = this.log.count(view), size }, tell) {
    const start = size ? Math.max(0, end - size / 2000) : 0;
    const half = Math.ceil((end - start) / 2);
    const named = ([replica, text]) =>
      view ? `${text}\n` : `[${this.log.replicas[replica]}] ${text}\n`;
    for (const part of [0, 1]) {
      const first = start + part * half;
      const lines = this.log.lines(view, first, Math.min(half, end - first)).map(named);
      const stream = new Blob(lines).stream().pipeThrough(new CompressionStream("gzip"));
      const bytes = await new Response(stream).arrayBuffer();
      const told = { name: "../mnist.log", start, end, part, parts: 2 };
      tell({ is: "download", ...told }, [new DataView(bytes)]);
    }
  }
}
