"""The checkers of claims 5-1 to 5-6, one function for each proposition.

A checker whose case is a tuple first gives its parts names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from theory.checker import largest_score, never_largest
from theory.layers.attention import (
    attend,
    encoder_layer,
    jacobian,
    jacobian_ranges,
    mean_layer,
    orders,
    preserved,
    steep_tokens,
)  # fmt: skip
from theory.layers.certificates import check_ranges, check_winners
from theory.layers.networks import XOR, batches, hidden_network, losses, normalised_network, units
from theory.layers.softmax import Words, captioner, corners, decide
from theory.refutation import accepts, agree, certified, require

Array = NDArray[np.float64]

ROOTS = np.sqrt([[2.0], [3.0], [5.0], [7.0], [11.0]])
"""Tokens of one feature: linearly independent over the rationals, so different sets have different means."""
DIFFERENT = 1e-3
"""Less than the smallest difference between two outputs of the mean layer, for up to five of the ROOTS."""


# 5-1: order ---------------------------------------------------------------------------------------


def _changes(attention: Callable[..., Any], x: Array, mask: NDArray[np.bool_]) -> Array:
    """Return how far outputs change if each order permutes tokens before attention instead of after it, (n!,)."""
    several = orders(len(x))
    with mg.no_grad():
        before = attention(x[several], mask=mask).numpy()
    return np.asarray(np.abs(before[0][several] - before).max(axis=(1, 2)))  # the first order is the identity


def ignores_order(case: tuple[int, tuple[int, ...]]) -> None:
    """Causal attention gives the same outputs, reordered, for tokens in this order."""
    n, order = case
    change = _changes(mean_layer(), ROOTS[:n], np.tri(n, dtype=bool))[orders(n).tolist().index(list(order))]
    require(change < DIFFERENT, f"an output of {n} tokens changes by {change:.2g}")


def commutes_iff_preserved(mask: NDArray[np.bool_]) -> None:
    """An encoder layer is equivariant under orders that preserve the mask, and the mean layer under no others."""
    n, good = len(mask), preserved(mask)
    change = _changes(encoder_layer(), np.random.default_rng(n).normal(size=(n, 4)), mask)
    require(bool((change[good] < 1e-9).all()), "an order that preserves the mask matters")
    commutes = _changes(mean_layer(), ROOTS[:n], mask) < DIFFERENT
    require(bool((commutes == good).all()), f"the mean layer commutes with {orders(n)[commutes].tolist()}")


def causal_layers(n: int) -> None:
    """Only the identity preserves a causal mask. The last output of one layer ignores earlier orders; of two, not."""
    several, tokens = orders(n), np.random.default_rng(n).normal(size=(n, 4))
    require(preserved(np.tri(n, dtype=bool)).tolist() == [True] + [False] * (len(several) - 1), "others preserve it")
    last = encoder_layer()(tokens[several[several[:, -1] == n - 1]], causal=True).numpy()[:, -1]
    agree(last, np.repeat(last[:1], len(last), axis=0), "the last output in other orders of the earlier tokens")
    counts = [sum(1 / i for i in range(j, n + 1)) / n for j in range(1, n + 1)]
    twice = mean_layer()(mean_layer()(ROOTS[several], causal=True), causal=True).numpy()
    agree(twice[:, -1, 0], ROOTS[several, 0] @ counts, "the last output of two layers")


# 5-2: Lipschitz constants -----------------------------------------------------------------------------


def has_constant(constant: int) -> None:
    """The Jacobian has at most this norm at the tokens (0, t, -t) with t² = 3/2 constant."""
    tokens = steep_tokens(constant)
    norm = np.linalg.norm(jacobian(tokens), 2)
    require(norm <= constant, f"at the tokens (0, t, -t), t = {tokens[1, 0]:.4g}, the Jacobian has the norm {norm:.5g}")


def exceeds_constant(constant: int) -> None:
    """At these tokens dy_0/dx_0 exceeds the constant by 1/3; the norm is at most the bound for the ball."""
    tokens = steep_tokens(constant)
    agree(jacobian(tokens)[0, 0] - constant, 1 / 3, "dy_0/dx_0 above the constant", 1e-9 + 1e-14 * constant)
    _require_ball_bound(jacobian(tokens), 3, tokens[1, 0], 1.0, 1.0)


def bounded_in_ball(case: tuple[int, int, float, int]) -> None:
    """The Jacobian's norm is at most the bound, for n tokens of D features and norm R, and random weights."""
    n, D, R, seed = case
    x, A, V = (np.random.default_rng(seed + k).normal(size=(rows, D)) for k, rows in enumerate((n, D, D)))
    x *= R / np.linalg.norm(x, axis=1, keepdims=True)
    _require_ball_bound(jacobian(x, A, V), n, R, *(float(np.linalg.norm(M, 2)) for M in (A, V)))


