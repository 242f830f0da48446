// The lines of a log from the kernel, in pieces, each gzip of its own: for a file, or to be copied.

const COPIED = 4_000_000; // bytes that are copied at most
const PATIENCE = 2500; // milliseconds more that are waited for a kernel; soon nobody may copy

/** Fetch the log of a view and save it; `tell(text)` says how far it is. */
function download(kernel, view, tell) {
  const fetched = fetchLog(kernel, { view }, {
    heard: (here, all) => tell(`downloading, ${here} of ${all}`),
    late: () => tell(`${kernel.silence}.`),
  });
  fetched.then(
    ({ blob, name }) => {
      save(blob, name);
      tell("");
    },
    () => tell("the download was damaged; try again"),
  );
}

/**
 * Return the lines of a view as `{texts, start, end}`, the last of them where they are too many.
 *
 * `end` is the number behind the last one; null is returned where the kernel lets us wait for long.
 */
function fetchTexts(kernel, view, end) {
  return new Promise((resolve) => {
    const late = () => setTimeout(() => resolve(null), kernel.live ? PATIENCE : 0);
    fetchLog(kernel, { view, end, size: COPIED }, { late })
      .then(async (answer) => {
        const text = await answer.blob.text();
        resolve({ ...answer, texts: text.split("\n").slice(0, -1) });
      })
      .catch(late);
  });
}

/** Ask for lines; `heard(here, all)` as pieces come, `late()` where none comes for a second. */
function fetchLog(kernel, wanted, { heard = () => {}, late }) {
  const parts = [];
  return new Promise((resolve, reject) => {
    kernel.ask(
      { do: "download", ...wanted },
      (answer, [buffer]) => {
        parts[answer.part] = unpacked(buffer);
        const here = parts.filter(Boolean).length;
        heard(here, answer.parts);
        if (here < answer.parts) return true;
        const whole = (texts) => new Blob(texts, { type: "text/plain" });
        Promise.all(parts).then((texts) => resolve({ ...answer, blob: whole(texts) }), reject);
        return false;
      },
      late,
    );
  });
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
