// A panel that was opened from the card, below it: a widget of its own. One that the page shows
// somewhere else already stays there, and comes into sight by itself.

class Below {
  constructor(model) {
    this.model = model;
    this.node = el("div", { class: "pj-below" });
  }

  /** Show the widget of this id; none if it is empty. */
  async render(id) {
    if (id === this.shown && (this.view || !id)) return;
    const asked = this.rendered; // not there from the start: somebody has just asked for it
    this.rendered = true;
    this.stop();
    this.shown = id;
    if (!id) return;
    const manager = this.model.widget_manager;
    try {
      const model = await manager.get_model(id);
      if (isShown(model.get("card_id"))) return void this.#leave(id);
      const view = await manager.create_view(model);
      if (this.shown !== id) return void view.remove();
      this.view = view;
      put(this.node, view.el);
      view.trigger?.("displayed");
      if (asked) bringIntoSight(this.node);
    } catch (error) {
      put(
        this.node,
        el("p", { role: "alert" }, `The panel could not be shown: ${error?.message ?? error}`),
      );
    }
  }

  /** Show none, neither when the page is loaded again; the same may be asked for once more. */
  #leave(id) {
    if (this.shown !== id) return;
    this.shown = undefined;
    this.model.set("panel", "");
    this.model.save_changes();
  }

  stop() {
    this.view?.remove();
    this.view = undefined;
    this.shown = undefined;
    put(this.node);
  }
}

/** Whether the page shows a panel already. */
function isShown(id) {
  const panels = document.querySelectorAll(`[data-pj-panel="${CSS.escape(id)}"]`);
  return [...panels].some((panel) => panel.getClientRects().length > 0);
}
