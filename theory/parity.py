"""Claim 3-1: a recurrent unit computes parity; printed with a formula that is OR.

The mathematics, which can be imported from here, is in `parity_units`, `parity_gain`, `parity_bounds` and
`parity_one_unit`; the alternative with threshold units is claimed in `parity_network`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

import minigrad as mg
from theory.claims import FALSE, Claim, Proposition, Statement, agree, require
from theory.parity_bounds import Intervals, map_bounds, proves_failure, proves_parity, tanh_bounds
from theory.parity_figures import draw_recurrences
from theory.parity_gain import adversary, critical_gain, extreme_states, intervals, raw_network, state_map, tanh_network
from theory.parity_one_unit import Unit, contradicts, first_failure, parity_inequalities
from theory.parity_units import (
    Bits,
    all_sequences,
    as_bits,
    or_unit,
    parity,
    printed_network,
    run_unit,
    sequences_up_to,
    threshold_network,
    xor_unit,
)  # fmt: skip
from theory.registry import register

__all__ = [
    "CLAIM_3_1", "Intervals", "Unit", "adversary", "contradicts", "critical_gain", "extreme_states", "first_failure",
    "intervals", "map_bounds", "or_unit", "parity", "parity_inequalities", "printed_network", "proves_failure",
    "proves_parity", "random_bits", "raw_network", "require_parity", "run_unit", "state_map", "tanh_bounds",
    "tanh_network", "threshold_network", "xor_unit",
]  # fmt: skip

Sequence = tuple[int, ...]

LONGEST = 16
"""All sequences are tried up to this length."""
LONG = 100_000
"""The length of the random ones."""


# What is checked -------------------------------------------------------------------------------------


def require_parity(y: NDArray[np.int64] | NDArray[np.float64], bits: Bits) -> None:
    """Raise Refuted unless y (N, T) are the parities of all beginnings of bits (N, T); it names the first failure."""
    truth = parity(bits)
    wrong = ~(y == truth)
    if wrong.any():
        n, t = (int(i) for i in np.argwhere(wrong)[0])
        beginning = "the bits " + " ".join(map(str, bits[n, : t + 1].tolist())) if t < 40 else f"{t + 1} bits"
        require(False, f"y_{t + 1} = {y[n, t]:g} after {beginning}, whose parity is {truth[n, t]}")


def _run(unit: Callable[[Any, Any], Any], bits: Bits) -> NDArray[np.float64]:
    """A unit run in minigrad on bits (N, T): all states (N, T)."""
    x = [mg.tensor(column) for column in bits.T.astype(np.float64)]
    return np.stack([h.numpy() for h in run_unit(unit, x)], axis=1)


def _printed(sequence: Sequence) -> None:
    bits = as_bits([sequence])
    require_parity(_run(or_unit, bits), bits)


def _corrected(length: int) -> None:
    bits = all_sequences(length)
    require_parity(_run(xor_unit, bits), bits)


def random_bits(density: float, seed: int, shape: tuple[int, ...]) -> Bits:
    """Random bits that are 1 with a probability, by a seed."""
    return (np.random.default_rng(seed).random(shape) < density).astype(np.int64)


def _long(case: tuple[float, int]) -> None:
    bits = random_bits(*case, (4, LONG))
    require_parity(np.stack(run_unit(xor_unit, list(bits.T)), axis=1), bits)


def _probability(p: list[float]) -> None:
    """Add up the probabilities of all outcomes of odd parity."""
    outcomes = all_sequences(len(p))
    chances = np.where(outcomes == 1, p, 1 - np.array(p)).prod(axis=1)
    h = run_unit(xor_unit, [mg.tensor(np.float64(q)) for q in p])[-1]
    agree(h.numpy(), chances[parity(outcomes)[:, -1] == 1].sum(), "h_T")


def _gradient(sequence: list[int]) -> None:
    """The state is (1 - prod(1 - 2 x_i)) / 2, so each derivative is the product of the other factors."""
    x = np.array(sequence, np.float64)
    slopes = mg.grad(lambda x: run_unit(xor_unit, [x[t] for t in range(len(sequence))])[-1])(mg.tensor(x))
    others = [np.delete(1 - 2 * x, t).prod() for t in range(len(x))]
    agree(np.asarray(slopes), others, "dh_T/dx")
    agree(np.abs(np.asarray(slopes)), np.ones(len(x)), "|dh_T/dx|")


def _only_one(coefficients: tuple[int, int, int, int]) -> None:
    """Two steps reach all four pairs of a state and a bit, and four values determine four coefficients."""
    k, a, b, c = coefficients
    bits = all_sequences(2)
    states = np.stack(run_unit(lambda h, x: k + a * h + b * x + c * h * x, list(bits.T)), axis=1)
    right = bool((states == parity(bits)).all())
    require(right == (coefficients == (0, 1, 1, -2)), f"h' = {k} + {a}h + {b}x + {c}hx: parity is {right}")


PROPOSITIONS = (
    Proposition(
        "the formula", "h' = h + x - h x from h_0 = 0 gives the parity of every bit sequence",
        _printed, lambda n: sequences_up_to(10), false=True,
    ),
    Proposition(
        "all short sequences", f"h' = h + x - 2 h x does, for all 2^T sequences of each length T = 1, …, {LONGEST}",
        _corrected, lambda n: range(1, LONGEST + 1), "corrected",
    ),
    Proposition(
        "long sequences", f"it does at every step of random sequences of {LONG:,} bits, from rare ones to rare zeros",
        _long, st.tuples(st.sampled_from([0.001, 0.5, 0.999]), st.integers(0, 2**32 - 1)), "corrected", share=0.03,
    ),
    Proposition(
        "probabilities", "for independent random bits that are 1 with probability x_t, h_T is the probability that "
        "their parity is 1", _probability, st.lists(st.floats(0, 1), min_size=1, max_size=8), "general",
    ),
    Proposition(
        "gradient", "the derivative of h_T by every bit is 1 or -1 at bits, so it neither vanishes nor explodes",
        _gradient, st.lists(st.integers(0, 1), min_size=1, max_size=100), "general", share=0.3,
    ),
    Proposition(
        "the only one", "of all k + a h + b x + c h x with coefficients from -2 to 2 it is the only one that computes "
        "parity, which two bits decide", _only_one, lambda n: product(range(-2, 3), repeat=4), "general",
    ),
)  # fmt: skip


# What is shown ---------------------------------------------------------------------------------------


def show_unit() -> str:
    """The truth tables of OR, XOR and the two formulas, and both runs on (1, 1)."""
    lines = [" h  x   h OR x   h + x - h x   h XOR x   h + x - 2 h x"]
    for h, x in product((0, 1), repeat=2):
        lines.append(f" {h}  {x}   {h | x:^6}   {or_unit(h, x):^11}   {h ^ x:^7}   {xor_unit(h, x):^13}".rstrip())
    lines += ["", "The shortest sequence on which they part is (1, 1):"]
    for name, unit in (("printed", or_unit), ("corrected", xor_unit)):
        states = run_unit(unit, [1, 1])
        lines.append(f"  {name:<10} h_0 = 0, h_1 = {states[0]}, h_2 = {states[1]}")
    return "\n".join([*lines, f"  {'parity':<10}          y_1 = {parity([1, 1])[0]}, y_2 = {parity([1, 1])[1]}"])


PROOF = r"""On bits, $h + x - hx = 1 - (1 - h)(1 - x)$ is 0 only for $h = x = 0$: it is OR, and stays 1 after the first
1. It errs as soon as the parity returns to 0, for the first time on $(1, 1)$.

