// The card: traits of the kernel come in, and once a frame what has changed is drawn.

const TRAITS = [
  "head",
  "progress",
  "replicas",
  "timeline",
  "charts",
  "charts_note",
  "metrics_note",
  "events",
  "manifest",
  "log",
  "tail",
  "panel",
];
const SHARE = 10; // what is costly to draw takes at most this part of the time
const EMPTY = { rows: [], start: 0, end: 0 };

class LiveCard {
  constructor(model, root) {
    this.model = model;
    this.root = root;
    this.ending = new AbortController();
    this.signal = this.ending.signal;
    this.kernel = new Kernel(model, () => ["head", "log"].forEach((part) => this.changed(part)));
    this.dirty = new Set(["head", ...TRAITS]);
    this.rests = new Map(); // parts -> when they may be drawn again
    this.ahead = -Infinity; // how far the kernel's clock is before ours, in seconds
    this.#build();
    this.#listen();
    this.render();
  }

  /** Note that a part looks otherwise; it is drawn in the next frame that shows the card. */
  changed(part) {
    this.dirty.add(part);
    if (this.frame || !this.visibility?.visible) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = null;
      this.render();
    });
  }

  theme() {
    this.colours ??= themeOf(this.root);
    return this.colours;
  }

  /** Draw what has changed. */
  render() {
    const dirty = this.dirty;
    this.dirty = new Set();
    const now = this.#now();
    const theme = this.theme();
    attribute(this.root, "data-pj-theme", theme.dark ? "dark" : "light");
    if (dirty.has("head")) this.#head(theme);
    if (dirty.has("head") || dirty.has("clock")) this.head.tick(this.#data("head"), now);
    if (dirty.has("head") || dirty.has("progress") || dirty.has("clock"))
      this.progress.render(this.model.get("progress"), this.#data("head").tone, now);
    if (dirty.has("replicas")) this.#replicas(theme);
    if (dirty.has("timeline") || dirty.has("clock"))
      this.#paced("timeline", () => this.#timeline(now));
    if (dirty.has("charts")) this.#paced("charts", () => this.#charts(theme));
    if (dirty.has("events")) this.#events();
    if (dirty.has("manifest"))
      this.manifest.render(this.model.get("manifest") ?? { yaml: "", kubectl: [] });
    if (dirty.has("log")) this.#log();
    if (dirty.has("panel")) this.below.render(this.model.get("panel") ?? "");
    this.#ticking();
  }

  stop() {
    this.ending.abort();
    cancelAnimationFrame(this.frame);
    clearInterval(this.timer);
    clearTimeout(this.later);
    for (const [name, heard] of this.heard) this.model.off(name, heard);
    this.visibility.stop();
    this.width.disconnect();
    this.panel.stop();
    this.below.stop();
    this.kernel.stop();
    this.showStatic();
    this.root.remove();
  }

  #build() {
    const select = (view) => this.#select(view);
    this.head = new Head(this.kernel, (replica) => {
      this.tabs.open("Logs");
      select(replica);
    });
    this.strip = new Strip();
    this.progress = new Progress();
    this.replicas = new Replicas(select);
    this.sparks = new Sparks(() => this.tabs.open("Metrics"));
    this.panel = new LogPanel(this, select);
    this.charts = new Charts();
    this.timeline = new Timeline();
    this.events = new Events();
    this.manifest = new Manifest();
    this.details = new Details();
    this.below = new Below(this.model);
    this.tabs = new Tabs(
      {
        Logs: this.panel.node,
        Metrics: this.charts.node,
        Timeline: this.timeline.node,
        Events: this.events.node,
        Manifest: this.manifest.node,
        Details: this.details.node,
      },
      () => {
        this.rests.clear(); // what is opened is drawn at once
        ["log", "charts", "timeline"].forEach((part) => this.changed(part));
      },
    );
    const { head } = this;
    this.root.append(
      head.node,
      head.actions.said,
      head.link,
      head.diagnosis,
      head.notes,
      this.strip.node,
      this.progress.node,
      this.replicas.node,
      this.sparks.node,
      this.tabs.node,
      this.below.node,
    );
  }

  #listen() {
    const { model, signal } = this;
    this.heard = TRAITS.map((name) => [`change:${name}`, () => this.#heard(name)]);
    this.heard.push(["comm_live_update", () => this.kernel.seen(false)]);
    for (const [name, heard] of this.heard) model.on(name, heard);
    this.#heard("head");
    const id = String(model.get("card_id") ?? "");
    this.showStatic = hideStatic(id);
    watchTheme(() => this.#restyle(), signal);
    this.width = new ResizeObserver(() =>
      ["charts", "timeline"].forEach((part) => this.changed(part)),
    );
    this.width.observe(this.root);
    this.visibility = new Visibility(this.root, id, {
      changed: (visible) => (visible ? this.#restyle() : this.#rest()),
      tell: (message) => this.kernel.tell(message),
      signal,
    });
  }

  #heard(name) {
    this.kernel.seen(true);
    if (["head", "tail", "log"].includes(name)) this.panel.hear();
    if (name === "head")
      this.ahead = Math.max(this.ahead, this.#data("head").now - Date.now() / 1000);
    this.changed(name.endsWith("_note") ? "charts" : name);
  }

  #data(name) {
    return this.model.get(name) ?? {};
  }

  /** Return the time by the kernel's clock. A message that was long on its way shows it late. */
  #now() {
    return Date.now() / 1000 + (Number.isFinite(this.ahead) ? this.ahead : 0);
  }

  #head(theme) {
    const head = this.#data("head");
    this.head.render(head, this.kernel.live, theme);
    this.details.render(head.metadata ?? []);
    attribute(this.root, "data-tone", head.gone ? "none" : head.tone);
    attribute(this.root, "aria-label", `PyTorchJob ${head.name}`);
  }

  #replicas(theme) {
    this.replicas.render(this.model.get("replicas") ?? [], this.panel.source.view, theme);
  }

  #timeline(now) {
    const timeline = this.model.get("timeline") ?? EMPTY;
    this.strip.render(timeline, now);
    this.timeline.render(timeline, now);
  }

  #charts(theme) {
    const charts = this.model.get("charts") ?? [];
    const names = (this.model.get("replicas") ?? []).map((replica) => replica.name);
    const read = this.model.get("metrics_note") ?? "";
    this.sparks.render(charts, read, names, theme);
    const palette = paletteOf(charts, names, theme);
    this.charts.render(charts, [this.model.get("charts_note"), read], {
      palette,
      legend: [...palette],
      chosen: this.panel.source.view,
    });
    this.tabs.number("Metrics", charts.length);
  }

  #events() {
    const events = this.model.get("events") ?? [];
    this.events.render(events);
    this.tabs.number("Events", events.length);
  }

  #log() {
    this.panel.render();
    this.tabs.number("Logs", this.#data("log").total ?? 0);
  }

  #select(view) {
    this.panel.select(view);
    ["replicas", "charts"].forEach((part) => this.changed(part));
  }

  #restyle() {
    this.colours = null;
    ["head", "replicas", "charts", "log"].forEach((part) => this.changed(part));
  }

  /** Draw, but not again before as much time has passed as leaves the page free. */
  #paced(part, draw) {
    const begun = performance.now();
    const wait = (this.rests.get(part) ?? 0) - begun;
    if (wait > 0) {
      clearTimeout(this.later);
      this.later = setTimeout(() => this.changed(part), wait);
      this.dirty.add(part);
      return;
    }
    draw();
    const end = performance.now();
    this.rests.set(part, end + SHARE * (end - begun));
  }

  /** Leave the page alone while nobody sees the card. */
  #rest() {
    cancelAnimationFrame(this.frame);
    this.frame = null;
    this.#ticking();
  }

  /** Count seconds while the job runs and somebody can see it. */
  #ticking() {
    const head = this.#data("head");
    const counting = this.kernel.live && this.visibility.visible && !head.ended && !head.gone;
    if (counting) this.timer ??= setInterval(() => this.changed("clock"), 1000);
    else {
      clearInterval(this.timer);
      this.timer = null;
    }
  }
}

function render({ model, el: place }) {
  const root = el("article", { class: "pyjob-live" });
  keepKeys(root);
  place.append(root);
  const card = new LiveCard(model, root);
  return () => card.stop();
}

export default { render };
