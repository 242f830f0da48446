// A line that says what came of an action, until that is over: errors are alerts, and stay longer.

const SLOW = "The kernel may be busy running a cell, or the server may be slow"; // no answer for a second

class Said {
  constructor() {
    this.node = el("div", { class: "pj-outcome", role: "status" });
  }

  tell(text, bad = false) {
    clearTimeout(this.passing);
    this.over = false;
    this.text = text;
    attribute(this.node, "role", bad ? "alert" : "status");
    this.node.classList.toggle("pj-bad", bad);
    put(this.node, text && bad && icon("bad"), text && el("span", {}, text));
  }

  /** Say what came of an action that is over. */
  outcome(text, bad = false) {
    this.tell(text, bad);
    this.over = true;
    if (!bad) this.passing = setTimeout(() => this.settle(), PASSING);
  }

  /** Take that back: something else is shown now. */
  settle() {
    if (this.over) this.tell("");
  }
}

/** Ask the kernel to do something, and say there what comes of it. */
function order(kernel, said, message, doing, done = () => {}) {
  const waiting = `${doing} \u2026`;
  said.tell(waiting);
  kernel.ask(
    message,
    (answer) => {
      said.outcome(answer.message ?? "", answer.ok === false);
      done(answer);
    },
    () => said.text === waiting && said.tell(`${waiting} ${kernel.live ? SLOW : kernel.silence}.`),
  );
}

/** Return a button with a sign; `attributes` are more of it. */
function button(sign, label, onclick, attributes = {}) {
  return el(
    "button",
    { type: "button", class: "pj-button", onclick, ...attributes },
    icon(sign),
    el("span", {}, label),
  );
}

function closeButton(label, onclick) {
  return el(
    "button",
    {
      type: "button",
      class: "pj-button pj-onlysign",
      title: "Close",
      "aria-label": label,
      onclick,
    },
    icon("close"),
  );
}
