"""Features of photos by the name of a network: as the shared data has them, in any batches, from any thread."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import minigrad as mg
from captioning.vision import extractors
from captioning.vision.extractors import EXTRACTORS, FeatureExtractor, extractor
from captioning.vision.photo_files import PhotoError


@pytest.fixture
def lite0(network):
    """Skipped where `network` is."""
    return extractor("efficientnet-lite0")


def test_an_extractor_says_what_it_gives(lite0):
    assert (lite0.name, lite0.size, lite0.side, lite0.grid) == ("efficientnet-lite0", 1280, 224, (7, 7))
    prepared = lite0.prepare(np.zeros((300, 400, 3), np.uint8))[None]
    maps, features = lite0.maps(prepared), lite0.features(prepared)
    assert (maps.shape, maps.dtype) == ((1, 7, 7, 1280), np.float32)
    assert (features.shape, features.dtype) == ((1, 1280), np.float32)
    np.testing.assert_array_equal(features, maps.mean((1, 2)))


def test_it_gives_what_the_network_does(lite0, network, photos):
    with mg.no_grad():
        maps, features = network.maps(photos).numpy(), network.features(photos).numpy()
    np.testing.assert_allclose(lite0.maps(photos), maps.transpose(0, 2, 3, 1), rtol=0, atol=1e-4)
    np.testing.assert_allclose(lite0.features(photos), features, rtol=0, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
def test_to_the_bit_it_does_not_matter_what_else_is_in_a_batch(lite0, photos, threads, monkeypatch):
    monkeypatch.setattr(extractors, "_BATCH", 2)
    before = mg.get_num_threads()
    mg.set_num_threads(threads)
    try:
        maps = lite0.maps(photos[[0, 1, 0]])  # a batch of two, and one of one
        np.testing.assert_array_equal(maps[2], maps[0])
        np.testing.assert_array_equal(lite0.maps(photos[1:])[0], maps[1])
    finally:
        mg.set_num_threads(before)


def test_no_photos_have_no_features(lite0):
    none = np.empty((0, 3, 224, 224), np.float32)
    assert lite0.features(none).shape == (0, 1280)
    assert lite0.maps(none).shape == (0, 7, 7, 1280)


@pytest.mark.parametrize(
    ("prepared", "found"),
    [
        (np.zeros((3, 224, 224), np.float32), r"float32 \(3, 224, 224\)"),
        (np.zeros((1, 224, 224, 3), np.float32), r"float32 \(1, 224, 224, 3\)"),
        (np.zeros((1, 3, 224, 224), np.uint8), r"uint8 \(1, 3, 224, 224\)"),
        ([1], "list"),
    ],
)
def test_what_was_not_prepared_is_refused(lite0, prepared, found):
    with pytest.raises(ValueError, match=rf"must be float32 \(N, 3, 224, 224\); got {found}$"):
        lite0.features(prepared)


def test_a_file_is_read_as_small_as_is_enough(lite0, tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    Image.fromarray(photo).resize((1280, 960), Image.Resampling.BICUBIC).save(tmp_path / "a.jpg")
    whole = lite0.prepare(np.asarray(Image.open(tmp_path / "a.jpg")))
    read = lite0.read(tmp_path / "a.jpg")
    assert not np.array_equal(read, whole)  # half of the size was decoded
    np.testing.assert_allclose(read, whole, atol=0.05)
    with pytest.raises(PhotoError, match=r"none\.jpg"):
        lite0.read(tmp_path / "none.jpg")


# --- by name ---------------------------------------------------------------------------------------


class Constant(FeatureExtractor):
    """Made slowly, and counts how often."""

    name, size, side, grid = "constant", 2, 4, (1, 1)
    made = 0

    def __init__(self):
        type(self).made += 1
        mg.ops.matmul(np.ones((300, 300)), np.ones((300, 300)))

    def prepare(self, photo):
        return np.zeros((3, 4, 4), np.float32)

    def maps(self, prepared):
        return np.ones((len(prepared), 1, 1, 2), np.float32)


def test_it_is_made_once_when_it_is_first_asked_for(monkeypatch):
    monkeypatch.setitem(EXTRACTORS, "constant", Constant)
    monkeypatch.setattr(extractors, "_made", {})
    assert Constant.made == 0
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: extractor("constant"), range(32)))
    assert len(found) == Constant.made == 1
    np.testing.assert_array_equal(found.pop().features(np.zeros((3, 3, 4, 4), np.float32)), np.ones((3, 2)))


def test_one_that_could_not_be_made_is_tried_again(monkeypatch):
    def fails():
        raise ModuleNotFoundError("not installed")

    monkeypatch.setattr(extractors, "_made", {})
    monkeypatch.setitem(EXTRACTORS, "constant", fails)
    for _ in range(2):
        with pytest.raises(ModuleNotFoundError, match="not installed"):
            extractor("constant")
    monkeypatch.setitem(EXTRACTORS, "constant", Constant)
    assert isinstance(extractor("constant"), Constant)


def test_several_threads_get_the_same_features(lite0, photos):
    alone = lite0.features(photos)
    with ThreadPoolExecutor(3) as pool:
        for features in pool.map(lambda _: lite0.features(photos), range(3)):
            np.testing.assert_array_equal(features, alone)


def test_another_name_is_refused():
    with pytest.raises(ValueError, match="no feature extractor 'vgg16'; there is efficientnet-lite0"):
        extractor("vgg16")


# --- the shared data -------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif("CAPTIONING_DATA" not in os.environ, reason="no real data: CAPTIONING_DATA is unset")
def test_features_of_the_shared_photos_are_those_of_the_file(lite0, full):
    h5py = pytest.importorskip("h5py")
    folder = Path(os.environ["CAPTIONING_DATA"]) / "flickr8k"
    rows = {Path(line).name: row for row, line in enumerate((folder / "val2014_images.txt").read_text().split("\n"))}
    photos = sorted((folder / "photos").iterdir())[: None if full else 8]
    found = lite0.features(np.stack([lite0.read(path) for path in photos]))
    with h5py.File(folder / "val2014_vgg16_fc7.h5") as file:
        stored = file["features"][...][[rows[path.name] for path in photos]]
    cosines = (found * stored).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(stored, axis=1)
    assert cosines.min() > 0.99999
    np.testing.assert_allclose(found, stored, rtol=0, atol=1e-4)
