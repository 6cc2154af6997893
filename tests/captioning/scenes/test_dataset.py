"""The data set of scenes: its files, its features, and the folder, which appears whole or not at all."""

import csv
import json

import h5py
import numpy as np
import pytest
from PIL import Image

from captioning.data.dataset import open_captions
from captioning.scenes.checker import judge
from captioning.scenes.dataset import SPECIAL_TOKENS, load_captions, load_scenes, write_scenes
from captioning.scenes.drawing import render_array
from captioning.scenes.features import learn
from captioning.scenes.world import draw_scenes
from tests.captioning.full_disks import files_of_at_most

COUNTS = {"train": 60, "val": 8}
STAGES = []


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data set that replaced an earlier one."""
    folder = write_scenes(tmp_path_factory.mktemp("data") / "scenes", train=2, val=1)
    return write_scenes(folder, seed=3, pictures=2, picture_size=64, learning=1, **COUNTS,
                        progress=lambda *stage: STAGES.append(stage))  # fmt: skip


def test_the_files_are_those_of_the_coco_data(folder):
    assert [path.name for path in folder.parent.iterdir()] == ["scenes"]
    assert STAGES[:2] == [("drawing train scenes", 60, 60), ("drawing val scenes", 8, 8)]
    assert STAGES[2:] == [("learning to see", 20, 60), ("learning to see", 40, 60), ("learning to see", 60, 60)]
    vocabulary = json.loads((folder / "coco2014_vocab.json").read_text())
    words = vocabulary["idx_to_word"]
    assert tuple(words[:4]) == SPECIAL_TOKENS
    assert vocabulary["word_to_idx"] == {word: i for i, word in enumerate(words)}
    of_training = {word for own in load_captions(folder, "train") for text in own for word in text.split()}
    assert set(words[4:]) == of_training
    table = list(csv.DictReader((folder / "captions.csv").read_text().splitlines()))
    for split, count in COUNTS.items():
        scenes, texts = load_scenes(folder, split), load_captions(folder, split)
        names = (folder / f"{split}2014_urls.txt").read_text().split()
        assert scenes == list(draw_scenes(3, split, count))
        assert [row["image"] for row in table if row["split"] == split] == [name for name in names for _ in range(5)]
        assert all(judge(text, scene).precision == 1 for scene, own in zip(scenes, texts, strict=True) for text in own)
        with h5py.File(folder / "coco2014_captions.h5") as file:
            rows, images = file[f"{split}_captions"][:], file[f"{split}_image_idxs"][:]
        assert (rows.shape, rows.dtype, images.dtype) == ((5 * count, 17), np.int32, np.int32)
        assert np.array_equal(images, np.repeat(np.arange(count), 5))
        for row, text in zip(rows, [text for own in texts for text in own], strict=True):
            length = len(text.split())
            expected = [word if word in words else "<UNK>" for word in text.split()]
            assert [words[i] for i in row] == ["<START>", *expected, "<END>", *["<NULL>"] * (15 - length)]
    with Image.open(folder / names[0]) as picture:
        assert picture.size == (64, 64)
    assert not (folder / names[2]).exists()  # only two were asked for


def test_the_features_are_those_of_the_network(folder):
    pictures = {split: np.stack([render_array(scene) for scene in load_scenes(folder, split)]) for split in COUNTS}
    whole, exact = learn(pictures["train"], load_captions(folder, "train"), 1, seed=3).features(pictures["val"])
    with open_captions(folder, pca=False, regions=True) as data:
        assert data.train.features.grid == (64, 104)
        places = data.val.features.places[:]
        np.testing.assert_allclose(data.val.features[:][:, : whole.shape[1]], whole, rtol=1e-4, atol=1e-5)
    assert np.median(np.abs(places - exact)) <= exact.max() / 255  # validation may go beyond training
    with open_captions(folder, pca=True) as data:
        assert data.val.features[:].shape == (8, 60)


def test_too_few_scenes_to_learn_from_leave_nothing(tmp_path):
    with pytest.raises(ValueError, match="2 pictures"):
        write_scenes(tmp_path / "x", train=2, val=1, learning=1)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_folder_as_it_was(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "captions.csv").write_text("earlier")
    with files_of_at_most(6000), pytest.raises(OSError, match="too large") as caught:
        write_scenes(tmp_path / "x", train=12, val=4, pictures=0)
    assert caught.value.filename.endswith(".h5")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x" / "captions.csv").read_text() == "earlier"


def test_wrong_arguments_are_refused(tmp_path):
    for name, wrong in {"train": 0, "val": 0, "pictures": -1, "learning": -1, "dimensions": 0}.items():
        with pytest.raises(ValueError, match=f"{name} must be . or more"):
            write_scenes(tmp_path / "x", **{name: wrong})
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(ValueError, match=r"thesis\.txt"):
        write_scenes(tmp_path, train=1, val=1)
    (tmp_path / "val_scenes.json").write_text("{}\n")
    with pytest.raises(ValueError, match=r"val_scenes\.json, line 1: not a scene"):
        load_scenes(tmp_path, "val")
