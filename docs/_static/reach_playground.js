// How far back the gradient reaches in a recurrent network that the reader chooses.
"use strict";
{
// A network is trained further as long as only the number of steps grows.
session.setup = `
import json
import numpy as np
import minigrad as mg
import session

kept = {"key": None}

def bits(rng, count, length):
    x = rng.integers(2, size=(count, length, 1))
    return 2.0 * x - 1, x[:, 0, 0]

def network(kind, width, length, bias, gain, seed):
    options = {"forget_bias": bias} if kind == "LSTM" else {}
    layer = getattr(mg.nn, kind)(1, width, dtype="float64", rng=seed, **options)
    layer.Wh.data *= gain
    head = mg.nn.Linear(width, 2, dtype="float64", rng=seed)
    adam = mg.optim.Adam([*layer.parameters(), *head.parameters()], lr=0.01)
    return layer, head, adam, np.random.default_rng(seed)

def reach(kind, width, length, bias, gain, seed, steps):
    key = kind, width, length, bias, gain, seed
    if kept["key"] != key or kept["steps"] > steps:
        kept.update(key=key, parts=network(*key), steps=0, accuracy=None)
    layer, head, adam, rng = kept["parts"]
    for kept["steps"] in range(kept["steps"] + 1, steps + 1):
        x, first = bits(rng, 32, length)
        adam.zero_grad()
        logits = head(layer(x)[0][:, -1])
        mg.cross_entropy(logits, first).backward()
        mg.optim.clip_grad_norm([*layer.parameters(), *head.parameters()], 1.0)
        adam.step()
        kept["accuracy"] = float((logits.numpy().argmax(1) == first).mean())
    found = mg.render.reach({kind: layer}, bits(np.random.default_rng(seed), 1, length)[0][0])
    norms = found.norms[kind]
    return json.dumps({"norms": [list(row[:t + 1]) for t, row in enumerate(norms)], "accuracy": kept["accuracy"]})

session.reach = reach
`;

const SLIDERS = { // label, least, most, step, start
  length: ["Length", 5, 60, 1, 30], width: ["Units", 2, 64, 1, 16], bias: ["Forget bias", -2, 5, 0.5, 1],
  gain: ["Gain of the recurrent weights", 0.1, 3, 0.1, 1], seed: ["Seed", 0, 20, 1, 0],
};
const root = document.querySelector(".live-page");
const kind = element("select", {}, ...["RNN", "GRU", "LSTM"].map((name) => element("option", {textContent: name})));
kind.setAttribute("aria-label", "Network");
kind.value = "LSTM";
const button = (textContent) => element("button", {type: "button", textContent});
const runner = button("Run"), train = button("Train 50 steps"), fresh = button("Untrained");
const status = element("span", {}), canvas = element("canvas", {}), caption = element("p", {});
status.setAttribute("role", "status");
canvas.setAttribute("role", "img");
const inputs = {}, rows = [];
for (const [name, [label, min, max, step, value]] of Object.entries(SLIDERS)) {
  const shownValue = element("output", {textContent: value});
  inputs[name] = element("input", {type: "range", min, max, step, value});
  inputs[name].addEventListener("input", () => { shownValue.textContent = inputs[name].value; changed(); });
  rows.push(element("label", {}, `${label} `, shownValue, inputs[name]));
}
root.append(element("div", {}, element("div", {className: "live-bar"}, runner, kind, train, fresh), ...rows, status, caption),
  element("div", {}, canvas));
train.disabled = fresh.disabled = true;

let steps = 0, busy = false, again = false, live = false;
kind.addEventListener("change", changed);
runner.addEventListener("click", () => busy ? session.restart() : run());
train.addEventListener("click", () => { steps += 50; run(); });
fresh.addEventListener("click", changed);

function changed() { steps = 0; inputs.bias.disabled = kind.value != "LSTM"; if (live) run(); }

async function run() {
  live = true;
  if (busy) { again = true; return; }
  busy = true;
  runner.textContent = "Stop";
  session.show = (progress) => { status.textContent = progress; };
  try {
    const {width, length, bias, gain, seed} = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, +input.value]));
    const begin = performance.now();
    const found = await session.call("session", "reach", [kind.value, width, length, bias, gain, seed, steps]);
    draw(found.norms);
    const trained = found.accuracy == null ? "untrained" : `after ${steps} steps, ${Math.round(100 * found.accuracy)} % of the last batch right`;
    const corner = found.norms.at(-1)[0];
    caption.textContent = canvas.ariaLabel = `${kind.value}, ${trained}. From the first state to the last, a change grows at most by a factor of ${corner.toPrecision(2)}.`;
    status.textContent = `${Math.round(performance.now() - begin)} ms`;
    train.disabled = fresh.disabled = false;
  } catch (error) {
    status.textContent = error.message;
    live = again = false;
  }
  busy = false;
  runner.textContent = "Run";
  if (again) { again = false; run(); }
}

// Blue below 1, white at 1, red above it, on a logarithmic scale from 1e-6 to 1e6.
function colour(norm) {
  const shade = Math.max(-1, Math.min(1, Math.log10(norm) / 6)), rest = Math.round(255 * (1 - Math.abs(shade)));
  return shade < 0 ? `rgb(${rest},${rest},255)` : `rgb(255,${rest},${rest})`;
}

let norms = [];
function draw(rows) {
  const paint = canvas.getContext("2d"), cell = Math.max(4, Math.floor(600 / rows.length)), size = cell * rows.length;
  norms = rows;
  canvas.width = canvas.height = size;
  rows.forEach((row, t) => row.forEach((norm, s) => {
    paint.fillStyle = colour(norm);
    paint.fillRect(s * cell, t * cell, cell - 1, cell - 1);
  }));
}
canvas.addEventListener("pointermove", (event) => {
  const cell = canvas.clientWidth / norms.length, t = Math.floor(event.offsetY / cell), s = Math.floor(event.offsetX / cell);
  if (norms[t]?.[s] !== undefined) canvas.title = `from state ${s} to step ${t}: ${norms[t][s].toPrecision(3)}`;
});
}
