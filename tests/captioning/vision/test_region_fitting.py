"""The projection of a data set's regions from the data set itself."""

import io
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from captioning.cli.entry import main
from captioning.data.errors import DataError
from captioning.progress import Progress
from captioning.training.run_folder import Run
from captioning.vision import extractors
from captioning.vision.region_fitting import fit_and_judge, fit_from_data
from captioning.vision.regions import RegionProjection
from tests.captioning.cli.commands import status_of
from tests.captioning.cli.test_caption_photos import a_run

COUNT, SIZE = 30, 5


class Small(extractors.FeatureExtractor):
    """A photo's channels in 2x3 places, and two that are made of them."""

    name, size, side, grid = "small", SIZE, 6, (2, 3)

    def prepare(self, photo):
        rows, columns = (np.linspace(0, n - 1, 6).astype(int) for n in photo.shape[:2])
        return (photo[rows][:, columns] / np.float32(255)).astype(np.float32).transpose(2, 0, 1)

    def maps(self, prepared):
        places = prepared[:, :, ::3, ::2].transpose(0, 2, 3, 1)
        return np.concatenate([places, places[..., :2] ** 2], axis=-1)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A data set of 30 images, of which 20 have photos, whose regions are an affine map of what `Small` sees."""
    monkeypatch.setitem(extractors.EXTRACTORS, "small", Small)
    rng, small = np.random.default_rng(0), Small()
    (tmp_path / "photos").mkdir()
    maps = np.empty((COUNT, 2, 3, SIZE), np.float32)
    for i in range(COUNT):
        photo = rng.integers(0, 256, (8, 9, 3), np.uint8)
        maps[i] = small.maps(small.prepare(photo)[None])[0]
        if i % 3:
            Image.fromarray(photo).save(tmp_path / "photos" / f"{i}.png")
    weight, offset = rng.standard_normal((SIZE, 4)), np.full(4, -5.0)
    stored = np.rint((maps.reshape(COUNT, 6, SIZE) @ weight - offset) / 0.05).astype(np.uint8)
    with h5py.File(tmp_path / "val2014_regions.h5", "w") as file:
        file["regions"] = stored
        file["regions"].attrs.update(scale=np.full(4, 0.05), offset=offset)
    (tmp_path / "val2014_images.txt").write_text("".join(f"images/{i}.png\n" for i in range(COUNT)))
    return tmp_path, weight


def test_it_is_found_from_the_photos_that_are_there(folder):
    path, weight = folder
    stream = io.StringIO()
    seconds = iter(range(0, 1000, 20))
    progress = Progress(stream, clock=lambda: next(seconds))
    projection = fit_from_data(path, "val", "small", progress=progress)
    assert np.abs(projection.weight - weight).max() < 0.1
    assert np.abs(projection.bias).max() < 0.05
    assert "photos" in stream.getvalue()
    assert "/20" in stream.getvalue()
    fewer = fit_from_data(path, "val", "small", most=8)
    assert 0 < np.abs(fewer.weight - weight).max() < 0.3


def test_what_is_missing_is_named(folder):
    path, _ = folder
    with pytest.raises(DataError, match=r"train2014_images\.txt: cannot be read"):
        fit_from_data(path, "train", "small")
    with pytest.raises(DataError, match="no split 'dev'"):
        fit_from_data(path, "dev", "small")
    with pytest.raises(ValueError, match="no feature extractor 'large'"):
        fit_from_data(path, "val", "large")
    with pytest.raises(ValueError, match=r"1 photos have 6 places.*at least 2 photos"):
        fit_from_data(path, "val", "small", most=1)
    with h5py.File(path / "val2014_regions.h5", "a") as file:
        stored = file["regions"][...]
        del file["regions"]
        file["regions"] = stored
    with pytest.raises(DataError, match=r"val2014_regions\.h5: regions: cannot be read.*scale"):
        fit_from_data(path, "val", "small")
    with h5py.File(path / "val2014_regions.h5", "a") as file:
        del file["regions"]
        file["regions"] = stored[:5]
    with pytest.raises(DataError, match=r"regions: has 5 rows; the image of row 29 has none"):
        fit_from_data(path, "val", "small")
    for photo in (path / "photos").iterdir():
        photo.unlink()
    with pytest.raises(DataError, match=r"photos: has none of the 30 photos of val2014_images\.txt"):
        fit_from_data(path, "val", "small")


def test_its_error_is_that_of_photos_left_out(folder):
    path, _ = folder
    fitted = fit_and_judge(path, "val", "small")
    assert (fitted.photos, fitted.left_out) == (20, 4)
    assert 0.001 < fitted.error < 0.06  # rounding to steps of 0.05 is 0.014, of a spread of about 0.5
    np.testing.assert_array_equal(fitted.projection.weight, fit_from_data(path, "val", "small").weight)
    with h5py.File(path / "val2014_regions.h5", "a") as file:
        file["regions"][...] = np.random.default_rng(1).integers(1, 255, file["regions"].shape)
    assert fit_and_judge(path, "val", "small").error > 0.9  # of noise nothing can be known


@pytest.mark.parametrize(("columns", "expected"), [(SIZE, "small"), (3, None)])
def test_the_command_keeps_it_with_a_run(folder, tmp_path, capsys, columns, expected):
    """And the network's name, if the run's features can be that network's."""
    path, weight = folder
    run = a_run(tmp_path / "run", columns).folder
    assert main(["regions", str(run), "--data", str(path), "--split", "val", "--extractor", "small", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert f"{run / 'regions.safetensors'}: from 5 to 4 numbers a place, by 20 photos" in out
    assert "found without 4 of them, it misses 0.0" in out
    kept = RegionProjection.load(run / "regions.safetensors")
    assert np.abs(kept.weight - weight).max() < 0.1
    assert Run.open(run).settings["data"].get("extractor") == expected
    before = (run / "regions.safetensors").read_bytes()
    assert status_of("regions", run, "--photos", "0") == 2
    assert "--photos: must be an int of at least 1; got 0" in capsys.readouterr().err
    assert main(["regions", str(run), "--data", str(path), "--extractor", "small", "--quiet"]) == 2
    assert "train2014_images.txt" in capsys.readouterr().err
    assert (run / "regions.safetensors").read_bytes() == before


@pytest.mark.slow
@pytest.mark.skipif("CAPTIONING_DATA" not in os.environ, reason="no real data: CAPTIONING_DATA is unset")
def test_real_regions(network):
    projection = fit_from_data(Path(os.environ["CAPTIONING_DATA"]) / "flickr8k", "val", most=40)
    assert projection.weight.shape == (1280, 256)
