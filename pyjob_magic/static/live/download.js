// The whole log as a file: pieces from the kernel, each gzip of its own.

/** Fetch the log of a view and save it; `tell(text)` says how far it is. */
function download(kernel, view, tell) {
  const parts = [];
  kernel.ask(
    { do: "download", view },
    ({ name, part, parts: all }, [buffer]) => {
      parts[part] = unpacked(buffer);
      const here = parts.filter(Boolean).length;
      tell(`downloading, ${here} of ${all}`);
      if (here < all) return true;
      Promise.all(parts).then(
        (texts) => {
          save(new Blob(texts, { type: "text/plain" }), name);
          tell("");
        },
        () => tell("the download was damaged; try again"),
      );
      return false;
    },
    () => tell(`${kernel.silence}.`),
  );
}

function unpacked(buffer) {
  const stream = new Blob([buffer]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).blob();
}

function save(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = el("a", { download: name.replace(/[^\w.-]/g, "_") });
  link.href = address;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
