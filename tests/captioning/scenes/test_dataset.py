import csv
import json

import h5py
import numpy as np
import pytest
from PIL import Image

from captioning.data.dataset import open_captions
from captioning.data.features import FeaturesAndRegions
from captioning.scenes import dataset
from captioning.scenes.checker import judge
from captioning.scenes.dataset import SPECIAL_TOKENS, load_captions, load_scenes, write_scenes
from captioning.scenes.drawing import render_array
from captioning.scenes.learnt_features import learn
from captioning.scenes.world import draw_scenes
from tests.captioning.full_disks import files_of_at_most


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_scenes(
        tmp_path_factory.mktemp("data") / "scenes", seed=3, train=30, val=8, pictures=2, picture_size=64
    )


def test_the_layout_is_that_of_the_coco_data(folder):
    vocabulary = json.loads((folder / "coco2014_vocab.json").read_text())
    words = vocabulary["idx_to_word"]
    assert tuple(words[:4]) == SPECIAL_TOKENS
    assert vocabulary["word_to_idx"] == {word: i for i, word in enumerate(words)}
    with h5py.File(folder / "coco2014_captions.h5") as file:
        for split, count in (("train", 30), ("val", 8)):
            rows, images = file[f"{split}_captions"][:], file[f"{split}_image_idxs"][:]
            assert (rows.shape, rows.dtype) == ((5 * count, 17), np.int32)
            assert images.dtype == np.int32
            assert np.array_equal(images, np.repeat(np.arange(count), 5))
            assert (rows[:, 0] == 1).all()
            assert ((rows == 2).sum(1) == 1).all()
            assert len((folder / f"{split}2014_urls.txt").read_text().splitlines()) == count
    for split, count in (("train", 30), ("val", 8)):
        for suffix, columns in (("", 5376), ("_pca", 30)):
            with h5py.File(folder / f"{split}2014_vgg16_fc7{suffix}.h5") as file:
                assert (file["features"].shape, file["features"].dtype) == ((count, columns), np.float32)
                assert np.isfinite(file["features"][:]).all()


def test_scenes_and_captions_come_back(folder):
    words = json.loads((folder / "coco2014_vocab.json").read_text())["idx_to_word"]
    for split, count in (("train", 30), ("val", 8)):
        scenes, said = load_scenes(folder, split), load_captions(folder, split)
        assert scenes == list(draw_scenes(3, split, count))
        assert [len(own) for own in said] == [5] * count
        assert all(judge(text, scene).precision == 1 for scene, own in zip(scenes, said, strict=True) for text in own)
        with h5py.File(folder / "coco2014_captions.h5") as file:
            decoded = [[words[i] for i in row if i > 2] for row in file[f"{split}_captions"][:]]
        texts = [text.split() for own in said for text in own]
        if split == "train":
            assert decoded == texts
        assert [len(row) for row in decoded] == [len(row) for row in texts]


def test_the_table_names_each_picture(folder):
    with open(folder / "captions.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["image", "split", "caption"]
    assert len(rows) == 5 * 38
    names = (folder / "val2014_urls.txt").read_text().split()
    assert [row["image"] for row in rows if row["split"] == "val"][::5] == names
    with Image.open(folder / names[0]) as picture:
        assert picture.size == (64, 64)
    assert not (folder / names[2]).exists()  # only two were asked for


def test_progress_is_told_and_an_earlier_data_set_is_replaced(tmp_path):
    told = []
    for seed in (0, 1):
        write_scenes(tmp_path / "x", seed=seed, train=3, val=1, pictures=0, progress=lambda *what: told.append(what))
    assert load_scenes(tmp_path / "x", "train") == list(draw_scenes(1, "train", 3))
    assert told[:2] == [("features of train scenes", 3, 3), ("features of val scenes", 1, 1)]
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_learnt_features_have_places_and_the_captioner_that_looks_at_them_reads_them(tmp_path):
    folder = write_scenes(tmp_path / "x", seed=1, train=60, val=4, pictures=0, learning=1)
    with open_captions(folder, regions=True) as data:
        assert isinstance(data.train.features, FeaturesAndRegions)
        assert data.train.features.grid == (64, 104)
        places = data.val.features.places[:]
    network = learn(np.stack([render_array(scene) for scene in load_scenes(folder, "train")]),
                    load_captions(folder, "train"), 1, seed=1)  # fmt: skip
    whole, exact = network.features(np.stack([render_array(scene) for scene in load_scenes(folder, "val")]))
    with open_captions(folder, pca=False) as data:
        np.testing.assert_allclose(data.val.features[:], whole, rtol=1e-4, atol=1e-5)
    stored = np.abs(places - exact)
    assert np.median(stored) <= exact.max() / 255  # half a step, but where validation is beyond training
    write_scenes(folder, train=3, val=1, pictures=0)  # what is learnt is replaced, regions and all
    assert not (folder / "val2014_regions.h5").exists()


def test_too_few_scenes_to_learn_from_are_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(ValueError, match="no phrase is told again of 2 pictures"):
        write_scenes(tmp_path / "x", train=2, val=1, learning=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["_captions", "_write_captions", "_write_features", "_write_pictures", "_take_place"])
@pytest.mark.parametrize("earlier", [False, True])
def test_a_failure_in_the_middle_leaves_the_folder_as_it_was(tmp_path, monkeypatch, step, earlier):
    target = tmp_path / "x"
    if earlier:
        target.mkdir()
        (target / "captions.csv").write_text("earlier")

    def fail(*args):
        raise OSError("the disk is full")

    monkeypatch.setattr(dataset, step, fail)
    monkeypatch.setattr(dataset, "_extract", lambda network, scenes, *rest: np.ones((len(scenes), 2), np.float32))
    with pytest.raises(OSError, match="disk is full"):
        write_scenes(target, train=2, val=1, pictures=1)
    assert [path.name for path in tmp_path.iterdir()] == (["x"] if earlier else [])
    if earlier:
        assert (target / "captions.csv").read_text() == "earlier"


@pytest.mark.parametrize("wrong", [{"train": 0}, {"val": 0}, {"pictures": -1}, {"learning": -1}, {"dimensions": 0}])
def test_counts_out_of_range_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match="or more"):
        write_scenes(tmp_path / "x", **wrong)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("size", [2500, 6000])
def test_a_full_disk_is_an_error_that_names_the_file(tmp_path, size):
    with files_of_at_most(size), pytest.raises(OSError, match="too large") as caught:
        write_scenes(tmp_path / "x", train=12, val=4, pictures=0)
    assert caught.value.filename.endswith(".h5")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_anything_else_in_it_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(ValueError, match=r"thesis\.txt"):
        write_scenes(tmp_path, train=1, val=1)
    with pytest.raises(ValueError, match="no folder"):
        write_scenes(tmp_path / "thesis.txt", train=1, val=1)
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_reading_tells_what_is_wrong(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no scenes"):
        load_scenes(tmp_path, "val")
    with pytest.raises(ValueError, match="neither"):
        load_scenes(tmp_path, "test")
    (tmp_path / "val_scenes.json").write_text("{}\n")
    with pytest.raises(ValueError, match="line 1: not a scene"):
        load_scenes(tmp_path, "val")
