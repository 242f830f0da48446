// What the job requests in total, beside what is left of it.

class Totals {
  constructor() {
    this.list = el("ul", { class: "pj-totals" });
    this.place = el("p", { class: "pj-placeline" });
    this.node = el(
      "section",
      { class: "pj-box", "aria-label": "Total request" },
      el("h4", {}, "Total request"),
      this.place,
      this.list,
    );
  }

  /** Show what is requested, and what there is of the rest. */
  render(totals, free, place) {
    const drawn = JSON.stringify([totals, free, place]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    say(this.place, place ? `on ${place}` : "");
    put(
      this.list,
      totals.length ? totals.map(totalRow) : el("li", { class: "pj-dim" }, "No limits set"),
      free.map(freeRow),
    );
  }
}

function totalRow({ resource, each, replicas, total, left }) {
  const known = left !== null && left !== undefined;
  const over = known && amount(total) > amount(left);
  return el(
    "li",
    { "data-tone": over ? "bad" : null },
    el("span", { class: "pj-resource" }, resource),
    el(
      "span",
      { class: "pj-amount" },
      el("b", {}, total),
      replicas > 1 && el("span", { class: "pj-dim" }, ` ${replicas} \u00d7 ${each}`),
    ),
    known && bar(amount(total) / amount(left)),
    known &&
      el(
        "span",
        { class: over ? "pj-over" : "pj-dim" },
        over ? `more than the ${left} left` : `of ${left} left`,
      ),
  );
}

/** Return what is left of a resource that has no limit in this job. */
function freeRow({ resource, left }) {
  return el(
    "li",
    { class: "pj-free" },
    el("span", { class: "pj-resource" }, resource),
    el("span", { class: "pj-amount" }, `${left} left`),
  );
}

/** Return a bar, full at 1; the words beside it say the same. */
function bar(part) {
  const fill = el("span", { class: "pj-barfill" });
  fill.style.width = `${100 * Math.min(1, Math.max(0, Number.isFinite(part) ? part : 1))}%`;
  return el("span", { class: "pj-bartrack", "aria-hidden": "true" }, fill);
}

const UNITS = {
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
};

/** Return an amount, as Kubernetes writes it, as a number. */
function amount(text) {
  const [, number, unit] = /^\s*([\d.eE+-]+?)\s*([a-zA-Z]*)\s*$/.exec(String(text)) ?? [];
  return Number(number) * (UNITS[unit] ?? 1);
}
