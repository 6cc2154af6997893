// Run the code cells of a page in the reader's browser. Nothing is loaded before the first click.
"use strict";
const BASE = new URL(".", document.currentScript.src), LIVE = new URL("../_live/", BASE).href;
const PYODIDE = document.currentScript.dataset.pyodide || LIVE;

// A worker with Python; `call` starts it.
class Session {
  show = () => {}; // called with a line of progress, or ""
  setup = ""; // a program that each worker runs first

  start() {
    if (location.protocol == "file:") throw new Error("Browsers run Python only on pages from a server. Start one in the " +
      "site's folder: python -m http.server --bind 127.0.0.1");
    if (!self.WebAssembly) throw new Error("This browser has no WebAssembly, which Python needs.");
    this.worker = new Worker(new URL("worker.js", BASE));
    this.calls = new Map();
    this.show("Loading Python …");
    this.worker.onmessage = ({data}) => this.receive(data);
    this.worker.onerror = (event) => this.fail(event.message || "the worker could not be started");
    const start = {pyodide: PYODIDE, live: LIVE, session: new URL("session.py", BASE).href, setup: this.setup, count: !visited()};
    this.worker.postMessage({start});
  }

  receive({id, value, failed, fatal, text, loaded, ready}) {
    const call = this.calls.get(id);
    if (loaded) this.show(`Loading Python … ${(loaded / 1e6).toFixed(1)} MB`);
    if (ready) { this.show(""); visited(this.ready = true); }
    if (text) return call?.print?.(text);
    if (fatal) this.stop(`Python broke down: ${failed}. All names are gone.`);
    else if (failed && !call) this.fail(failed);
    if (!call) return;
    this.calls.delete(id);
    if (failed) call.reject(new Error(failed)); else call.resolve(value);
  }

  fail(message) { this.stop(`Python could not be loaded: ${message}. Check the network, and click Run again.`); }

  // Call a function of a module, with values that are JSON, and return its result, which it gives as JSON.
  call(module, name, values, {imports = "", print} = {}) {
    if (!this.worker) this.start();
    const id = Math.random();
    this.worker.postMessage({id, module, call: name, values, imports});
    return new Promise((resolve, reject) => this.calls.set(id, {resolve, reject, print}));
  }

  restart() {
    this.stop("Stopped. All names are gone.");
    this.start();
  }

  stop(why) {
    this.worker?.terminate();
    this.worker = this.ready = null;
    this.show("");
    for (const {reject} of this.calls?.values() ?? []) reject(new Error(why));
    this.calls?.clear();
  }
}

