// A panel that was opened from the card, below it: a widget of its own.

class Below {
  constructor(model) {
    this.model = model;
    this.node = el("div", { class: "pj-below" });
  }

  /** Show the widget of this id; none if it is empty. */
  async render(id) {
    if (id === this.shown) return;
    const asked = this.rendered; // not there from the start: somebody has just asked for it
    this.rendered = true;
    this.stop();
    this.shown = id;
    if (!id) return;
    const manager = this.model.widget_manager;
    try {
      const view = await manager.create_view(await manager.get_model(id));
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

  stop() {
    this.view?.remove();
    this.view = undefined;
    this.shown = undefined;
    put(this.node);
  }
}
