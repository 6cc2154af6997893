"""Features of photos by the name of a network: prepared pixels, batches, regions, and the shared data."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import minigrad as mg
from captioning.vision import extractors
from captioning.vision.extractors import EXTRACTORS, EfficientNetLite0Extractor, RegionExtractor, extractor
from captioning.vision.regions import RegionProjection
from tests.captioning.vision.grid_extractor import GridExtractor, GridPlaces


def prepare(photo):
    """Prepare a photo without reading weights."""
    return EfficientNetLite0Extractor.prepare(EfficientNetLite0Extractor, photo)


def test_a_photo_of_the_right_size_is_only_scaled():
    photo = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    prepared = prepare(photo)
    np.testing.assert_array_equal(prepared.transpose(1, 2, 0) * 128 + 127, photo)
    assert (prepared.dtype, prepared.flags.c_contiguous) == (np.float32, True)


def test_the_centre_is_kept_and_an_odd_pixel_cut_off_after_it():
    photo = np.zeros((225, 229, 3), np.uint8)
    photo[:, 2:227] = np.arange(225, dtype=np.uint8)[None, :, None]  # two columns before it, two after it
    np.testing.assert_array_equal(prepare(photo), prepare(photo[:, 2:227]))
    np.testing.assert_array_equal(prepare(photo[:224, :]), prepare(photo[:224, 2:226]))
    turned = photo.swapaxes(0, 1)  # not contiguous
    np.testing.assert_array_equal(prepare(turned), prepare(turned[2:227].copy()))


def test_shrinking_averages():
    photo = np.zeros((896, 896, 3), np.uint8)
    photo[:, ::2] = 255
    np.testing.assert_allclose(prepare(photo)[:, :, 1:-1], 0, atol=1 / 64)  # windows at an edge are cut


@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 255))
def test_a_photo_of_one_colour_stays_so_at_any_size(height, width, level):
    prepared = prepare(np.full((height, width, 3), level, np.uint8))
    assert prepared.shape == (3, 224, 224)
    assert np.unique(prepared).tolist() == [(level - 127) / 128]


@pytest.mark.parametrize("photo", [np.zeros((5, 5), np.uint8), np.zeros((5, 5, 4), np.uint8), np.zeros((5, 5, 3)),
                                   np.zeros((0, 5, 3), np.uint8)])  # fmt: skip
def test_other_arrays_are_not_photos(photo):
    with pytest.raises(ValueError, match=r"uint8 \(H, W, 3\); got"):
        prepare(photo)


def test_it_gives_what_the_network_does(lite0, network, photos):
    assert (lite0.name, lite0.size, lite0.side, lite0.grid) == ("efficientnet-lite0", 1280, 224, (7, 7))
    with mg.no_grad():
        expected = network.maps(photos).numpy().transpose(0, 2, 3, 1)
    maps, features = lite0.maps(photos), lite0.features(photos)
    assert maps.dtype == features.dtype == np.float32
    np.testing.assert_allclose(maps, expected, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(features, maps.mean((1, 2)))
    assert lite0.features(photos[:0]).shape == (0, 1280)
    with pytest.raises(ValueError, match="conv2d"):
        lite0.features(photos.transpose(0, 2, 3, 1))


def test_features_do_not_depend_on_the_batch(lite0, photos, monkeypatch):
    monkeypatch.setattr(extractors, "_BATCH", 2)
    maps = lite0.maps(photos[[0, 1, 0]])  # a batch of two, and one of one
    np.testing.assert_array_equal(maps[2], maps[0])


def test_a_file_is_decoded_as_small_as_possible(lite0, tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    Image.fromarray(photo).resize((1280, 960), Image.Resampling.BICUBIC).save(tmp_path / "a.jpg")
    whole, read = lite0.prepare(np.asarray(Image.open(tmp_path / "a.jpg"))), lite0.read(tmp_path / "a.jpg")
    assert not np.array_equal(read, whole)  # half of the size was decoded
    np.testing.assert_allclose(read, whole, atol=0.05)


def test_extractors_are_found_by_name_and_made_once(monkeypatch):
    monkeypatch.setitem(EXTRACTORS, "grid", GridExtractor)
    monkeypatch.setattr(extractors, "_made", {})
    assert isinstance(extractor("grid"), GridExtractor)
    assert extractor("grid") is extractor("grid")
    with pytest.raises(ValueError, match="unknown feature extractor 'vgg16'"):
        extractor("vgg16")


def test_a_region_extractor_adds_the_places_to_the_whole():
    network, photo = GridPlaces(), np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    projection = RegionProjection(np.eye(12, 2, dtype=np.float32), np.ones(2, np.float32))
    both, prepared = RegionExtractor(network, projection), network.prepare(photo)[None]
    maps, rows = network.maps(prepared), both.features(both.prepare(photo)[None])
    assert (both.name, both.size, both.side, both.grid) == ("grid-places", 12 + 16 * 2, 32, (4, 4))
    np.testing.assert_array_equal(rows, np.concatenate([maps.mean((1, 2)), maps[..., :2].reshape(1, -1) + 1], axis=1))
    with pytest.raises(ValueError, match="takes 12 numbers per place; grid has 3"):
        RegionExtractor(GridExtractor(), projection)


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
    np.testing.assert_allclose(found, stored, rtol=0, atol=1e-4)
