// Jobs side by side: what was said of each, where their code differs, and their metrics over one
// another.

class Compare {
  constructor(close) {
    this.only = el("input", { type: "checkbox", onchange: () => this.#table() });
    this.only.checked = true;
    this.title = el("h4", { tabindex: "-1" });
    this.many = el("span", { class: "pj-dim" });
    this.table = el("table", { class: "pj-compare" });
    this.box = el(
      "div",
      {
        class: "pj-comparebox",
        tabindex: "0",
        role: "region",
        "aria-label": "Options side by side",
      },
      this.table,
    );
    this.diffs = el("div", { class: "pj-diffs" });
    this.charts = new Charts();
    this.node = el(
      "section",
      { class: "pj-result", "aria-label": "Comparison", hidden: true },
      el(
        "div",
        { class: "pj-boxhead" },
        this.title,
        el("label", { class: "pj-only" }, this.only, "Only differences"),
        this.many,
        closeButton("Close the comparison", close),
      ),
      this.box,
      this.diffs,
      this.charts.node,
    );
  }

  render(compared, theme) {
    this.node.hidden = !compared;
    if (!compared) return void (this.drawn = null);
    const { columns, rows, diffs = [], charts, charts_note: note, lines } = compared;
    const drawn = JSON.stringify([columns, rows, diffs]);
    const fresh = !this.drawn;
    if (drawn !== this.drawn) {
      this.drawn = drawn;
      this.data = compared;
      say(this.title, `${counted(columns.length, "job")} compared`);
      this.#table();
      put(this.diffs, diffs.map(diffOf));
    }
    this.charts.render(charts ?? [], [note], comparedLook(columns, lines ?? {}, theme));
    if (fresh) this.title.focus();
  }

  #table() {
    const { columns, rows } = this.data;
    const different = rows.filter(([, , differs]) => differs);
    const shown = this.only.checked ? different : rows;
    say(this.many, `${count(different.length)} of ${counted(rows.length, "option")} differ`);
    put(
      this.table,
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          el("th", { scope: "col" }, "Option"),
          columns.map((name) => el("th", { scope: "col" }, name)),
        ),
      ),
      el(
        "tbody",
        {},
        shown.map((row) => compareRow(row)),
      ),
    );
    this.box.hidden = shown.length === 0;
  }
}

function compareRow([field, values, differs]) {
  const common = differs ? commonest(values) : null;
  return el(
    "tr",
    { class: differs ? "pj-differs" : "" },
    el("th", { scope: "row" }, differs && el("span", { class: "pj-unseen" }, "differs: "), field),
    values.map((value) =>
      el("td", { class: differs && value !== common ? "pj-other" : "" }, comparedText(value)),
    ),
  );
}

/** Return the value that most have, null where none is had by more than half. */
function commonest(values) {
  return (
    values.find((value) => 2 * values.filter((each) => each === value).length > values.length) ??
    null
  );
}

function comparedText(value) {
  if (empty(value)) return el("span", { class: "pj-dim" }, "\u2013");
  return Array.isArray(value) ? value.join("\n") : String(value);
}

/** Return the lines in which the code of two jobs differs. */
function diffOf({ before, after, lines, note }) {
  const title = `Code: ${before} \u2192 ${after}`;
  return el(
    "figure",
    { class: "pj-diff" },
    el("figcaption", {}, el("b", {}, title), note && el("span", { class: "pj-dim" }, note)),
    el(
      "div",
      { class: "pj-difflines", tabindex: "0", role: "region", "aria-label": title },
      el("div", {}, lines.map(diffLine)),
    ),
  );
}

const DIFF_SIGNS = { "+": ["+", "added"], "-": ["\u2212", "removed"], "": [" ", null] };

function diffLine([sign, before, after, text]) {
  if (!(sign in DIFF_SIGNS)) return el("div", { class: "pj-diffgap" }, "\u22ef");
  const [shown, word] = DIFF_SIGNS[sign];
  const number = (at) => el("span", { class: "pj-diffnumber" }, at === null ? "" : String(at));
  return el(
    "div",
    { class: "pj-diffline", "data-sign": word },
    number(before),
    number(after),
    el("span", { class: "pj-diffsign" }, shown),
    word && el("span", { class: "pj-unseen" }, `${word}: `),
    el("span", {}, text),
  );
}

/** Return how charts show lines, `{name: [job, replica]}`: a colour for each job, a dash for each replica. */
function comparedLook(jobs, lines, theme) {
  const replicas = [...new Set(Object.values(lines).map(([, replica]) => replica))];
  const colourOf = (job) => replicaColour(jobs.indexOf(job), theme);
  const dashOf = (replica) => DASHES[replicas.indexOf(replica) % DASHES.length];
  const palette = Object.entries(lines).map(([name, [job, replica]]) => [
    name,
    { colour: colourOf(job), dash: dashOf(replica) },
  ]);
  const measured = new Set(Object.values(lines).map(([job]) => job));
  const shown = jobs.filter((job) => measured.has(job));
  const told = replicas.length > 1 && replicas.length <= DASHES.length ? replicas : [];
  return {
    palette: new Map(palette),
    legend: [
      ...shown.map((job) => [job, { colour: colourOf(job) }]),
      ...told.map((replica) => [replica, { colour: "currentColor", dash: dashOf(replica) }]),
    ],
    chosen: ALL,
  };
}
