// Tabs, as ARIA describes them: arrow keys go from one to the next.

class Tabs {
  /** `panels` maps names to elements; `opened` is called when another one is shown. */
  constructor(panels, opened) {
    this.opened = opened;
    this.tabs = new Map();
    this.list = el("div", {
      class: "pj-tabs",
      role: "tablist",
      "aria-label": "More about the job",
      onkeydown: (event) => this.#pressed(event),
    });
    this.node = el("div", { class: "pj-tabbox" }, this.list);
    for (const [name, content] of Object.entries(panels))
      this.#add(name, content, freshId(`pj-${name.replaceAll(" ", "-")}`));
    this.open(Object.keys(panels)[0]);
  }

  open(name) {
    this.current = name;
    for (const [each, { tab, panel }] of this.tabs) {
      attribute(tab, "aria-selected", String(each === name));
      attribute(tab, "tabindex", each === name ? "0" : "-1");
      panel.hidden = each !== name;
    }
    this.opened(name);
  }

  /** Show how many things a tab holds. */
  number(name, many) {
    say(this.tabs.get(name).many, many ? count(many) : "");
  }

  #add(name, content, id) {
    const many = el("span", { class: "pj-many" });
    const tab = el(
      "button",
      {
        type: "button",
        role: "tab",
        id: `${id}-tab`,
        "aria-controls": id,
        onclick: () => this.open(name),
      },
      name,
      many,
    );
    const panel = el(
      "div",
      { class: "pj-panel", role: "tabpanel", id, "aria-labelledby": `${id}-tab` },
      content,
    );
    this.tabs.set(name, { tab, panel, many });
    this.list.append(tab);
    this.node.append(panel);
  }

  #pressed(event) {
    const names = [...this.tabs.keys()];
    const at = names.indexOf(this.current);
    const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: names.length - 1 };
    if (!(event.key in moves)) return;
    event.preventDefault();
    const name = names[(moves[event.key] + names.length) % names.length];
    this.open(name);
    this.tabs.get(name).tab.focus();
  }
}
