"""How sure a captioner is: measures of captions, and what a calibration makes of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.data.errors import DataError
from captioning.decoding.beam_search import Beam
from captioning.decoding.captions import ScoredCaption, n_best
from captioning.decoding.rules import Rules
from captioning.evaluation.calibration import MEASURES, Calibration, calibrate, human_cider_d, spearman
from captioning.models.captioner import Captioner
from captioning.scoring.cider import CiderD, DocumentFrequencies, cider_d
from captioning.training.settings import Settings
from captioning.training.solver import Solver
from tests.captioning.decoding.every_caption import random_table
from tests.captioning.decoding.table import Table


def spoken(text, *probabilities):
    logs = np.log(probabilities)
    return ScoredCaption(text.split(), logs, float(logs.mean()), True)


BEAMS = [spoken("a dog", 0.5, 0.25, 1.0), spoken("a cat", 0.5, 0.125, 1.0), spoken("", 0.03125)]


def test_measures_are_what_they_are_said_to_be():
    found = {name: measure(BEAMS, 0) for name, measure in MEASURES.items()}
    assert found["likelihood"] == pytest.approx(np.log(0.125) / 3)
    assert found["probability"] == pytest.approx(np.log(0.125))
    assert found["weakest"] == pytest.approx(np.log(0.25))
    assert found["margin"] == pytest.approx(np.log(2) / 3)
    overlap = 2 / (4 + 2)  # one word of two, and no pair
    assert found["agreement"] == pytest.approx((0.0625 * overlap + 0.03125 * 0) / (0.0625 + 0.03125))
    assert MEASURES["margin"](BEAMS, 1) == pytest.approx(-np.log(2) / 3)
    assert {name: measure(BEAMS[:1], 0) for name, measure in MEASURES.items()}["agreement"] == 1.0
    assert MEASURES["margin"](BEAMS[:1], 0) == 0.0
    assert MEASURES["agreement"]([BEAMS[2], BEAMS[2]], 0) == 1.0


@given(st.integers(0, 999), st.floats(0.01, 1000), st.floats(-100, 100), st.sampled_from([2, 3, 50]))
def test_confidence_rises_with_the_measure_and_its_mean_is_right(seed, spread, centre, n):
    rng = np.random.default_rng(seed)
    raw = centre + spread * rng.standard_normal(n)
    shares = np.clip(0.4 + 0.2 * (raw - centre) / spread + 0.3 * rng.standard_normal(n), 0, 1)
    made = Calibration.fitted("margin", raw, shares, Beam(), 5, 0.3)
    sure = made.of_measure(np.sort(raw))
    assert ((sure >= 0) & (sure <= 1)).all()
    assert (np.diff(sure) >= 0).all()
    assert made.of_measure(raw).mean() == pytest.approx(shares.mean(), abs=2e-3)
    if made.slope > 1e-6:
        assert (sure < made.unsure_below).sum() == pytest.approx(0.3 * n, abs=1)


def test_it_finds_the_curve_that_the_shares_were_drawn_from():
    raw = np.random.default_rng(0).standard_normal(4000)
    true = 1 / (1 + np.exp(-(1.5 * raw - 0.5)))
    shares = np.random.default_rng(1).binomial(1, true)
    made = Calibration.fitted("likelihood", raw, shares, Beam(), 5)
    np.testing.assert_allclose(made.of_measure(raw), true, atol=0.05)


def test_a_measure_that_says_nothing_or_the_opposite_gives_the_mean():
    for raw in ([1.0, 1.0, 1.0, 1.0], [4.0, 3.0, 2.0, 1.0]):
        made = Calibration.fitted("margin", raw, [0.1, 0.2, 0.3, 0.6], Beam(), 5)
        np.testing.assert_allclose(made.of_measure([0.0, 1.0, 9.0]), 0.3, atol=1e-3)
        assert not made.is_unsure(made.with_confidence(BEAMS)[0])


@pytest.mark.parametrize("shares", [[0, 0, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]])
def test_a_measure_that_separates_captions_exactly_has_a_finite_curve(shares):
    made = Calibration.fitted("margin", [1.0, 2.0, 3.0, 4.0], shares, Beam(), 5)
    np.testing.assert_allclose(made.of_measure([1.0, 4.0]), [shares[0], shares[-1]], atol=0.01)


def test_it_judges_the_captions_of_its_beam():
    tables, images = [random_table(0), random_table(1)], np.array([[0], [1], [0]])
    how = Beam(4, length_power=0.7, rules=Rules(no_repeat=2))
    made = Calibration.fitted("likelihood", [-3.0, -1.0, -0.5], [0.1, 0.2, 0.9], how, 3)
    judged = made.decode(Table(tables), images, max_length=5)
    plain = n_best(Table(tables), images, 3, max_length=5, **vars(how))
    assert [[each.words for each in beams] for beams in judged] == [[each.words for each in beams] for beams in plain]
    for beams in judged:
        for each in beams:
            assert each.ended
            assert each.confidence == pytest.approx(float(made.of_measure(each.log_probs.mean())))
            assert made.is_unsure(each) == (each.confidence < made.unsure_below)
    assert not made.is_unsure(BEAMS[0])  # nobody has judged it


def test_it_says_nothing_of_captions_that_were_cut():
    made = Calibration.fitted("likelihood", [-3.0, -1.0, -0.5], [0.1, 0.2, 0.9], Beam(4), 3)
    cut = ScoredCaption(["a"], np.log([0.5]), -0.7, False)
    first, second = made.with_confidence([BEAMS[0], cut])
    assert first.confidence is not None
    assert second.confidence is None
    assert not made.is_unsure(second)


def test_it_counts_for_captions_that_may_get_as_long():
    made = Calibration.fitted("likelihood", [-3.0, -0.5], [0.1, 0.9], Beam(4), 3, max_length=9)
    assert [made.applies_to(Beam(4), length) for length in (8, 9, 50)] == [False, True, True]
    assert not made.applies_to(Beam(5), 9)
    assert not made.applies_to(None, 9)
    longer = Calibration.fitted("likelihood", [-3.0, -0.5], [0.1, 0.9], Beam(4), 3, max_length=70)
    assert [longer.applies_to(Beam(4), length) for length in (49, 50)] == [False, True]


@pytest.fixture
def kept(tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"some")
    how = Beam(4, 0.7, 2, 1.5, Rules(2, 3, ("dog",), ("man", "woman")))
    made = Calibration.fitted("agreement", [0.1, 0.2, 0.5], [0.1, 0.2, 0.9], how, 3)
    made.save(tmp_path)
    return tmp_path, made


def test_it_is_kept_with_the_run_and_knows_its_weights(kept):
    folder, made = kept
    loaded = Calibration.load(folder)
    assert loaded.is_of(folder)
    assert (loaded.beam, loaded.count, loaded.measure) == (made.beam, 3, "agreement")
    assert loaded.of_measure([0.3]).tolist() == made.of_measure([0.3]).tolist()
    (folder / "weights.safetensors").write_bytes(b"other")
    assert not loaded.is_of(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["confidence.json", "weights.safetensors"]
    (folder / "confidence.json").unlink()
    assert Calibration.load(folder) is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"measure": "feeling"}, "measure must be"),
        ({"slope": float("nan")}, "slope must be"),
        ({"spread": 0}, "spread must be above 0"),
        ({"slope": -1.0}, "slope must be at least 0"),
        ({"intercept": "0"}, "intercept must be a finite number; got '0'"),
        ({"slope": 10**400}, "is not a calibration"),
        ({"count": 0}, "count must be an int from 1 to 100; got 0"),
        ({"max_length": 0}, "max_length must be"),
        ({"beam": None}, "is not a calibration"),
        ({"beam": {"width": 4}}, "is not a calibration"),
        ({"more": 1}, "is not a calibration"),
    ],
)
def test_a_damaged_file_is_named(kept, change, message):
    path = kept[0] / "confidence.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=message) as caught:
        Calibration.load(kept[0])
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[]", "3", "[" * 100_000, "{}"])
def test_what_is_no_calibration_is_named(kept, content):
    (kept[0] / "confidence.json").write_text(content)
    with pytest.raises(DataError, match=r"confidence\.json: is not a calibration .*captioning calibrate"):
        Calibration.load(kept[0])


def test_every_changed_byte_is_a_calibration_or_named(kept, full):
    path = kept[0] / "confidence.json"
    whole, rng, named = path.read_bytes(), np.random.default_rng(0), []
    for _ in range(200 if full else 30):
        damaged = bytearray(whole[: rng.integers(1, len(whole) + 1)])
        damaged[rng.integers(len(damaged))] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            Calibration.load(kept[0])
        except DataError as error:
            named.append(str(error))
    assert len(named) > 10
    assert all(each.startswith(str(path)) for each in named)


def test_an_impossible_share_of_unsure_captions():
    with pytest.raises(ValueError, match="unsure must be from 0 to 1; got 2"):
        Calibration.fitted("margin", [1, 2], [0, 1], Beam(), 5, unsure=2)


REFERENCES = [
    [["a", "dog", "runs"], ["one", "dog"], ["a", "dog", "is", "there"]], [["a", "cat"]], [],
    [["the", "sea"], ["the", "blue", "sea"]],
]  # fmt: skip


def test_people_are_scored_against_the_others_of_the_image():
    frequencies = DocumentFrequencies.of(REFERENCES)
    means = []
    for item in (REFERENCES[0], REFERENCES[3]):
        each = [CiderD([item[:k] + item[k + 1 :]], frequencies).score(0, words) for k, words in enumerate(item)]
        means.append(np.mean(each))
    assert human_cider_d(REFERENCES, frequencies) == pytest.approx(np.mean(means))
    with pytest.raises(DataError, match="no image with two human captions"):
        human_cider_d(REFERENCES[1:3], frequencies)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=12))
def test_rank_correlation_shares_the_ranks_of_ties(pairs):
    x, y = (np.array(column, float) for column in zip(*pairs, strict=True)) if pairs else (np.empty(0), np.empty(0))
    found = spearman(x, y)
    if len(set(x)) < 2 or len(set(y)) < 2:
        assert np.isnan(found)
    else:
        ranks = [[np.mean(np.flatnonzero(np.sort(values) == value)) for value in values] for values in (x, y)]
        assert found == pytest.approx(np.corrcoef(*ranks)[0, 1])
    with pytest.raises(ValueError, match="same length"):
        spearman(x, [*y, 1.0])


def test_a_calibration_is_fitted_on_one_half_and_tried_on_the_other(small_data):
    """The figures, from the captions of the second half and their CIDEr-D."""
    split, beam = small_data.val, Beam(3)
    model = Captioner(small_data.vocabulary, 6, 8, 12, rng=0)
    Solver(model, small_data.train, None, Settings(epochs=4, batch_size=10, learning_rate=1e-2)).train()
    made, figures = calibrate(model, split, beam, count=3, unsure=0.3)
    references = split.references_by_image()
    frequencies, images = DocumentFrequencies.of(references), {"first": range(12), "second": range(12, 24)}
    scores, raw = {}, {}
    for part, rows in images.items():
        lists = n_best(model, split.features[np.array(rows)], 3, 3, max_length=9)
        raw[part] = {name: [measure(each, 0) for each in lists] for name, measure in MEASURES.items()}
        scores[part] = cider_d([references[i] for i in rows], [each[0].words for each in lists], frequencies)[1]
        expected = {name: spearman(measures, scores[part]) for name, measures in raw[part].items()}
        assert figures[part] == {name: None if np.isnan(rho) else pytest.approx(rho) for name, rho in expected.items()}
    human = human_cider_d(references, frequencies)
    assert made.measure == max(
        MEASURES, key=lambda name: np.nan_to_num(spearman(raw["first"][name], scores["first"]), nan=-2)
    )
    share = {part: np.minimum(each / human, 1) for part, each in scores.items()}
    assert made == Calibration.fitted(made.measure, raw["first"][made.measure], share["first"], beam, 3, 0.3, 9)
    sure = made.of_measure(raw["second"][made.measure])
    low = sure < made.unsure_below
    bins = np.array_split(np.argsort(sure, kind="stable"), 10)
    error = np.mean([abs(sure[each].mean() - share["second"][each].mean()) for each in bins])
    expected = {"human_cider_d": human, "confidence": sure.mean(), "share": share["second"].mean(), "error": error,
                "unsure": low.mean()}  # fmt: skip
    assert {name: figures[name] for name in expected} == pytest.approx(expected)
    for name, chosen in (("cider_d_sure", ~low), ("cider_d_unsure", low)):
        assert figures[name] == (pytest.approx(scores["second"][chosen].mean()) if chosen.any() else None)
