"""The pictures of claims 2-1 and 2-2."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

from minigrad.runtime.extras import require
from theory.figures import BLUE, FAINT, GREY, ORANGE, SKY, VERMILION, new_figure
from theory.ordering.graphs import CYCLIC, LAYER, PURPORTED, cycle_of_example
from theory.ordering.proofs import Removal, removals, violated_edge

__all__ = ["draw_contradiction", "draw_removals"]

LAYER_PLACES = {"x": (0, 2), "W": (0, 0), "b": (1, 2), "Wx": (1, 1), "z": (2, 1), "h": (3, 1), "loss": (3, 0)}
CYCLIC_PLACES = {"a": (0, 1), "b": (1, 2), "c": (2.6, 2), "d": (2.6, 0), "e": (1, 0), "f": (3.6, 1)}

Edge = tuple[str, str]


def draw_removals() -> Any:
    """Draw claim 2-1: a panel for each removal of a source from the graph of a layer, and the resulting order."""
    title = "Remove a source again and again: what is left stays acyclic, and the order of removal is topological"
    figure = new_figure(13, 6.6, title)
    panels = figure.subplots(2, 4).ravel()
    before: Mapping[str, Collection[str]] = LAYER
    order: list[str] = []
    for panel, step in zip(panels, removals(LAYER), strict=False):
        assert isinstance(step, Removal)  # the graph is acyclic
        order.append(step.vertex)
        _draw_step(panel, before, step.vertex)
        panel.set_title(f"{len(order)}. remove {step.vertex}", fontsize=14)
        panel.text(1.5, -0.95, "order: " + ", ".join(order), ha="center", fontsize=13, color=GREY)
        before = step.left
    _draw_line(panels[len(order)], order)
    kinds = (("source, removed now", ORANGE, ORANGE), ("another source", "white", ORANGE),
             ("has a parent left", "white", BLUE), ("removed before", "white", FAINT))  # fmt: skip
    _legend(figure, [{"label": label, "marker": "o", "ls": "", "ms": 14, "mew": 2.2, "mfc": fill, "mec": rim}
                     for label, fill, rim in kinds])  # fmt: skip
    figure.subplots_adjust(left=0.02, right=0.98, top=0.86, bottom=0.1, hspace=0.3, wspace=0.1)
    return figure


def draw_contradiction() -> Any:
    """Draw claim 2-2: a graph with the cycle that the sort finds, and its edge that goes backward in an order."""
    title = "A cycle and a topological order exclude each other: one edge of the cycle goes backward"
    figure = new_figure(12, 5.2, title)
    graph, plot = figure.subplots(1, 2, width_ratios=(1.15, 1))
    cycle = cycle_of_example()
    around = list(pairwise((*cycle.nodes, cycle.nodes[0])))
    position = {v: i for i, v in enumerate(PURPORTED.nodes, 1)}
    bad = violated_edge(PURPORTED, cycle)
    _draw_cycle(graph, around, position, bad)
    _draw_positions(plot, around, position, bad)
    kinds = (("edge of the cycle, forward", BLUE, "-"), ("edge of the cycle, backward", VERMILION, "--"),
             ("other edge", FAINT, "-"))  # fmt: skip
    _legend(figure, [{"label": label, "color": color, "ls": ls, "lw": 2.6} for label, color, ls in kinds])
    figure.subplots_adjust(left=0.02, right=0.97, top=0.83, bottom=0.22, wspace=0.12)
    return figure


def _draw_cycle(panel: Any, around: Sequence[Edge], position: Mapping[str, int], bad: Edge) -> None:
    """Draw the graph with its cycle in colour, and the position of each vertex."""
    for v, several in CYCLIC.items():
        for u in several:
            _arrow(panel, CYCLIC_PLACES[u], CYCLIC_PLACES[v], 22, **_edge_style((u, v), around, bad))
    on_cycle = {u for u, _ in around}
    for v, place in CYCLIC_PLACES.items():
        _vertex(panel, place, v, rim=BLUE if v in on_cycle else GREY, size=1500, fontsize=15)
        x, y = place
        panel.text(x, y + (0.5 if y else -0.55), str(position[v]), ha="center", va="center", fontsize=13, color="black",
                   bbox={"boxstyle": "round,pad=0.25", "fc": SKY, "ec": "none"})  # fmt: skip
    _bare(panel, (-0.4, 4.0), (-0.8, 2.8))
    panel.set_title("the cycle found, and the positions of an order", fontsize=14)


def _draw_positions(plot: Any, around: Sequence[Edge], position: Mapping[str, int], bad: Edge) -> None:
    """Draw the positions of the cycle's vertices, once around."""
    for i, edge in enumerate(around):
        heights = [position[v] for v in edge]
        plot.plot([i, i + 1], heights, marker="o", ms=9, **_edge_style(edge, around, bad))
        if edge == bad:
            needs = f"{edge[0]} → {edge[1]} needs\n{heights[0]} < {heights[1]}:\nfalse"
            plot.text(i + 0.22, sum(heights) / 2 - 0.3, needs, ha="right", va="center", fontsize=13, color=VERMILION)
    plot.set_xticks(range(len(around) + 1), [around[0][0], *(v for _, v in around)], fontsize=15)
    plot.set_yticks(range(1, len(position) + 1))
    plot.tick_params(axis="y", labelsize=12)
    plot.set(ylim=(0.5, len(position) + 0.5), xlim=(-0.3, len(around) + 0.3))
    plot.set_xlabel("once around the cycle", fontsize=13)
    plot.set_ylabel("position in the order", fontsize=13)
    plot.grid(axis="y", color=FAINT, lw=0.6)
    plot.spines[["top", "right"]].set_visible(False)
    plot.set_title("the position cannot grow at every edge", fontsize=14)


