"""Draw seven graphs with minigrad, torchviz and torchview: ``python docs/comparison_checks/of_drawings.py``.

Install the packages with ``pip install torch torchviz torchview``, and Graphviz. Each drawing has a process of its own,
with a limit of 60 seconds for the whole process. Prints a table in Markdown: the size of each drawing in pixels, and
the time from the network and its input to an SVG, without imports. minigrad and torchview use their default options;
torchviz gets the parameters' names.
"""

import os
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

import minigrad as mg
from benchmarks.machine import describe
from tests.networks.layers import minigrads_layers, pytorchs_layers
from tests.networks.models import formula, resnet18, transformer, unet

SECONDS = 60


# The graphs: functions of layers that return a network and its inputs -------------------------------------------------


def captioner(steps):
    """A loop of a cell written by hand: torchviz and torchview draw ``torch.nn.LSTM`` as one box."""

    def build(b):
        class Captioner(b.Module):
            def __init__(self):
                super().__init__()
                self.project, self.embed = b.Linear(16, 32), b.Embedding(100, 24)
                self.cell, self.predict = b.Linear(56, 128), b.Linear(32, 100)

            def forward(self, features):
                words = self.embed(b.constant(np.arange(4 * steps).reshape(4, steps) % 100))
                h, states = self.project(features), []
                c = h * 0
                for t in range(steps):
                    gates = self.cell(b.concatenate([words[:, t], h], 1))
                    i, f, o = (b.sigmoid(gates[:, k : k + 32]) for k in (0, 32, 64))
                    c = f * c + i * b.tanh(gates[:, 96:])
                    h = o * b.tanh(c)
                    states.append(h)
                return self.predict(b.concatenate(states, 0))

        return Captioner(), [formula((4, 16), 0)]

    return build


def text_classifier(b):
    class Classifier(b.Module):
        def __init__(self):
            super().__init__()
            self.encoder = transformer(b)

        def forward(self, places):
            return self.encoder(b.constant(np.arange(24).reshape(1, 24)), places)

    return Classifier(), [np.arange(24)]


def second_order(b):
    class Penalty(b.Module):
        def __init__(self):
            super().__init__()
            self.network = b.Sequential(b.Linear(5, 16), b.Tanh(), b.Linear(16, 1))

        def forward(self, x):
            return (b.slope(lambda x: self.network(x).sum(), x) ** 2).sum()

    return Penalty(), [formula((8, 5), 0)]


def chain(b):
    class Chain(b.Module):
        def forward(self, x):
            for _ in range(100_000):
                x = b.tanh(x)
            return x

    return Chain(), [formula((3,), 0)]


GRAPHS = {
    "ResNet-18": lambda b: (resnet18(b), [formula((4, 3, 64, 64), 0)]),
    "U-Net": lambda b: (unet(b), [formula((2, 1, 32, 32), 0)]),
    **{f"LSTM captioner, T = {steps}": captioner(steps) for steps in (16, 200)},
    "transformer, 6 layers": text_classifier,
    "gradient penalty": second_order,
    "100,000 operations": chain,
}


def slope(f, x):
    """Return the gradient of f at x, with its graph."""
    with mg.create_graph():
        return mg.grad(f)(x)


# Drawing --------------------------------------------------------------------------------------------------------------


def dot_of(tool, graph):
    """Build the network and its inputs; return a function that runs it and writes DOT."""
    if tool == "minigrad":
        b = minigrads_layers()
        b.sigmoid, b.slope = mg.sigmoid, slope
        network, inputs = GRAPHS[graph](b)
        tensors = [a if a.dtype.kind == "i" else mg.tensor(a, dtype="float32", requires_grad=True) for a in inputs]
        return lambda: mg.render.to_dot(network(*tensors))
    import torch

    b = pytorchs_layers(torch)
    b.sigmoid = torch.sigmoid
    b.slope = lambda f, x: torch.autograd.grad(f(x), x, create_graph=True)[0]
    network, inputs = GRAPHS[graph](b)
    tensors = [torch.tensor(a) if a.dtype.kind == "i" else torch.tensor(a).float().requires_grad_() for a in inputs]
    if tool == "torchview":
        from torchview import draw_graph

        return lambda: draw_graph(network, tensors).visual_graph.source
    from torchviz import make_dot

    return lambda: make_dot(network(*tensors), params=dict(network.named_parameters())).source


def draw(tool, graph):
    """Print the size of a drawing in pixels, and the time it takes."""
    dot = dot_of(tool, graph)
    start = time.perf_counter()
    picture = subprocess.run(["dot", "-Tsvg"], input=dot(), capture_output=True, text=True, check=True).stdout
    seconds = time.perf_counter() - start
    sizes = re.search(r'<svg width="([\d.]+)pt" height="([\d.]+)pt"', picture)
    width, height = (round(float(points) * 4 / 3) for points in sizes.groups())
    print(f"{width:,} × {height:,}, {seconds:.{1 if seconds > 1 else 2}f} s")


def cell(tool, graph):
    """Return a cell of the table: the size and time of a drawing, or why there is none."""
    command, pipe = [sys.executable, __file__, tool, graph], subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        try:
            out, errors = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # also the layout program
            return f"over {SECONDS} s"
    return f"fails: {errors.splitlines()[-1].partition(':')[0]}" if process.returncode else out.strip()


def main():
    tools = ["minigrad"]
    for tool in ("torchviz", "torchview"):
        if find_spec("torch") and find_spec(tool):
            tools.append(tool)
        else:
            print(f"{tool}: not installed, or PyTorch is not")
    print(f"On {describe()['processor']}.\n\n| graph | {' | '.join(tools)} |\n|---|{'---|' * len(tools)}")
    for graph in GRAPHS:
        print(f"| {graph} | {' | '.join(cell(tool, graph) for tool in tools)} |", flush=True)


if __name__ == "__main__":
    draw(*sys.argv[1:]) if len(sys.argv) > 1 else main()
