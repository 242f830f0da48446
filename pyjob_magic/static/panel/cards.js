// The live cards of jobs that were submitted or opened here, each a widget of its own.

class Cards {
  constructor(panel) {
    this.panel = panel;
    this.cards = new Map(); // model id -> {node, view}
    this.closed = new Set(); // whose end the kernel may not have told yet
    this.opened = false; // whether those that were there from the start are shown
    this.node = el("section", { class: "pj-cards", "aria-label": "Cards" });
  }

  /** Show the cards of these models, the newest first. */
  render(told) {
    this.ids = told;
    const ids = told.filter((id) => !this.closed.has(id));
    for (const [id, card] of this.cards) if (!ids.includes(id)) this.#drop(id, card);
    for (const id of ids) if (!this.cards.has(id)) this.#show(id, this.opened);
    this.opened = true;
    this.node.hidden = ids.length === 0;
  }

  stop() {
    for (const [id, card] of this.cards) this.#drop(id, card);
  }

  #drop(id, card) {
    this.cards.delete(id);
    card.view?.remove();
    card.node.remove();
  }

  /** Show a card, and bring it into sight where somebody has just asked for it. */
  async #show(id, asked) {
    const place = el(
      "div",
      { class: "pj-cardplace" },
      el("p", { class: "pj-dim" }, "Loading \u2026"),
    );
    const close = closeButton("Close the card", () => this.#close(id));
    const card = {
      node: el("div", { class: "pj-cardbox" }, el("div", { class: "pj-cardbar" }, close), place),
    };
    this.cards.set(id, card);
    this.node.prepend(card.node);
    try {
      const manager = this.panel.model.widget_manager;
      const view = await manager.create_view(await manager.get_model(id));
      if (this.cards.get(id) !== card) return void view.remove();
      card.view = view;
      put(place, view.el);
      view.trigger?.("displayed");
      if (asked) bringIntoSight(card.node);
    } catch (error) {
      put(
        place,
        el(
          "p",
          { class: "pj-wrong", role: "alert" },
          icon("bad"),
          el("span", {}, `The card could not be shown: ${error?.message ?? error}`),
        ),
      );
    }
  }

  /** Ask the kernel to take a card away: it may be adding one at this moment. */
  #close(id) {
    this.closed.add(id); // here at once: the kernel may be busy
    this.render(this.ids);
    this.panel.kernel.tell({ do: "close", card: id });
  }
}
