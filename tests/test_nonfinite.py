"""How bad numbers are, and arrays in words."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad.anomaly import badness, badness_of_entries, first_worst, inputs_there, summary


def test_the_worst_counts_wherever_it_is():
    nan, inf = np.nan, np.inf
    for value in ([nan, inf], [inf, nan], {"a": (inf, [nan]), "b": 1}, (np.array([inf, nan]),)):
        assert badness(value) == 2
    for value in ([1.0, inf], np.float32(-inf), [[], {}, (np.array([inf, 0.0]), 2)]):
        assert badness(value) == 1
    for value in (1, "nan", None, np.array(["nan"]), np.array([None]), np.arange(3), np.array([True]), [], 0.0):
        assert badness(value) == 0
    assert badness(mg.tensor([nan], requires_grad=True)) == 0  # which is not looked into


def test_what_holds_no_floats_has_no_bad_entries():
    for value in (np.arange(3), np.array(["a", "b", "c"]), np.array([True, False, True])):
        np.testing.assert_array_equal(badness_of_entries(value), [0, 0, 0])
    np.testing.assert_array_equal(badness_of_entries(np.float32(np.inf)), 1)


def test_the_first_along_an_axis():
    bad = np.array([[0, 0, 2], [2, 1, 0]])
    assert first_worst(bad) == (0, 2)
    assert first_worst(bad, axis=1) == (1, 0)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (2.5, "2.5"), (None, "None"), ("mean", "mean"), (np.zeros((0, 2)), "float64 (0, 2)"),
        (np.array(["a"]), "<U1 (1,)"), (np.array([3, 1, 2]), "int64 (3,) from 1 to 3"),
        (np.array([np.nan, np.inf]), "float64 (2,), 2 of 2 entries NaN or infinite"),
        (np.array([np.inf, 1.0, 3.0]), "float64 (3,), 1 of 3 entries NaN or infinite, the others from 1.0 to 3.0"),
    ],
)  # fmt: skip
def test_arrays_in_words(value, words):
    assert summary(value) == words


def test_what_met_in_words():
    named = [("a", np.array([1.0, 0.0])), ("b", None), ("c", 2.0)]
    assert inputs_there(named, (2,), (1,)) == "a = 0.0, c = 2.0"
    assert inputs_there(named, (2,), None) == "a: float64 (2,) from 0.0 to 1.0; c: 2.0"
