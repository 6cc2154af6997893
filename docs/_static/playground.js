// A program, and beside it the graph of its loss, drawn again while one types.
"use strict";
{
const EXAMPLES = {
  "A line": `
rng = np.random.default_rng(0)
x = rng.uniform(-1, 1, (50, 1))
y = 3 * x - 1

slope = mg.tensor([[0.0]], requires_grad=True)
offset = mg.tensor([0.0], requires_grad=True)
loss = ((x @ slope + offset - y) ** 2).mean()
loss.backward()
print(slope.grad, offset.grad)`,
  "A perceptron": `
model = mg.nn.Sequential(
    mg.nn.Linear(2, 8), mg.nn.Tanh(), mg.nn.Linear(8, 2)
)
x = np.float32([[0, 0], [0, 1], [1, 0], [1, 1]])
y = [0, 1, 1, 0]  # exclusive or
adam = mg.optim.Adam(model.parameters(), lr=0.2)
for step in range(25):
    adam.zero_grad()
    loss = mg.cross_entropy(model(x), y)
    loss.backward()
    adam.step()
print(f"{loss.item():.3f}")`,
  "An own RNN": `
W = mg.nn.init.normal((4, 4), 0.5)
U = mg.nn.init.normal((3, 4), 0.5)
h = mg.tensor(np.zeros(4, np.float32), requires_grad=True)
for x in np.eye(3, dtype=np.float32):
    h = mg.tanh(h @ W + x @ U)
loss = (h**2).sum()
loss.backward()`,
  "An LSTM, folded": `
lstm, head = mg.nn.LSTM(3, 8), mg.nn.Linear(8, 2)
states, (last, cell) = lstm(np.ones((4, 30, 3), np.float32))
loss = mg.cross_entropy(head(last), [0, 1, 1, 0])
loss.backward()
unroll = "fold"  # "steps" draws every step`,
  "An LSTM, unrolled": `
lstm, head = mg.nn.LSTM(3, 8), mg.nn.Linear(8, 2)
states, (last, cell) = lstm(np.ones((4, 3, 3), np.float32))
loss = mg.cross_entropy(head(last), [0, 1, 1, 0])
loss.backward()
unroll = "steps"`,
  "Attention": `
layer = mg.nn.MultiHeadAttention(8, 2)
x = mg.tensor(np.random.randn(1, 5, 8), "float32", requires_grad=True)
loss = (layer(x, x, x) ** 2).mean()
loss.backward()`,
  "A GAN": `
generator = mg.nn.Sequential(
    mg.nn.Linear(2, 8), mg.nn.ReLU(), mg.nn.Linear(8, 1)
)
critic = mg.nn.Sequential(
    mg.nn.Linear(1, 8), mg.nn.ReLU(), mg.nn.Linear(8, 1)
)
noise = np.random.randn(16, 2).astype(np.float32)
real = 3 + np.random.randn(16, 1).astype(np.float32)
fake = generator(noise)
loss = mg.softplus(critic(fake)).mean() + mg.softplus(-critic(real)).mean()
loss.backward()`,
  "Second derivatives": `
def f(x):
    return (x**3).sum()

x = mg.tensor([1.0, 2.0], requires_grad=True)
with mg.create_graph():
    (gradient,) = mg.grad(f, argnums=(0,))(x)
loss = (gradient**2).sum()
loss.backward()
print(x.grad)  # 36 x³`,
  "A NaN is born": `
x = mg.tensor([1.0, 0.0], requires_grad=True)
loss = mg.sqrt(x - 0.5).sum()
loss.backward()
# "with mg.detect_anomaly():" makes it an error`,
  "A mistake": `
layer = mg.nn.Linear(3, 4)
loss = layer(np.ones((2, 5), np.float32)).sum()`,
  "An own primitive": `
@mg.primitive
def cube(x):
    """x³, entry by entry."""
    return x**3, (x,)

@cube.vjp
def _(g, needs, x):
    return (3 * x**2 * g,)

x = mg.tensor([1.0, 2.0], requires_grad=True)
loss = cube(x).sum()
loss.backward()
print(x.grad)`,
};
const START = "import numpy as np\nimport minigrad as mg\n";

// Runs a program in a new namespace, and returns what the page shows.
session.setup = `
import json
import minigrad as mg
import session

def play(source):
    session.names = {"__name__": "__main__"}
    with mg.record(), mg.profile() as profile:
        result = json.loads(session.run_cell(source, "program"))
    tensors = [v for v in session.names.values() if isinstance(v, mg.Tensor) and v.node and v.node.primitive]
    loss = session.names.get("loss")
    target = loss if any(loss is each for each in tensors) else tensors[-1] if tensors else None
    drawn = ["", "", ""]
    if target is not None:
        inside = set(mg.graph.topological_order([target.node], lambda node: node.parents).nodes)
        names = {k: v for k, v in session.names.items() if isinstance(v, mg.Tensor) and v.node in inside and v is not target}
        drawn = [mg.render.to_html(target, names=names, unroll=session.names.get("unroll", "steps")), str(mg.render.to_text(target)), str(profile)]
    return json.dumps({**result, "drawn": drawn})

session.play = play
`;

const root = document.querySelector(".live-page");
const menu = element("select", {}, ...Object.keys(EXAMPLES).map((name) => element("option", {textContent: name})));
const runner = element("button", {type: "button", textContent: "Run"});
const link = element("button", {type: "button", textContent: "Copy link"});
const status = element("span", {}), text = element("div", {className: "live-output"});
const views = ["Graph", "Listing", "Profile"].map((name) => element("button", {type: "button", textContent: name}));
const pane = element("div", {className: "pane"}, element("p", {textContent: "Click Run to load Python (16 MB) and draw the graph."}));
const pre = element("pre", {}), code = element("div", {className: "highlight"}, pre);
menu.setAttribute("aria-label", "Example");
status.setAttribute("role", "status");
root.append(element("div", {}, element("div", {className: "live-bar"}, runner, menu, link, status), code, text),
  element("div", {}, element("div", {className: "live-bar"}, ...views), pane));

let view = 0, drawn = null, busy = false, again = false, live = false, timer;
const linked = (() => { try { return decodeURIComponent(location.hash.slice(1)); } catch { return ""; } })();
const edited = editor(pre, linked || START + EXAMPLES["A line"], {run, changed});
if (linked) menu.prepend(element("option", {textContent: "From the address", selected: true}));

function changed() {
  clearTimeout(timer);
  if (live) timer = setTimeout(run, 60);
}

async function run() {
  live = true;
  if (busy) { again = true; return; }
  busy = true;
  runner.textContent = "Stop";
  let printed = "";
  session.show = (progress) => { status.textContent = progress; };
  try {
    const options = {imports: edited.area.value, print(piece) { if (printed.length < MOST) printed += piece; }};
    const begin = performance.now();
    const result = await session.call("session", "play", [edited.area.value], options);
    text.replaceChildren(...(printed ? [element("pre", {textContent: printed})] : []),
      ...result.shown.filter(([kind]) => kind == "text/plain").map(shown), ...(result.error ? [errorShown(result.error)] : []));
    if (result.drawn[0] && !result.error) { drawn = result.drawn; draw(); }
    status.textContent = `${Math.round(performance.now() - begin)} ms`;
  } catch (error) {
    text.replaceChildren(element("pre", {className: "live-error", textContent: error.message}));
    live = again = false;
  }
  busy = false;
  runner.textContent = "Run";
  if (again) { again = false; run(); }
}

// A new frame replaces the old one when it is drawn, so that the picture does not flicker.
function draw() {
  views.forEach((button, i) => button.setAttribute("aria-pressed", i == view));
  if (!drawn) return;
  if (view) { pane.replaceChildren(element("pre", {textContent: drawn[view], tabIndex: 0})); return; }
  const frame = element("iframe", {title: "The graph", srcdoc: drawn[0]});
  frame.setAttribute("sandbox", "allow-scripts");
  frame.addEventListener("load", () => { while (pane.firstChild != frame) pane.firstChild.remove(); });
  pane.append(frame);
}

runner.addEventListener("click", () => busy ? session.restart() : run());
menu.addEventListener("change", () => {
  if (!EXAMPLES[menu.value]) return;
  drawn = null;
  pane.replaceChildren();
  edited.set(START + EXAMPLES[menu.value]);
  if (live) run();
});
link.addEventListener("click", async () => {
  history.replaceState(null, "", "#" + encodeURIComponent(edited.area.value));
  await navigator.clipboard?.writeText(location.href).catch(() => {});
  status.textContent = "The address contains the program.";
});
views.forEach((button, i) => button.addEventListener("click", () => { view = i; draw(); }));
draw();
}
