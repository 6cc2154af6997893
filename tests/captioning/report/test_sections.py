"""The charts and tables of a report."""

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
from captioning.report.contents import ReportedCaption
from tests.captioning.report.samples import HISTORY, SETTINGS, captions, contents


def said(text, *references, score=1.0):
    return ReportedCaption(0, None, None, text.split(), [reference.split() for reference in references], score)


def drawn(chart):
    """The points of the lines and the heights of the bars of a chart that has its figure as image."""
    axes = chart["image"].axes[0]
    bars = [{round(bar.get_center()[0], 1): bar.get_height() for bar in some} for some in axes.containers]
    return [line.get_xydata().tolist() for line in axes.lines] + bars


@pytest.fixture(autouse=True)
def figures(monkeypatch):
    monkeypatch.setattr(sections, "svg_address", lambda figure: figure)


SCORES = {"iteration": 2, "val_loss": 3.0, "val_bleu": 0.2, "val_cider": 0.6, "learning_rate": 0.1}


@pytest.mark.parametrize(("history", "charts"), [
    ([*({"iteration": i, "loss": 5.0} for i in (1, 2)), SCORES | {"val_some_score": 7.0, "val_empty": None}], {
        "Loss of a caption": [[[1, 5], [2, 5]], [[2, 3]]], "Corpus BLEU-4": [[[2, 0.2]]], "CIDEr-D": [[[2, 0.6]]],
        "Some score": [[[2, 7]]], "Learning rate": [[[2, 0.1]]],
    }),
    ([*({"iteration": i, "loss": -0.1, "reward": 0.5} for i in (1, 2)), SCORES], {
        "Loss of a caption": [[[2, 3]]], "CIDEr-D of a caption": [[[1, 0.5], [2, 0.5]], [[2, 0.6]]],
        "Corpus BLEU-4": [[[2, 0.2]]], "Learning rate": [[[2, 0.1]]],
    }),
    ([{"iteration": 1, "loss": np.nan}], {}),
])  # fmt: skip
def test_each_figure_of_a_training_has_a_chart(history, charts):
    assert {chart["title"]: drawn(chart) for chart in sections.training(history)} == charts


def test_validations_are_a_table():
    found = sections.validations(HISTORY)
    assert [found["columns"], *found["rows"]] == [
        ["iteration", "epoch", "validation loss", "corpus BLEU-4", "learning rate"],
        ["30", "1", "50", "0.1", "0.001"], ["60", "2", "25", "0.2", "0.001"],
    ]  # fmt: skip
    many = sections.validations([{"iteration": i, "val_loss": 1.0} for i in range(5000)])
    assert ("60 of 5,000" in many["title"], len(many["rows"]), many["rows"][-1][0]) == (True, 60, "4,999")


def test_scores_have_names_and_the_headline_has_the_main_ones():
    made = contents()
    assert {name: value for name, value, _ in sections.scores(made.scored)} == {
        "CIDEr-D": "0.4300", "Corpus BLEU-4": "0.1700", "Exercise BLEU": "0.2600", "Exercise BLEU, mean": "0.2700",
        "Novel captions": "50.0%", "Loss": "33.200",
    }  # fmt: skip
    assert dict(sections.headline(made)) == {
        "CIDEr-D": "0.43", "Corpus BLEU-4": "0.17", "Exercise BLEU, mean": "0.27", "Loss": "33.2", "Images": "30",
        "Weights": f"{sum(p.size for p in made.model.parameters())}", "Words known": "6",
    }  # fmt: skip


@pytest.mark.parametrize(("pictured", "chosen"), [(4, False), (24, True), (60, False), (0, False)])
def test_cards_prefer_images_with_photos(tmp_path, pictured, chosen):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    made = contents(captions(pictured, tmp_path / "a.png") + captions(60)[pictured:])
    found = sections.cards(made.scored, Progress(enabled=False))
    photos = [card["photo"] for group in found["groups"].values() for card in group]
    assert (found["pictured"], found["chosen"], len(photos)) == (pictured, chosen, 24)
    assert all(photos) == (pictured >= 24)


