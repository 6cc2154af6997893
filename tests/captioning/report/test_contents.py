"""The captions of a report and their scores."""

import functools
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.data.splits import Split, images_of_part
from captioning.decoding.beam_search import beam
from captioning.decoding.captions import Caption
from captioning.decoding.stepwise import greedy
from captioning.evaluation.split_scores import captions_of, cider_d_by_image, known_captions, score
from captioning.models.captioner import Captioner
from captioning.progress import Progress
from captioning.report.contents import ReportedCaption, ReportSettings, best_typical_worst, score_split


@pytest.fixture
def model(small_data):
    model = Captioner(small_data.vocabulary, 6, 8, 8, rng=1)
    model.predict.weight.data[...] *= 20
    model.eval()
    return model


@pytest.mark.parametrize("decode", [greedy, functools.partial(beam, width=3)])
@pytest.mark.parametrize(("length", "most"), [(1, None), (9, 7)])
def test_captions_and_scores_are_those_of_evaluate(small_data, model, monkeypatch, decode, length, most):
    monkeypatch.setattr("captioning.report.contents._BATCH", 5)
    split, choice = small_data.val, ReportSettings(decode, "some words", "second", most, 3, length)
    found = score_split(model, split, choice, Progress(enabled=False), "first", small_data.train)
    images = images_of_part(split, "second", most, 3)
    said = captions_of(model, split, images, decode, length)
    rows = [(caption.row, caption.words, caption.score, caption.references) for caption in found.captions]
    references = map(split.references, images.tolist())
    assert rows == list(zip(images, said, cider_d_by_image(split, images, said).tolist(), references, strict=True))
    assert found.figures == score(model, split, images, said, 3, known=known_captions(small_data.train))
    assert (found.data, found.split, found.part, found.chosen_on) == (split.folder.name, "val", "second", "first")
    assert (
        f"{'images:7 drawn by 3' if most else 'images:12'}|decoding:some words|max_length:{length}|" in found.signature
    )


def test_captions_know_attention_confidence_names_and_photos(small_data, model, monkeypatch):
    attention = np.ones((1, 4), np.float32)
    said = Caption(["a", "a"], np.zeros(2), -1.0, True, attention, 0.5)
    calibration = SimpleNamespace(decode=lambda model, features, length: [[said]] * len(features) if length == 2 else 0)
    monkeypatch.setattr(Split, "photo", lambda split, i: Path(f"{i}.jpg"))
    choice = ReportSettings(None, "", "all", None, 0, 2, calibration)
    _, second, *_ = score_split(model, small_data.val, choice, Progress(enabled=False)).captions
    assert (second.words, second.confidence, second.attention) == (["a", "a"], 0.5, attention)
    assert (second.row, second.name, second.photo) == (1, None, Path("1.jpg"))


def groups_of(values, count):
    captions = [ReportedCaption(i, None, None, [], [], value) for i, value in enumerate(values)]
    return best_typical_worst(captions, count).values()


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=40), st.integers(1, 9))
def test_no_caption_appears_twice_and_the_best_are_better(values, count):
    groups = groups_of(values, count)
    rows = {found.row for some in groups for found in some}
    assert len(rows) == sum(map(len, groups)) == min(len(values), 3 * count)
    assert max(map(len, groups)) <= count
    best, typical, worst = ([found.score for found in some] for some in groups)
    assert (best, worst) == (sorted(best, reverse=True), sorted(worst))
    rest = [value for i, value in enumerate(values) if i not in rows]
    assert all(max(worst, default=0) <= value <= min(best, default=1) for value in [*typical, *rest])


@pytest.mark.parametrize(("n", "groups"), [
    (1, [[], [0], []]), (2, [[1], [], [0]]), (4, [[3], [2, 1], [0]]), (5, [[4, 3], [2], [0, 1]]),
    (50, [[49, 48], [25, 24], [0, 1]]),
])  # fmt: skip
def test_few_captions_are_shared_out_and_typical_ones_are_around_the_median(n, groups):
    assert [[found.row for found in some] for some in groups_of(range(n), 2)] == groups
