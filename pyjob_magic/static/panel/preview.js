// The manifest as it would be sent; lines that the profile alone would not give are marked.

class Preview {
  constructor() {
    this.yaml = "";
    this.lines = el("pre", {
      class: "pj-yaml pj-preview",
      tabindex: "0",
      "aria-label": "Manifest as YAML",
    });
    this.key = el(
      "span",
      { class: "pj-key", hidden: true },
      el("span", { class: "pj-marked pj-keysample", "aria-hidden": "true" }, "+"),
      "not from the profile",
    );
    this.command = el("code", {
      tabindex: "0",
      "aria-label": "First line of the equivalent cell",
    });
    this.commandBox = el(
      "div",
      { class: "pj-command" },
      this.command,
      copyButton("Copy", () => this.line),
    );
    this.copy = copyButton("Copy YAML", () => this.yaml);
    this.node = el(
      "section",
      { class: "pj-box", "aria-label": "Preview" },
      el(
        "div",
        { class: "pj-boxhead" },
        el("h4", {}, "Manifest"),
        this.key,
        this.copy,
      ),
      this.lines,
      this.commandBox,
    );
  }

  render({ yaml = "", marked = [], line: words = "" }) {
    this.commandBox.hidden = this.copy.hidden = !yaml;
    this.line = `%%pytorchjob ${words}`.trim();
    say(this.command, this.line);
    const drawn = JSON.stringify([yaml, marked]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    this.yaml = yaml;
    const lines = yaml.replace(/\n$/, "").split("\n");
    const different = new Set(marked);
    this.key.hidden = !yaml || different.size === 0 || different.size >= lines.length;
    if (yaml)
      put(
        this.lines,
        lines.map((text, i) => yamlRow(text, different.has(i + 1) && !this.key.hidden)),
      );
    else
      put(
        this.lines,
        el("span", { class: "pj-dim" }, "Appears once all fields are valid."),
      );
  }
}

function yamlRow(text, marked) {
  const parts = yamlLine(text).map(([kind, part]) =>
    kind ? el("span", { class: `pj-tok-${kind}` }, part) : part,
  );
  return el(
    "span",
    { class: `pj-yamlrow${marked ? " pj-marked" : ""}` },
    marked && el("span", { class: "pj-unseen" }, "differs: "),
    parts,
    "\n",
  );
}