@given(arrays(np.float32, (2, 49), elements=st.just(0.0) | st.floats(2**-20, 1, width=32)))
def test_masks_are_darker_where_the_model_looked_less(attention):
    for weights, drawn in zip(attention, sections.attention_maps(attention), strict=True):
        mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(drawn["mask"].partition(",")[2]))))
        assert not mask[..., 0].any()
        np.testing.assert_allclose(
            mask[..., 1].ravel() / 255, 0.6 * (1 - np.sqrt(weights / (weights.max() or 1))), atol=0.002
        )


def test_words_are_counted_and_compared():
    assert sections.words([said("a a a dog", "a cat sits", "one cat sits"), said("", "a cat sits")]) == {
        "said": 2, "people": 4, "references": 3, "unsaid": 3, "most": 750,
        "rows": [("a", 750, pytest.approx(2000 / 9)), ("cat", 0, pytest.approx(3000 / 9)),
                 ("sits", 0, pytest.approx(3000 / 9)), ("dog", 250, 0), ("one", 0, pytest.approx(1000 / 9))],
        "often": [("a", 3, pytest.approx(8 / 9))],
        "seldom": [("cat", 0, pytest.approx(4 / 3)), ("sits", 0, pytest.approx(4 / 3))],
    }  # fmt: skip


def test_words_are_ranked_by_how_much_they_differ():
    found = sections.words([said("a a a b b b", "a a c c c")])
    assert ([row[0] for row in found["often"]], [row[0] for row in found["seldom"]]) == (["b", "a"], ["c"])


@pytest.mark.parametrize("nothing", [said(""), said("", ""), said("a"), said("", "a dog")])
def test_captions_without_words_have_sections(nothing):
    assert sections.words([nothing])["most"] > 0
    assert len(sections.lengths([nothing])) == 2


def test_lengths_from_thirty_on_count_as_thirty():
    shares, means = sections.lengths([
        said("a dog", "a " * 29, "a " * 500, score=0.5), said("a dog", score=0.25), said("a big dog", score=1.0),
        said("a big cat", score=0.5),
    ])  # fmt: skip
    assert drawn(shares) == [{1.8: 50, 2.8: 50, 28.8: 0, 29.8: 0}, {2.2: 0, 3.2: 0, 29.2: 50, 30.2: 50}]
    assert shares["rows"] == [["2", "50", "0"], ["3", "50", "0"], ["29", "0", "50"], ["30", "0", "50"]]
    assert (drawn(means), means["rows"]) == ([{2: 0.375, 3: 0.75}], [["2", "0.375", "2"], ["3", "0.75", "2"]])


@given(st.lists(st.tuples(*[st.integers(0, 5).map(float)] * 2), min_size=1, max_size=40), st.integers(1, 12))
def test_bins_hold_every_caption_in_order_of_confidence(pairs, most):
    confidences, values = np.array(pairs).T
    bins = sections.in_bins(confidences, values, most)
    lows, highs, means, scores, counts = np.array(bins).T
    assert (len(bins), sum(counts)) == (min(most, len(pairs)), len(pairs))
    assert max(counts) - min(counts) <= 1
    assert (scores @ counts, means @ counts) == pytest.approx((values.sum(), confidences.sum()))
    assert ((lows <= means) & (means <= highs)).all()
    assert all(before[1] <= after[0] for before, after in pairwise(bins))


def test_calibration_compares_confidence_with_scores():
    def found(*pairs):
        return sections.calibration([ReportedCaption(0, None, None, [], [], score, sure) for sure, score in pairs])

    assert (found((None, 1.0)), found((0.5, 1.0), (0.5, 2.0))["rho"]) == (None, None)
    falling = found((0.1, 2.0), (0.2, 1.0), (None, 3.0))
    assert (falling["rho"], drawn(falling["chart"])) == (pytest.approx(-1), [[[0.1, 2], [0.2, 1]]])
    assert falling["chart"]["rows"][0] == ["0.1", "0.1", "0.1", "2", "1"]


def test_settings_are_grouped_and_folders_lose_their_path():
    assert sections.settings_groups(SETTINGS) == {
        "run": {"format": 1, "minigrad": "0.1.0"}, "model": {"hidden_size": 5},
        "training": {"epochs": 2, "start": None}, "data": {"folder": "flickr8k", "pca": None}
    }  # fmt: skip


def test_numbers_are_short():
    values = {0.0: "0", -0.25: "-0.25", 1e15: "1e+15", 1e-9: "1e-09", np.nan: "nan", None: "", 10**400: str(10**400)}
    assert {value: sections.number(value) for value in values} == values
