"""The charts and tables of a report."""

from __future__ import annotations

import base64
import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from captioning.progress import Progress
from captioning.report import sections
from captioning.report.contents import ScoredCaption
from tests.captioning.report.samples import HISTORY, SETTINGS, captions, contents


@pytest.fixture
def figures(monkeypatch):
    """Each chart has its figure in place of an image."""
    monkeypatch.setattr(sections, "svg_address", lambda figure: figure)


def said(text, *references, score=1.0):
    return ScoredCaption(0, None, None, text.split(), [reference.split() for reference in references], score)


def curves(chart):
    return {line.get_label(): line.get_xydata().tolist() for line in chart["image"].axes[0].lines}


def bars(chart):
    found = chart["image"].axes[0].containers
    return [{round(bar.get_center()[0], 1): round(bar.get_height(), 3) for bar in some} for some in found]


def test_each_figure_of_a_training_has_a_chart(figures):
    loss, bleu, other, rate = sections.training([*HISTORY, {"iteration": 60, "val_some_score": 0.5, "val_empty": None}])
    assert [c["title"] for c in (bleu, other, rate)] == ["Corpus BLEU-4", "Some score", "Learning rate"]
    assert curves(loss)["validation"] == [[30, 50], [60, 25]]
    assert curves(loss)["training"][-1] == [60, 20]
    assert curves(bleu) == {"validation": [[30, 0.1], [60, 0.2]]}
    assert sections.training([]) == sections.training([{"iteration": 1, "loss": np.nan}]) == []


def test_a_self_critical_training_shows_its_reward(figures):
    history = [{"iteration": i, "epoch": 1, "loss": -0.01 * i, "reward": 0.5 + i / 100} for i in range(1, 11)]
    history.append({"iteration": 10, "epoch": 1, "val_loss": 40.0, "val_bleu": 0.2, "val_cider": 0.55})
    loss, reward, bleu = sections.training(history)
    assert curves(loss) == {"validation": [[10, 40]]}
    assert curves(reward)["training"][-1] == [10, 0.6]
    assert curves(reward)["validation"] == [[10, 0.55]]
    assert bleu["title"] == "Corpus BLEU-4"


def test_validations_are_a_table():
    found = sections.validations(HISTORY)
    assert found["columns"] == ["iteration", "epoch", "validation loss", "corpus BLEU-4", "learning rate"]
    assert found["rows"] == [["30", "1", "50", "0.1", "0.001"], ["60", "2", "25", "0.2", "0.001"]]
    many = sections.validations([{"iteration": i, "val_loss": 1.0} for i in range(5000)])
    assert "60 of 5,000" in many["title"]
    assert [many["rows"][k][0] for k in (0, -1)] == ["0", "4,999"]
    assert sections.validations([{"iteration": 1, "loss": 1.0}]) is None


def test_scores_have_names_and_the_headline_has_the_main_ones():
    made = contents()
    made.scored.figures["new_score"] = 7
    found = {name: value for name, value, _ in sections.scores(made.scored)}
    assert found == {"CIDEr-D": "0.43", "Corpus BLEU-4": "0.17", "Exercise BLEU": "0.26", "Exercise BLEU, mean": "0.27",
                     "Novel captions": "50.0%", "Loss": "33.2", "new score": "7"}  # fmt: skip
    tiles = dict(sections.headline(made))
    assert (tiles["CIDEr-D"], tiles["Images"], tiles["Words known"]) == ("0.43", "30", "6")
    assert tiles["Weights"] == f"{sum(p.size for p in made.model.parameters())}"


