// A program beside the graph of its loss, which is redrawn as the reader types.
"use strict";
{
const lstm = (steps, unroll) => `
lstm, head = mg.nn.LSTM(3, 8), mg.nn.Linear(8, 2)
states, (last, cell) = lstm(np.ones((4, ${steps}, 3), np.float32))
loss = mg.cross_entropy(head(last), [0, 1, 1, 0])
loss.backward()
unroll = "${unroll}"  # "fold" draws one step, "steps" all`;
const EXAMPLES = {
  "Linear regression": `
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
  "A custom RNN": `
W = mg.nn.init.normal((4, 4), 0.5)
U = mg.nn.init.normal((3, 4), 0.5)
h = mg.tensor(np.zeros(4, np.float32), requires_grad=True)
for x in np.eye(3, dtype=np.float32):
    h = mg.tanh(h @ W + x @ U)
loss = (h**2).sum()
loss.backward()`,
  "An LSTM, folded": lstm(30, "fold"),
  "An LSTM, unrolled": lstm(3, "steps"),
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
  "A NaN appears": `
x = mg.tensor([1.0, 0.0], requires_grad=True)
loss = mg.sqrt(x - 0.5).sum()
loss.backward()
# "with mg.detect_anomaly():" makes it an error`,
  "A mistake": `
layer = mg.nn.Linear(3, 4)
loss = layer(np.ones((2, 5), np.float32)).sum()`,
  "A custom primitive": `
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
for (const name in EXAMPLES) EXAMPLES[name] = "import numpy as np\nimport minigrad as mg\n" + EXAMPLES[name];

// Runs a program in a new namespace, and returns what the page shows.
session.setup = `
import minigrad as mg

def play(source):
    names.clear()
    names["__name__"] = "__main__"
    with mg.record(), mg.profile() as profile:
        result = run_cell(source, "program")
    try:
        return {**result, "views": views(profile) if "loss" in names or not result["error"] else []}
    except Exception as error:  # such as a wrong value of unroll
        return {**result, "views": [], "error": result["error"] or describe_error(error, source, "program")}

def views(profile):
    tensors = {k: v for k, v in names.items() if isinstance(v, mg.Tensor) and v.node and v.node.primitive}
    if not tensors:
        return []
    target = tensors.get("loss", [*tensors.values()][-1])
    inside = set(mg.graph.topological_order([target.node], lambda node: node.parents).nodes)
    shown = {k: v for k, v in reversed(names.items()) if isinstance(v, mg.Tensor) and v.node in inside and v is not target}
    page = mg.render.to_html(target, names=shown, unroll=names.get("unroll", "steps"))
    return [page, str(mg.render.to_text(target, names=shown)), str(profile)]
`;

const OWN = "Your program", PREFIX = "#code=";
const root = document.querySelector(".live-page");
const menu = element("select", {}, ...Object.keys(EXAMPLES).map((name) => element("option", {textContent: name})));
const runButton = button("Run", () => actions.toggle(run)), link = button("Copy link", copyLink);
const status = new Status(), text = element("div", {className: "live-output"});
const viewButtons = ["Graph", "Listing", "Profile"].map((name, i) => button(name, () => { view = i; draw(); }));
const pane = element("div", {className: "pane"}, element("p", {textContent: "Click Run to load Python (16 MB) and draw the graph."}));
const pre = element("pre", {}), code = element("div", {className: "highlight"}, pre);
menu.setAttribute("aria-label", "Example");
root.append(element("div", {}, element("div", {className: "live-bar"}, runButton, menu, link, status.line), code, text),
  element("div", {}, element("div", {className: "live-bar"}, ...viewButtons), pane));

const actions = new Actions(runButton, status, text);
const programEditor = editor(pre, EXAMPLES[menu.value], {run: () => actions.run(run), changed});
let view = 0, views = [], timer;
menu.addEventListener("change", () => {
  views = [];
  pane.replaceChildren();
  status.show("");
  programEditor.set(EXAMPLES[menu.value]);
});
addEventListener("hashchange", openLink);
openLink();
draw();

// The reader's own program stays in the menu when an example is chosen.
function changed(program) {
  if (program != EXAMPLES[menu.value]) {
    if (!EXAMPLES[OWN]) menu.prepend(element("option", {textContent: OWN}));
    EXAMPLES[OWN] = program;
    menu.value = OWN;
  }
  clearTimeout(timer);
  if (actions.awake) timer = setTimeout(() => actions.run(run), 60);
}

async function run() {
  const program = programEditor.area.value;
  let printed = "";
  const result = await session.call("play", [program], {imports: program, print(piece) { printed += piece; }});
  text.replaceChildren(...(printed ? [element("pre", {textContent: printed})] : []),
    ...result.outputs.filter(([kind]) => kind == "text/plain").map(outputElement), ...(result.error ? [programError(result.error)] : []));
  pane.classList.toggle("stale", !!result.error && !result.views.length);
  if (!result.error || result.views.length) { views = result.views; draw(); }
  if (!result.error && !views.length) pane.replaceChildren(element("p", {textContent: "The program computes no tensor that could be drawn."}));
  return !!result.error;
}

// A new frame replaces the old one when it is drawn, so that the picture does not flicker.
function draw() {
  viewButtons.forEach((each, i) => each.setAttribute("aria-pressed", i == view));
  if (!views.length) return;
  if (view) { pane.replaceChildren(element("pre", {textContent: views[view], tabIndex: 0})); return; }
  const frame = element("iframe", {title: "The graph", srcdoc: views[0]});
  frame.setAttribute("sandbox", "allow-scripts");
  frame.addEventListener("load", () => { while (pane.firstChild != frame) pane.firstChild.remove(); });
  pane.append(frame);
}

// Show the program in the address. It runs only after a click.
function openLink() {
  if (!location.hash.startsWith(PREFIX)) return;
  actions.awake = false;
  try { programEditor.set(decodeURIComponent(location.hash.slice(PREFIX.length))); }
  catch { text.replaceChildren(errorElement("The program in the address is damaged.")); }
}

async function copyLink() {
  history.replaceState(null, "", PREFIX + encodeURIComponent(programEditor.area.value));
  try {
    await navigator.clipboard.writeText(location.href);
    status.show("Link copied.");
  } catch { status.show("Copy the address of this page: it contains the program."); }
}
}
