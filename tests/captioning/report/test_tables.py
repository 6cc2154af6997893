"""The sections about words, lengths, confidence and settings."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.report.calibration import calibration_chart, in_bins
from captioning.report.judging import Judged
from captioning.report.lengths import length_charts, means_by_length
from captioning.report.settings_table import settings_tables
from captioning.report.word_use import per_thousand, words_beside_people
from tests.captioning.report.samples import SETTINGS, captions


def said(text, *references, score=1.0):
    return Judged(0, None, None, text.split(), [reference.split() for reference in references], score)


def test_words_of_both_are_counted_and_compared():
    found = words_beside_people([said("a a a dog", "a cat sits", "one cat sits"), said("", "a cat sits")])
    assert "It says 2 different words in 2 captions. People say 4 in 3, and 3 of those it never says." in found
    assert "<li>a (3, not 1)</li>" in found
    assert "<li>cat (0, not 1)</li>" in found
    assert found.count("<tr>") == 1 + 5


@pytest.mark.parametrize("nothing", [said(""), said("", ""), said("a"), said("", "a dog")])
def test_captions_without_words_have_no_words(nothing):
    assert "<table" in words_beside_people([nothing])
    assert "Captions by length" in length_charts([nothing])


@given(st.lists(st.sampled_from("abc"), min_size=1))
def test_shares_are_a_thousand_together(words):
    assert sum(per_thousand(Counter(words)).values()) == pytest.approx(1000)


def test_lengths_stand_together_from_thirty_on():
    found = length_charts([said("a dog", "a " * 29, "a " * 500, score=0.5), said("a dog", score=0.25)])
    assert "people, 30+ words: 50.0%" in found
    assert "said, 2 words: 100.0%" in found
    assert "2 words: 0.375, 2 captions" in found
    across = [part.partition("<")[0] for part in found.split('class="across"')]
    assert [name.partition(">")[2] for name in across[1:]] == [
        "words of a caption", *map(str, range(2, 30, 3)), "words of a caption", "2"
    ]  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, 6), st.floats(0, 10)), min_size=1))
def test_means_by_length_hold_every_caption(pairs):
    lengths, scores = (np.array(column) for column in zip(*pairs, strict=True))
    means, counts = means_by_length(lengths, scores, np.arange(7))
    assert counts.sum() == len(pairs)
    assert np.nansum(means * counts) == pytest.approx(scores.sum())
    assert (np.isnan(means) == (counts == 0)).all()


levels = st.integers(0, 5).map(float)


@given(st.lists(st.tuples(levels, levels), min_size=1, max_size=40), st.integers(1, 12))
def test_bins_hold_every_caption_in_order_of_confidence(pairs, most):
    sure, good = (np.array(column) for column in zip(*pairs, strict=True))
    bins = in_bins(sure, good, most)
    assert len(bins) == min(most, len(pairs))
    counts = [count for *_, count in bins]
    assert sum(counts) == len(pairs)
    assert max(counts) - min(counts) <= 1
    assert sum(mean * count for *_, mean, count in bins) == pytest.approx(good.sum())
    assert all(low <= mean <= high for low, high, mean, *_ in bins)
    assert all(before[1] <= after[0] for before, after in pairwise(bins))


def test_confidence_that_says_nothing_is_said_to():
    assert "not defined" in calibration_chart([0.5, 0.5], [1.0, 2.0])
    assert "rho is -1.00" in calibration_chart([0.1, 0.2], [2.0, 1.0])


@pytest.mark.parametrize(("x", "y"), [([], []), ([1.0], [1.0, 2.0]), ([np.nan], [1.0]), ([[1.0]], [[1.0]])])
def test_lists_that_do_not_fit_are_refused(x, y):
    with pytest.raises(ValueError, match="numbers"):
        calibration_chart(x, y)


def test_settings_are_all_there_but_where_folders_are():
    found = settings_tables(SETTINGS)
    assert [part.partition("<")[0] for part in found.split("<h3>")[1:]] == ["run", "model", "training", "data"]
    assert "flickr8k" in found
    assert "somebody" not in found


def test_settings_of_a_foreign_run_have_bounds():
    wide = {f"key{i}" * 30: "x" * 10_000 for i in range(500)}
    found = settings_tables({"<script>": wide, "model": {"deep": {"deeper": wide}, "list": ["y" * 10_000]}})
    assert len(found) < 50_000
    assert "440 more" in found
    assert "<script" not in found


def test_captions_of_the_sample_have_sections():
    assert "rho" in calibration_chart([c.confidence for c in captions()], [c.score for c in captions()])