def test_cards_prefer_images_with_photos(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    for pictured, chosen in ((4, False), (24, True), (60, False), (0, False)):
        made = contents(captions(pictured, tmp_path / "a.png") + captions(60)[pictured:])
        found = sections.cards(made.scored, Progress(enabled=False))
        assert (found["pictured"], found["chosen"]) == (pictured, chosen)
        cards = [card for group in found["groups"].values() for card in group]
        assert len(cards) == 24
        assert all((card["photo"] is None) == (card["caption"].photo is None) for card in cards)
        assert all(card["photo"] for card in cards) == (pictured >= 24)


@given(arrays(np.float32, (2, 49), elements=st.floats(0, 1, width=32)))
def test_masks_are_darker_where_the_model_looked_less(attention):
    for weights, address in zip(attention, sections.attention_masks(attention), strict=True):
        mask = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
        black, opacity = np.asarray(mask).transpose(2, 0, 1)
        assert not black.any()
        expected = 255 * 0.85 * (1 - weights / (weights.max() or 1))
        np.testing.assert_allclose(opacity.ravel(), expected, atol=0.51)


@pytest.mark.parametrize("places", [0, 6])
def test_places_that_form_no_square_have_no_masks(places):
    found = sections.cards(contents(captions(3, attention=True, places=max(places, 1))).scored, Progress(enabled=False))
    assert found["masked"] == (places == 0)
    assert sections.attention_masks(np.ones((2, places))) == []


def test_words_are_counted_and_compared():
    found = sections.words([said("a a a dog", "a cat sits", "one cat sits"), said("", "a cat sits")])
    assert [found[key] for key in ("said", "people", "references", "unsaid")] == [2, 4, 3, 3]
    assert found["rows"][0] == ("a", 750, pytest.approx(2000 / 9))
    assert [row[0] for row in found["rows"]] == ["a", "cat", "sits", "dog", "one"]
    assert found["most"] == 750
    assert found["often"] == [("a", 3, pytest.approx(8 / 9))]
    assert found["seldom"] == [("cat", 0, pytest.approx(4 / 3)), ("sits", 0, pytest.approx(4 / 3))]


@pytest.mark.parametrize("nothing", [said(""), said("", ""), said("a"), said("", "a dog")])
def test_captions_without_words_have_sections(nothing):
    assert sections.words([nothing])["most"] > 0
    assert len(sections.lengths([nothing])) == 2


def test_lengths_from_thirty_on_count_as_thirty(figures):
    shares, means = sections.lengths([said("a dog", "a " * 29, "a " * 500, score=0.5), said("a dog", score=0.25)])
    assert bars(shares) == [{1.8: 100, 28.8: 0, 29.8: 0}, {2.2: 0, 29.2: 50, 30.2: 50}]
    assert shares["rows"] == [["2", "100", "0"], ["29", "0", "50"], ["30", "0", "50"]]
    assert bars(means) == [{2: 0.375}]
    assert means["rows"] == [["2", "0.375", "2"]]


@given(st.lists(st.tuples(*[st.integers(0, 5).map(float)] * 2), min_size=1, max_size=40), st.integers(1, 12))
def test_bins_hold_every_caption_in_order_of_confidence(pairs, most):
    confidences, values = np.array(pairs).T
    bins = sections.in_bins(confidences, values, most)
    counts = [count for *_, count in bins]
    assert (len(bins), sum(counts)) == (min(most, len(pairs)), len(pairs))
    assert max(counts) - min(counts) <= 1
    assert sum(mean * count for *_, mean, count in bins) == pytest.approx(values.sum())
    assert sum(mean * count for _, _, mean, _, count in bins) == pytest.approx(confidences.sum())
    assert all(low <= mean <= high for low, high, mean, *_ in bins)
    assert all(before[1] <= after[0] for before, after in pairwise(bins))


def test_calibration_compares_confidence_with_scores(figures):
    def found(*pairs):
        return sections.calibration([ScoredCaption(0, None, None, [], [], score, sure) for sure, score in pairs])

    assert found((0.5, 1.0), (0.5, 2.0))["rho"] is None
    down = found((0.1, 2.0), (0.2, 1.0), (None, 3.0))
    assert down["rho"] == pytest.approx(-1)
    assert [line[:2] for line in curves(down["chart"]).values()] == [[[0.1, 2], [0.2, 1]]]
    assert down["chart"]["rows"][0] == ["0.1", "0.1", "0.1", "2", "1"]
    assert found((None, 1.0)) is None


def test_settings_are_grouped_and_folders_lose_their_path():
    assert sections.settings_groups(SETTINGS) == {
        "run": {"format": 1, "minigrad": "0.1.0"}, "model": {"hidden_size": 5},
        "training": {"epochs": 2, "start": None}, "data": {"folder": "flickr8k", "pca": None}
    }  # fmt: skip


def test_numbers_are_short():
    values = (0.0, -0.25, 1e15, 1e-9, np.nan, None, "text", 10**400)
    assert [sections.number(x)[:5] for x in values] == ["0", "-0.25", "1e+15", "1e-09", "nan", "", "text", "10000"]