XOR is 1 exactly if $h \ne x$, that is $h(1 - x) + x(1 - h) = h + x - 2hx$. By induction $h_t$ is the parity of the
first $t$ bits. Four values determine the four coefficients of $1, h, x, hx$, and all four pairs $(h, x)$ are met
within two steps, so no other such formula computes parity.

In the encoding $1 - 2h$, $1 - 2x$ of bits as signs the step is a product: $1 - 2h_t = (1 - 2h_{t-1})(1 - 2x_t)$, so
$h_T = \frac12\bigl(1 - \prod_t (1 - 2x_t)\bigr)$ for all real $x_t$. For independent bits with
$P(1) = x_t$ the expected sign of their parity is the product of the expected signs $1 - 2x_t$ (the piling-up lemma,
M. Matsui, 1993), hence $h_T$ is the probability of parity 1. And
$\partial h_T / \partial x_t = \prod_{i \ne t} (1 - 2x_i) = \pm 1$ at bits."""

CLAIM_3_1 = register(
    Claim(
        number="3-1",
        title="A recurrent unit computes the parity of the bits so far",
        statement=Statement(
            "h_t = h_{t-1} + x_t - h_{t-1} x_t with h_0 = 0 gives y_t = h_t = x_1 xor … xor x_t, for all bits x.",
            r"$h_t = h_{t-1} + x_t - h_{t-1} x_t$ with $h_0 = 0$ gives $y_t = h_t = x_1 \oplus \dots \oplus x_t$, "
            r"for all bits $x$.",
        ),
        source="homework 3-1",
        propositions=PROPOSITIONS,
        expected=FALSE,
        corrected=Statement(
            "h_t = h_{t-1} + x_t - 2 h_{t-1} x_t; the printed formula is OR.",
            r"$h_t = h_{t-1} + x_t - 2 h_{t-1} x_t$; the printed formula is OR.",
        ),
        proof=PROOF,
        draw=draw_recurrences,
        display=show_unit,
    )
)
