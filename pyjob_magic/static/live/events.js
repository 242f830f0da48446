// What was said about the job, newest first.

class Events {
  constructor() {
    this.node = el("div", {
      class: "pj-events",
      tabindex: "0",
      role: "region",
      "aria-label": "Events",
    });
  }

  render(events) {
    const drawn = JSON.stringify(events);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    put(
      this.node,
      events.length
        ? el("ol", {}, events.map(eventRow))
        : el("p", { class: "pj-empty" }, "No events."),
    );
  }
}

function eventRow({ time, type, reason, object, message, count: times }) {
  const warning = type === "Warning";
  return el(
    "li",
    { class: `pj-event${warning ? " pj-warning" : ""}` },
    el("span", { class: "pj-when" }, time === null ? "" : clock(time)),
    el(
      "div",
      {},
      el("span", { class: "pj-reason" }, warning ? `Warning: ${reason}` : reason),
      times > 1 &&
        el(
          "span",
          { class: "pj-times-seen", title: `${count(times)} times` },
          `\u00d7${count(times)}`,
        ),
      el("span", { class: "pj-object" }, object),
      el("p", {}, message),
    ),
  );
}
