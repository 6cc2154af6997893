"""A data set with regions: those that its projection makes of its photos, from the same look at them."""

import h5py
import numpy as np
import pytest

import captioning.preparing.region_sample as region_sample
from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.preparing.pipeline import prepare_data
from captioning.preparing.recipe import Recipe
from captioning.preparing.summary import report
from captioning.vision.extractors import RegionExtractor
from captioning.vision.regions import RegionProjection
from tests.captioning.full_disks import files_of_at_most
from tests.captioning.preparing.photo_sources import content, write_folder
from tests.captioning.vision.grid_extractor import GridPlaces

NUMBER, TRAIN, K = 40, 32, 5
RECIPE = Recipe(test=0.1, photos="copy", regions=K)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("source") / "photos", NUMBER)


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory):
    return prepare_data(source, tmp_path_factory.mktemp("whole") / "data", RECIPE, GridPlaces())


def test_rows_are_what_a_run_makes_of_the_photos(whole, source):
    projection = RegionProjection.load(whole.folder / "regions.safetensors")
    network = RegionExtractor(GridPlaces(), projection)
    with open_captions(whole.folder, regions=True) as data:
        assert data.check() == []
        for split, number in ((data.train, TRAIN), (data.val, 4), (data.test, 4)):
            assert split.features.shape == (number, 12 + 16 * K)
            assert split.features.places.projection == projection.fingerprint()
            photos = np.stack([network.read(source / name) for name in split.image_names])
            rows, exact = split.features[:], network.features(photos)
            np.testing.assert_allclose(rows[:, :12], exact[:, :12], rtol=1e-5, atol=1e-6)
            step = np.tile(split.features.places.scale, 16)
            low = np.tile(split.features.places.offset, 16)
            np.testing.assert_allclose(rows[:, 12:], exact[:, 12:].clip(low, low + 255 * step), atol=0.51 * step.max())
    with h5py.File(whole.folder / "val2014_regions.h5") as file:
        assert (file["regions"].dtype, file["regions"].shape, file["regions"].chunks) == ("uint8", (4, 16, K), None)
    text = report(whole, RECIPE)
    assert f"regions: {K} numbers a place, which keep 9" in text
    assert text.endswith("--out run")
    assert "next: captioning train --model attention --data" in text


def test_only_the_sample_is_looked_at_twice(source, tmp_path, monkeypatch):
    monkeypatch.setattr(region_sample, "SAMPLE", 10)
    network = GridPlaces()
    prepare_data(source, tmp_path / "data", RECIPE, network)
    assert network.seen == NUMBER + 10


def test_the_features_are_those_without_regions(whole, source, tmp_path):
    prepare_data(source, tmp_path / "data", Recipe(test=0.1, photos="copy"), GridPlaces())
    plain, both = content(tmp_path / "data"), content(whole.folder)
    more = {f"{split}2014_regions.h5" for split in ("train", "val", "test")} | {"regions.safetensors"}
    assert both.keys() - plain.keys() == more
    assert all(both[name] == value for name, value in plain.items())


def stopping(stop):
    """A network with Ctrl-C at the n-th photo."""
    network = GridPlaces()
    prepare = network.prepare

    def prepare_or_stop(photo):
        if network.seen == stop:
            raise KeyboardInterrupt
        return prepare(photo)

    network.prepare = prepare_or_stop
    return network


def test_it_goes_on_after_an_interrupt(whole, source, tmp_path):
    out = tmp_path / "data"
    for stop, kept in ((3, set()), (TRAIN + 3, {"regions.part"}), (TRAIN + 3, {"regions.part", "features.part"})):
        with pytest.raises(KeyboardInterrupt):
            prepare_data(source, out, RECIPE, stopping(stop))
        assert set(content(out)) == {f".preparing/{name}" for name in kept}
    network = GridPlaces()
    prepare_data(source, out, RECIPE, network)
    assert network.seen == NUMBER - 32
    assert content(out) == content(whole.folder)


@pytest.mark.parametrize("other", [Recipe(test=0.1, regions=4), Recipe(test=0.1), Recipe(test=0.1, regions=K, seed=1)])
def test_what_was_begun_otherwise_is_begun_anew(whole, source, tmp_path, other):
    out = tmp_path / "data"
    with pytest.raises(KeyboardInterrupt):
        prepare_data(source, out, other, stopping(NUMBER - 1 if other.regions is None else TRAIN + NUMBER - 1))
    assert ".preparing/features.part" in content(out)
    network = GridPlaces()
    prepare_data(source, out, RECIPE, network)
    assert network.seen == TRAIN + NUMBER
    assert content(out) == content(whole.folder)


@pytest.mark.parametrize("name", ["features.part", "regions.part"])
def test_what_was_damaged_is_computed_again(whole, source, tmp_path, name):
    out = tmp_path / "data"
    with pytest.raises(KeyboardInterrupt):
        prepare_data(source, out, RECIPE, stopping(TRAIN + 35))
    part = bytearray((out / ".preparing" / name).read_bytes())
    part[len(part) // 2] ^= 4
    (out / ".preparing" / name).write_bytes(part)
    prepare_data(source, out, RECIPE, GridPlaces())
    assert content(out) == content(whole.folder)


@pytest.mark.parametrize("bytes", [100, 2000, 3500, 6000])
def test_a_full_disk_is_one_line_and_leaves_no_data_set(whole, source, tmp_path, bytes):
    """Of what makes the regions, of the rows on their way, of the captions, of the rows of the training split."""
    out = tmp_path / "data"
    with files_of_at_most(bytes), pytest.raises(OSError, match="too large") as caught:
        prepare_data(source, out, RECIPE, GridPlaces())
    assert str(caught.value.filename).startswith(str(out))
    assert not (out / "coco2014_captions.h5").exists()
    assert set(content(out)) <= {".preparing/features.part", ".preparing/regions.part"}
    prepare_data(source, out, RECIPE, GridPlaces())
    assert content(out) == content(whole.folder)


def test_few_photos_have_as_many_numbers_as_differ_in_them(tmp_path):
    source = write_folder(tmp_path / "photos", 2)
    recipe = Recipe(min_count=1, val=0.5, regions=256)
    prepared = prepare_data(source, tmp_path / "data", recipe, GridPlaces())
    with open_captions(tmp_path / "data", regions=True) as data:
        assert data.train.features.grid == (16, 12)
        assert data.check() == []
    text = report(prepared, recipe)
    assert "regions: 12 numbers a place (the photos for training have no more), which keep 100.0%" in text


def test_unreadable_photos_have_no_regions(tmp_path):
    source = write_folder(tmp_path / "photos", 10)
    (source / "03.png").write_bytes(b"no photo")
    recipe = Recipe(min_count=1, regions=3)
    prepared = prepare_data(source, tmp_path / "data", recipe, GridPlaces())
    assert len(prepared.unreadable) == 1
    with open_captions(tmp_path / "data", regions=True) as data:
        assert sum(len(split.features) for split in data.splits) == 9
        assert "03.png" not in data.train.image_names + data.val.image_names
    with pytest.raises(DataError, match=r"03\.png: not a photo"):
        prepare_data(source, tmp_path / "strict", Recipe(strict=True, regions=3), GridPlaces())
    assert not (tmp_path / "strict").exists()


def test_regions_that_cannot_be_are_refused(source, tmp_path):
    with pytest.raises(DataError, match="regions must be at least 1; got 0"):
        Recipe(regions=0)
    with pytest.raises(DataError, match="without features there are none"):
        prepare_data(source, tmp_path / "data", RECIPE)
    assert not (tmp_path / "data").exists()
