// A table of any number of rows, of which only those in sight are in the page.

const ROW = 30; // pixels; where columns have no room, a second line tells of them
const TALL = 48;
const SPARE = 6; // rows drawn beyond those in sight

class Table {
  /** `opened(row)` on Enter or a click; `selected()` when the selection is another. */
  constructor({ label, columns, sort, opened, selected }) {
    Object.assign(this, { columns, sort, opened, selected, id: freshId("pj-table") });
    this.selection = new Selection();
    this.rows = [];
    this.about = { now: 0, several: false };
    this.made = 0;
    this.drawn = new Map(); // uid -> the row in the page
    this.shown = columns;
    this.all = el("input", {
      type: "checkbox",
      "aria-label": "Select all rows",
      onchange: () => this.#select(() => this.selection.toggleAll()),
    });
    this.head = el("div", { class: "pj-tr pj-th", role: "row", "aria-rowindex": "1" });
    this.body = el("div", {
      class: "pj-tbody",
      role: "rowgroup",
      onclick: (event) => this.#clicked(event),
    });
    this.node = el(
      "div",
      {
        class: "pj-table",
        role: "grid",
        tabindex: "0",
        "aria-label": label,
        "aria-multiselectable": "true",
        onscroll: () => this.draw(),
        onkeydown: (event) => this.#pressed(event),
      },
      el("div", { class: "pj-thead", role: "rowgroup" }, this.head),
      this.body,
    );
  }

  /** Show these rows; what is selected, where one is and what is in sight stay. */
  set(rows, about) {
    this.about = about;
    const top = this.rows[this.#first];
    const offset = this.node.scrollTop - this.#first * this.high;
    this.rows = sortedRows(rows, (row) => this.#sorting.value(row, about), this.#down);
    this.index = new Map(this.rows.map((row, i) => [row.uid, i]));
    this.selection.keep(this.rows.map((row) => row.uid));
    attribute(this.node, "aria-rowcount", String(this.rows.length + 1));
    this.body.style.height = `${this.rows.length * this.high}px`;
    const place = top && this.node.scrollTop > 0 ? this.index.get(top.uid) : undefined;
    if (place !== undefined) this.#scroll(place * this.high + offset);
    this.draw();
  }

  /** Take another width: columns without room go to a second line. */
  resize(width) {
    if (!width || width === this.width) return;
    this.width = width;
    const shown = this.columns.filter(({ from }) => from <= width);
    const key = shown.map((column) => column.key).join();
    if (key === this.key) return;
    this.key = key;
    this.shown = shown;
    this.rest = this.columns.filter((column) => !shown.includes(column));
    this.node.style.setProperty(
      "--pj-tracks",
      `30px ${shown.map((column) => column.track).join(" ")}`,
    );
    this.node.style.setProperty("--pj-high", `${this.high}px`);
    this.#heads();
    put(this.body);
    this.drawn.clear();
    this.body.style.height = `${this.rows.length * this.high}px`;
  }

  get high() {
    return this.rest?.length ? TALL : ROW;
  }

  /** Draw the rows in sight. */
  draw() {
    if (!this.key) return;
    const first = Math.max(0, this.#first - SPARE);
    const last = Math.min(
      this.rows.length,
      first + Math.ceil(this.node.clientHeight / this.high) + 2 * SPARE,
    );
    const wanted = new Set(this.rows.slice(first, last).map((row) => row.uid));
    for (const [uid, { node }] of this.drawn)
      if (!wanted.has(uid)) {
        node.remove();
        this.drawn.delete(uid);
      }
    for (let i = first; i < last; i += 1) this.#row(this.rows[i], i);
    this.#selecting();
  }

  /** Bring the row of a place into sight. */
  #reveal(place) {
    const head = this.head.offsetHeight;
    const top = place * this.high;
    const room = this.node.clientHeight - head - this.high;
    if (top < this.node.scrollTop) this.#scroll(top);
    else if (top > this.node.scrollTop + room) this.#scroll(top - room);
  }

  #scroll(top) {
    this.node.scrollTop = top;
  }

  get #first() {
    return Math.floor(this.node.scrollTop / this.high);
  }

