// What was sent, as YAML, and what one would type to do the same.

class Manifest {
  constructor() {
    this.node = el("div", { class: "pj-manifest" });
  }

  render({ yaml, kubectl }) {
    const drawn = JSON.stringify([yaml, kubectl]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    put(
      this.node,
      kubectl.length > 0 &&
        el(
          "div",
          { class: "pj-kubectl" },
          el("h4", {}, "The same with kubectl"),
          el(
            "ul",
            {},
            kubectl.map(({ does, line: command }) =>
              el(
                "li",
                {},
                el("span", { class: "pj-does" }, does),
                el("code", { tabindex: "0" }, command),
                copyButton("Copy", () => command),
              ),
            ),
          ),
        ),
      el(
        "div",
        { class: "pj-yamlhead" },
        el("h4", {}, "Manifest"),
        copyButton("Copy YAML", () => yaml),
      ),
      el("pre", { class: "pj-yaml", tabindex: "0", "aria-label": "Manifest as YAML" }, yaml),
    );
  }
}

/** What the API returned about the job. */
class Details {
  constructor() {
    this.node = el("dl", { class: "pj-details" });
  }

  render(metadata) {
    const drawn = JSON.stringify(metadata);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    put(
      this.node,
      metadata.map(([key, value]) => [el("dt", {}, key), el("dd", {}, value)]),
    );
  }
}
