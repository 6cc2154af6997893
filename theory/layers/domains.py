"""The examples on which claims 5-1 to 5-6 are checked: masks, tokens, words, batches, signs and networks."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, combinations_with_replacement, product
from typing import Any

import numpy as np
from hypothesis import strategies as st

from minigrad import optim
from theory.checker import largest_score, never_largest
from theory.domains import enumerated, every, sampled, stratified
from theory.layers.attention import orders
from theory.layers.certificates import check_ranges, check_winners
from theory.layers.networks import ACTIVATIONS, OPTIMISERS
from theory.layers.softmax import decide

SEEDS = st.integers(0, 2**32 - 1)

# 5-1: masks ---------------------------------------------------------------------------------------

MASKS = enumerated(
    [np.array(bits).reshape(n, n) for n in (1, 2, 3) for bits in product((False, True), repeat=n * n)], 2 + 2**4 + 2**9
)
CAUSAL_ORDERS = enumerated([(n, tuple(order)) for n in range(1, 5) for order in orders(n).tolist()], 1 + 2 + 6 + 24)
LENGTHS = enumerated(range(1, 6), 5)
"""Numbers of tokens."""

# 5-2: tokens ----------------------------------------------------------------------------------------

CONSTANTS = enumerated([2**k for k in range(41)], 41)
"""Candidates for a Lipschitz constant."""
NUMBERS = enumerated([2**k for k in range(8)], 8)
"""Numbers of tokens."""
BALLS = sampled(
    st.tuples(st.integers(1, 6), st.integers(1, 3), st.sampled_from((0.5, 1.0, 2.0, 4.0)), SEEDS),
    {"6 tokens of 3 features": lambda case: case[:2] == (6, 3), "a radius of 4": lambda case: case[2] == 4},
)
"""The numbers of tokens and features, the norm of each token, and a seed."""
BOXES = sampled(
    st.tuples(
        st.lists(st.integers(-16, 16).map(lambda k: Fraction(k, 8)), min_size=1, max_size=3),
        st.sampled_from((0, Fraction(1, 64), Fraction(1, 8))),
    ),
    {
        "3 tokens": lambda case: len(case[0]) == 3, "single points": lambda case: case[1] == 0,
        "a box with a token of both signs": lambda case: case[1] > abs(min(case[0], key=abs)),
    },
)  # fmt: skip
"""The centre of a box, one number for each token, and half its width."""

# 5-3: batches ---------------------------------------------------------------------------------------

FACTORS = enumerated([(0.0, 1.0), (0.0, 2.0), (0.0, 0.5), (0.0, -1.0), (0.0, -2.0)], 5)
EPSILONS = enumerated([(eps, a) for eps in (0.0, 1e-5) for a in (1.0, 2.0, 0.5)], 2 * 3)
"""An epsilon, and a factor for the weights."""
SCALED = sampled(
    st.tuples(SEEDS, st.sampled_from((0.0, 1e-5, 0.1, 1.0)), st.floats(0.125, 8) | st.floats(-8, -0.125)),
    {
        "no epsilon and a factor above 2": lambda case: case[1] == 0 and case[2] > 2,
        "an epsilon of 1 and a factor above -1/2": lambda case: case[1] == 1 and -0.5 < case[2] < 0,
    },
)
"""A seed, an epsilon and a factor."""

# 5-4: words -----------------------------------------------------------------------------------------

EMBEDDINGS = enumerated([e for V in (2, 3, 4) for e in combinations(range(4), V)], 6 + 4 + 1)
"""Different embeddings of one number."""
_words = [st.tuples(st.tuples(*[st.integers(-3, 3)] * d), st.integers(-3, 3)) for d in (1, 2)]
WORDS = sampled(
    st.tuples(st.one_of(*(st.lists(word, min_size=2, max_size=5) for word in _words)), st.integers(0, 4)).map(
        lambda drawn: (drawn[0], drawn[1] % len(drawn[0]))
    ),
    {
        "5 words of two numbers": lambda case: (len(case[0]), len(case[0][0][0])) == (5, 2),
        "a word of two numbers that wins": lambda case: len(case[0][0][0]) == 2 and decide(*case)[0] is not None,
        "one that never wins": lambda case: len(case[0][0][0]) == 2 and decide(*case)[0] is None,
    },
)
"""The embeddings and biases of two to five words, and the number of one of them."""
BLOCKS = enumerated([range(first, min(first + 100, 2917)) for first in range(0, 2917, 100)], 30)
"""The numbers of all words of the captioner."""
_zero, _one, _pair = Fraction(0), Fraction(1), [([0], 0), ([1], 0)]
_first, _half, _E, _b = np.array([0]), np.array([[0.5]]), np.array([[1.0], [2.0]]), np.zeros(2)
SPOILT = every(
    ("a state on the edge of the box", largest_score, (_pair, 1, [_one])),
    ("a tie", largest_score, (_pair, 1, [_zero])),
    ("a bias that is forgotten", largest_score, ([([0], 2), ([1], 0)], 1, [_one / 2])),
    ("no multipliers", never_largest, (_pair, 1, [_zero, _zero])),
    ("a word against itself", never_largest, (_pair, 1, [_zero, _one])),
    ("a mean on one side", never_largest, (_pair, 0, [_zero, _one])),
    ("a lower mean", never_largest, ([([0], 0), ([0], -1)], 0, [_zero, _one])),
    ("negative multipliers", never_largest, ([([0], 0), ([0], -1)], 0, [_zero, -_one])),
    ("one negative multiplier", never_largest, ([([0], 0), ([0], -1), ([0], -3)], 0, [_zero, 2 * _one, -_one])),
    ("differences that cancel", never_largest, ([([0, 0], 0), ([1, -1], 0)], 0, [_zero, _one])),
    ("scores of another word", check_winners, (_first, _half, _E, _b, _half @ _E.T)),
    ("scores that are rounded", check_winners, (_first + 1, _half / 3, _E, _b, _half / 3 @ _E.T)),
    ("scores that are too large", check_winners, (_first + 1, _half, _E * 2**20, _b, _half @ _E.T * 2**20)),
    ("scores outside the box", check_winners, (_first + 1, 2 * _half, _E, _b, 2 * _half @ _E.T)),
    ("a score that is too high", check_winners, (_first + 1, _half, _E, _b, _half @ _E.T + [0.0, 1.0])),
    ("equal scores", check_winners, (_first, _half, _E * 0, _b, _half @ _E.T * 0)),
    ("an entry above its range", check_ranges, ([[(_zero, _one)]], _E[:1] + 1e-6)),
    ("an entry below its range", check_ranges, ([[(_one, 2 * _one)]], _E[:1] - 1e-6)),
)
"""What is wrong with a certificate, the check that must reject it, and the certificate."""

# 5-5: signs -----------------------------------------------------------------------------------------

HALVES = enumerated([v for k in (1, 2, 3) for v in combinations_with_replacement(range(6), k)], 6 + 21 + 56)
"""z is one of these numbers or its negative, all with the same probability."""
INPUTS = enumerated([x for n in (1, 2, 3, 4) for x in product(range(-1, 3), repeat=n)], 4 + 16 + 64 + 256)
STEPS = every(1e-2, 1e-3)

# 5-6: networks --------------------------------------------------------------------------------------

_CLASSES: dict[str, Any] = {
    f"the optimiser {name}": lambda case, cls=cls: OPTIMISERS[case if isinstance(case, str) else case[0]].func is cls
    for name, cls in vars(optim).items()
    if isinstance(cls, type) and issubclass(cls, optim.Optimizer) and cls is not optim.Optimizer
}
METHODS = enumerated(list(OPTIMISERS), len(OPTIMISERS), _CLASSES)
TWINS = stratified(list(product(OPTIMISERS, ACTIVATIONS)), lambda stratum, seed: (*stratum, seed), _CLASSES)
"""An optimiser, an activation and a seed."""
OUTGOING = enumerated(list(product(range(4), repeat=2)), 16)
