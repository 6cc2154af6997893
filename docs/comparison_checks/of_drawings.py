"""Draw thirteen networks with minigrad, torchviz and torchview: ``python docs/comparison_checks/of_drawings.py``.

Install the packages with ``pip install torch torchviz torchview``, and Graphviz. Each drawing has a process of its own,
with a limit of 60 seconds for the whole process. minigrad and torchview use their default options, but
minigrad shows gradients if the name of the network says so; torchviz gets the parameters' names.

The output is a table in Markdown: the size of each drawing in pixels, the time from the network and its input to an
SVG, without imports, and what the drawing shows. tests/networks/drawn.py has the networks, and the frames, boxes and
edges that minigrad's drawings must show. The other tools draw other frames, so for them the table tells

- how many calls of modules have a box or frame with the name or class of the module,
- whether an input has a name,
- whether the drawing of a loop has an edge back.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import minigrad as mg
from benchmarks.machine import describe
from tests.networks.drawn import DRAWN, built, pytorchs_network
from tests.render.drawings import expectation, read_dot

SECONDS = 60


def dot_of(tool, graph):
    """Build the network and its inputs; return a function that runs it and writes DOT."""
    if tool == "minigrad":
        run = built(graph)
        return lambda: mg.render.to_dot(run(), **DRAWN[graph].options)
    import torch

    network, tensors = pytorchs_network(torch, graph)
    if tool == "torchview":
        from torchview import draw_graph

        return lambda: draw_graph(network, tensors).visual_graph.source
    from torchviz import make_dot

    return lambda: make_dot(network(*tensors), params=dict(network.named_parameters())).source


def shown(tool, graph, dot):
    """Return which of the expected modules, inputs and loops a drawing shows; nothing if minigrad's shows all."""
    frames, boxes, edges = wanted = expectation(DRAWN[graph].expected)
    if tool == "minigrad":
        return "" if read_dot(dot) == wanted else "not as expected"
    names = Counter(re.findall(r'label=(?:<.*?<TD[^>]*>|"?)\s*([\w.-]+)', dot, re.DOTALL))
    titles = [*(path[-1] for path in frames), *(label for label, _ in boxes.values() if " · " in label)]
    modules = [title for title in titles if " · " in title or title.isidentifier()]
    inputs = ["input-tensor", *(name for name, (_, path) in boxes.items() if not path)]
    words = [f"{count_named(modules, names)} of {len(modules)} modules"]
    words += ["inputs" if any(names[name] for name in inputs) else "no inputs"]
    if any(kind == "~" for _, kind, _ in edges):
        words += ["loop" if goes_back(dot) else "no loop"]
    return ", ".join(words)


def count_named(modules, names):
    """Return how many titles of modules, such as '0 · Linear 8→3', have a word among the names, each name used once."""
    found = Counter(next((w for w in re.findall(r"[A-Za-z]\w+", title)[::-1] if names[w]), "") for title in modules)
    return sum(min(number, names[name]) for name, number in found.items())


def goes_back(dot):
    """Return whether the edges of DOT text form a cycle."""
    before = {}
    for source, target in re.findall(r"(\w+) -> (\w+)", dot):
        before.setdefault(target, set()).add(source)
    try:
        TopologicalSorter(before).prepare()
    except CycleError:
        return True
    return False


def draw(tool, graph):
    """Print the size of a drawing in pixels, the time it takes, and what it shows."""
    make = dot_of(tool, graph)
    start = time.perf_counter()
    dot = make()
    picture = subprocess.run(["dot", "-Tsvg"], input=dot, capture_output=True, text=True, check=True).stdout
    seconds = time.perf_counter() - start
    sizes = re.search(r'<svg width="([\d.]+)pt" height="([\d.]+)pt"', picture)
    width, height = (round(float(points) * 4 / 3) for points in sizes.groups())
    words = [f"{width:,} × {height:,}", f"{seconds:.{1 if seconds > 1 else 2}f} s", shown(tool, graph, dot)]
    print(", ".join(filter(None, words)))


def cell(tool, graph):
    """Return a cell of the table: size, time and contents of a drawing, or why there is none."""
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
    for graph in DRAWN:
        print(f"| {graph} | {' | '.join(cell(tool, graph) for tool in tools)} |", flush=True)


if __name__ == "__main__":
    draw(*sys.argv[1:]) if len(sys.argv) > 1 else main()
