// Windows onto the lines of one view: those that have arrived, those still to be asked for. Pure.

const BLOCK = 250; // lines kept, asked for and forgotten together
const BUDGET = 24_000_000; // characters kept

class LogLines {
  constructor(view, budget = BUDGET) {
    this.view = view;
    this.budget = budget;
    this.total = 0;
    this.size = 0;
    this.begun = new Set(); // numbers of lines that are the first of a replica that runs again
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

  /** Return the blocks, as `{start, count}`, in which lines from `first` to `last` are missing. */
  missing(first, last) {
    const gaps = [];
    const end = Math.min(last, this.total - 1);
    for (let number = Math.max(0, first); number <= end; number += 1) {
      const block = Math.floor(number / BLOCK);
      if (this.get(number) !== undefined) this.#used(block);
      else {
        const start = block * BLOCK;
        gaps.push({ start, count: Math.min(BLOCK, this.total - start) });
        number = start + BLOCK - 1;
      }
    }
    return gaps;
  }

  /** Return all lines at hand, in order. */
  *all() {
    for (const key of [...this.blocks.keys()].sort((a, b) => a - b))
      for (const line of this.blocks.get(key)) if (line !== undefined) yield line;
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
