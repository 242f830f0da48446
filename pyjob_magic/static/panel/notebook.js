// The notebook that the panel is in, as far as the page lets us see it (JupyterLab, Notebook 7).

const WIDGET = "application/vnd.jupyter.widget-view+json";

class Notebook {
  constructor(model) {
    this.model = model;
    this.manager = model.widget_manager;
  }

  /** The document behind the page; undefined where there is none to be had. */
  get shared() {
    return this.manager?.context?.model?.sharedModel;
  }

  /** Return the code cells as they are now, saved or not. */
  cells() {
    return [...(this.shared?.cells ?? [])]
      .map((cell, i) => ({
        id: cell.id ?? String(i),
        number: i + 1,
        kind: cell.cell_type,
        source: sourceOf(cell),
      }))
      .filter(({ kind, source }) => kind === "code" && source.trim())
      .map((cell) => ({ ...cell, first: firstLine(cell.source) }));
  }

  /** Call `changed` whenever a cell changes, also while it is typed, until `signal` aborts. */
  watch(changed, signal) {
    const { shared } = this;
    shared?.ydoc?.on("update", changed);
    signal.addEventListener("abort", () => shared?.ydoc?.off("update", changed));
  }

  /** Insert a code cell below the one that shows the panel, else at the end; say where. */
  async insert(source) {
    const { shared } = this;
    const own = await this.#own([...shared.cells]);
    const at = own < 0 ? shared.cells.length : own + 1;
    shared.insertCell(at, { cell_type: "code", source, metadata: {} });
    return own < 0
      ? `Inserted as cell ${at + 1}, at the end.`
      : `Inserted as cell ${at + 1}, below the panel.`;
  }

  /** Return the place of the cell with the panel in its output, -1 if none shows it. */
  async #own(cells) {
    const shows = await Promise.all(
      cells.map(async (cell) => {
        const found = await Promise.all(widgetsOf(cell).map((id) => this.#isPanel(id)));
        return found.includes(true);
      }),
    );
    return shows.indexOf(true);
  }

  /** Whether a model is the panel's own, which does not know its name: they hold the same object. */
  async #isPanel(id) {
    try {
      const model = await this.manager.get_model(id);
      return model.get("groups") === this.model.get("groups");
    } catch {
      return false; // the model of an earlier kernel
    }
  }
}

function sourceOf(cell) {
  return String(cell.getSource?.() ?? cell.source ?? "");
}

function firstLine(source) {
  return source.trim().split("\n", 1)[0];
}

function widgetsOf(cell) {
  const outputs = cell.getOutputs?.() ?? cell.outputs ?? [];
  return outputs.map((output) => output.data?.[WIDGET]?.model_id).filter(Boolean);
}
