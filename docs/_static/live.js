// Run the code cells of a page in the reader's browser. Nothing is loaded before the first click.
"use strict";
const BASE = new URL(".", document.currentScript.src), LIVE = new URL("../_live/", BASE).href;
const {pyodide, version} = document.currentScript.dataset, PYODIDE = pyodide || LIVE;
const versioned = (file) => new URL(`${file}?v=${version}`, BASE).href;

function checkBrowser() {
  if (location.protocol == "file:") throw new Error("Browsers run Python only on pages from a server. Start one in the " +
    "site's folder: python -m http.server --bind 127.0.0.1");
  if (!self.WebAssembly) throw new Error("This browser has no WebAssembly, which Python needs.");
}

// A worker with Python; `call` starts it.
class Session {
  onProgress = () => {}; // called with a line of progress, or ""
  setup = ""; // a program that each worker runs first
  calls = new Map();
  count = 0;

  start() {
    checkBrowser();
    this.worker = new Worker(versioned("worker.js"));
    this.onProgress("Loading Python …");
    this.worker.onmessage = ({data}) => this.receive(data);
    this.worker.onerror = (event) => this.fail(event.message || "the worker could not be started");
    this.worker.postMessage({start: {pyodide: PYODIDE, live: LIVE, session: versioned("session.py"), setup: this.setup, first: isFirstVisit()}});
  }

  receive({id, value, failed, fatal, text, loaded, ready}) {
    const call = this.calls.get(id);
    if (loaded) return this.onProgress(`Loading … ${(loaded / 1e6).toFixed(1)} MB`);
    if (ready) { this.ready = true; rememberVisit(); return this.onProgress(""); }
    if (text) return call?.print?.(text);
    if (fatal) return this.stop(`Python crashed: ${failed}. All variables are lost.`);
    if (failed && !call) return this.fail(failed);
    this.calls.delete(id);
    if (failed) call.reject(new Error(failed)); else call.resolve(value);
  }

  fail(message) { this.stop(`Python could not be loaded: ${message.replace(/\.$/, "")}. Check the network, and try again.`); }

  // Call a function of session.py in the worker, and promise its result. `imports` is a program whose imports it needs,
  // and `print` gets what it prints.
  call(name, values, {imports = "", print} = {}) {
    if (!this.worker) this.start();
    const id = ++this.count;
    this.worker.postMessage({id, name, values, imports});
    return new Promise((resolve, reject) => this.calls.set(id, {resolve, reject, print}));
  }

  restart() {
    const started = this.ready;
    this.stop(started ? "Stopped. All variables are lost." : "Stopped.");
    if (started) this.start();
  }

  stop(why) {
    if (this.worker) this.worker.onmessage = null;
    this.worker?.terminate();
    this.worker = this.ready = null;
    this.onProgress("");
    for (const {reject} of this.calls.values()) reject(new Error(why));
    this.calls.clear();
  }
}

function isFirstVisit() { try { return localStorage.getItem("live") != PYODIDE; } catch { return true; } }
function rememberVisit() { try { localStorage.setItem("live", PYODIDE); } catch { /* the site may not store anything */ } }

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function button(label, action, title = "") {
  const made = element("button", {type: "button", textContent: label, title});
  made.addEventListener("click", action);
  return made;
}

// A line that says what runs and for how long. Screen readers read it aloud when that ends.
class Status {
  line = element("span", {role: "status"});

  begin() {
    this.begun = performance.now();
    this.line.ariaBusy = true;
    session.onProgress = (text) => this.show(text);
    this.timer = setInterval(() => { if (session.ready) this.show(`Running for ${this.time(0)}`); }, 1000);
  }

