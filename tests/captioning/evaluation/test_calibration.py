"""How sure a captioner is: measures of captions, and what a calibration makes of them."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captioning.data.errors import DataError
from captioning.decoding.beam_search import Beam
from captioning.decoding.captions import Caption, n_best
from captioning.decoding.rules import Rules
from captioning.evaluation.calibration import MEASURES, Calibration, calibrate, human_cider_d, spearman
from captioning.models.captioner import Captioner
from captioning.scoring.cider import CiderD, DocumentFrequencies, cider_d
from captioning.training.settings import Settings
from captioning.training.solver import Solver
from tests.captioning.decoding.table import Table, random_table


def scored(text, *probabilities):
    logs = np.log(probabilities)
    return Caption(text.split(), logs, float(logs.mean()), True)


BEAMS = [scored("a dog", 0.5, 0.25, 1.0), scored("a cat", 0.5, 0.125, 1.0), scored("", 0.03125)]
LIKELIHOOD = Calibration.fitted("likelihood", [-3.0, -1.0, -0.5], [0.1, 0.2, 0.9], Beam(4), 3, max_length=9)


def test_measures_are_what_they_are_said_to_be():
    overlap = 2 / (4 + 2)  # one word of two, and no pair
    assert {name: measure(BEAMS, 0) for name, measure in MEASURES.items()} == pytest.approx({
        "likelihood": np.log(0.125) / 3, "probability": np.log(0.125), "weakest": np.log(0.25),
        "margin": np.log(2) / 3, "agreement": (0.0625 * overlap + 0.03125 * 0) / (0.0625 + 0.03125),
    })  # fmt: skip
    assert MEASURES["margin"](BEAMS, 1) == pytest.approx(-np.log(2) / 3)
    assert [MEASURES[name](BEAMS[:1], 0) for name in ("margin", "agreement")] == [0.0, 1.0]
    assert MEASURES["agreement"]([BEAMS[2], BEAMS[2]], 0) == 1.0


@settings(max_examples=15)
@given(st.integers(0, 999), st.floats(0.01, 1000), st.floats(-100, 100), st.sampled_from([2, 3, 50]))
def test_confidence_rises_with_the_measure_and_its_mean_is_right(seed, spread, centre, n):
    rng = np.random.default_rng(seed)
    raw = centre + spread * rng.standard_normal(n)
    shares = np.clip(0.4 + 0.2 * (raw - centre) / spread + 0.3 * rng.standard_normal(n), 0, 1)
    made = Calibration.fitted("margin", raw, shares, Beam(), 5, 0.3)
    sure = made.of_measure(np.sort(raw))
    assert 0 <= sure[0] <= sure[-1] <= 1
    assert (np.diff(sure) >= 0).all()
    assert sure.mean() == pytest.approx(shares.mean(), abs=2e-3)
    if made.slope > 1e-6:
        assert (sure < made.unsure_below).sum() == pytest.approx(0.3 * n, abs=1)


def test_it_finds_the_curve_that_the_shares_were_drawn_from():
    raw = np.random.default_rng(0).standard_normal(4000)
    true = 1 / (1 + np.exp(-(1.5 * raw - 0.5)))
    made = Calibration.fitted("likelihood", raw, np.random.default_rng(1).binomial(1, true), Beam(), 5)
    np.testing.assert_allclose(made.of_measure(raw), true, atol=0.05)


@pytest.mark.parametrize(("raw", "shares", "expected"), [
    ([1, 1, 1, 1], [0.1, 0.2, 0.3, 0.6], [0.3] * 4), ([4, 3, 2, 1], [0.1, 0.2, 0.3, 0.6], [0.3] * 4),
    ([1, 2, 3, 4], [0, 0, 1, 1], [0, 0, 1, 1]), ([1, 2, 3, 4], [1] * 4, [1] * 4), ([1, 2, 3, 4], [0] * 4, [0] * 4),
])  # fmt: skip
def test_measures_that_say_nothing_the_opposite_or_all(raw, shares, expected):
    made = Calibration.fitted("margin", raw, shares, Beam(), 5)
    np.testing.assert_allclose(made.of_measure(raw), expected, atol=0.1)


def test_it_judges_the_captions_of_its_beam_that_ended():
    tables, images = [random_table(0), random_table(1)], np.array([[0], [1], [0]])
    how = Beam(4, length_power=0.7, rules=Rules(no_repeat=2))
    made = Calibration.fitted("likelihood", [-3.0, -1.0, -0.5], [0.1, 0.2, 0.9], how, 3)
    plain = n_best(Table(*tables), images, 3, max_length=5, **vars(how))
    for beams, others in zip(made.decode(Table(*tables), images, 5, 3), plain, strict=True):
        assert [each.words for each in beams] == [each.words for each in others]
        for each in beams:
            assert each.confidence == pytest.approx(float(made.of_measure(each.log_probs.mean())))
            assert each.unsure == (each.confidence < made.unsure_below)
    cut = Caption(["a"], np.log([0.5]), -0.7, False)
    first, second = made.with_confidence([BEAMS[0], cut])
    assert (first.confidence is None, second.confidence, second.unsure) == (False, None, None)


@pytest.mark.parametrize(("beam", "length", "applies"), [
    (Beam(4), 8, False), (Beam(4), 9, True), (Beam(4), 50, True), (Beam(5), 9, False), (None, 9, False),
])  # fmt: skip
def test_it_counts_for_captions_that_may_get_as_long(beam, length, applies):
    assert LIKELIHOOD.applies_to(beam, length) == applies


@pytest.fixture
def kept(tmp_path):
    (tmp_path / "weights.safetensors").write_bytes(b"some")
    how = Beam(4, 0.7, 2, 1.5, Rules(2, 3, ("dog",), ("man", "woman")))
    made = Calibration.fitted("agreement", [0.1, 0.2, 0.5], [0.1, 0.2, 0.9], how, 3)
    made.save(tmp_path)
    return tmp_path, made


def test_it_is_kept_with_the_run_and_knows_its_weights(kept):
    folder, made = kept
    loaded = Calibration.load(folder, made.beam)
    assert (loaded.beam, loaded.count, loaded.measure) == (made.beam, 3, "agreement")
    assert loaded.of_measure([0.3]).tolist() == made.of_measure([0.3]).tolist()
    assert Calibration.load(folder, Beam(9)) is None
    (folder / "weights.safetensors").write_bytes(b"other")
    with pytest.warns(UserWarning, match=r"confidence\.json.*other weights"):
        assert Calibration.load(folder, made.beam) is None
    (folder / "confidence.json").unlink()
    assert Calibration.load(folder, made.beam) is None


@pytest.mark.parametrize(("change", "message"), [
    ({"measure": "feeling"}, "measure must be"), ({"slope": float("nan")}, "slope must be"),
    ({"spread": 0}, "spread must be above 0"), ({"slope": -1.0}, "slope must be at least 0"),
    ({"intercept": "0"}, "intercept must be a finite number; got '0'"), ({"slope": 10**400}, "is not a calibration"),
    ({"count": 0}, "count must be an int from 1 to 100; got 0"), ({"max_length": 0}, "max_length must be"),
    *((change, "is not a calibration") for change in ({"beam": None}, {"beam": {"wide": 4}}, {"more": 1})),
    *((text, "is not a calibration .*captioning calibrate") for text in ("", "{", "[]", "3", "[" * 100_000, "{}")),
])  # fmt: skip
def test_a_damaged_file_is_named(kept, change, message):
    path = kept[0] / "confidence.json"
    path.write_text(change if isinstance(change, str) else json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=rf"confidence\.json: .*{message}"):
        Calibration.load(kept[0], Beam())


def test_an_impossible_share_of_unsure_captions():
    with pytest.raises(ValueError, match="unsure must be from 0 to 1; got 2"):
        Calibration.fitted("margin", [1, 2], [0, 1], Beam(), 5, unsure=2)


def test_people_are_scored_against_the_others_of_the_image():
    texts = ["a dog runs", "one dog", "a dog is there"], ["a cat"], [], ["the sea", "the blue sea"]
    references = [[text.split() for text in item] for item in texts]
    frequencies, means = DocumentFrequencies.of(references), []
    for item in (references[0], references[3]):
        each = [CiderD([item[:k] + item[k + 1 :]], frequencies).score(0, words) for k, words in enumerate(item)]
        means.append(np.mean(each))
    assert human_cider_d(references, frequencies) == pytest.approx(np.mean(means))
    with pytest.raises(DataError, match="no image has two human captions"):
        human_cider_d(references[1:3], frequencies)


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=12))
def test_rank_correlation_shares_the_ranks_of_ties(pairs):
    x, y = np.array(pairs, float).reshape(-1, 2).T
    if len(set(x)) < 2 or len(set(y)) < 2:
        assert np.isnan(spearman(x, y))
    else:
        ranks = [[np.mean(np.flatnonzero(np.sort(values) == value)) for value in values] for values in (x, y)]
        assert spearman(x, y) == pytest.approx(np.corrcoef(*ranks)[0, 1])
    with pytest.raises(ValueError, match="same length"):
        spearman(x, [*y, 1.0])


def test_a_calibration_is_fitted_on_one_half_and_tried_on_the_other(small_data, few_suffice):
    """The figures, from the captions of the second half and their CIDEr-D."""
    split, beam = small_data.val, Beam(3)
    model = Captioner(small_data.vocabulary, 6, 8, 12, rng=0)
    Solver(model, small_data.train, None, Settings(epochs=4, batch_size=10, learning_rate=1e-2)).train()
    made, figures = calibrate(model, split, beam, count=3, unsure=0.3)
    references = split.references_by_image()
    frequencies, scores, raw, rhos = DocumentFrequencies.of(references), {}, {}, {}
    for part, rows in {"first": range(12), "second": range(12, 24)}.items():
        lists = n_best(model, split.features[np.array(rows)], 3, 3, max_length=9)
        raw[part] = {name: [measure(each, 0) for each in lists] for name, measure in MEASURES.items()}
        scores[part] = cider_d([references[i] for i in rows], [each[0].words for each in lists], frequencies)[1]
        rhos[part] = {name: spearman(measures, scores[part]) for name, measures in raw[part].items()}
        assert figures[part] == {name: None if np.isnan(r) else pytest.approx(r) for name, r in rhos[part].items()}
    human, best = (
        human_cider_d(references, frequencies),
        max(MEASURES, key=lambda m: np.nan_to_num(rhos["first"][m], nan=-2)),
    )
    share = {part: np.minimum(each / human, 1) for part, each in scores.items()}
    assert made == Calibration.fitted(best, raw["first"][best], share["first"], beam, 3, 0.3, 9)
    sure = made.of_measure(raw["second"][best])
    low = sure < made.unsure_below
    bins = np.array_split(np.argsort(sure, kind="stable"), 10)
    error = np.mean([abs(sure[each].mean() - share["second"][each].mean()) for each in bins])
    expected = {"human_cider_d": human, "confidence": sure.mean(), "share": share["second"].mean(), "error": error,
                "unsure": low.mean()}  # fmt: skip
    assert {name: figures[name] for name in expected} == pytest.approx(expected)
    for name, chosen in (("cider_d_sure", ~low), ("cider_d_unsure", low)):
        assert figures[name] == (pytest.approx(scores["second"][chosen].mean()) if chosen.any() else None)
