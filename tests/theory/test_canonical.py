"""The content of an example: equal for equal ones made anew, and no two others alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import minigrad as mg
from theory import Proposition, enumerated
from theory.canonical import canonical_text


@dataclass(frozen=True)
class Pair:
    first: object
    second: object


class Plain:
    """It has no repr of its own."""

    def __init__(self, value):
        self.value = value


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


LARGE = np.arange(2000.0)
OTHER = np.where(LARGE == 1000, -1.0, LARGE)  # where NumPy writes an ellipsis
ALIKE = [  # each equal to itself made anew, and unlike all others
    lambda: LARGE.copy(),
    lambda: OTHER.copy(),
    lambda: LARGE.astype(np.float32),
    lambda: LARGE.reshape(2, 1000),
    lambda: (LARGE.copy(), 1),
    lambda: (OTHER.copy(), 1),
    lambda: [LARGE.copy(), 1],
    lambda: Pair(LARGE.copy(), {"a": OTHER.copy()}),
    lambda: Pair(LARGE.copy(), {"a": LARGE.copy()}),
    lambda: {"a": LARGE.copy(), "b": 1},
    lambda: Plain(LARGE.copy()),
    lambda: Plain(OTHER.copy()),
    lambda: Plain(1),
    lambda: Slotted(1),
    lambda: Slotted(2),
    lambda: mg.tensor(LARGE.copy()),
    lambda: mg.tensor(OTHER.copy()),
    lambda: np.array([Plain(1), None], dtype=object),
    lambda: np.array([Plain(2), None], dtype=object),
    lambda: np.asfortranarray(np.arange(6).reshape(2, 3)),
    lambda: frozenset([1, 2]),
    lambda: -1,
    lambda: -2,
    lambda: 1,
    lambda: 1.0,
    lambda: True,
    lambda: np.float64(1.0),
    lambda: "1",
    lambda: b"1",
    lambda: (1, (2, 3)),
    lambda: ((1, 2), 3),
    lambda: ("a", "b"),
    lambda: ("a, b",),
    lambda: float("nan"),
    lambda: -0.0,
    lambda: 0.0,
    lambda: None,
]


def test_the_content_of_an_example_tells_it_from_others():
    keys = [canonical_text(make()) for make in ALIKE]
    assert keys == [canonical_text(make()) for make in ALIKE]
    assert len(set(keys)) == len(keys)


def test_the_order_of_a_dict_or_set_does_not_matter():
    assert canonical_text({"a": 1, "b": 2}) == canonical_text({"b": 2, "a": 1})
    # In a table of 8 places these collide, so that the order of insertion shows.
    assert canonical_text({0, 8, 16, 24}) == canonical_text({24, 16, 8, 0})


def test_what_contains_itself_has_a_content():
    circle = [1]
    circle.append(circle)
    assert canonical_text(circle) == canonical_text(circle)


@pytest.mark.parametrize(
    ("cases", "twice"),
    [([LARGE, OTHER], 0), ([LARGE, LARGE.copy()], 1), ([Plain(1), Plain(2)], 0), ([Plain(1), Plain(1)], 1)],
)
def test_cases_that_come_twice_are_seen_by_their_content(cases, twice):
    result = Proposition("all", "all", lambda x: None, enumerated(cases, 2)).examine(2, 0)
    assert result.holds == (not twice)
    assert result.message == (f"the domain falls short: {twice} of its 2 cases come twice" if twice else "")