def needs_root(n: int) -> None:
    """At the tokens (2r, r, …, r) with r² = 2 ln n the norm is at least √n n / (n + 1)."""
    r = math.sqrt(2 * math.log(n))
    J = jacobian([[2 * r]] + [[r]] * (n - 1))
    require(
        np.linalg.norm(J, 2) >= math.sqrt(n) * n / (n + 1), f"the norm for {n} tokens is {np.linalg.norm(J, 2):.6g}"
    )
    _require_ball_bound(J, n, 2 * r, 1.0, 1.0)


def _require_ball_bound(J: Array, n: int, R: float, A: float, V: float) -> None:
    norm, bound = np.linalg.norm(J, 2), V * (math.sqrt(n) + R**2 * A * (1 + math.sqrt(n)))
    require(norm <= bound * (1 + 1e-9), f"the norm is {norm:.6g}, the bound {bound:.6g}")


def bounded_in_box(case: tuple[list[Fraction], Fraction]) -> None:
    """At the corners of a box the Jacobians are in the ranges; distances grow by at most the norm that these allow."""
    centre, width = case
    ranges = jacobian_ranges([(c - width, c + width) for c in centre])
    bound = math.sqrt(sum(max(low**2, high**2) for row in ranges for low, high in row))
    corners = np.array(list(product(*[(float(c - width), float(c + width)) for c in centre])))[:, :, None]
    for x in corners:
        check_ranges(ranges, jacobian(x))
        moved, distance = (np.linalg.norm(d, axis=(1, 2)) for d in ((attend(corners) - attend(x)).numpy(), corners - x))
        require(bool((moved <= bound * distance + 1e-9).all()), f"a distance grows more than {bound:.6g}-fold")
    if width == 0:
        agree(np.array(ranges, dtype=np.float64), np.stack([jacobian(x)] * 2, axis=-1), "the ranges at a point")


# 5-3: batch norm ------------------------------------------------------------------------------------


def _normalised(x: Array, W: Array, eps: float) -> Array:
    return np.array(mg.batch_norm(mg.matmul(x, W), eps=eps).numpy())


def ignores_factor(case: tuple[float, float]) -> None:
    """Multiplying the weight 1 by the factor does not change the batch norm of the inputs 0 and 1."""
    eps, factor = case
    scaled, plain = (_normalised(np.array([[0.0], [1.0]]), np.array([[w]]), eps)[1, 0] for w in (factor, 1.0))
    require(abs(scaled - plain) < 1e-9, f"the input 1 becomes {scaled:.8g} instead of {plain:.8g}")


def scales_epsilon(case: tuple[int, float, float]) -> None:
    """Multiplying the weights by a has the effect of sign(a), and of eps / a² in place of eps."""
    seed, eps, a = case
    ((x, _),), W = batches(seed, 1), np.random.default_rng(seed).normal(size=(3, 4))
    agree(_normalised(x, a * W, eps), np.sign(a) * _normalised(x, W, eps / a**2), "the batch norm")


