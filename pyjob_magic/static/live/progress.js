// How far the job is, as its log says.

class Progress {
  constructor() {
    this.fill = el("div", { class: "pj-fill" });
    this.track = el(
      "div",
      {
        class: "pj-track",
        role: "progressbar",
        "aria-label": "Progress",
        "aria-valuemin": "0",
        "aria-valuemax": "100",
      },
      this.fill,
    );
    this.label = el("span", { class: "pj-label" });
    this.left = el("span", { class: "pj-left" });
    this.node = el(
      "div",
      { class: "pj-progress", hidden: true },
      this.track,
      el("div", { class: "pj-under" }, this.label, this.left),
    );
  }

  render(progress, tone, now) {
    this.node.hidden = !progress;
    if (!progress) return;
    const percent = Math.round(1000 * Math.min(1, Math.max(0, progress.fraction))) / 10;
    this.fill.style.width = `${percent}%`;
    attribute(this.node, "data-tone", tone);
    attribute(this.track, "aria-valuenow", String(percent));
    attribute(this.track, "aria-valuetext", progress.label);
    const who = progress.replica ? `, ${progress.replica}` : "";
    say(this.label, `${progress.label}${who}`);
    say(this.left, `${Math.round(percent)} %${this.#left(progress, tone, now)}`);
  }

  #left({ left, at }, tone, now) {
    if (left === null || left === undefined || tone !== "running") return "";
    return `, about ${duration(left - (now - at))} left`;
  }
}
