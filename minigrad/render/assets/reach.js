// Triangles of norms on a colour scale that is white at 1. Byte b stands for the decimal logarithm low + b STEP.
const data = JSON.parse(document.getElementById("data").textContent);
const { low, high, networks } = data, T = data.inputs.length, S = Math.max(data.labels.length, 1);
const STEP = (high - low) / 255, CELLS = T * (T + 1) / 2;
const colours = data.colours.map(text => [1, 3, 5].map(i => parseInt(text.slice(i, i + 2), 16)).concat(255));
const byId = id => document.getElementById(id), clamp = (x, last) => Math.max(0, Math.min(last, x));
let at = { s: 0, t: T - 1 }, time = S - 1, shown = 0;

const raised = n => String(n).replace("-", "⁻").replace(/\d/g, d => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]);
function number(byte) {
  if (byte === 0) return `below 10${raised(low)}`;
  if (byte === 255) return `above 10${raised(high)}`;
  const value = 10 ** (low + byte * STEP);
  if (value >= 1e-3) return String(+value.toPrecision(2));
  const [digits, exponent] = value.toExponential(1).split("e");
  return `${digits}×10${raised(exponent)}`;
}
const LIMIT = 3; // decades
const FATES = [[-LIMIT, "vanished"], [-0.3, "fading"], [0.3, "kept"], [LIMIT, "growing"], [Infinity, "exploded"]];
const fate = byte => FATES.find(([end]) => low + byte * STEP < end)[1];

function element(name, attributes = {}, ...children) {
  const svg = ["svg", "path", "line"].includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  made.append(...children);
  return made;
}