function visited(set) {
  try { return set ? localStorage.setItem("live", PYODIDE) : localStorage.getItem("live") == PYODIDE; } catch { return false; }
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// Programs get the colours that the site's other code has.
const KEYWORDS = "and as assert async await break class continue def del elif else except finally for from global if " +
  "import in is lambda nonlocal not or pass raise return try while with yield";
const TOKENS = new RegExp([String.raw`(?<c1>#[^\n]*)`,
  String.raw`(?<s2>[rbf]{0,2}(?:"""[^]*?(?:"""|$)|'''[^]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?))`,
  String.raw`(?<kc>\b(?:True|False|None)\b)`, String.raw`(?<k>\b(?:${KEYWORDS.replaceAll(" ", "|")})\b)`,
  String.raw`(?<mf>\b\d[\d_.]*(?:e[+-]?\d+)?)`, String.raw`(?<n>\w+)`].join("|"), "gi");

function coloured(program) {
  const escaped = (text) => text.replace(/[&<]/g, (c) => ({"&": "&amp;", "<": "&lt;"})[c]);
  let html = "", end = 0;
  for (const match of program.matchAll(TOKENS)) {
    const kind = Object.keys(match.groups).find((name) => match.groups[name] !== undefined);
    html += escaped(program.slice(end, match.index)) + `<span class="${kind}">${escaped(match[0])}</span>`;
    end = match.index + match[0].length;
  }
  return html + escaped(program.slice(end)) + "\n";
}

// A textarea over the coloured code. Tab indents; Escape, then Tab leaves.
function editor(pre, program, {run, changed}) {
  const area = element("textarea", {value: program, spellcheck: false, autocapitalize: "off", autocomplete: "off"});
  area.setAttribute("aria-label", "Code. Tab indents, Ctrl-Enter runs, Escape and then Tab leaves.");
  const frame = element("div", {className: "live-editor"});
  pre.replaceWith(frame);
  frame.append(pre, area);
  let leaves = false;
  const redraw = () => { pre.innerHTML = coloured(area.value); changed?.(area.value); };
  area.addEventListener("input", redraw);
  area.addEventListener("keydown", (event) => {
    if (event.key == "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); run(); }
    if (event.key == "Tab" && !leaves && !event.shiftKey) { event.preventDefault(); insert("    "); }
    if (event.key == "Enter" && !event.ctrlKey && !event.metaKey) {
      const line = area.value.slice(0, area.selectionStart).split("\n").at(-1);
      event.preventDefault();
      insert("\n" + line.match(/^ */)[0] + (/:\s*$/.test(line) ? "    " : ""));
    }
    leaves = event.key == "Escape";
  });
  function insert(text) {
    // execCommand keeps the browser's undo; it is deprecated without a successor
    if (!document.execCommand("insertText", false, text)) { area.setRangeText(text, area.selectionStart, area.selectionEnd, "end"); redraw(); }
  }
  pre.innerHTML = coloured(program);
  return {area, set(text) { area.value = text; redraw(); }};
}

// Elements for what a cell shows. Frames have an origin of their own, so that a shared program cannot reach the site.
const FRAME = `<!doctype html><meta charset="utf-8"><style>:root{color-scheme:light dark}body{margin:0;font:14px/1.5 system-ui}
iframe{border:0!important}td,th{padding:.1em .6em;text-align:right}</style><script>addEventListener("load",()=>new ResizeObserver(()=>
parent.postMessage({height:document.documentElement.offsetHeight},"*")).observe(document.documentElement))<\/script>`;
addEventListener("message", ({source, data}) => {
  for (const frame of data?.height ? document.querySelectorAll(".live-output iframe") : []) {
    if (frame.contentWindow == source) frame.style.height = `${Math.min(data.height, 2000)}px`;
  }
});

function shown([kind, content]) {
  if (kind == "text/plain") return element("pre", {textContent: content});
  if (kind == "text/html") {
    const page = element("template", {innerHTML: content}).content.querySelector("iframe[srcdoc]"); // a page of minigrad
    const frame = page ? element("iframe", {title: page.title, srcdoc: page.srcdoc, className: "page"}) :
      element("iframe", {title: "Output", srcdoc: FRAME + content});
    frame.setAttribute("sandbox", "allow-scripts");
    return frame;
  }
  const encoded = kind == "image/png" ? `${kind};base64,${content}` : `${kind},${encodeURIComponent(content)}`;
  return element("img", {alt: "The picture that the cell shows", src: `data:${encoded}`});
}

// The message of an error, below the lines around the one that raised it.
function errorShown({message, line, source}) {
  const lines = source.split("\n"), from = Math.max(0, line - 3), pre = element("pre", {className: "live-error"});
  for (let i = from; line && i < Math.min(lines.length, line + 1); i++) {
    pre.append(element(i == line - 1 ? "mark" : "span", {textContent: `${String(i + 1).padStart(3)}  ${lines[i]}`}), "\n");
  }
  pre.append(line ? "\n" : "", message);
  return pre;
}

const MOST = 200_000; // characters of text that a cell shows

class Cell {
  constructor(block, all) {
    this.block = block;
    this.all = all;
    const text = block.querySelector("pre").textContent.replace(/\n$/, "");
    this.interactive = text.startsWith(">>>");
    this.original = !this.interactive ? text :
      text.split("\n").filter((line) => /^(>>>|\.\.\.)( |$)/.test(line)).map((line) => line.slice(4)).join("\n");
    this.program = this.original;
    const button = (label, action, hint) => {
      const made = element("button", {type: "button", textContent: label, title: hint});
      made.addEventListener("click", action);
      return made;
    };
    this.runner = button("Run", () => this.running ? session.restart() : this.run(), "Run this cell in your browser");
    this.above = button("Run all to here", () => this.runAll(), "Run the cells above, and then this one");
    this.editing = button("Edit", () => this.edit(), "Change the code");
    this.reset = button("Reset", () => this.undo(), "Show the original code again");
    this.reset.hidden = true;
    this.status = element("span", {});
    this.status.setAttribute("role", "status");
    this.bar = element("div", {className: "live-bar"}, this.runner, ...(all.length ? [this.above] : []), this.editing, this.reset, this.status);
    block.after(this.bar);
    all.push(this);
  }

  get title() { return `cell ${this.all.indexOf(this) + 1}`; }

  edit() {
    const keys = {run: () => this.run(), changed: (text) => { this.program = text; this.reset.hidden = text == this.original; }};
    this.editor ??= editor(this.block.querySelector("pre"), this.program, keys);
    this.block.querySelector(".copybtn")?.remove(); // it would copy the original
    this.editing.hidden = true;
    this.editor.area.focus();
  }

  undo() {
    this.editor.set(this.original);
    this.editor.area.focus();
  }

  async runAll() {
    for (const cell of this.all.slice(0, this.all.indexOf(this) + 1)) if (!await cell.run()) return;
  }

  // Run the cell in place of its output, and return whether it succeeded.
  async run() {
    const output = element("div", {className: "live-output"}), printed = element("pre", {});
    const place = () => { if (!output.isConnected) { this.place(output); } };
    const print = (text) => {
      if (!printed.isConnected) { output.append(printed); place(); }
      if (printed.textContent.length < MOST) printed.append(text.length < MOST ? text : text.slice(0, MOST) + " … cut");
    };
    this.running = true;
    this.runner.textContent = "Stop";
    const begin = performance.now();
    const timer = setInterval(() => { if (session.ready) this.status.textContent = `Running for ${seconds(0)} s`; }, 1000);
    const seconds = (digits) => ((performance.now() - begin) / 1000).toFixed(digits);
    let succeeded = false;
    try {
      session.show = (text) => { this.status.textContent = text; };
      const options = {imports: this.program, print};
      const {shown: contents, error} = await session.call("session", "run_cell", [this.program, this.title, this.interactive], options);
      output.append(...contents.map(shown), ...(error ? [errorShown(error)] : []));
      succeeded = !error || this.block.classList.contains("raises");
      this.status.textContent = `${error ? "Failed" : "Done"} in ${seconds(2)} s`;
    } catch (error) {
      output.append(element("pre", {className: "live-error", textContent: error.message}));
      this.status.textContent = "";
    }
    place();
    clearInterval(timer);
    this.running = false;
    this.runner.textContent = "Run";
    return succeeded;
  }

  place(output) {
    const old = this.shown ?? this.block.closest(".cell")?.querySelector(".cell_output");
    if (old) old.replaceWith(output); else this.bar.after(output);
    this.shown = output;
  }
}

for (const pre of document.querySelectorAll("pre")) if (pre.scrollWidth > pre.clientWidth) pre.tabIndex = 0; // keys scroll it
const session = new Session();
const cells = [];
for (const block of document.querySelectorAll(".live")) new Cell(block, cells);
