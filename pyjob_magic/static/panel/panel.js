// The panel: traits of the kernel come in, and once a frame what has changed is drawn.

const PANEL_TRAITS = ["groups", "offers", "jobs", "history", "status", "taken", "cards", "compared"];

let panelsMade = 0;

class Panel {
  constructor(model, root) {
    panelsMade += 1;
    Object.assign(this, { model, root });
    this.ending = new AbortController();
    this.signal = this.ending.signal;
    this.kernel = new Kernel(model, () => this.changed("link"));
    this.notebook = new Notebook(model);
    this.dirty = new Set([...PANEL_TRAITS, "checked", "link"]);
    this.ahead = -Infinity; // how far the kernel's clock is before ours, in seconds
    this.#build();
    this.#listen();
    this.#draw();
  }

  /** The time by the kernel's clock. A message that was long on its way shows it late. */
  get now() {
    return Date.now() / 1000 + (Number.isFinite(this.ahead) ? this.ahead : 0);
  }

  /** Note that a part looks otherwise; it is drawn in the next frame that shows the panel. */
  changed(part) {
    this.dirty.add(part);
    if (this.frame || !this.visibility?.visible) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      this.#draw();
    });
  }

  /** Change a trait here and in the kernel. */
  keep(trait, value) {
    this.model.set(trait, value);
    try {
      this.model.save_changes();
    } catch {
      this.kernel.seen(false);
    }
  }

  stop() {
    this.ending.abort();
    this.showStatic();
    cancelAnimationFrame(this.frame);
    clearInterval(this.timer);
    for (const [name, heard] of this.heard) this.model.off(name, heard);
    this.visibility.stop();
    this.width.disconnect();
    for (const part of [this.newjob, this.jobs, this.history, this.cards]) part.stop();
    this.kernel.stop();
    this.root.remove();
  }

  #build() {
    this.alert = el("div", { class: "pj-alert", role: "alert", hidden: true });
    this.link = el("div", { class: "pj-link", role: "status" });
    this.newjob = new NewJob(this);
    this.jobs = new Board(this, JOBS);
    this.history = new Board(this, HISTORY);
    this.compare = new Compare(() => this.keep("compared", null));
    this.cards = new Cards(this);
    this.tabs = new Tabs(
      { "New job": this.newjob.node, Jobs: this.jobs.node, History: this.history.node },
      () => this.#opened(),
    );
    attribute(this.tabs.list, "aria-label", "Panel");
    attribute(this.root, "data-pj-panel", String(this.model.get("card_id") ?? ""));
    this.showStatic = hideStatic(String(this.model.get("card_id") ?? ""));
    this.root.append(this.alert, this.link, this.tabs.node, this.compare.node, this.cards.node);
  }

  #listen() {
    const { model, signal } = this;
    this.heard = PANEL_TRAITS.map((name) => [`change:${name}`, () => this.#heard(name)]);
    this.heard.push(["comm_live_update", () => this.kernel.seen(false)]);
    this.heard.push(["msg:custom", (content) => content?.is === "filled" && this.#filled()]);
    for (const [name, heard] of this.heard) model.on(name, heard);
    this.#heard("jobs");
    watchTheme(() => this.#restyle(), signal);
    this.width = new ResizeObserver(() => this.#opened());
    this.width.observe(this.root);
    const id = this.model.get("card_id") || `panel-${panelsMade}`;
    this.visibility = new Visibility(this.root, id, {
      changed: (visible) => this.#seen(visible),
      tell: (message) => this.kernel.tell(message),
      signal,
    });
  }

  #heard(name) {
    this.kernel.seen(true);
    const { now } = this.model.get("jobs") ?? {};
    if (name === "jobs" && now) this.ahead = Math.max(this.ahead, now - Date.now() / 1000);
    this.changed(name);
  }

  /** Draw what has changed; what goes wrong with it is said. */
  #draw() {
    const { dirty } = this;
    this.dirty = new Set();
    try {
      this.#render(dirty);
    } catch (error) {
      console.error(error);
      this.#alarm(`The panel could not be drawn: ${error.message}`);
    }
  }

  #render(dirty) {
    this.colours ??= themeOf(this.root);
    attribute(this.root, "data-pj-theme", this.colours.dark ? "dark" : "light");
    if (dirty.has("link")) say(this.link, this.kernel.live ? "" : LOST);
    if (dirty.has("status")) this.#alarm(this.model.get("status") ?? "");
    this.newjob.render(dirty);
    if (dirty.has("jobs")) this.#board("Jobs", this.jobs, "jobs");
    if (dirty.has("history")) this.#board("History", this.history, "history");
    if (dirty.has("clock")) this.jobs.tick();
    if (dirty.has("compared")) this.compare.render(this.model.get("compared"), this.colours);
    if (dirty.has("cards")) this.cards.render(this.model.get("cards") ?? []);
  }

  /** Show the form: a card has filled it in. */
  #filled() {
    if (!this.root.getClientRects().length) return;
    this.tabs.open("New job");
    this.tabs.list.scrollIntoView({ block: "start" });
    this.tabs.tabs.get("New job").tab.focus({ preventScroll: true });
  }

  #board(tab, board, trait) {
    board.render();
    this.tabs.number(tab, this.model.get(trait)?.rows?.length ?? 0);
  }

  /** Show an error until somebody closes it. */
  #alarm(text) {
    this.alert.hidden = !text;
    if (!text) return void put(this.alert);
    put(
      this.alert,
      icon("bad"),
      el("p", {}, text),
      closeButton("Close the message", () => this.#calm()),
    );
  }

  #calm() {
    this.#alarm("");
    if (this.model.get("status")) this.keep("status", "");
  }

  /** What is shown otherwise now is drawn at once. */
  #opened() {
    ["jobs", "history", "compared"].forEach((part) => this.changed(part));
  }

  #restyle() {
    this.colours = null;
    this.changed("compared");
  }

  /** Count ages while somebody sees them, and leave the page alone while nobody does. */
  #seen(visible) {
    clearInterval(this.timer);
    if (visible) {
      this.timer = setInterval(() => this.changed("clock"), 1000);
      this.#restyle();
    } else {
      cancelAnimationFrame(this.frame);
      this.frame = null;
    }
  }
}

const LOST = "No kernel is attached. Run %load_ext pyjob_magic and %pytorchjob panel to reopen the panel.";

function render({ model, el: place }) {
  const root = el("article", {
    class: "pyjob-live pyjob-panel",
    "aria-label": "PyTorchJobs",
  });
  keepKeys(root);
  place.append(root);
  const panel = new Panel(model, root);
  return () => panel.stop();
}

export default { render };