def orthogonal_gradient(case: tuple[int, float, float]) -> None:
    """<w, dL/dw> = eps / (var + eps) c dL/dc, with the layer's weight c; for eps = 0 also norms and scaling."""
    seed, eps, a = case
    ((x, y),), (net, scaled) = batches(seed, 1), (normalised_network(seed, eps) for _ in range(2))
    scaled[0].weight.data[...] *= abs(a)
    for network in (net, scaled):
        mg.mse_loss(network(x), y).backward()
    (W, c), share = (net[0].weight, net[1].weight), eps / ((x @ net[0].weight.data).var(axis=0) + eps)
    agree((W.data * W.grad).sum(axis=0), share * c.data * c.grad, "<w, dL/dw>", 1e-11)
    if eps == 0:
        agree(abs(a) * scaled[0].weight.grad, W.grad, "the gradient at the scaled weights, times the factor")
        expected = (W.data**2).sum(axis=0) + a**2 * (W.grad**2).sum(axis=0)
        mg.optim.SGD(net.parameters(), lr=abs(a)).step()
        agree((W.data**2).sum(axis=0), expected, "the squared norms after a step of SGD")


# 5-4: softmax ---------------------------------------------------------------------------------------


def every_word_wins(embeddings: Sequence[int]) -> None:
    """Each word with one of these embeddings, without biases, wins at some state."""
    words = [([e], 0) for e in embeddings]
    never = [e for word, e in enumerate(embeddings) if decide(words, word)[0] is None]
    require(not never, f"the words with the embeddings {never} never win")


def wins_or_never(case: tuple[Words, int]) -> None:
    """A word wins at a state of the box, also by minigrad's softmax; or multipliers prove that it never does."""
    words, word = case
    state, multipliers = decide(words, word)
    certified(*(never_largest, words, word, multipliers) if state is None else (largest_score, words, word, state))
    states = np.random.default_rng(word).uniform(-1, 1, (20, len(words[0][0]))) if state is None else [state]
    E, b = (np.array(list(part), dtype=np.float64) for part in zip(*words, strict=True))
    p = mg.softmax(mg.matmul(np.array(states, dtype=np.float64), E.T) + b).numpy()
    wins = p[:, word] > np.delete(p, word, axis=1).max(axis=1) + 1e-12
    require(bool((wins == (state is not None)).all()), f"the word {word} has the probabilities {p[:, word].tolist()}")


def captioner_words_win(block: range) -> None:
    """Each of these words of the captioner is the most probable at a corner of the box; its scores are exact."""
    (E, b), words = captioner(), np.array(block)
    scores = mg.matmul(corners(E, words), E.T) + b
    check_winners(words, corners(E, words), E, b, scores.numpy())
    require(bool((mg.softmax(scores).numpy().argmax(axis=1) == words).all()), "another word is more probable")


def is_rejected(case: tuple[str, Callable[..., Any], tuple[Any, ...]]) -> None:
    """The check rejects a wrong certificate."""
    wrong, check, certificate = case
    require(not accepts(check, *certificate), f"{check.__name__} accepts {wrong}")


# 5-5: ReLU ----------------------------------------------------------------------------------------


def halves_variance(values: Sequence[int]) -> None:
    """Var relu(z) = Var z/2 for z uniform on plus and minus these values."""
    z = np.array([*values, *(-v for v in values)], dtype=np.float64)
    before, after = z.var(), mg.relu(z).numpy().var()
    require(abs(after - before / 2) < 1e-9, f"z has the variance {before:.6g}, relu(z) has {after:.6g}")


def halves_mean_square(values: Sequence[int]) -> None:
    """E relu(z)² = E z²/2 and Var relu(z) = Var z/2 - (E|z|)²/4, for the same z."""
    z = np.array([*values, *(-v for v in values)], dtype=np.float64)
    y = mg.relu(z).numpy()
    agree((y**2).mean(), (z**2).mean() / 2, "E relu(z)²")
    agree(y.var(), z.var() / 2 - np.abs(z).mean() ** 2 / 4, "Var relu(z)")


def normal_variance(step: float) -> None:
    """For a standard normal z, by the midpoint rule: E relu(z)² = 1/2, Var relu(z) = 1/2 - 1/(2 pi)."""
    z = np.arange(-12 + step / 2, 12, step)
    density, y = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * step, mg.relu(z).numpy()
    agree((density * y**2).sum(), 0.5, "E relu(z)²", step**2)
    agree((density * y**2).sum() - (density * y).sum() ** 2, 0.5 - 0.5 / math.pi, "Var relu(z)", step**2)


