// The log: its lines, and above them what can be done with them.

const GROWS = [6, 20]; // rows: the panel grows with the log, and never shrinks

class LogPanel {
  /** `card` has model, kernel, theme() and changed(part); `selected(view)` is told of a choice. */
  constructor(card, selected) {
    Object.assign(this, { card, selected });
    this.expanded = new Set(); // texts that are shown to their end
    this.look = 0; // changes when all rows look otherwise
    this.tall = 0;
    const changed = () => card.changed("log");
    this.source = new LogSource(card.model, card.kernel, changed);
    this.list = new LogList({
      rows: () => this.source.rows,
      draw: (index, old) => this.#row(index, old),
      changed,
    });
    this.search = new Search(card.kernel, this.source, this.list, () => this.restyle());
    this.choice = el("select", {
      "aria-label": "Replica",
      onchange: () => selected(this.choice.value),
    });
    this.follow = toggle("follow", "Follow", "Keep the newest line in sight", () =>
      this.list.setFollow(!this.list.follow),
    );
    this.pause = toggle("pause", "Pause", "Hold the lines as they are", () =>
      this.source.pause(!this.source.held),
    );
    this.wrap = toggle("wrap", "Wrap", "Wrap long lines", () => this.list.setWrap(!this.list.wrap));
    this.status = el("div", { class: "pj-logstatus", role: "status" });
    this.told = "";
    this.empty = el("p", { class: "pj-nolines" }, "No lines yet.");
    this.counts = el("span", { class: "pj-counts" });
    this.node = el(
      "div",
      { class: "pj-logpanel" },
      el(
        "div",
        { class: "pj-bar", role: "toolbar", "aria-label": "Log" },
        this.choice,
        this.search.node,
        el("span", { class: "pj-gap" }),
        this.follow,
        this.pause,
        this.wrap,
        copyButton("Copy", () => this.#copied(), "Copy what is selected, else all lines"),
        el(
          "button",
          {
            type: "button",
            class: "pj-button",
            title: "Save the whole log as a file",
            onclick: () => this.#download(),
          },
          icon("download"),
          el("span", {}, "Download"),
        ),
      ),
      this.status,
      el("div", { class: "pj-logbox" }, this.list.node, this.empty),
      this.counts,
    );
    this.node.addEventListener("keydown", (event) => this.#pressed(event));
    document.addEventListener("selectionchange", () => this.#marking(), { signal: card.signal });
  }

  /** Show the lines of a replica, or all for "". */
  select(view) {
    this.source.select(view);
    this.search.reset();
    this.list.setFollow(true);
    this.restyle();
  }

  /** Take what the kernel has told of the log; of another job, from the start. */
  hear() {
    const { source } = this;
    if (!source.renewed()) return void source.takeTail();
    this.expanded.clear();
    this.told = "";
    this.selected(source.replicas.includes(source.view) ? source.view : ALL);
  }

  /** Draw all rows anew. */
  restyle() {
    this.look += 1;
    this.card.changed("log");
  }

  render() {
    const { source, list } = this;
    this.#choices();
    if (!this.node.offsetParent) return; // another tab is open
    const rows = Math.min(GROWS[1], Math.max(GROWS[0], source.rows + 1, this.tall));
    if (rows !== this.tall) list.node.style.height = `${rows * ROW + 2}px`;
    this.tall = rows;
    const theme = this.card.theme();
    const look = `${this.look} ${theme.key} ${source.view}`;
    if (look !== this.drawnAs) list.restyle();
    this.drawnAs = look;
    list.render();
    if (!source.held || list.last < source.total) source.want(list.first, list.last);
    this.#say();
  }

  stop() {
    clearTimeout(this.passing);
    this.list.stop();
    this.search.stop();
  }

  #row(index, old) {
    const row = this.source.row(index);
    if (!row) return old?.missing ? old : { missing: true, element: missingRow(index) };
    const same =
      old && old.text === row.text && old.replica === row.replica && old.number === row.number;
    if (same && old.partial === row.partial && old.begins === row.begins) return old;
    const { search, source } = this;
    const element = logRow(row, {
      names: source.replicas,
      single: source.view !== ALL,
      theme: this.card.theme(),
      find: search.find,
      hit: search.line === index && !row.partial,
      more: this.expanded.has(row.text) ? null : () => this.#expand(row.text),
    });
    return { ...row, element };
  }

  #expand(text) {
    this.expanded.add(text);
    this.restyle();
  }

  #choices() {
    const names = this.source.replicas;
    if (names.join("\n") !== this.names) {
      const options = names.map((name) => el("option", { value: name }, name));
      put(this.choice, el("option", { value: ALL }, "All replicas"), options);
      this.names = names.join("\n");
    }
    this.choice.value = this.source.view;
  }

  #say() {
    const { source, list } = this;
    pressed(this.follow, list.follow);
    pressed(this.pause, Boolean(source.held));
    pressed(this.wrap, list.wrap);
    say(this.pause.lastChild, source.held ? `Paused, +${count(source.news)} new` : "Pause");
    const { silence } = this.card.kernel;
    const makeshift = `${silence}; only the lines of ${source.view} loaded so far are shown.`;
    const busy = `${silence}; some lines are missing.`;
    const notes = [
      source.makeshift ? source.late && makeshift : source.late && busy,
      source.note,
      this.told,
    ];
    say(this.status, notes.filter(Boolean).join(" "));
    say(this.counts, counted(source.total, "line"));
    this.empty.hidden = source.rows > 0;
  }

  #download() {
    download(this.card.kernel, this.source.view, (text) => this.#tell(text));
  }

  #tell(text, { passes = false } = {}) {
    this.told = text;
    this.card.changed("log");
    clearTimeout(this.passing);
    if (passes) this.passing = setTimeout(() => this.#tell(""), PASSING);
  }

  /** Return what is selected in the log, else all lines of what is shown. */
  #copied() {
    const selection = document.getSelection();
    if (!selection.isCollapsed && this.list.node.contains(selection.anchorNode))
      return selection.toString();
    return this.#whole();
  }

  async #whole() {
    const { source, card } = this;
    const { view, partial } = source;
    const named = ([replica, text]) =>
      view === ALL ? `[${source.replicas[replica]}] ${text}` : text;
    const fetched = await fetchTexts(card.kernel, view, source.end);
    const texts = fetched?.texts ?? source.atHand.map(named);
    const whole = fetched?.start === 0;
    const said = fetched
      ? `Copied the last ${count(texts.length)} of ${counted(fetched.end, "line")}; Download has all.`
      : `${card.kernel.silence}: copied the ${counted(texts.length, "line")} at hand.`;
    this.#tell(whole ? "" : said, { passes: true });
    const lines = [...texts, ...partial.map(named)];
    return lines.map((text) => `${printed(text, view === ALL)}\n`).join("");
  }

  /** Who marks text wants it to stay where it is. */
  #marking() {
    const selection = document.getSelection();
    if (
      !this.list.follow ||
      selection.isCollapsed ||
      !this.list.layer.contains(selection.anchorNode)
    )
      return;
    this.list.setFollow(false);
  }

  #pressed(event) {
    if (event.key.toLowerCase() !== "f" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    this.search.input.select();
  }
}

/** Return a line as a terminal shows it, with the name of its replica if that stands before it. */
function printed(line, named) {
  const from = named ? line.indexOf("] ") + 2 : 0;
  const { spans } = terminal(line.slice(from), MOST);
  return line.slice(0, from) + spans.map((span) => span.text).join("");
}