  time(digits = 2) {
    const ms = performance.now() - this.begun;
    return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(digits)} s`;
  }

  show(text) { this.line.textContent = text; }

  end(text) {
    clearInterval(this.timer);
    this.line.ariaBusy = false;
    this.show(text);
  }
}

function errorElement(message) { return element("pre", {className: "live-error", textContent: message}); }

// The actions of a live page: one at a time, with a button that says Stop meanwhile. The last of those that were asked
// for meanwhile runs afterwards. An action promises whether it failed.
class Actions {
  next = null;
  awake = false; // whether an action has run, so that later ones may follow without a click

  constructor(button, status, output) { Object.assign(this, {button, status, output, label: button.textContent}); }

  async run(action) {
    this.next = action;
    if (this.running) return;
    this.running = this.awake = true;
    this.button.textContent = "Stop";
    while (this.next) {
      [action, this.next] = [this.next, null];
      this.status.begin();
      try {
        const failed = await action();
        this.status.end(`${failed ? "Failed" : "Done"} in ${this.status.time()}`);
      } catch (error) {
        this.status.end("");
        this.output.replaceChildren(errorElement(error.message));
        this.next = null; this.awake = false;
      }
    }
    this.button.textContent = this.label;
    this.running = false;
  }

  // What the button does.
  toggle(action) { if (this.running) session.restart(); else this.run(action); }
}

// Highlight a program with the classes that Pygments gives to the site's other code.
const KEYWORDS = "and as assert async await break class continue def del elif else except finally for from global if " +
  "import in is lambda nonlocal not or pass raise return try while with yield";
const TOKENS = new RegExp([String.raw`(?<c1>#[^\n]*)`,
  String.raw`(?<s2>[rbf]{0,2}(?:"""[^]*?(?:"""|$)|'''[^]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?))`,
  String.raw`(?<kc>\b(?:True|False|None)\b)`, String.raw`(?<k>\b(?:${KEYWORDS.replaceAll(" ", "|")})\b)`,
  String.raw`(?<mf>\b\d[\d_.]*(?:e[+-]?\d+)?)`, String.raw`(?<n>\w+)`].join("|"), "gi");

function highlight(program) {
  const escaped = (text) => text.replace(/[&<]/g, (c) => ({"&": "&amp;", "<": "&lt;"})[c]);
  let html = "", end = 0;
  for (const match of program.matchAll(TOKENS)) {
    const kind = Object.keys(match.groups).find((name) => match.groups[name] !== undefined);
    html += escaped(program.slice(end, match.index)) + `<span class="${kind}">${escaped(match[0])}</span>`;
    end = match.index + match[0].length;
  }
  return html + escaped(program.slice(end)) + "\n";
}

