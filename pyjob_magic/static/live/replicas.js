// The replicas, one cell for each: a few with words, hundreds as signs. One chosen shows its log.

const WORDY = 8; // so many have room for all their words
const SHORT = 64; // so many for a name

class Replicas {
  constructor(choose) {
    this.choose = choose;
    this.cells = new Map();
    this.at = 0; // the one that Tab reaches
    this.list = el("div", {
      class: "pj-replicas",
      role: "listbox",
      "aria-label": "Replicas; choose one to see its log",
      onkeydown: (event) => this.#pressed(event),
    });
    this.summary = el("div", { class: "pj-summaryline" });
    this.detail = el("div", { class: "pj-detail" });
    this.node = el(
      "section",
      { class: "pj-section", "aria-label": "Replicas" },
      this.summary,
      this.list,
      this.detail,
    );
  }

  render(replicas, view, theme) {
    this.replicas = replicas;
    this.view = view;
    this.node.hidden = replicas.length === 0;
    const size = replicas.length <= WORDY ? "wordy" : replicas.length <= SHORT ? "short" : "dense";
    const names = replicas.map((replica) => replica.name).join("\n");
    if (names !== this.names || size !== this.size) this.#build(replicas, size);
    [this.names, this.size] = [names, size];
    replicas.forEach((replica, i) => this.#update(replica, i, theme));
    say(this.summary, summaryOf(replicas));
    this.#describe();
  }

  #build(replicas, size) {
    attribute(this.list, "data-size", size);
    this.at = Math.min(this.at, replicas.length - 1);
    this.cells = replicas.map((replica, i) => ({
      drawn: "",
      node: el("div", {
        class: "pj-cell",
        role: "option",
        onclick: () => this.#chosen(i),
        onfocus: () => this.#focused(i),
        onpointerenter: () => this.#describe(i),
        onpointerleave: () => this.#describe(),
      }),
    }));
    put(this.list, ...this.cells.map((cell) => cell.node));
  }

  #update(replica, i, theme) {
    const cell = this.cells[i];
    const selected = replica.name === this.view;
    attribute(cell.node, "aria-selected", String(selected));
    attribute(cell.node, "tabindex", i === this.at ? "0" : "-1");
    const drawn = JSON.stringify([replica, theme.key]);
    if (drawn === cell.drawn) return;
    cell.drawn = drawn;
    attribute(cell.node, "data-tone", replica.tone);
    attribute(cell.node, "aria-label", described(replica));
    attribute(cell.node, "title", described(replica));
    put(cell.node, ...this.#content(replica, i, theme));
  }

  #content(replica, i, theme) {
    const sign = icon(replica.tone in ICONS ? replica.tone : "idle");
    if (this.replicas.length > SHORT) return [sign];
    const name = el("span", { class: "pj-cellname" }, replica.name);
    if (this.replicas.length > WORDY) return [sign, name];
    name.style.color = replicaColour(i, theme);
    const facts = [
      replica.node,
      replica.restarts > 0 && counted(replica.restarts, "restart"),
      replica.exit !== null && `exit code ${replica.exit}`,
    ].filter(Boolean);
    return [
      el(
        "span",
        { class: "pj-celltop" },
        name,
        el("span", { class: "pj-phase" }, sign, replica.phase),
      ),
      facts.length > 0 && el("span", { class: "pj-cellfacts" }, facts.join(", ")),
      replica.reason && el("span", { class: "pj-cellfacts" }, replica.reason),
    ];
  }

  /** Say below a dense grid which replica is meant. */
  #describe(i = this.replicas.findIndex((replica) => replica.name === this.view)) {
    this.detail.hidden = this.replicas.length <= WORDY;
    const replica = this.replicas[i];
    say(this.detail, replica ? described(replica) : "Choose a replica to see only its log.");
  }

  #chosen(i) {
    const { name } = this.replicas[i];
    this.#focused(i);
    this.choose(name === this.view ? ALL : name);
  }

  #focused(i) {
    attribute(this.cells[this.at]?.node, "tabindex", "-1");
    this.at = i;
    attribute(this.cells[i].node, "tabindex", "0");
    this.#describe(i);
  }

  #pressed(event) {
    const { length } = this.cells;
    const row = this.#perRow();
    const steps = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -row,
      ArrowDown: row,
      Home: -length,
      End: length,
    };
    if (event.key in steps) {
      const to = this.at + steps[event.key];
      this.cells[Math.min(length - 1, Math.max(0, to))].node.focus();
    } else if (event.key === "Enter" || event.key === " ") this.#chosen(this.at);
    else return;
    event.preventDefault();
  }

  /** How many cells stand beside each other. */
  #perRow() {
    const [first] = this.cells;
    const below = this.cells.findIndex((cell) => cell.node.offsetTop > first.node.offsetTop);
    return below < 0 ? this.cells.length : below;
  }
}

/** Return how many replicas are in which phase: `3 replicas: 2 Running, 1 Failed`. */
function summaryOf(replicas) {
  const phases = new Map();
  for (const { phase } of replicas) phases.set(phase, (phases.get(phase) ?? 0) + 1);
  const parts = [...phases]
    .sort((a, b) => b[1] - a[1])
    .map(([phase, number]) => `${count(number)} ${phase}`);
  return `${counted(replicas.length, "replica")}: ${parts.join(", ")}`;
}

function described({ name, phase, node, restarts, exit, reason }) {
  return [
    name,
    phase,
    node && `on ${node}`,
    restarts > 0 && counted(restarts, "restart"),
    exit !== null && exit !== undefined && `exit code ${exit}`,
    reason,
  ]
    .filter(Boolean)
    .join(", ");
}
