// A tab with a table: the jobs there are, or those there were.

class Board {
  /** `trait` names what the rows come from and the messages about them. */
  constructor(panel, { trait, search, label, noun, columns, sort, actions, empty: nothing }) {
    Object.assign(this, { panel, trait, nothing });
    this.said = new Said();
    this.filters = new Filters(
      `Filter the ${label.toLowerCase()}`,
      () => {
        this.said.settle();
        panel.changed(trait);
      },
      search &&
        ((text) =>
          panel.kernel.ask({ do: trait, action: "search", text }, () => this.filters.found(text))),
    );
    this.table = new Table({
      label,
      columns,
      sort,
      opened: (row) => this.#act("open", [row.uid]),
      selected: () => {
        this.said.settle();
        this.#selected();
      },
    });
    this.batch = new Batch(actions, noun, (action, uids) => this.#act(action, uids));
    this.note = el("p", { class: "pj-note", role: "status" });
    this.none = el("p", { class: "pj-empty pj-nothing" });
    this.node = el(
      "div",
      { class: "pj-board" },
      this.filters.node,
      this.batch.node,
      this.said.node,
      this.note,
      el("div", { class: "pj-tablebox" }, this.table.node, this.none),
    );
  }

  get #data() {
    return this.panel.model.get(this.trait) ?? {};
  }

  /** Show the rows that are wanted. */
  render() {
    if (!this.node.offsetParent) return;
    const { rows = [], note = "", user = "" } = this.#data;
    this.table.resize(this.node.clientWidth);
    this.filters.render(rows, user);
    const wanted = this.filters.of(rows);
    this.table.set(wanted, this.#about(rows));
    say(this.note, note);
    this.none.hidden = wanted.length > 0;
    say(this.none, rows.length ? "No jobs match the filter." : this.nothing);
    this.#selected();
  }

  stop() {
    this.filters.stop();
  }

  /** Let ages go on, of the rows in sight. */
  tick() {
    if (!this.node.offsetParent) return;
    this.table.about = { ...this.table.about, now: this.panel.now };
    this.table.draw();
  }

  get #selectedRows() {
    const { table } = this;
    return table.rows.filter((row) => table.selection.uids.has(row.uid));
  }

  #about(rows) {
    const several = rows.some((row) => row.namespace !== rows[0].namespace);
    return { now: this.panel.now, several };
  }

  #selected() {
    this.batch.render(this.#selectedRows);
  }

  #act(action, uids) {
    const { doing } = BATCH[action];
    const load = action === "load";
    const message = load
      ? { do: "load", what: this.trait === "jobs" ? "job" : "history", value: uids[0] }
      : { do: this.trait, action, uids };
    order(this.panel.kernel, this.said, message, doing, ({ ok }) => {
      if (ok !== false && load) this.panel.tabs.open("New job");
    });
  }
}

const JOBS = {
  trait: "jobs",
  label: "Jobs",
  noun: "job",
  columns: JOB_COLUMNS,
  sort: { key: "created", down: false },
  actions: ["open", "compare", "suspend", "resume", "rerun", "load", "delete"],
  empty: "No jobs yet. Jobs you submit appear here.",
};
const HISTORY = {
  trait: "history",
  label: "History",
  noun: "job",
  columns: HISTORY_COLUMNS,
  sort: { key: "submitted", down: true },
  search: true,
  actions: ["open", "compare", "rerun", "load", "remove"],
  empty: "No history yet. Jobs submitted from here stay in it after the cluster has deleted them.",
};
