"""The pictures of claims 5-1 to 5-6."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import minigrad as mg
from theory.figures import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, VERMILION, new_figure
from theory.layers.attention import jacobian, preserved
from theory.layers.networks import XOR, batches, hidden_network, losses, normalised_network
from theory.layers.softmax import decide

__all__ = ["draw_batch_norm", "draw_masks", "draw_norms", "draw_relu", "draw_symmetry", "draw_words"]


def _panels(title: str, *options: Mapping[str, Any]) -> Any:
    """Return a figure and its panels, each with options such as its title and the labels of its axes."""
    figure = new_figure(15 if len(options) > 2 else 5.5 * len(options), 4.6, title, 15, layout="constrained")
    for axes, given in zip(figure.subplots(1, len(options), squeeze=False)[0], options, strict=True):
        axes.set(**given)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, figure.axes


def _plot(axes: Any, lines: Mapping[str, tuple[Any, Any, str, str]]) -> None:
    """Draw lines and their legend: for each label x, y, a style and a colour."""
    for label, (x, y, style, colour) in lines.items():
        axes.plot(x, y, style, color=colour, lw=2, label=label)
    axes.legend(frameon=False, fontsize=11)


def draw_masks() -> Any:
    """Draw masks of four tokens, with the number of permutations that preserve each."""
    i, j = np.indices((4, 4))
    masks = {"no mask": i >= 0, "causal": i >= j, "two segments": i // 2 == j // 2, "a ring": (i - j) % 4 <= 1}
    titles = [f"{name}: {preserved(mask).sum()} of 24" for name, mask in masks.items()]
    options = [
        {"title": title, "xlabel": "key", "ylabel": "query", "xticks": range(4), "yticks": range(4)} for title in titles
    ]
    figure, panels = _panels("Attention is equivariant under the permutations that preserve its mask", *options)
    for axes, mask in zip(panels, masks.values(), strict=True):
        axes.imshow(mask, cmap="Blues", vmin=0, vmax=1.6, aspect="auto")
    return figure


def draw_norms() -> Any:
    """Draw the norm of the Jacobian, for tokens that move apart and for more and more tokens."""
    logarithmic = {"xscale": "log", "yscale": "log"}
    figure, (left, right) = _panels(
        "The norm of attention's Jacobian is not bounded",
        {"title": "norm at the tokens $(0,t,-t)$", "xlabel": "$t$", **logarithmic},
        {"title": r"norm at $(2r,r,\dots,r)$, $r^2=2\ln n$", "xlabel": "number $n$ of tokens", **logarithmic},
    )
    t, n = np.geomspace(0.1, 100, 40), 2 ** np.arange(9)
    r, roots = np.sqrt(2 * np.log(n)), np.sqrt(n)
    apart = [np.linalg.norm(jacobian([[0.0], [s], [-s]]), 2) for s in t]
    more = [np.linalg.norm(jacobian([[2 * s], *[[s]] * (k - 1)]), 2) for k, s in zip(n.tolist(), r, strict=True)]
    _plot(left, {"norm": (t, apart, "-", BLUE), r"$\frac{1}{3}+\frac{2}{3}t^2$": (t, 1 / 3 + 2 * t**2 / 3, "--", INK)})
    lines = {"bound": (n, roots + 4 * r**2 * (1 + roots), "-", GREY), "norm": (n, more, "o-", BLUE)}
    _plot(right, lines | {r"$\sqrt{n}$": (n, roots, "--", INK)})
    return figure


def draw_batch_norm() -> Any:
    """Draw a normalised input over the scale of the weights, and the norms of weights during training."""
    figure, (left, right) = _panels(
        r"Batch norm ignores the scale $a>0$ of weights if $\varepsilon=0$, and then they grow",
        {"title": "the larger of the inputs 0 and 1, normalised", "xlabel": "weight $a$", "xscale": "log"},
        {"title": r"$\Vert w\Vert$ of each unit, relative to its start, for $\varepsilon=0$", "xlabel": "step of SGD"},
    )
    a, several = np.geomspace(1e-4, 10, 60), ((0.0, "0", BLUE), (1e-5, "10^{-5}", GREEN), (1e-2, "10^{-2}", ORANGE))
    scaled = {eps: mg.batch_norm(np.array([[0.0], [1.0]]) * a, eps=eps).numpy()[1] for eps, *_ in several}
    _plot(left, {f"$\\varepsilon={name}$": (a, scaled[eps], "-", colour) for eps, name, colour in several})
    net, norms = normalised_network(0, 0.0), []
    for x, y in batches(1, 80):
        norms.append(np.linalg.norm(net[0].weight.data, axis=0))
        losses(net, "SGD", [(x, 5 * y)])
    right.set_prop_cycle(color=[BLUE, ORANGE, GREEN, VERMILION])
    right.plot(norms / norms[0], lw=2)
    return figure


def draw_words() -> Any:
    """Draw five words, one of which never wins, and the states at which each of the others does."""
    figure, (left, right) = _panels(
        "A word between the others is never the most probable",
        {"title": "embeddings of five words", "xlim": (-4, 4), "ylim": (-4, 4)},
        {"title": "the most probable word at each state"},
    )
    words = [([-3, -1], 0), ([2, -3], 0), ([3, 2], 0), ([-1, 3], 0), ([0, 0], 0)]
    E, grid = np.array([e for e, _ in words]), np.stack(np.meshgrid(*[np.linspace(-1, 1, 201)] * 2), axis=-1)
    winners = mg.softmax(mg.matmul(grid, E.T)).numpy().argmax(axis=-1)
    for k, colour in enumerate((BLUE, GREEN, ORANGE, PURPLE, VERMILION)):
        left.plot(*E[k], "o", color=colour, ms=11)
        left.annotate("never" if decide(words, k)[0] is None else f"word {k + 1}", E[k] + [-0.4, 0.35], fontsize=12)
        right.contourf(*grid.T, np.equal(winners.T, k), levels=[0.5, 1.5], colors=[colour], alpha=0.7)
    left.fill(*E[:4].T, color=GREY, alpha=0.15)
    return figure


def draw_relu() -> Any:
    """Draw the share of the variance that ReLU leaves, 1/2 - (E|z|)² / (4 E z²), for four distributions."""
    share = {"title": r"$\mathrm{Var}\,\mathrm{relu}(z)\,/\,\mathrm{Var}\,z$ for symmetric random $z$"}
    figure, (axes,) = _panels("ReLU leaves less than half of the variance", share)
    ratios = {"±1": 1.0, "uniform": 3 / 4, "normal": 2 / np.pi, "Laplace": 1 / 2}  # (E|z|)² / E z²
    bars = axes.bar(list(ratios), [1 / 2 - ratio / 4 for ratio in ratios.values()], color=BLUE, width=0.6)
    axes.bar_label(bars, fmt="%.3f", fontsize=11)
    axes.axhline(0.5, color=VERMILION, ls="--", lw=2)
    return figure


def draw_symmetry() -> Any:
    """Draw the loss on XOR for units that start equal, with different outgoing weights, and at random."""
    options = {"title": "mean squared error on XOR, four tanh units", "xlabel": "step of Adam", "yscale": "log"}
    figure, (axes,) = _panels("Twins stay equal; others separate without noise", {**options, "ylim": (1e-4, 30)})
    steps, alike, rng = np.arange(130), np.full((2, 4), 0.5), np.random.default_rng(0)
    starts = {
        "all equal": (alike, np.full((4, 1), 0.25), VERMILION),
        "different outgoing weights": (alike, np.array([[0.5], [-0.5], [1.0], [-1.0]]), BLUE),
        "random": (rng.normal(size=(2, 4)), rng.normal(size=(4, 1)), GREY),
    }
    lines = {
        name: (steps, losses(hidden_network(into, np.zeros(4), out), "Adam", [XOR] * 130), "-", colour)
        for name, (into, out, colour) in starts.items()
    }
    _plot(axes, lines | {"1/6": (steps, steps * 0 + 1 / 6, "--", INK)})
    return figure