async function unpacked(text) {
  const stream = new Blob([Uint8Array.from(atob(text), c => c.charCodeAt(0))]).stream();
  return new Uint8Array(await new Response(stream.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
}

const norm = (network, s, t) => network.bytes[time * CELLS + t * (t + 1) / 2 + s];
function series(network, k) {
  const start = S * CELLS + (k * S + time) * T;
  return network.bytes.subarray(start, start + T);
}

function paint(canvas, end, byteAt) {
  const context = canvas.getContext("2d"), image = context.createImageData(canvas.width, canvas.height);
  for (let y = 0; y < canvas.height; y++)
    for (let x = 0; x < end(y); x++) image.data.set(colours[byteAt(x, y)], (y * canvas.width + x) * 4);
  context.putImageData(image, 0, 0);
}

function drawLoss(network) {
  const y = byte => 66 * (1 - byte / 255) + 4, one = y(-low / STEP), place = s => (s + 0.5) / T * 100;
  const line = Array.from(series(network, network.paths.length), (byte, s) => `${place(s)} ${y(byte)}`).join("L");
  network.here = element("line", { y1: 0, y2: 74 });
  network.chart.replaceChildren(element("line", { class: "one", x1: 0, x2: 100, y1: one, y2: one }),
    element("path", { class: "loss", d: `M${line}` }), network.here);
}

function point(s, t) {
  at = { t: clamp(t, T - 1), s: clamp(Math.min(s, t), T - 1) };
  const cell = 100 / T;
  for (const network of networks) {
    const byte = norm(network, at.s, at.t), loss = network.chart && series(network, network.paths.length);
    Object.assign(network.row.style, { top: `${at.t * cell}%`, height: `${cell}%`, width: `${(at.t + 1) * cell}%` });
    Object.assign(network.column.style, { left: `${at.s * cell}%`, width: `${cell}%`, top: `${at.s * cell}%` });
    network.note.ariaLive = network.canvas.parentNode === document.activeElement ? "polite" : "off";
    network.note.textContent = `step ${at.s + 1} to ${at.t + 1}: ${number(byte)}, ${fate(byte)}\n`
      + (loss ? `‖∂L/∂h‖ at s: ${number(loss[at.s])}\n` : "") + (network.notes[time] ?? "");
    if (loss) for (const x of ["x1", "x2"]) network.here.setAttribute(x, (at.s + 0.5) * cell);
  }
}

function table(caption, rows) {
  const made = element("table", {}, element("caption", {}, caption));
  for (const [name, byte, part] of rows) {
    const bar = element("i");
    bar.style.width = `${100 * part}%`;
    made.append(element("tr", {}, ...[name, number(byte), bar].map(content => element("td", {}, content))));
  }
  return made;
}

function showStep(t) {
  shown = t;
  byId("step").hidden = false;
  byId("step").querySelector("h2").textContent = `Step ${t + 1}: the paths from state ${t} to state ${t + 1}`;
  byId("input").textContent = `Input: ${data.inputs[t]}`;
  byId("paths").replaceChildren(...networks.map(network => {
    const bytes = network.paths.map((_, k) => series(network, k)[t]), largest = Math.max(...bytes);
    return table(network.name, bytes.map((byte, k) => [network.paths[k], byte, 10 ** ((byte - largest) * STEP)]));
  }));
}

function draw() {
  byId("label").textContent = data.labels[time] ?? "";
  for (const network of networks) {
    paint(network.canvas, t => t + 1, (s, t) => norm(network, s, t));
    if (network.chart) drawLoss(network);
  }
  point(at.s, at.t);
  if (!byId("step").hidden) showStep(shown);
}

function turn(to) {
  time = byId("snapshot").value = clamp(to, S - 1);
  draw();
}

function axis(name) {
  const texts = [...data.ticks.map(tick => [tick, (tick - 0.5) / T]), [data.axes[name], 0.5]];
  return texts.map(([text, place]) => {
    const label = element("span", { class: typeof text === "number" ? name : `${name} title`, "aria-hidden": true }, text);
    label.style[name === "t" ? "top" : "left"] = `${100 * place}%`;
    return label;
  });
}

function added(network) {
  network.note = element("small");
  network.canvas = element("canvas", { width: T, height: T });
  network.row = element("div", { class: "row" });
  network.column = element("div", { class: "column" });
  const frame = element("div", { class: "triangle", tabindex: 0, role: "application", "aria-label": network.name },
    network.canvas, network.row, network.column, ...axis("t"), ...axis("s"));
  const figure = element("figure", {}, element("figcaption", {}, network.name, network.note), frame);
  if (network.loss) {
    const range = `‖∂L/∂h‖ of the loss at each step s, from 10${raised(low)} to 10${raised(high)}`;
    network.chart = element("svg", { viewBox: "0 0 100 74", preserveAspectRatio: "none", role: "img", "aria-label": range });
    figure.append(network.chart, element("div", { class: "range" }, range));
  }
  byId("networks").append(figure);
  const place = event => {
    const box = network.canvas.getBoundingClientRect();
    const [s, t] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    point(Math.floor(s * T), Math.floor(t * T));
  };
  for (const name of ["pointermove", "pointerdown"]) frame.addEventListener(name, place);
  frame.addEventListener("click", () => showStep(at.t));
  frame.addEventListener("keydown", event => {
    const { s, t } = at;
    const to = { ArrowLeft: [s - 1, t], ArrowRight: [s + 1, t], ArrowUp: [s, t - 1], ArrowDown: [s, t + 1],
      Home: [0, t], End: [s, T - 1] }[event.key];
    if (event.key === "Enter") showStep(at.t);
    if (!to) return;
    event.preventDefault();
    point(...to);
  });
}

async function start() {
  for (const network of networks) network.bytes = await unpacked(network.norms);
  byId("title").textContent = data.title;
  paint(byId("colours"), () => 256, byte => byte);
  networks.forEach(added);
  byId("checks").append(`${data.difference}. The page rounds norms to within 6 %.`);
  byId("time").hidden = !data.labels.length;
  byId("snapshot").hidden = byId("turn").hidden = S === 1;
  Object.assign(byId("snapshot"), { max: S - 1, value: time });
  byId("snapshot").addEventListener("input", event => turn(+event.target.value));
  byId("close").addEventListener("click", () => { byId("step").hidden = true; document.querySelector(".triangle").focus(); });
  document.addEventListener("keydown", event => {
    if (event.key === "Escape") byId("step").hidden = true;
    if (event.key === "[" || event.key === "]") turn(time + (event.key === "[" ? -1 : 1));
  });
  draw();
  document.body.classList.add("ready");
}
start();
