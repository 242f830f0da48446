// Whether a card is on screen. The kernel is told when the last of its views has gone from sight.

const IN_SIGHT = new Map(); // card id -> views on screen

class Visibility {
  constructor(node, id, { changed, tell, signal }) {
    Object.assign(this, { id, changed, tell });
    this.inside = false;
    this.visible = false;
    this.observer = new IntersectionObserver((entries) => {
      this.inside = entries.at(-1).isIntersecting;
      this.#look();
    });
    this.observer.observe(node);
    document.addEventListener("visibilitychange", () => this.#look(), { signal });
  }

  stop() {
    this.observer.disconnect();
    this.inside = false;
    this.#look();
  }

  #look() {
    const visible = this.inside && document.visibilityState === "visible";
    if (visible === this.visible) return;
    this.visible = visible;
    const before = IN_SIGHT.get(this.id) ?? 0;
    const after = before + (visible ? 1 : -1);
    IN_SIGHT.set(this.id, after);
    if (Boolean(before) !== Boolean(after)) this.tell({ do: "visible", visible });
    this.changed(visible);
  }
}

/** Hide the static card of the same job; return the function that shows it again. */
function hideStatic(id) {
  const card = `[data-pyjob-card="${CSS.escape(id)}"]`;
  const output = ".jp-OutputArea-child"; // the innermost: outputs may hold outputs
  const rule = "{ display: none !important; }";
  const sheet = el("style", {});
  sheet.textContent = `${card} ${rule} ${output}:has(${card}):not(:has(${output} ${card})) ${rule}`;
  document.head.append(sheet);
  return () => sheet.remove();
}