def signs_keep_the_square(x: Sequence[int]) -> None:
    """The mean of relu(<w, x>)² over all signs w is half of |x|²."""
    signs = np.array(list(product((-1.0, 1.0), repeat=len(x)))).T
    linear = mg.nn.Linear(len(x), 2 ** len(x), bias=False, dtype="float64", initial=signs.reshape)
    square = (mg.relu(linear(np.array([x], dtype=np.float64))).numpy() ** 2).mean()
    require(bool(2 * square == sum(v * v for v in x)), f"the mean square is {square}")


# 5-6: symmetry --------------------------------------------------------------------------------------


def _with_twins(case: tuple[str, str, int], steps: int) -> tuple[Array, int]:
    """Train four units, two of which start equal; return all units, (4, 6), and the number of the first one's twin."""
    optimiser, activation, seed = case
    rng = np.random.default_rng(seed)
    rows, twin = rng.uniform(-0.5, 0.5, (4, 6)), int(rng.integers(1, 4))
    rows[twin] = rows[0]
    net = hidden_network(rows[:, :3].T, rows[:, 3], rows[:, 4:], activation)
    losses(net, optimiser, batches(seed, steps))
    return units(net), twin


def descent_separates(optimiser: str) -> None:
    """Two units that start alike differ after ten steps."""
    rows, twin = _with_twins((optimiser, "tanh", 0), 10)
    require(bool((rows[0] != rows[twin]).any()), f"units 0 and {twin} are equal after ten steps")


def twins_stay_equal(case: tuple[str, str, int]) -> None:
    """Units that start equal stay equal to the last bit, and some unit changes."""
    (rows, twin), (start, _) = _with_twins(case, 10), _with_twins(case, 0)
    require(
        bool((rows[0] == rows[twin]).all()), f"units 0 and {twin} differ by {np.abs(rows[0] - rows[twin]).max():.2g}"
    )
    require(bool((rows != start).any()), "no unit moved")


def _two_units(outgoing: tuple[int, int], steps: int) -> Array:
    """Return the incoming weights and biases of two units, (2, 3), which start equal, after steps of SGD."""
    net = hidden_network(np.ones((2, 2)), np.zeros(2), np.array(outgoing)[:, None])
    losses(net, "SGD", [([[1.0, 0.0], [0.5, 1.0]], [[30.0], [10.0]])] * steps)
    return units(net)[:, :3]


def stays_equal_without_noise(outgoing: tuple[int, int]) -> None:
    """Two units with equal incoming weights and these outgoing ones have equal incoming weights after a step."""
    change = np.ptp(_two_units(outgoing, 1), axis=0).max()
    require(change == 0, f"after one step of SGD the incoming weights differ by {change:.2g}")


def outgoing_weights_separate(outgoing: tuple[int, int]) -> None:
    """Incoming weights change in proportion to outgoing ones, so they differ after a step if the latter do."""
    change = _two_units(outgoing, 1) - _two_units(outgoing, 0)
    agree(change[0] * outgoing[1], change[1] * outgoing[0], "the changes, each times the other's outgoing weight")
    alike = np.ptp(change, axis=0) < 1e-3
    require(bool((alike == (outgoing[0] == outgoing[1])).all()), f"equal changes of incoming weights: {alike.tolist()}")


def only_others_fit(optimiser: str) -> None:
    """The error on XOR stays above 1/6 if all units start equal, and falls below 1/8 if outgoing weights differ."""
    several = [np.full((4, 1), 0.25), np.array([[0.5], [-0.5], [1.0], [-1.0]])]
    nets = [hidden_network(np.full((2, 4), 0.5), np.zeros(4), outgoing) for outgoing in several]
    twins, others = (min(losses(net, optimiser, [XOR] * 100)) for net in nets)
    require(others < 1 / 8 < 1 / 6 - 1e-12 <= twins, f"the error falls to {twins:.8g}, to {others:.8g} without twins")
