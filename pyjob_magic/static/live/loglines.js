// Windows onto the lines of one view: those that have arrived, those still to be asked for. Pure.

const BLOCK = 250; // lines kept, asked for and forgotten together
const BUDGET = 24_000_000; // characters kept

class LogLines {
  constructor(view, budget = BUDGET) {
    this.view = view;
    this.budget = budget;
    this.total = 0;
    this.size = 0;
    this.blocks = new Map(); // by number, the one used last at the end
  }

  /** Return line `number` as [replica, text], undefined while it has not arrived. */
  get(number) {
    return this.blocks.get(Math.floor(number / BLOCK))?.[number % BLOCK];
  }

  /** Keep lines that are numbered from `start`. */
  put(start, lines) {
    lines.forEach((line, i) => {
      const block = this.#block(Math.floor((start + i) / BLOCK));
      const place = (start + i) % BLOCK;
      if (block[place] === undefined) {
        block[place] = line;
        this.size += line[1].length;
      }
    });
    this.total = Math.max(this.total, start + lines.length);
    this.#forget();
  }

  /** Return `{start, count}` of the first lines from `first` to `last` that are missing, or null. */
  missing(first, last) {
    const end = Math.min(last, this.total - 1);
    for (let number = Math.max(0, first); number <= end; number += 1) {
      if (this.get(number) === undefined) return this.#gap(number);
      if (number % BLOCK === 0 || number === first) this.#used(Math.floor(number / BLOCK));
    }
    return null;
  }

  /** Return all lines at hand, in order. */
  *all() {
    for (const key of [...this.blocks.keys()].sort((a, b) => a - b))
      for (const line of this.blocks.get(key)) if (line !== undefined) yield line;
  }

  #gap(number) {
    const start = Math.floor(number / BLOCK) * BLOCK;
    return { start, count: Math.min(BLOCK, this.total - start) };
  }

  #block(key) {
    if (!this.blocks.has(key)) this.blocks.set(key, []);
    return this.#used(key);
  }

  #used(key) {
    const block = this.blocks.get(key);
    this.blocks.delete(key);
    this.blocks.set(key, block);
    return block;
  }

  #forget() {
    for (const [key, block] of this.blocks) {
      if (this.size <= this.budget || this.blocks.size === 1) return;
      for (const line of block) if (line !== undefined) this.size -= line[1].length;
      this.blocks.delete(key);
    }
  }
}
