// Which colours the page has: what the stylesheet cannot know, the colours of a log need.

/** Return the colours of the page around an element. */
function themeOf(root) {
  const style = getComputedStyle(root);
  const ground = rgb(style.backgroundColor) ?? WHITE;
  const text = rgb(style.color) ?? BLACK;
  return { ground, text, dark: luminance(ground) < 0.2, key: `${ground}/${text}` };
}

function rgb(colour) {
  const parts = /^rgba?\(([\d.]+),? ([\d.]+),? ([\d.]+)(?:,? ?\/? ?([\d.]+))?\)$/.exec(colour);
  if (!parts || parts[4] === "0") return null;
  return parts.slice(1, 4).map(Number);
}

/** Call `changed` whenever the page may have got other colours, until `signal` aborts. */
function watchTheme(changed, signal) {
  const observer = new MutationObserver(changed);
  for (const node of [document.documentElement, document.body])
    observer.observe(node, { attributes: true });
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", changed, { signal });
  signal.addEventListener("abort", () => observer.disconnect());
}