def _draw_step(panel: Any, left: Mapping[str, Collection[str]], removed: str) -> None:
    """Draw the layer's graph with the remaining part in colour and the removed source filled."""
    for v, several in LAYER.items():
        for u in several:
            there = u in left and v in left
            color = FAINT if not there else ORANGE if u == removed else BLUE
            _arrow(panel, LAYER_PLACES[u], LAYER_PLACES[v], 17, color, lw=1.8 if there else 1.0)
    for v, place in LAYER_PLACES.items():
        rim = FAINT if v not in left else BLUE if left[v] else ORANGE
        _vertex(panel, place, v, rim, fill=ORANGE if v == removed else "white")
    _bare(panel, (-0.45, 3.45), (-1.1, 2.5))


def _draw_line(panel: Any, order: Sequence[str]) -> None:
    """Draw the vertices on a line in their order, and every edge as an arc to the right."""
    place = {v: (3 * i / (len(order) - 1), 0.6) for i, v in enumerate(order)}
    for v, several in LAYER.items():
        for u in several:
            _arrow(panel, place[u], place[v], 6, BLUE, lw=1.6, bend=-0.6)
    for v, (x, y) in place.items():
        panel.scatter([x], [y], s=60, color=BLUE, zorder=3)
        panel.text(x, y - 0.2, v, ha="center", va="top", fontsize=13)
    _bare(panel, (-0.45, 3.45), (-1.1, 2.5))
    panel.set_title("nothing is left", fontsize=14)
    panel.text(1.5, -0.95, "every edge goes forward", ha="center", fontsize=13, color=GREY)


def _edge_style(edge: Edge, around: Collection[Edge], bad: Edge) -> dict[str, Any]:
    if edge == bad:
        return {"color": VERMILION, "lw": 3, "ls": "--"}
    return {"color": BLUE, "lw": 3, "ls": "-"} if edge in around else {"color": FAINT, "lw": 1.8, "ls": "-"}


def _arrow(panel: Any, start: tuple[float, float], end: tuple[float, float], gap: float, color: str, lw: float,
           ls: str = "-", bend: float = 0.0) -> None:  # fmt: skip
    """Draw an arrow that ends `gap` points before each of two places."""
    style = {"arrowstyle": "-|>,head_length=0.5,head_width=0.25", "shrinkA": gap, "shrinkB": gap, "color": color,
             "lw": lw, "ls": ls, "connectionstyle": f"arc3,rad={bend}"}  # fmt: skip
    panel.annotate("", xy=end, xytext=start, arrowprops=style)


def _vertex(panel: Any, place: tuple[float, float], label: str, rim: str, fill: str = "white", size: float = 1000,
            fontsize: float = 12) -> None:  # fmt: skip
    panel.scatter(*place, s=size, facecolor=fill, edgecolor=rim, lw=2.2, zorder=3)
    panel.text(*place, label, ha="center", va="center", fontsize=fontsize, zorder=4,
               color="#909090" if rim == FAINT else "black")  # fmt: skip


def _legend(figure: Any, marks: Sequence[Mapping[str, Any]]) -> None:
    line = require("matplotlib.lines", "theory").Line2D
    handles = [line([], [], **mark) for mark in marks]
    figure.legend(handles=handles, loc="lower center", ncols=len(marks), fontsize=13, frameon=False)


def _bare(panel: Any, x: tuple[float, float], y: tuple[float, float]) -> None:
    panel.set(xlim=x, ylim=y)
    panel.set_axis_off()
