"""The pictures of claims 6-1 to 6-5."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

import minigrad as mg
from theory.figures import BLUE, GREEN, GREY, ORANGE, VERMILION, new_figure
from theory.learning import descent
from theory.learning.certificates import evaluate
from theory.learning.derivatives import SMALLEST, Layer, jacobians, pieces, slopes

__all__ = ["draw_costs", "draw_heavy_ball", "draw_pieces", "draw_rates", "draw_trap"]

RED_LINE, BLUE_LINE, GREEN_LINE = (
    {"color": color, "markersize": 4, "linewidth": 1.5} for color in (VERMILION, BLUE, GREEN)
)
RED_DOTTED, BLUE_DOTTED = ({**style, "marker": "o"} for style in (RED_LINE, BLUE_LINE))
DASHED = {"color": GREY, "linestyle": "--", "linewidth": 1.5}

# x, y, a style and a label.
Curve = tuple[Any, Any, dict[str, Any], str]


def _picture(title: str, *panels: tuple[str, str, str, list[Curve]]) -> Any:
    """Return a figure with panels side by side, each with a title, labels of both axes, and curves."""
    figure = new_figure(11, 4.6, title, 14, layout="constrained")
    for axes, (text, x, y, curves) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        for xs, ys, style, label in curves:
            axes.plot(xs, ys, label=label, **style)
        axes.set(xlabel=x, ylabel=y)
        axes.set_title(text, fontsize=12)
        axes.spines[["top", "right"]].set_visible(False)
        handles, labels = axes.get_legend_handles_labels()
        axes.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=4, frameon=False)
    return figure


def draw_trap() -> Any:
    """Draw Adam and gradient descent on the periodic losses, and Adam's first step over the scale of the loss."""
    adam = descent.periodic_run(mg.optim.Adam, 3.0, 60, lr=0.5, betas=(0.0, 0.1), eps=0.0)
    scales = 10.0 ** np.arange(-12, 5)
    exact, usual = ([-descent.first_step(c, eps) for c in scales] for eps in (0.0, 1e-8))
    figure = _picture(
        "Adam returns to the worst point, and with eps > 0 the scale of the loss matters",
        ("losses 3x, -x, -x, … on [-1, 1], rates 0.5/√t", "steps", "x", [
            (range(61), adam, RED_LINE, "Adam"),
            (range(61), descent.periodic_run(mg.optim.SGD, 3.0, 60, lr=0.5), BLUE_LINE, "gradient descent"),
            ([0, 60], [-1, -1], DASHED, "the best point"),
        ]),
        ("first step from the gradient c, rate 0.1", "factor c of the loss", "length of the step", [
            (scales, exact, BLUE_DOTTED, "eps = 0"), (scales, usual, RED_DOTTED, "eps = 1e-8"),
        ]),
    )  # fmt: skip
    figure.axes[1].set_xscale("log")
    return figure


def draw_heavy_ball() -> Any:
    """Draw heavy ball's cycle beside gradient descent, and its errors on a quadratic below their envelope."""
    ball = descent.heavy_ball(descent.lessard_loss, Fraction(5), [3.3], 40)
    plain = descent.descend(descent.lessard_loss, [3.3], 40, partial(mg.optim.SGD, lr=1 / 13))
    low, middle, high = np.abs(
        descent.heavy_ball(descent.quadratic([1.0, 10.0, 100.0]), Fraction(10), np.ones(3), 40)
    ).T
    k = range(41)
    envelope = [float(descent.envelope(Fraction(10), j)) for j in k]
    return _picture(
        "Heavy ball may cycle for ever, and on quadratics its error first grows",
        ("curvatures 1 and 25, from x = 3.3", "steps", "x", [
            (k, ball, RED_DOTTED, "heavy ball"), (k, plain, BLUE_LINE, "gradient descent, rate 1/13"),
        ]),
        ("condition number 100, initial error 1", "steps", "error", [
            (k, envelope, DASHED | {"linestyle": "-", "linewidth": 7, "alpha": 0.3}, "envelope"),
            (k, low, BLUE_LINE, "curvature 1"), (k, middle, GREEN_LINE, "10"), (k, high, RED_LINE, "100"),
        ]),
    )  # fmt: skip


