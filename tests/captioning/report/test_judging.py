"""Captions with their references, and which are shown."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.decoding.captions import ScoredCaption
from captioning.report.cards import card
from captioning.report.judging import Judged, chosen, judged


def scored_as(scores):
    return [Judged(i, None, None, [], [], score) for i, score in enumerate(scores)]


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=40), st.integers(1, 9))
def test_none_is_shown_twice_and_the_best_are_better(scores, count):
    groups = chosen(scored_as(scores), count)
    rows = [found.row for some in groups.values() for found in some]
    assert len(rows) == len(set(rows)) == min(len(scores), 3 * count)
    assert max(map(len, groups.values())) <= count
    best, typical, worst = ([found.score for found in some] for some in groups.values())
    assert best == sorted(best, reverse=True)
    assert worst == sorted(worst)
    assert min(best, default=1) >= max(typical, default=0)
    assert min(typical, default=1) >= max(worst, default=0)
    shown = set(rows)
    rest = [score for i, score in enumerate(scores) if i not in shown]
    assert all(max(worst, default=0) <= score <= min(best, default=1) for score in rest)


def test_typical_ones_are_around_the_median():
    typical = chosen(scored_as(np.arange(101.0)), 5)["typical"]
    assert [found.score for found in typical] == [52, 51, 50, 49, 48]


@pytest.mark.parametrize(("n", "shared"), [(0, "000"), (1, "010"), (2, "101"), (4, "121"), (5, "212")])
def test_few_are_shared_out(n, shared):
    groups = chosen(scored_as(np.arange(float(n))), 2)
    assert "".join(str(len(some)) for some in groups.values()) == shared


def test_what_is_known_of_an_image_is_with_its_caption(small_data):
    images = np.array([2, 5])
    looks = np.ones((1, 4), np.float32)
    told = [ScoredCaption(["a"], np.zeros(2), -1.0, True, looks, 0.5), ScoredCaption(["b"], np.zeros(2), -1.0, True)]
    first, second = judged(small_data.val, images, told, np.array([1.5, 2.5]))
    assert (first.row, first.words, first.score, first.confidence, first.looks) == (2, ["a"], 1.5, 0.5, looks)
    assert first.references == small_data.val.references(2)
    assert (first.name, first.photo) == (None, None)
    assert (second.row, second.confidence, second.looks) == (5, None, None)


def test_a_card_says_a_score_as_people_do():
    """A caption that shares next to nothing has no power of ten."""
    assert "CIDEr-D 0.00<" in card(scored_as([7.92e-06])[0], None)
    assert "CIDEr-D 1.90<" in card(scored_as([1.9])[0], None)
