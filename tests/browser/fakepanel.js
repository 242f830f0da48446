// The model of a panel without a kernel: checks a little, answers what the panel asks.

/** A notebook as JupyterLab shares it: cells, and a document that tells of changes. */
class FakeNotebook {
  constructor(sources, own) {
    this.cells = sources.map((source, i) => this.cell({ cell_type: "code", source, own: i === own }));
    this.heard = new Set();
    this.ydoc = { on: (_, heard) => this.heard.add(heard), off: (_, heard) => this.heard.delete(heard) };
  }

  cell({ cell_type, source, own = false }) {
    const data = { "application/vnd.jupyter.widget-view+json": { model_id: "panel" } };
    return {
      id: Math.random().toString(36).slice(2),
      cell_type,
      source,
      getSource() {
        return this.source;
      },
      getOutputs: () => (own ? [{ data }] : []),
    };
  }

  insertCell(index, content) {
    this.cells.splice(index, 0, this.cell(content));
    this.tell();
  }

  edit(index, source) {
    this.cells[index].source = source;
    this.tell();
  }

  tell() {
    for (const heard of this.heard) heard();
  }
}

class FakeManager {
  constructor(model, notebook) {
    this.model = model;
    this.context = notebook && { model: { sharedModel: notebook } };
    this.removed = [];
  }

  async get_model(id) {
    if (id === "panel") return this.model;
    if (id.startsWith("lost")) throw new Error("widget model not found");
    return { id };
  }

  async create_view({ id }) {
    const el = document.createElement("div");
    el.textContent = `card of ${id}`;
    return { el, trigger: () => {}, remove: () => this.removed.push(id) };
  }
}

class FakePanelModel {
  constructor(traits, notebook) {
    this.traits = traits;
    this.heard = new Map();
    this.sent = [];
    this.saved = [];
    this.busy = false; // whether questions stay unanswered, as while a cell runs
    this.notebook = notebook && new FakeNotebook(notebook.sources, notebook.own);
    this.widget_manager = new FakeManager(this, this.notebook);
  }

  get(name) {
    return this.traits[name];
  }

  /** Change a trait as the panel does. */
  set(name, value) {
    this.unsaved = { ...this.unsaved, [name]: value };
    this.hear(name, value);
  }

  /** Change a trait as the kernel does. */
  hear(name, value) {
    if (JSON.stringify(this.traits[name]) === JSON.stringify(value)) return;
    this.traits[name] = value;
    this.trigger(`change:${name}`);
  }

  save_changes() {
    if (this.gone) throw new Error("the comm is closed");
    this.saved.push(this.unsaved);
    this.unsaved = {};
  }

  on(name, callback) {
    if (!this.heard.has(name)) this.heard.set(name, new Set());
    this.heard.get(name).add(callback);
  }

  off(name, callback) {
    this.heard.get(name)?.delete(callback);
  }

  trigger(name, ...args) {
    for (const callback of this.heard.get(name) ?? []) callback(...args);
  }

  get listeners() {
    return [...this.heard.values()].reduce((sum, callbacks) => sum + callbacks.size, 0);
  }

  send(message) {
    if (this.gone) throw new Error("the comm is closed");
    this.sent.push(message);
    if (!this.busy) setTimeout(() => this.answer(message));
  }

  /** Answer what was asked while it was busy. */
  wake() {
    this.busy = false;
    for (const message of this.sent) this.answer(message);
  }

  answer(message) {
    const tell = (content) => this.trigger("msg:custom", { id: message.id, ok: true, ...content }, []);
    const answers = {
      check: () => this.hear("checked", checkedOf(message)),
      server: () => {
        const errors = { queue: 'admission webhook denied: queue "fast" is closed' };
        this.hear("checked", { ...checkedOf(message), errors });
        tell({ is: "checked", ok: false, message: "The server objects to 1 field." });
      },
      submit: () => {
        this.hear("cards", ["card-new", ...this.traits.cards]);
        tell({ is: "submitted", message: `${message.values.name} was submitted.` });
      },
      "as cell": () => tell({ is: "cell", text: `%%pytorchjob ${lineOf(message.values)}\n${message.source}` }),
      load: () => this.load(message, tell),
      jobs: () => this.act(message, tell),
      history: () => this.act(message, tell),
      close: () => this.hear("cards", this.traits.cards.filter((id) => id !== message.card)),
      visible: () => {},
    };
    answers[message.do]();
  }

