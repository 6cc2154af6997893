"""The pictures of claims 4-1 to 4-5."""

from __future__ import annotations

from typing import Any

import numpy as np

from theory.eigenvalues.powers import spectral_norm
from theory.figures import BLUE, GREEN, GREY, ORANGE, SKY, VERMILION, new_figure
from theory.memory.contraction import (
    BIAS,
    NILPOTENT,
    alternating_inputs,
    cell_gradient,
    critical_input,
    linear_blocks,
    residual_jacobian,
    run_rnn,
)  # fmt: skip
from theory.memory.domains import residual_functions

__all__ = ["draw_cells", "draw_depth", "draw_forgetting", "draw_latch", "draw_products"]

STEPS = range(1, 21)


def _panels(title: str, *texts: str) -> Any:
    """Return a figure with a title, and panels with these texts above them."""
    figure = new_figure(5.5 * len(texts), 4.4, title, 14, layout="constrained")
    panels = figure.subplots(1, len(texts), squeeze=False)[0]
    for axes, text in zip(panels, texts, strict=True):
        axes.set_title(text, fontsize=12)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    return figure, *panels


def _curves(title: str, horizontal: str, panels: dict[str, dict[str, Any]], *linear: str) -> Any:
    """Draw panels by their titles, with curves over 1 to 20 by their names. The titles in `linear` have linear axes."""
    figure, *axes = _panels(title, *panels)
    for plot, (text, curves) in zip(axes, panels.items(), strict=True):
        for (name, values), colour in zip(curves.items(), (VERMILION, BLUE, GREEN, ORANGE, SKY), strict=False):
            plot.plot(STEPS, values, "o-", color=colour, markersize=3, label=name)
        plot.set(xlabel=horizontal, xticks=range(0, 21, 5), yscale="linear" if text in linear else "log")
        plot.legend(frameon=False, fontsize=10)
    return figure


def draw_forgetting() -> Any:
    """Draw states and Jacobians of an RNN with nilpotent weights."""
    x = np.zeros((20, 2))
    states = {
        f"from ({first:g}, 1)": run_rnn(x, [first, 1], NILPOTENT, BIAS)[0][:, 0] for first in (1, 0.05, -0.05, -1)
    }
    norms = [spectral_norm(run_rnn(x[:k], [0, 1], NILPOTENT, BIAS)[1]) for k in STEPS]
    bound = {"at (0, 1)": norms, r"$0.9^k$ bounds weighted norms for $|W_h| v \leq 0.9\,v$": [0.9**k for k in STEPS]}
    panels: dict[str, Any] = {"states of the first unit": states, r"norm of $\partial h_k / \partial h_0$": bound}
    return _curves(
        "The square of the weights is 0, but the network remembers a bit",
        "steps $k$",
        panels,
        "states of the first unit",
    )


def draw_products() -> Any:
    """Draw products of steps of the spectral radius 0, and one in the norm that its steps shrink."""
    weights = [[[0, w], [w, 0]] for w in (2, 1, 0.5)]
    inputs = [alternating_inputs(Wh, (0, 1), 20) for Wh in weights]
    alternating = {f"$W_h = {Wh}$": [spectral_norm(run_rnn(x[:k], [0, 0], Wh)[1]) for k in STEPS]
                   for Wh, x in zip(weights, inputs, strict=True)}  # fmt: skip
    s = np.array([1, 8])
    Wh = 0.9 * np.array([[0.8, 0.6], [-0.6, 0.8]]) * s / s[:, None]
    products = [run_rnn(np.zeros((k, 2)), [0, 0], Wh)[1] for k in STEPS]
    norms = {"Euclidean norm": [spectral_norm(J) for J in products],
             r"in the norm $\sqrt{x'Px}$": [spectral_norm(J * s / s[:, None]) for J in products]}  # fmt: skip
    panels: dict[str, Any] = {
        "steps of spectral radius 0, alternating inputs": alternating,
        r"another network, $J'PJ \leq 0.81\,P$": norms,
    }
    return _curves("The norm of the product of the first k steps", "steps $k$", panels)


def draw_cells() -> Any:
    """Draw dc_k/dc_0 for several recurrent weights."""
    weights = {f"$w = {w}$": [cell_gradient([40, 0, 40], w, k) for k in STEPS] for w in (2, 1, 0.5, 0.25, 0)}
    text = r"$\partial c_k / \partial c_0$ for $f = \frac{1}{2}$, $i = o = 1$"
    return _curves("A gradient that explodes through $h$", "steps $k$", {text: weights})


def draw_latch() -> Any:
    """Draw the map of a unit with its intervals, and the critical input over the weight."""
    figure, left, right = _panels("A unit remembers its sign where its slope is below 1",
                                  r"next state for $w = 2$, $|x| \leq 0.4$", "inputs up to $e$")  # fmt: skip
    h, (_, a) = np.linspace(-1, 1, 400), critical_input(2.0)
    left.fill_between(h, np.tanh(2 * h - 0.4), np.tanh(2 * h + 0.4), color=SKY, alpha=0.6, linewidth=0)
    left.plot(h, h, "--", color=GREY)
    for sign in (1, -1):
        left.plot(sign * np.array([a, 1, 1, a, a]), sign * np.array([a, a, 1, 1, a]), color=GREEN)
    left.set(xlabel="$h$", ylabel="next $h$", aspect="equal")
    w = np.linspace(1.001, 6, 200)
    e = [critical_input(x)[0] for x in w]
    for low, high, colour, text, place in ((0, e, GREEN, "remembers,\ngradient vanishes", (4.4, 0.8)),
                                           (e, 4, GREY, "inputs can change the sign", (2.6, 2.6))):  # fmt: skip
        right.fill_between(w, low, high, color=colour, alpha=0.25, linewidth=0)
        right.text(*place, text, ha="center", fontsize=11)
    right.set(xlabel="$w$", ylabel="$e$", xlim=(1, 6), ylim=(0, 4))
    return figure


def draw_depth() -> Any:
    """Draw the singular values of random residual networks between their bounds, and linear blocks."""
    functions, x = residual_functions((3, 4, 0.4, 20, 0))
    values = np.array([np.linalg.svd(residual_jacobian(functions[:k], x), compute_uv=False) for k in STEPS])
    plain = [spectral_norm(residual_jacobian(functions[:k], x, skip=0.0)) for k in STEPS]
    blocks = {"largest, without skip connections": plain, "largest": values[:, 0], "smallest": values[:, 2],
              "$(1 + c)^n$": 1.4 ** np.array(STEPS), "$(1 - c)^n$": 0.6 ** np.array(STEPS)}  # fmt: skip
    linear = {f"$f(x) = {c:g}\\,x$": [linear_blocks(c, k) for k in STEPS] for c in (-1.0, -0.5, -0.05, 0.05)}
    panels: dict[str, Any] = {
        "singular values of random blocks, $c = 0.4$": blocks,
        "derivatives of linear blocks": linear,
    }
    return _curves("Residual blocks $x + f(x)$", "blocks $n$", panels, "derivatives of linear blocks")