def draw_rates() -> Any:
    """Draw runs on a linear network of two layers at two rates, and where runs end over the rate."""
    loss, rates = descent.product_loss, np.linspace(0.8, 1.36, 141)
    small, large = (
        descent.descend(loss, [0.8, 0.7], 60, partial(mg.optim.SGD, lr=rate))[:, 0] for rate in (0.9, 49 / 40)
    )
    starts = np.repeat([[0.8], [0.7]], len(rates), axis=1)
    # One run with the rate 1 covers all rates, since each network's loss is multiplied by its own rate.
    a = descent.descend(lambda x, t: (rates * loss(x)).sum(), starts, 400, partial(mg.optim.SGD, lr=1.0))
    dots = {"color": BLUE, "marker": ".", "linestyle": "", "markersize": 1.5, "rasterized": True}
    return _picture(
        "Above 2/λ gradient descent need not diverge: (ab - 1)²/2, where λ = 2 at (1, 1)",
        ("from a = 0.8, b = 0.7", "steps", "a", [
            (range(61), large, RED_DOTTED, "rate 49/40"), (range(61), small, BLUE_LINE, "rate 0.9"),
        ]),
        ("steps 341 to 400", "rate", "a", [
            (np.repeat(rates, 60), a[-60:, 0].T.ravel(), dots, "values of a"),
            ([1, 1], [0.4, 1.3], DASHED, "2/λ"), ([5**0.5 - 1] * 2, [0.4, 1.3], DASHED | {"linestyle": ":"}, "√5 - 1"),
        ]),
    )  # fmt: skip


def draw_pieces() -> Any:
    """Draw x as a difference of two ReLUs, and a deeper network, each with its exact slopes and backprop's."""
    crosses = {"color": VERMILION, "marker": "X", "linestyle": "", "markersize": 9}

    def curves(*layers: Layer) -> list[Curve]:
        exact = pieces(layers, 4)
        ends, values = np.array(exact, float), np.array([evaluate(layers, end)[-1][0] for end in exact], float)
        steps = np.repeat(np.diff(values) / np.diff(ends), 2)
        found = slopes(layers, ends[1:-1])
        return [(ends, values, DASHED, "network"), (np.repeat(ends, 2)[1:-1], steps, BLUE_LINE, "slope"),
                (ends[1:-1], found, crosses, "backprop at breakpoints")]  # fmt: skip

    return _picture(
        "Backprop gives the slope inside every piece, and may be wrong between two pieces",
        ("relu(x) - relu(-x) = x", "x", "", curves((((1, -1),), (0, 0)), (((1,), (-1,)), (0,)))),
        ("a network with two hidden layers", "x", "", curves(
            (((1, -2, 1),), (1, 1, -2)), (((1, -1), (1, 1), (-2, 1)), (-1, 0)), (((1,), (-1,)), (0,))
        )),
    )  # fmt: skip


def draw_costs() -> Any:
    """Draw the multiply-adds of Jacobians over the number of outputs, and the smallest graph."""
    outputs = range(1, 9)
    reverse, forward = zip(*[[count for _, count in jacobians((4, 8, m))] for m in outputs], strict=True)
    x, y = (0, 1, 2, 3, 4), (0, 0, 1, 0, 0)
    edges: list[Curve] = [([x[u], x[v]], [y[u], y[v]], DASHED | {"linestyle": "-"}, "") for u, v in SMALLEST]
    vertices: list[Curve] = [(x, y, {"color": ORANGE, "marker": "o", "linestyle": "", "markersize": 28}, "")]
    names: list[Curve] = [
        (x[v], y[v], {"color": "black", "marker": f"${v}$", "markersize": 9, "zorder": 3}, "") for v in x
    ]
    figure = _picture(
        "Reverse mode is cheaper for few outputs, and neither mode is optimal on a skip connection",
        ("Jacobian of a network with 4 inputs and 8 units", "outputs", "multiply-adds", [
            (outputs, reverse, RED_DOTTED, "reverse"), (outputs, forward, BLUE_DOTTED, "forward"),
        ]),
        ("4 multiplications forward, 4 in reverse, 3 with vertex 2 first", "", "", [*edges, *vertices, *names]),
    )  # fmt: skip
    figure.axes[1].set(xlim=(-0.5, 4.5), ylim=(-1, 2))
    figure.axes[1].set_axis_off()
    return figure
