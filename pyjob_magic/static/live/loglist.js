// A window onto any number of lines: only those on screen are in the page.
//
// `top` is the truth, counted in rows: 3.5 is half-way through the fourth. The scroll bar follows
// it. Browsers end an element at some 17 million pixels, so that in long logs a pixel of the bar
// is more than a pixel of the text; the wheel and the keys move `top` themselves there.

const ROW = 18; // pixels
const TALLEST = 8_000_000; // pixels

class LogList {
  /** `draw(index)` returns the element of a row; `changed()` asks for a call of `render`. */
  constructor({ rows, draw, changed }) {
    this.rows = rows;
    this.draw = draw;
    this.changed = changed;
    this.top = 0;
    this.follow = true;
    this.wrap = false;
    this.drawn = new Map();
    this.expected = 0;
    this.widest = 0;
    this.layer = el("div", { class: "pj-layer" });
    this.window = el("div", { class: "pj-window" }, this.layer);
    this.space = el("div", { class: "pj-space" }, this.window);
    this.node = el(
      "div",
      { class: "pj-log", tabindex: "0", role: "region", "aria-label": "Log lines" },
      this.space,
    );
    this.node.style.setProperty("--pj-row", `${ROW}px`);
    this.node.addEventListener("scroll", () => this.#scrolled());
    this.node.addEventListener("wheel", (event) => this.#wheeled(event), { passive: false });
    this.node.addEventListener("keydown", (event) => this.#pressed(event));
    this.observer = new ResizeObserver(() => changed());
    this.observer.observe(this.node);
  }

  /** How many rows fit. */
  get page() {
    return Math.max(1, this.node.clientHeight / ROW);
  }

  get first() {
    return Math.floor(this.top);
  }

  get last() {
    return Math.min(this.rows(), Math.ceil(this.top + this.page)) - 1;
  }

  /** Go to a row, and no longer follow the end. */
  go(top) {
    this.top = Math.min(this.#most, Math.max(0, top));
    this.follow = this.top >= this.#most - 0.5;
    this.changed();
  }

  setFollow(follow) {
    this.follow = follow;
    this.changed();
  }

  setWrap(wrap) {
    this.wrap = wrap;
    this.node.classList.toggle("pj-wrapped", wrap);
    this.changed();
  }

  /** Forget what is drawn: it looks otherwise now. */
  restyle() {
    for (const node of this.drawn.values()) node.element.remove();
    this.drawn.clear();
    this.widest = 0;
  }

  /** Draw the rows that are on screen now. */
  render() {
    const height = this.node.clientHeight;
    if (!height) return;
    const end = this.#most;
    this.top = this.follow ? Math.max(0, this.rows() - this.page) : Math.min(this.top, end);
    this.#update(this.first, this.last);
    this.window.style.height = `${height}px`;
    this.space.style.height = `${end * this.#pixels + height}px`;
    this.space.style.minWidth = this.wrap ? "" : `max(100%, ${this.widest}px)`;
    this.layer.style.transform = `translateY(${-this.#shift(height)}px)`;
    this.expected = Math.round((this.follow ? end : this.top) * this.#pixels);
    if (Math.abs(this.node.scrollTop - this.expected) > 1) this.node.scrollTop = this.expected;
    if (!this.wrap) this.widest = Math.max(this.widest, this.layer.scrollWidth);
  }

  stop() {
    this.observer.disconnect();
  }

  /** The lowest place of the window; a wrapped line may fill it alone. */
  get #most() {
    return Math.max(0, this.rows() - (this.wrap ? 1 : this.page));
  }

  /** How many pixels of the scroll bar a row has. */
  get #pixels() {
    return Math.min(ROW, TALLEST / Math.max(1, this.rows()));
  }

  /** How far the drawn rows stand above the window. */
  #shift(height) {
    const part = this.top - this.first;
    if (!this.wrap) return part * ROW;
    const above = part * (this.layer.firstElementChild?.offsetHeight ?? 0);
    const bottom = Math.max(0, this.layer.offsetHeight - height);
    return this.follow ? bottom : Math.min(above, bottom);
  }

  /** Bring the drawn rows up to date; those that stay are not touched, a selection may be there. */
  #update(first, last) {
    for (const [index, { element }] of this.drawn)
      if (index < first || index > last) {
        element.remove();
        this.drawn.delete(index);
      }
    let before = null;
    for (let index = last; index >= first; index -= 1) {
      const old = this.drawn.get(index);
      const row = this.draw(index, old);
      if (row !== old) {
        old?.element.remove();
        this.layer.insertBefore(row.element, before);
        this.drawn.set(index, row);
      }
      before = row.element;
    }
  }

  #scrolled() {
    const moved = this.node.scrollTop - this.expected;
    if (Math.abs(moved) <= 1) return; // sideways, or it was us
    this.expected = this.node.scrollTop;
    const bottom = this.node.scrollHeight - this.node.clientHeight - this.node.scrollTop <= 1;
    this.go(bottom ? this.#most : this.node.scrollTop / this.#pixels);
  }

  #wheeled(event) {
    if (event.ctrlKey || event.shiftKey || (this.#pixels === ROW && !this.wrap)) return;
    const tall = (this.layer.offsetHeight || ROW) / Math.max(1, this.layer.childElementCount);
    const rows = [event.deltaY / tall, event.deltaY, event.deltaY * this.page][event.deltaMode];
    const stuck = rows < 0 ? this.top <= 0 : this.follow;
    if (!rows || stuck) return;
    event.preventDefault();
    this.go(this.top + rows);
  }

  #pressed(event) {
    if (event.target !== this.node || event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.page) - 1);
    const steps = { ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page, " ": page };
    if (event.key in steps) this.go(this.top + steps[event.key]);
    else if (event.key === "Home") this.go(0);
    else if (event.key === "End") this.setFollow(true);
    else return;
    event.preventDefault();
  }
}
