"""The picture of claim 3-2: how the gradient's norm runs over the steps, for matrices and for networks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad.extras import require
from theory.eigenvalues_domains import Matrix
from theory.gradient_flow import cell_jacobians, rnn_jacobians
from theory.powers import jordan_block, power_norms

__all__ = ["draw", "linear_norms", "network_norms"]

STEPS = 60

# Colours of Okabe and Ito, which people with any colour vision tell apart.
BLUE, SKY, GREEN, ORANGE, RED, PURPLE, BLACK = (
    "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7", "#000000",
)  # fmt: skip


def linear_norms(steps: int = STEPS) -> dict[str, NDArray[np.float64]]:
    """||W^k||, k = 0, …, steps: a symmetric 4x4 W for each radius, a non-normal one, and a Jordan block of size 3."""
    curves = {f"{r}": power_norms(Matrix("symmetric", 4, r, 0).W, steps) for r in (0.8, 0.9, 1.0, 1.1, 1.2)}
    curves["non-normal, 0.8"] = power_norms([[0.8, 10.0], [0.0, 0.8]], steps)
    curves["Jordan block, 1.0"] = power_norms(jordan_block(1, 3), steps)
    return curves


def network_norms(steps: int = STEPS, units: int = 8) -> dict[str, NDArray[np.float64]]:
    """||dh_k/dh_0|| of tanh RNNs by the radius of Wh and ||dc_k/dc_0|| of LSTMs by forget bias, k = 0, …, steps.

    Normally distributed inputs of 4 numbers; the RNN's Wh is orthogonal times the radius, the LSTM's is 0.
    """
    rng = np.random.default_rng(0)
    x, zeros, Wx = rng.normal(size=(steps, 4)), np.zeros(units), rng.normal(size=(4, 4 * units)) / 4
    curves = {}
    for radius in (0.9, 1.2):
        Wh = Matrix("orthogonal", units, radius, 0).W
        curves[f"tanh RNN, radius {radius}"] = rnn_jacobians(x, zeros, Wx[:, :units], Wh, zeros)
    for bias in (0, 1, 5):
        b = np.repeat([0.0, bias, 0.0, 0.0], units)
        curves[f"LSTM, forget bias {bias}"] = cell_jacobians(x, zeros, zeros, Wx, np.zeros((units, 4 * units)), b)
    return {name: np.concatenate([[1.0], np.linalg.norm(J, 2, axis=(1, 2))]) for name, J in curves.items()}


def draw() -> Any:
    """Two panels, a line for each matrix or network, named at its end."""
    figure = require("matplotlib.figure", "theory").Figure(figsize=(12, 5.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    colours = [BLUE, SKY, BLACK, ORANGE, RED, PURPLE, GREEN]
    styles = ["-"] * 5 + ["--", "-."]
    _panel(left, linear_norms(), colours, styles, (1e-6, 1e6))
    left.set_title("$h_t = W' h_{t-1}$: the spectral radius decides in the end")
    left.set_ylabel("norm of $\\partial h_k / \\partial h_0$")
    left.annotate("grows 17-fold first", (5, 20), (7, 6e3), arrowprops={"arrowstyle": "->"}, color=PURPLE, fontsize=11)
    colours, styles = [BLUE, RED, SKY, GREEN, BLACK], ["--", "--", "-", "-", "-"]
    _panel(right, network_norms(), colours, styles, (1e-12, 10))
    right.set_title("networks: the LSTM forgets at the rate of its forget gate")
    right.set_ylabel("norm of $\\partial h_k / \\partial h_0$ (RNN), $\\partial c_k / \\partial c_0$ (LSTM)")
    return figure


def _panel(axes: Any, curves: dict[str, NDArray[np.float64]], colours: Any, styles: Any, limits: Any) -> None:
    for (name, norms), colour, style in zip(curves.items(), colours, styles, strict=True):
        axes.semilogy(norms, style, color=colour, linewidth=2)
        axes.text(len(norms), norms[-1], name, color=colour, va="center", fontsize=11)
    axes.set(xlabel="steps $k$", ylim=limits, xlim=(0, STEPS * 1.4))
    axes.set_xticks(range(0, STEPS + 1, 10))
    axes.grid(alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
