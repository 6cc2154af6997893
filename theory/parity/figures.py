"""The pictures of claims "3-1" and "3-1 alt"."""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad.runtime.extras import require
from theory.figures import BLUE, GREEN, INK, VERMILION, new_figure
from theory.parity.gain import adversary, critical_gain, fails_at, intervals, state_map, tanh_network, tanh_states
from theory.parity.units import or_unit, parity, run_unit, xor_unit

__all__ = ["draw_network", "draw_recurrences"]

GREY = "#777777"
"""For minor marks, lighter than in the other pictures."""

SHOWN = (0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1)
"""The bit string of the pictures."""
TICKS = [0, 0.25, 0.5, 0.75, 1]
LOW, HIGH = 2.1, 2.6
"""Gains on either side of the critical one."""


def draw_recurrences() -> Any:
    """Draw the printed and the corrected unit over time on one bit string."""
    title = "The printed recurrence is OR: wrong whenever the parity returns to 0"
    figure = new_figure(8.5, 5, title, 14, layout="constrained")
    bits, printed, corrected = figure.subplots(3, 1, sharex=True, height_ratios=[0.5, 1, 1])
    t, truth = np.arange(1, len(SHOWN) + 1), parity(SHOWN)
    bits.bar(t, SHOWN, color=GREY, width=0.5)
    bits.set_title("bits $x_t$", fontsize=12, loc="left")
    for axes, unit, name in (
        (printed, or_unit, "as printed: $h_t = h_{t-1} + x_t - h_{t-1} x_t$"),
        (corrected, xor_unit, "corrected: $h_t = h_{t-1} + x_t - 2 h_{t-1} x_t$"),
    ):
        h = np.array(run_unit(unit, list(SHOWN)))
        wrong = h != truth
        axes.step(t, truth, where="mid", color=GREY, linewidth=6, alpha=0.35, label="parity of the bits so far")
        axes.step(t, h, where="mid", color=BLUE, linewidth=1.5, label="state $h_t$")
        axes.plot(t[~wrong], h[~wrong], "o", color=BLUE, label="right")
        axes.plot(t[wrong], h[wrong], "X", color=VERMILION, markersize=10, label="wrong")
        axes.set_title(name, fontsize=12, loc="left")
    corrected.set_xlabel("time $t$", fontsize=11)
    corrected.set_xticks(t)
    for axes in (bits, printed, corrected):
        axes.set(yticks=[0, 1], ylim=(-0.2, 1.25))
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*printed.get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=11)
    return figure


def draw_network() -> Any:
    """Draw the tanh network below and above the critical gain: states over time, and the map of s."""
    critical = critical_gain()
    title = f"Two tanh units remember a parity for ever from gain $g \\approx$ {critical:.4f} on, and not below"
    figure = new_figure(11, 8, title, 15, layout="constrained")
    grid = figure.subplots(2, 2, width_ratios=[1.5, 1])
    for (states, plane), gain in zip(grid, (LOW, HIGH), strict=True):
        _draw_states(states, gain, critical)
        _draw_map(plane, gain, critical)
    below = {"loc": "upper center", "frameon": False, "fontsize": 10}
    for axes, legend, ncols in ((grid[1, 0], grid[0, 0], 5), (grid[1, 1], grid[0, 1], 2)):
        handles = legend.get_legend_handles_labels()
        axes.legend(*handles, bbox_to_anchor=(0.5, -0.16), ncols=ncols, **below)
    return figure


def _draw_states(axes: Any, gain: float, critical: float) -> None:
    """Draw h1, h2 and s over a few bits, then the worst input."""
    start = (1, 1, 0, 1, 0, 1)  # of parity 0
    bits = np.concatenate([start, adversary(20)])
    h, (y, s) = tanh_states(bits, gain), tanh_network(bits, gain)
    t = np.arange(1, len(bits) + 1)
    wrong = y != parity(bits)
    axes.plot(t, h[:, 0], color=GREY, linewidth=1, label="$h_1$ (OR)")
    axes.plot(t, h[:, 1], color=GREY, linewidth=1, linestyle=":", label="$h_2$ (AND)")
    axes.axhline(0.5, color=INK, linewidth=1, linestyle="--", label=r"threshold $\frac{1}{2}$")
    axes.plot(t, s, color=BLUE, linewidth=1.5, label="$s = (h_1 - h_2)/2$")
    axes.plot(t[~wrong], s[~wrong], "o", color=BLUE, markersize=4)
    axes.plot(t[wrong], s[wrong], "X", color=VERMILION, markersize=7, label="wrong")
    axes.axvspan(len(start) + 0.5, t[-1] + 0.5, color=GREY, alpha=0.1, linewidth=0)
    axes.text((len(start) + t[-1]) / 2, -0.75, "the worst input: a 1, then only 0", ha="center", fontsize=11)
    axes.set(ylim=(-1.1, 1.1), xlim=(0.5, t[-1] + 0.5), ylabel="state", xlabel="bits $x_t$ over time")
    axes.set_xticks(t, [str(x) for x in bits])
    side = "below" if gain < critical else "above"
    axes.set_title(f"gain {gain}, {side} the critical one", fontsize=12)


def _draw_map(axes: Any, gain: float, critical: float) -> None:
    """Draw the next s over s for each bit, with the invariant intervals as boxes, or with the run of 1 0 0 … 0."""
    s = np.linspace(0, 1, 400)
    axes.plot(s, s, color=INK, linewidth=1, linestyle="--", label="the line $s$")
    axes.plot(s, state_map(gain, s), color=BLUE, linewidth=2, label="bit 0: $f(s)$")
    axes.plot(s, state_map(gain, s + 1), color=GREEN, linewidth=2, label="bit 1: $f(s + 1)$")
    if gain > critical:
        proof = intervals(gain)
        rectangle = require("matplotlib.patches", "theory").Rectangle
        spans = (0.0, float(proof.a)), (float(proof.b), 1.0)
        for colour, x, y in ((BLUE, 0, 0), (BLUE, 1, 1), (GREEN, 0, 1), (GREEN, 1, 0)):
            (left, right), (low, high) = spans[x], spans[y]
            box = rectangle((left, low), right - left, high - low, color=colour, alpha=0.15, linewidth=0)
            axes.add_patch(box)
        axes.set_title("no state ever leaves the boxes", fontsize=12)
    else:
        s = tanh_network(adversary(fails_at(adversary(1_000), gain) or 1_000), gain)[1]
        axes.plot(np.repeat(s, 2)[:-1], np.repeat(s, 2)[1:], color=VERMILION, linewidth=1, label="1 0 0 … 0")
        axes.set_title("a 1 slides down along the diagonal", fontsize=12)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="$s$", ylabel="next $s$", aspect="equal", xticks=TICKS, yticks=TICKS)
