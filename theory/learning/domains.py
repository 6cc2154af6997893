"""The examples on which claims 6-1 to 6-5 are checked: losses, starts, rates, networks and graphs."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, product
from typing import Any

from hypothesis import strategies as st

from theory.domains import enumerated, every, sampled
from theory.learning.derivatives import Layer, every_graph, pieces
from theory.learning.descent import CYCLE, trap, two_cycle

# ReLU networks are checked for inputs from -BOUND to BOUND.
BOUND = 8
# The change that makes a right certificate wrong.
TINY = Fraction(1, 10**9)

# 6-1: Adam -----------------------------------------------------------------------------------------

# C, the gradient of every third loss.
PERIODS = every(Fraction(3), Fraction(4), Fraction(10))
# C, and the rate of the first step.
TRAPS = sampled(
    st.tuples(st.fractions(Fraction(201, 100), 50, max_denominator=100), st.floats(0.01, 4)),
    {"C below 5/2": lambda case: case[0] < Fraction(5, 2), "C above 10": lambda case: case[0] > 10,
     "a rate above 2, so that x = -1 is reached": lambda case: case[1] > 2},
)  # fmt: skip
_first, _second, _third = trap(Fraction(3))
WRONG_TRAPS = every(
    (Fraction(2), trap(Fraction(2))),
    (Fraction(3), ((_first[0] + TINY, _first[1]), _second, _third)),
    (Fraction(3), ((_first[0], _first[1] - TINY), _second, _third)),
    (Fraction(3), (_first, (_second[0] + TINY, _second[1]), _third)),
    (Fraction(3), (_first, (_second[0], _second[1] - TINY), _third)),
    (Fraction(3), (_first, _second, (_third[0], _third[1] - TINY))),
    (Fraction(3), ((Fraction(7), _first[1]), _second, _third)),
)
SMALL_SCALES = every(1e-8)
# An exponent of 2, eps, and a seed of a network.
SCALES = sampled(
    st.tuples(st.integers(-40, 40), st.sampled_from((0.0, 1e-8, 1e-3)), st.integers(0, 2**32 - 1)),
    {"eps = 0, another scale": lambda case: case[1] == 0 != case[0],
     "eps above 0, another scale": lambda case: case[1] > 0 and case[0] != 0},
)  # fmt: skip

# 6-2: heavy ball -----------------------------------------------------------------------------------

STARTS = every(0, 1, 2, 3)
# The square roots of condition numbers.
ROOTS = every(Fraction(2), Fraction(3), Fraction(5), Fraction(10))
# Starts at rest from which heavy ball ends on its cycle.
CAPTURED = sampled(st.floats(3.1, 3.4))
# The root q of a condition number, and where curvatures lie between 1 and q^2.
QUADRATICS = sampled(
    st.tuples(
        st.just(Fraction(10)) | st.fractions(Fraction(11, 10), 12, max_denominator=20),
        st.lists(st.fractions(0, 1), min_size=1, max_size=4),
    ),
    {"condition number 100": lambda case: case[0] == 10, "a curvature inside": lambda case: 0 < min(case[1]) < 1},
)


def _wrong(cycle: Any) -> list[Any]:
    """Return the cycle with a moved point, with another rate, with another momentum, and a single point."""
    derivative, points, rate, momentum = cycle
    wrong = (
        ((points[0] + TINY, *points[1:]), rate, momentum),
        (points, rate + TINY, momentum),
        (points, rate, momentum + TINY),
        ((Fraction(0),), rate, momentum),
    )
    return [(derivative, *rest) for rest in wrong]


WRONG_BALLS = every(*_wrong(CYCLE))

# 6-3: rates above 2 / curvature ---------------------------------------------------------------------

ATTRACTING = every(Fraction(3))
CYCLES = sampled(
    st.just(Fraction(3)) | st.fractions(Fraction(5, 2), 3, max_denominator=60),
    {"k = 3": lambda k: k == 3, "another": lambda k: k < 3},
)
WRONG_CYCLES = every(*_wrong(two_cycle(Fraction(3))))
REPELLING = every(*[two_cycle(k)[1:3] for k in (Fraction(7, 2), Fraction(4))])
# A momentum, and whether it is Nesterov's.
MOMENTA = sampled(
    st.tuples(st.fractions(0, Fraction(9, 10)), st.booleans()).filter(lambda case: case[0] > 0 or not case[1]),
    {"no momentum": lambda case: case[0] == 0, "Nesterov's": lambda case: case[0] > Fraction(1, 2) and case[1],
     "heavy ball": lambda case: case[0] > Fraction(1, 2) and not case[1]},
)  # fmt: skip

# 6-4: derivatives of ReLU networks -------------------------------------------------------------------

# w_1, w_2, v_1, v_2 of v_1 relu(w_1 x) + v_2 relu(w_2 x), each 0, 1 or -1.
PAIRS_OF_UNITS = enumerated(sorted(product((0, 1, -1), repeat=4), key=lambda weights: sum(map(abs, weights))), 3**4)


@st.composite
def _networks(draw: st.DrawFn) -> tuple[Layer, ...]:
    number = st.integers(-3, 3)
    widths = [1, *draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)), 1]
    return tuple(
        (tuple(tuple(draw(number) for _ in range(m)) for _ in range(d)), tuple(draw(number) for _ in range(m)))
        for d, m in pairwise(widths)
    )


RELU_NETWORKS = sampled(
    _networks(),
    {"three hidden layers": lambda layers: len(layers) == 4, "one hidden layer": lambda layers: len(layers) == 2,
     "two kinks": lambda layers: len(pieces(layers, BOUND)) > 3,
     "a kink of a second layer": lambda layers: len(pieces(layers, BOUND)) > len(layers[0][1]) + 2},
)  # fmt: skip
_identity: tuple[Layer, ...] = (((1, -1),), (1, 2)), (((1,), (-1,)), (0,))
_wrong_ends = (-8, -1, 8), (-8, 2, 8), (-8, -1, 2, -1, 2, 8), (-1, 2, 8), (-8, -1, 2)
# Wrong pieces of relu(x + 1) - relu(2 - x), whose breakpoints are -1 and 2.
WRONG_PIECES = every(*[(_identity, tuple(map(Fraction, ends)), BOUND) for ends in _wrong_ends])

# 6-5: the cost of derivatives --------------------------------------------------------------------------

# The widths of a network with one hidden layer, each up to 3.
WIDTHS = enumerated(sorted(product((1, 2, 3), repeat=3), key=sum), 3**3)
# The widths of a network, and the size of a batch.
LAYERS = sampled(
    st.tuples(st.lists(st.integers(1, 6), min_size=2, max_size=5).map(tuple), st.integers(1, 5)),
    {
        "four layers, and a batch": lambda case: len(case[0]) == 5 and case[1] > 1,
        "more inputs": lambda case: case[0][0] > case[0][-1] > 1,
        "more outputs": lambda case: case[0][-1] > case[0][0] > 1,
    },
)
# All graphs of five vertices, those with few edges first. Isolated vertices stand for smaller graphs.
GRAPHS = enumerated(list(every_graph(5)), 2**10)
# The weights of `theory.learning.derivatives.SMALLEST`.
WEIGHTS = sampled(st.tuples(*[st.floats(-2, 2)] * 5), {"no weight near 0": lambda case: min(map(abs, case)) > 0.1})