// A transparent textarea over the highlighted code. Tab indents; Escape, then Tab leaves.
function editor(pre, program, {run, changed}) {
  const area = element("textarea", {value: program, spellcheck: false, autocapitalize: "off", autocomplete: "off"});
  area.setAttribute("aria-label", "Code. Tab indents, Ctrl-Enter runs, Escape and then Tab leaves.");
  const frame = element("div", {className: "live-editor"});
  pre.replaceWith(frame);
  frame.append(pre, area);
  pre.setAttribute("aria-hidden", "true");
  pre.removeAttribute("tabindex");
  let escaped = false;
  const redraw = () => { pre.innerHTML = highlight(area.value); changed?.(area.value); };
  area.addEventListener("input", redraw);
  area.addEventListener("keydown", (event) => {
    if (event.key == "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); run(); }
    if (event.key == "Tab" && !escaped && !event.shiftKey) { event.preventDefault(); insert("    "); }
    if (event.key == "Enter" && !event.ctrlKey && !event.metaKey && !event.isComposing) {
      const line = area.value.slice(0, area.selectionStart).split("\n").at(-1);
      event.preventDefault();
      insert("\n" + line.match(/^ */)[0] + (/:\s*$/.test(line) ? "    " : ""));
    }
    escaped = event.key == "Escape";
  });
  function insert(text) {
    // execCommand keeps the browser's undo; it is deprecated without a successor
    if (!document.execCommand("insertText", false, text)) { area.setRangeText(text, area.selectionStart, area.selectionEnd, "end"); redraw(); }
  }
  pre.innerHTML = highlight(program);
  return {area, set(text) { area.value = text; redraw(); }};
}

// HTML goes into frames with an origin of their own, so that its scripts cannot reach the site.
const FRAME = `<!doctype html><meta charset="utf-8"><style>:root{color-scheme:light dark}body{margin:0;font:14px/1.5 system-ui}
iframe{border:0!important}td,th{padding:.1em .6em;text-align:right}</style><script>addEventListener("load",()=>new ResizeObserver(()=>
parent.postMessage({height:document.documentElement.offsetHeight},"*")).observe(document.documentElement))<\/script>`;
addEventListener("message", ({source, data}) => {
  for (const frame of data?.height ? document.querySelectorAll(".live-output iframe") : []) {
    if (frame.contentWindow == source) frame.style.height = `${Math.min(data.height, 2000)}px`;
  }
});

// The element for one output: its MIME type and content.
function outputElement([kind, content]) {
  if (kind == "text/plain") return element("pre", {textContent: content});
  if (kind == "text/html") {
    const page = element("template", {innerHTML: content}).content.querySelector("iframe[srcdoc]"); // from mg.render.to_html
    const frame = page ? element("iframe", {title: page.title, srcdoc: page.srcdoc, className: "page"}) :
      element("iframe", {title: "Output", srcdoc: FRAME + content});
    frame.setAttribute("sandbox", "allow-scripts");
    return frame;
  }
  const encoded = kind == "image/png" ? `${kind};base64,${content}` : `${kind},${encodeURIComponent(content)}`;
  return element("img", {alt: "Picture output of the cell", src: `data:${encoded}`});
}

// The message of a program's error, below the lines around the one that raised it.
function programError({message, line, source}) {
  const lines = source.split("\n"), from = Math.max(0, line - 3), pre = errorElement("");
  for (let i = from; line && i < Math.min(lines.length, line + 1); i++) {
    pre.append(element(i == line - 1 ? "mark" : "span", {textContent: `${String(i + 1).padStart(3)}  ${lines[i]}`}), "\n");
  }
  pre.append(line ? "\n" : "", message);
  return pre;
}

class Cell {
  constructor(block, cells) {
    this.block = block;
    this.above = [...cells];
    const text = block.querySelector("pre").textContent.replace(/\n$/, "");
    this.interactive = text.startsWith(">>>");
    this.original = !this.interactive ? text :
      text.split("\n").filter((line) => /^(>>>|\.\.\.)( |$)/.test(line)).map((line) => line.slice(4)).join("\n");
    this.program = this.original;
    this.title = `cell ${cells.length + 1}`;
    this.runButton = button("Run", () => this.running ? session.restart() : this.run(), "Run this cell in your browser");
    const all = button("Run all to here", () => this.runAll(), "Run the cells above, and then this one");
    this.editButton = button("Edit", () => this.edit(), "Change the code");
    this.resetButton = button("Reset", () => this.reset(), "Show the original code again");
    this.resetButton.hidden = true;
    this.status = new Status();
    this.bar = element("div", {className: "live-bar"}, this.runButton, ...(cells.length ? [all] : []), this.editButton, this.resetButton, this.status.line);
    this.bar.setAttribute("role", "group");
    this.bar.setAttribute("aria-label", this.title);
    block.after(this.bar);
  }

  edit() {
    const keys = {run: () => this.run(), changed: (text) => { this.program = text; this.resetButton.hidden = text == this.original; }};
    this.editor ??= editor(this.block.querySelector("pre"), this.program, keys);
    this.block.querySelector(".copybtn")?.remove(); // it would copy the original
    this.editButton.hidden = true;
    this.editor.area.focus();
  }

  reset() {
    this.editor.set(this.original);
    this.editor.area.focus();
  }

  async runAll() {
    for (const cell of [...this.above, this]) if (!await cell.run()) return;
  }

  // Run the cell, and promise whether it did what the page says. Meanwhile, further calls wait for the same run.
  run() {
    this.running ??= this.execute().finally(() => { this.running = null; });
    return this.running;
  }

  async execute() {
    const output = element("div", {className: "live-output"}), printed = element("pre", {});
    const print = (text) => {
      if (!printed.isConnected) { output.append(printed); this.place(output); printed.append(""); }
      printed.firstChild.appendData(text);
    };
    this.runButton.textContent = "Stop";
    this.status.begin();
    let succeeded = false;
    try {
      const {outputs, error} = await session.call("run_cell", [this.program, this.title, this.interactive], {imports: this.program, print});
      if (error?.message.startsWith("NameError") && this.above.length) error.message += "\nDid you run the cells above?";
      output.append(...outputs.map(outputElement), ...(error ? [programError(error)] : []));
      succeeded = !error || this.block.classList.contains("raises");
      this.status.end(`${error ? "Failed" : "Done"} in ${this.status.time()}`);
    } catch (error) {
      output.append(errorElement(error.message));
      this.status.end("");
    }
    this.place(output);
    this.runButton.textContent = "Run";
    return succeeded;
  }

  // Show an output in place of the one before, which at first is that of the page.
  place(output) {
    const old = this.output ?? this.block.closest(".cell")?.querySelector(".cell_output");
    if (old == output) return;
    if (old) old.replaceWith(output); else this.bar.after(output);
    this.output = output;
  }
}

for (const pre of document.querySelectorAll("pre")) if (pre.scrollWidth > pre.clientWidth) pre.tabIndex = 0; // keys scroll it
const session = new Session();
const cells = [];
for (const block of document.querySelectorAll(".live")) cells.push(new Cell(block, cells));
