"""Data sets that are made up."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.data.synthetic import COCO, Size, write_synthetic
from captioning.models.captioner import Captioner
from captioning.training.settings import Settings
from captioning.training.solver import Solver
from tests.captioning.full_disks import files_of_at_most

SMALL = Size(images=(2500, 300), captions=(6000, 700), columns=64, words=40)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic") / "data"
    write_synthetic(folder, SMALL)
    return folder


def test_it_is_a_whole_data_set(written):
    with open_captions(written) as data:
        assert data.check() == []
        assert (len(data.train.features), len(data.val.features)) == SMALL.images
        assert (len(data.train), len(data.val)) == SMALL.captions
        assert data.train.features.shape[1] == SMALL.columns
        assert len(data.vocabulary) == SMALL.words
        assert 0.7 < (data.train.features[:] == 0).mean() < 0.8


def test_captions_name_what_the_features_show(written):
    """Captions of an image agree, and images that show the same thing are alike there."""
    with open_captions(written) as data:
        vocabulary, split = data.vocabulary, data.train
        for i in range(0, len(split.features), 300):
            said = {word for caption in split.references(i) for word in caption if word.startswith("thing")}
            assert 1 <= len(said) <= 4
        features = split.features[:]
        thing = vocabulary.word_to_idx["thing5"]
        shown = np.unique(split.image_idxs[(split.captions == thing).any(axis=1)])
        others = np.setdiff1d(np.arange(len(features)), shown)
        difference = features[shown].mean(axis=0) - features[others].mean(axis=0)
        assert np.abs(difference).mean() > 0.2


def test_a_captioner_learns_from_it(written):
    with open_captions(written) as data:
        model = Captioner(data.vocabulary, SMALL.columns, 16, 32, rng=0)
        solver = Solver(model, data.train, settings=Settings(epochs=3, batch_size=50, learning_rate=5e-3))
        losses = [entry["loss"] for entry in solver.train() if "loss" in entry]
    assert np.mean(losses[-20:]) < 0.5 * losses[0]


def test_the_seed_decides(tmp_path):
    size = Size(images=(30, 20), captions=(40, 20), columns=6, words=14)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_synthetic(tmp_path / name, size, seed)
    with (
        open_captions(tmp_path / "a") as a,
        open_captions(tmp_path / "b") as b,
        open_captions(tmp_path / "c") as c,
    ):
        for same, other in ((True, b), (False, c)):
            assert np.array_equal(a.train.features[:], other.train.features[:]) is same
            assert np.array_equal(a.train.captions, other.train.captions) is same
        assert not np.array_equal(a.train.features[:20], a.val.features[:20])


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"images": (0, 5)}, "images must be at least 1; got 0"),
        ({"captions": (9, 5)}, "captions must be at least one an image; got 9 of 10 images"),
        ({"columns": 0}, "columns must be at least 1"),
        ({"words": 10}, "words must be at least 11"),
    ],
)
def test_sizes_that_cannot_be(wrong, told):
    with pytest.raises(DataError, match=told):
        Size(**{"images": (10, 5), "captions": (10, 5), **wrong})


def test_sizes_are_multiplied():
    assert COCO.times(10).captions == (4_001_350, 1_959_540)


def test_what_is_there_stays(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError):
        write_synthetic(tmp_path / "data", SMALL)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["mine.txt"]


def test_a_full_disk_leaves_nothing(tmp_path):
    with files_of_at_most(100_000), pytest.raises(OSError, match="too large"):
        write_synthetic(tmp_path / "data", SMALL)
    assert not list(tmp_path.iterdir())


def test_memory_does_not_grow_with_the_images(tmp_path):
    """Features of 51 MB are written in less than 16 MB of arrays: the directions, and a few blocks of 4 MB."""
    size = Size(images=(12_500, 10), captions=(25_000, 10), columns=1024, words=100)
    write_synthetic(tmp_path / "warm", SMALL)
    tracemalloc.start()
    write_synthetic(tmp_path / "data", size)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6, peak
