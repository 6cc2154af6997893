// How far back the gradient reaches in a recurrent network that the reader chooses.
"use strict";
{
// The network stays while only `steps` grows, so that training goes on.
session.setup = `
import numpy as np
import minigrad as mg

cache = {"key": None}

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
    if cache["key"] != key or cache["steps"] > steps:
        cache.update(key=key, parts=network(*key), steps=0, accuracy=None)
    layer, head, adam, rng = cache["parts"]
    for cache["steps"] in range(cache["steps"] + 1, steps + 1):
        x, first = bits(rng, 32, length)
        adam.zero_grad()
        logits = head(layer(x)[0][:, -1])
        mg.cross_entropy(logits, first).backward()
        mg.optim.clip_grad_norm([*layer.parameters(), *head.parameters()], 1.0)
        adam.step()
        cache["accuracy"] = float((logits.numpy().argmax(1) == first).mean())
    found = mg.render.reach({kind: layer}, bits(np.random.default_rng(seed), 1, length)[0][0])
    return {"norms": [list(row[:t + 1]) for t, row in enumerate(found.norms[kind])], "accuracy": cache["accuracy"]}
`;

const SLIDERS = { // label, least, most, step, start
  length: ["Length", 5, 60, 1, 30], width: ["Units", 2, 64, 1, 16], bias: ["Forget bias", -2, 5, 0.5, 1],
  gain: ["Gain of the recurrent weights", 0.1, 3, 0.1, 1], seed: ["Seed", 0, 20, 1, 0],
};
const root = document.querySelector(".live-page");
const kind = element("select", {}, ...["RNN", "GRU", "LSTM"].map((name) => element("option", {textContent: name})));
kind.setAttribute("aria-label", "Network");
kind.value = "LSTM";
const runButton = button("Run", () => actions.toggle(run)), untrained = button("Untrained", changed);
const train = button("Train 50 steps", () => { steps += 50; actions.run(run); });
const status = new Status(), canvas = element("canvas", {}), caption = element("div", {textContent: "Click Run to load Python (16 MB) and draw the triangle."});
canvas.setAttribute("role", "img");
canvas.ariaLabel = "The triangle is empty until Python runs.";
const inputs = {}, rows = [];
for (const [name, [label, min, max, step, value]] of Object.entries(SLIDERS)) {
  const number = element("span", {textContent: value});
  inputs[name] = element("input", {type: "range", min, max, step, value});
  inputs[name].addEventListener("input", () => { number.textContent = inputs[name].value; changed(); });
  rows.push(element("label", {}, `${label} `, number, inputs[name]));
}
root.append(element("div", {}, element("div", {className: "live-bar"}, runButton, kind, train, untrained), ...rows, status.line, caption),
  element("div", {}, canvas, element("p", {className: "scale"}, "≤ 0.001", element("span", {}), "≥ 1000")));
train.disabled = untrained.disabled = true;

const actions = new Actions(runButton, status, caption);
let steps = 0;
kind.addEventListener("change", changed);

function changed() {
  steps = 0;
  inputs.bias.disabled = kind.value != "LSTM";
  if (actions.awake) actions.run(run);
}

async function run() {
  const {width, length, bias, gain, seed} = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, +input.value]));
  const network = kind.value, trained = steps;
  const {norms, accuracy} = await session.call("reach", [network, width, length, bias, gain, seed, trained]);
  draw(norms);
  const state = trained ? `after ${trained} steps, ${Math.round(100 * accuracy)} % of the last batch right` : "untrained";
  const words = `${network}, ${state}. A small change of the first state reaches the last multiplied by at most ${+norms.at(-1)[0].toPrecision(2)}.`;
  caption.replaceChildren(element("p", {textContent: words}));
  canvas.ariaLabel = words;
  train.disabled = untrained.disabled = false;
}

// Blue below 1, white at 1, red above it, on a logarithmic scale.
function colour(norm) {
  const shade = Math.max(-1, Math.min(1, Math.log10(norm) / 3)), rest = Math.round(255 * (1 - Math.abs(shade)));
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