  get #sorting() {
    return this.columns.find(({ key }) => key === this.sort.key);
  }

  /** Ages go down where the times that they are of go up. */
  get #down() {
    return this.sort.down !== Boolean(this.#sorting.turned);
  }

  #heads() {
    const heads = this.shown.map((column) => {
      const sorted = column.key === this.sort.key;
      const direction = sorted ? (this.sort.down ? "descending" : "ascending") : "none";
      return el(
        "div",
        {
          class: `pj-td${column.number ? " pj-number" : ""}`,
          role: "columnheader",
          "aria-sort": direction,
        },
        el(
          "button",
          { type: "button", "data-key": column.key, onclick: () => this.#sort(column) },
          column.title,
          sorted && icon(this.sort.down ? "down" : "up"),
        ),
      );
    });
    const focused =
      this.head.contains(document.activeElement) && document.activeElement.dataset.key;
    put(this.head, el("div", { class: "pj-td pj-check", role: "columnheader" }, this.all), heads);
    if (focused) this.head.querySelector(`[data-key="${focused}"]`)?.focus();
  }

  #sort(column) {
    const again = column.key === this.sort.key;
    this.sort = {
      key: column.key,
      down: again ? !this.sort.down : Boolean(column.number && !column.turned),
    };
    this.#heads();
    this.#scroll(0);
    this.set(this.rows, this.about);
  }

  #row(row, place) {
    let known = this.drawn.get(row.uid);
    if (!known) {
      known = this.#fresh(row);
      this.drawn.set(row.uid, known);
      this.body.append(known.node);
    }
    if (known.place !== place) {
      known.place = place;
      known.node.style.transform = `translateY(${place * this.high}px)`;
      attribute(known.node, "aria-rowindex", String(place + 2));
    }
    this.shown.forEach((column, i) => this.#cell(known, i, column, row));
    if (this.rest.length)
      say(
        known.more,
        this.rest
          .map((column) => column.text(row, this.about))
          .filter(Boolean)
          .join(" \u00b7 "),
      );
  }

  #cell(known, i, column, row) {
    const content = column.draw(row, this.about);
    const key =
      typeof content === "string"
        ? content
        : JSON.stringify([column.value(row, this.about), row.tone, this.about.several]);
    if (known.keys[i] === key) return;
    known.keys[i] = key;
    put(known.cells[i], content);
  }

  #fresh(row) {
    this.made += 1;
    const cells = this.shown.map((column) =>
      el("div", { class: `pj-td${column.number ? " pj-number" : ""}`, role: "gridcell" }),
    );
    const tick = el("input", {
      type: "checkbox",
      tabindex: "-1",
      "aria-label": `Select ${row.name}`,
    });
    const more = el("div", { class: "pj-trmore", role: "gridcell" });
    const node = el(
      "div",
      { class: "pj-tr", role: "row", id: `${this.id}-${this.made}` },
      el("div", { class: "pj-td pj-check", role: "gridcell" }, tick),
      cells,
      this.rest.length > 0 && more,
    );
    return { node, cells, more, tick, keys: [], place: -1 };
  }

  /** Show what is selected. */
  #selecting() {
    const { uids, at, all } = this.selection;
    for (const [uid, { node, tick }] of this.drawn) {
      const selected = uids.has(uid);
      if (tick.checked !== selected) tick.checked = selected;
      attribute(node, "aria-selected", String(selected));
      attribute(node, "data-at", uid === at);
    }
    this.all.checked = all;
    this.all.indeterminate = uids.size > 0 && !all;
    attribute(this.node, "aria-activedescendant", this.drawn.get(at)?.node.id);
  }

  #select(change) {
    change();
    this.#selecting();
    this.selected();
  }

  #clicked(event) {
    const node = event.target.closest(".pj-tr");
    const [uid] = [...this.drawn].find(([, row]) => row.node === node) ?? [];
    if (uid === undefined) return;
    const box = event.target.closest(".pj-check") !== null;
    if (event.shiftKey) {
      this.#select(() => this.selection.go(uid, true));
      getSelection()?.removeAllRanges();
    } else if (box || event.ctrlKey || event.metaKey)
      this.#select(() => this.selection.toggle(uid));
    else {
      this.#select(() => this.selection.go(uid));
      if (!getSelection()?.toString()) this.opened(this.rows[this.index.get(uid)]);
    }
    if (event.target.matches("input")) this.node.focus({ preventScroll: true });
  }

  #pressed(event) {
    if (event.target !== this.node) return;
    const { length } = this.rows;
    const { place, at } = this.selection;
    const page = Math.max(1, Math.floor(this.node.clientHeight / this.high) - 2);
    const moves = {
      ArrowUp: -1,
      ArrowDown: 1,
      PageUp: -page,
      PageDown: page,
      Home: -length,
      End: length,
    };
    if (event.key in moves && length)
      this.#move(
        Math.min(length - 1, Math.max(0, place < 0 ? 0 : place + moves[event.key])),
        event.shiftKey,
      );
    else if (event.key === " " && at !== null) this.#select(() => this.selection.toggle(at));
    else if (event.key === "Enter" && at !== null) this.opened(this.rows[place]);
    else if (event.key === "a" && (event.ctrlKey || event.metaKey))
      this.#select(() => this.selection.all || this.selection.toggleAll());
    else if (event.key === "Escape" && this.selection.uids.size)
      this.#select(() => this.selection.clear());
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #move(place, range) {
    this.selection.go(this.rows[place].uid, range);
    this.#reveal(place);
    this.draw();
    this.selected();
  }
}
