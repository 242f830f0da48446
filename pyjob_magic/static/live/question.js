// What is asked before something is done that cannot be taken back.

/**
 * Return a question and its two buttons, which Escape leaves.
 *
 * `does` and `keep` are their labels, `confirm()` and `leave()` what they do.
 */
function question(text, { does, keep, confirm, leave }) {
  const id = freshId("pj-question");
  const onkeydown = (event) => {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation(); // it would also take back what is selected
    leave();
  };
  const answer = (name, label, kind, onclick) =>
    el(
      "button",
      {
        type: "button",
        class: `pj-button ${kind}`,
        "data-action": name,
        "aria-describedby": id,
        onclick,
        onkeydown,
      },
      label,
    );
  return [
    el("span", { class: "pj-question", id }, text),
    answer("confirm", does, "pj-danger", confirm),
    answer("keep", keep, "", leave),
  ];
}