  load({ what, value }, tell) {
    if (value === "missing.py") return tell({ is: "loaded", ok: false, message: "missing.py: there is no such file" });
    this.hear("source", what === "cell" ? value.split("\n").slice(1).join("\n") : `print(${JSON.stringify(value)})\n`);
    this.hear("values", { name: "loaded", workers: "2", env: ["A=1", "B=2"] });
    return tell({ is: "loaded", message: `Loaded from ${what}.` });
  }

  act({ do: trait, action, uids, text }, tell) {
    if (action === "search") {
      const rows = this.everything.filter((row) => !text || row.found === text || row.name.includes(text));
      this.hear("history", { ...this.traits.history, rows });
    } else if (action === "delete" || action === "remove") {
      const { rows, ...others } = this.traits[trait];
      this.hear(trait, { ...others, rows: rows.filter((row) => !uids.includes(row.uid)) });
    } else if (action === "open") this.hear("cards", [`card-${uids[0]}`, ...this.traits.cards]);
    const failed = action === "resume";
    tell({ is: "done", ok: !failed, message: failed ? "job-3 cannot be resumed: it has ended" : `${action}: ${uids?.length} done` });
  }
}

/** Return what a kernel might find: enough to see that the panel shows it. */
function checkedOf({ revision, values, source }) {
  const errors = {};
  if (values.workers !== undefined && !/^\d+$/.test(values.workers))
    errors.workers = `${values.workers} is no whole number from 0 on`;
  if (values.cpu !== undefined && !/^\d+m?$/.test(values.cpu))
    errors.cpu = `${values.cpu} is no amount; say 2 or 500m`;
  for (const pair of values.env ?? []) if (!pair.includes("=")) errors.env = `${pair} has no value; say NAME=VALUE`;
  const count = 1 + Number(values.workers ?? 0);
  const wrong = Object.keys(errors).length > 0;
  const total = (each, left) => ({ each, replicas: count, total: String(count * Number(each)), left });
  return {
    revision,
    errors,
    source_error: /^\s*\d+\s+\w/.test(source) ? "line 1: invalid syntax" : null,
    missing: source.trim() ? [] : ["code"],
    yaml: wrong ? "" : yamlOf(values, count),
    marked: wrong ? [] : [4, ...(values.workers ? [12] : [])],
    totals: wrong
      ? []
      : [
          { resource: "replicas", each: "1", replicas: 1, total: String(count), left: null },
          ...(values.gpus ? [{ resource: "nvidia.com/gpu", ...total(values.gpus, "8") }] : []),
          ...(values.cpu ? [{ resource: "cpu", ...total(values.cpu, "64") }] : []),
          ...(values.memory ? [{ resource: "memory", each: values.memory, replicas: count, total: `${count * parseInt(values.memory, 10)}Gi`, left: "500Gi" }] : []),
        ],
    line: lineOf(values),
    place: "kubernetes (team-cluster), namespace team-vision",
  };
}

function lineOf({ name = "", ...others }) {
  return [name, ...Object.entries(others).map(([field, value]) => `--${field.replaceAll("_", "-")} ${value}`)].filter(Boolean).join(" ");
}

function yamlOf({ name = "notebook-8f3a", image = "pytorch/pytorch:2.5.1-cuda12.4-cudnn9-runtime", gpus }, count) {
  return `apiVersion: kubeflow.org/v1
kind: PyTorchJob
metadata:
  name: ${name}
  namespace: team-vision
spec:
  nprocPerNode: "1"
  pytorchReplicaSpecs:
    Master: # one
      replicas: 1
    Worker:
      replicas: ${count - 1}
      restartPolicy: Never
      template:
        spec:
          containers:
            - name: pytorch
              image: ${image}
              resources:
                limits:
                  nvidia.com/gpu: ${gpus ?? 0}
`;
}
