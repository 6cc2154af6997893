"""The picture of claim 3-2: how the gradient's norm runs over the steps, for matrices and for networks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory.eigenvalues.domains import Drawn
from theory.eigenvalues.gradient_flow import cell_jacobians, rnn_jacobians
from theory.eigenvalues.powers import jordan_block, power_norms
from theory.figures import BLUE, GREEN, INK, ORANGE, PURPLE, SKY, VERMILION, new_figure

__all__ = ["draw", "linear_norms", "network_norms"]

STEPS = 40


def linear_norms(steps: int = STEPS) -> dict[str, NDArray[np.float64]]:
    """Return ||W^k||, k = 0, …, steps: for symmetric, non-normal and defective matrices."""
    radii = 0.8, 0.9, 1.0, 1.1, 1.2
    curves = {f"radius {r}": power_norms(Drawn("symmetric", 4, r, 0).matrix, steps) for r in radii}
    curves["non-normal, radius 0.8"] = power_norms([[0.8, 10.0], [0.0, 0.8]], steps)
    curves["Jordan block, radius 1"] = power_norms(jordan_block(1, 3), steps)
    return curves


def network_norms(steps: int = STEPS, units: int = 8) -> dict[str, NDArray[np.float64]]:
    """Return ||dh_k/dh_0|| of tanh RNNs and ||dc_k/dc_0|| of LSTMs for k = 0, …, steps.

    Normally distributed inputs of 4 numbers; the RNN's Wh is orthogonal times the radius, the LSTM's is 0.
    """
    rng = np.random.default_rng(0)
    x, zeros, Wx = rng.normal(size=(steps, 4)), np.zeros(units), rng.normal(size=(4, 4 * units)) / 8
    curves = {}
    for radius in (0.9, 1.2):
        Wh = Drawn("orthogonal", units, radius, 0).matrix
        curves[f"tanh RNN, radius {radius}"] = rnn_jacobians(x, zeros, Wx[:, :units], Wh, zeros)
    for bias in (0, 1, 5):
        b = np.repeat([0.0, bias, 0.0, 0.0], units)
        curves[f"LSTM, forget bias {bias}"] = cell_jacobians(x, zeros, zeros, Wx, np.zeros((units, 4 * units)), b)
    return {name: np.concatenate([[1.0], np.linalg.norm(J, 2, axis=(1, 2))]) for name, J in curves.items()}


def draw() -> Any:
    """Draw two panels, with a named line for each matrix or network."""
    figure = new_figure(13, 5.6, layout="constrained")
    left, right = figure.subplots(1, 2)
    curves = linear_norms()
    _panel(left, curves, [BLUE, SKY, INK, ORANGE, VERMILION, PURPLE, GREEN], ["-"] * 5 + ["--", "-."], (1e-5, 1e5))
    left.set_title("$h_t = W'h_{t-1}$: in the end the spectral radius decides", fontsize=14)
    left.set_ylabel(r"norm of $\partial h_k / \partial h_0$", fontsize=13)
    top = curves["non-normal, radius 0.8"].max()
    arrow = {"arrowstyle": "->", "color": PURPLE}
    left.annotate(f"grows {top:.0f}-fold first", (4, top), (1, 2e3), arrowprops=arrow, color=PURPLE, fontsize=12)
    left.text(1, 2e-5, "solid lines: symmetric $W$", fontsize=12)
    _panel(right, network_norms(), [BLUE, VERMILION, SKY, GREEN, INK], ["--", "--", "-", "-", "-"], (1e-13, 1e1))
    right.set_title("Without recurrent weights an LSTM's forget gate decides", fontsize=14)
    right.text(1, 2e-13, "solid lines: LSTMs with $W_h = 0$", fontsize=12)
    right.set_ylabel(r"norm of $\partial h_k / \partial h_0$, for LSTMs $\partial c_k / \partial c_0$", fontsize=13)
    return figure


def _panel(axes: Any, curves: dict[str, NDArray[np.float64]], colours: Any, styles: Any, limits: Any) -> None:
    axes.set(xlim=(0, STEPS * 1.62), ylim=limits, xticks=range(0, STEPS + 1, 10))
    axes.set_xlabel("steps $k$", fontsize=13)
    ends = _apart({name: np.log10(norms[-1]) for name, norms in curves.items()}, np.diff(np.log10(limits))[0] / 18)
    for (name, norms), colour, style in zip(curves.items(), colours, styles, strict=True):
        axes.semilogy(norms, style, color=colour, linewidth=2)
        axes.text(STEPS + 0.7, 10 ** ends[name], name, color=colour, va="center", fontsize=12)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines["bottom"].set_bounds(0, STEPS)


def _apart(heights: dict[str, float], gap: float) -> dict[str, float]:
    """Move heights up until neighbours are at least a gap apart."""
    placed: dict[str, float] = {}
    for name in sorted(heights, key=lambda name: heights[name]):
        placed[name] = max([heights[name]] + [height + gap for height in placed.values()])
    return placed
