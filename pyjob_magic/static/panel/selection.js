// Which rows are selected, and which one the keyboard is at; by uid, so that rows may come and go.

class Selection {
  constructor() {
    this.uids = new Set();
    this.at = null;
    this.anchor = null; // where a range begins
    this.order = [];
  }

  /** Take the rows that are shown, in order: what is not shown is not selected. */
  keep(order) {
    this.order = order;
    const shown = new Set(order);
    for (const uid of this.uids) if (!shown.has(uid)) this.uids.delete(uid);
    if (!shown.has(this.anchor)) this.anchor = null;
    if (!shown.has(this.at)) this.at = null;
  }

  get place() {
    return this.order.indexOf(this.at);
  }

  get all() {
    return this.order.length > 0 && this.uids.size === this.order.length;
  }

  /** Go to a row; `range` selects all from where the range began. */
  go(uid, range = false) {
    if (range) this.#range(uid);
    else this.anchor = uid;
    this.at = uid;
  }

  toggle(uid) {
    if (!this.uids.delete(uid)) this.uids.add(uid);
    this.at = uid;
    this.anchor = uid;
  }

  toggleAll() {
    this.uids = this.all ? new Set() : new Set(this.order);
  }

  clear() {
    this.uids.clear();
  }

  #range(uid) {
    const from = this.order.indexOf(this.anchor ?? this.at ?? uid);
    const to = this.order.indexOf(uid);
    const [low, high] = from < to ? [from, to] : [to, from];
    for (const each of this.order.slice(Math.max(0, low), high + 1)) this.uids.add(each);
  }
}
