"""Regions: maps reduced to bytes by a PCA, and the reduction of a data set recovered from its photos."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import minigrad as mg
from captioning.cli.entry import main
from captioning.data.errors import DataError
from captioning.training.run_folder import Run
from captioning.vision.extractors import EXTRACTORS
from captioning.vision.region_fitting import fit_and_judge
from captioning.vision.region_reduction import RegionReduction
from captioning.vision.regions import RegionProjection
from tests.captioning.cli.test_caption_photos import a_run
from tests.captioning.vision.grid_extractor import GridExtractor

# --- recovering a projection -----------------------------------------------------------------------


def example(photos=40, size=20, count=6, clipped=0.02):
    """Maps, their regions as uint8 by some affine map, with a share of entries clipped, and exactly."""
    rng = np.random.default_rng(0)
    maps = rng.exponential(size=(photos, 3, 4, size)).astype(np.float32)
    weight, bias = np.linalg.qr(rng.standard_normal((size, count)))[0], rng.standard_normal(count)
    regions = (maps @ weight + bias).reshape(photos, 12, count)
    low, high = np.quantile(regions, (clipped / 2, 1 - clipped / 2), axis=(0, 1))
    scale = (high - low) / 255
    stored = np.rint((regions - low) / scale).clip(0, 255).astype(np.uint8)
    return maps, stored, scale, low, regions


def test_places_come_by_rows():
    maps = np.arange(2 * 2 * 3 * 1, dtype=np.float32).reshape(2, 2, 3, 1)
    projection = RegionProjection(np.full((1, 2), 10, np.float32), np.array([0, 1], np.float32))
    found = projection.apply(maps)
    assert (found.shape, found.dtype) == ((2, 6, 2), np.float32)
    np.testing.assert_array_equal(found[1, :, 1], 10 * np.arange(6, 12) + 1)


@pytest.mark.parametrize("clipped", [0.0, 0.02, 0.1])
def test_a_projection_is_recovered_also_from_clipped_regions(clipped):
    maps, stored, scale, offset, regions = example(clipped=clipped)
    projection = RegionProjection.fit(maps, stored, scale, offset)
    errors = (projection.apply(maps) - regions) / scale
    assert np.sqrt((errors**2).mean()) < 0.5
    assert np.abs(projection.weight.T @ projection.weight - np.eye(6)).max() < 0.03  # as the true one is


def test_a_feature_that_is_always_zero_gets_no_weight():
    maps, stored, scale, offset, regions = example()
    maps = np.concatenate([maps, np.zeros((*maps.shape[:3], 1), np.float32)], axis=-1)
    projection = RegionProjection.fit(maps, stored, scale, offset)
    np.testing.assert_array_equal(projection.weight[-1], 0)
    np.testing.assert_allclose(projection.apply(maps), regions, atol=3 * scale.max())


def test_shapes_that_do_not_fit_are_refused():
    maps, stored, scale, offset, _ = example()
    weight, bias = np.ones((3, 2), np.float32), np.ones(2, np.float32)
    for call, message in [
        (lambda: RegionProjection.fit(maps[1:], stored, scale, offset), r"\(39, 12, K\).*\(40, 12, 6\)"),
        (lambda: RegionProjection.fit(maps, stored, scale[1:], offset), r"\(5,\) and \(6,\)"),
        (
            lambda: RegionProjection.fit(maps[:1], stored[:1], scale, offset),
            "12 places.*21 unknowns: at least 2 photos",
        ),
        (lambda: RegionProjection(weight, bias[1:]), r"float32 \(3, 2\) and float32 \(1,\)"),
        (lambda: RegionProjection(weight.astype(float), bias), "float64"),
        (lambda: RegionProjection(weight * np.nan, bias), "finite"),
        (lambda: RegionProjection(weight, bias).apply(np.ones((1, 7, 7, 4))), r"\(N, h, w, 3\); got shape"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()


def test_a_projection_is_saved_and_exported_in_half_precision(tmp_path):
    projection, path = RegionProjection.fit(*example()[:4]), tmp_path / "regions.safetensors"
    projection.save(path)
    back = RegionProjection.load(path)
    np.testing.assert_array_equal(back.weight, projection.weight, strict=True)
    np.testing.assert_array_equal(back.bias, projection.bias, strict=True)
    assert back.fingerprint() == projection.fingerprint()
    mg.save(path, {"weight": projection.weight.astype(np.float16), "bias": projection.bias.astype(np.float16)})
    halves = RegionProjection.load(path)
    np.testing.assert_allclose(halves.weight, projection.weight, rtol=2**-11, atol=2**-25)
    assert halves.weight.dtype == halves.bias.dtype == np.float32
    assert halves.fingerprint() != projection.fingerprint()


def test_a_damaged_file_is_named(tmp_path):
    path = tmp_path / "other.safetensors"
    for arrays in ({"weight": np.ones(3)}, {"weight": np.ones(3, np.float32), "bias": np.ones(3, np.float32)}):
        mg.save(path, arrays)
        with pytest.raises(ValueError, match=r"other\.safetensors: .*weight"):
            RegionProjection.load(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"other\.safetensors"):
        RegionProjection.load(path)


# --- reducing maps to bytes ------------------------------------------------------------------------


def some_maps(photos, directions=3, seed=0):
    """Return maps (photos, 3, 4, 8) around a mean, which span the given number of directions."""
    rng = np.random.default_rng(seed)
    mixed = rng.standard_normal((photos, 3, 4, directions)) * np.arange(directions, 0, -1)
    return (mixed @ rng.standard_normal((directions, 8)) + rng.standard_normal(8)).astype(np.float32)


def test_the_reduction_is_the_pca_of_the_places():
    maps = some_maps(50, directions=8)
    places = maps.reshape(-1, 8).astype(np.float64)
    _, values, rows = np.linalg.svd(places - places.mean(axis=0))
    reduction = RegionReduction.find(maps, most=5)
    weight = reduction.projection.weight
    np.testing.assert_allclose(np.abs(rows[:5] @ weight), np.eye(5), atol=1e-5)
    np.testing.assert_allclose(places.mean(axis=0) @ weight + reduction.projection.bias, 0, atol=1e-5)
    assert reduction.kept == pytest.approx((values[:5] ** 2).sum() / (values**2).sum())
    assert (weight[np.abs(weight).argmax(axis=0), np.arange(5)] > 0).all()


@given(st.integers(1, 9), st.integers(1, 12), st.integers(1, 6), st.integers(0, 99))
def test_bytes_are_within_half_a_step_except_where_clipped(photos, most, directions, seed):
    maps = some_maps(photos, directions, seed)
    reduction = RegionReduction.find(maps, most)
    count = len(reduction.scale)
    assert count == min(most, directions)
    assert reduction.shape((3, 4)) == (12, count)
    stored, exact = reduction.stored(maps), reduction.projection.apply(maps)
    assert (stored.shape, stored.dtype) == (exact.shape, np.uint8)
    restored = stored * reduction.scale + reduction.offset
    inside = (exact >= reduction.offset) & (exact <= reduction.offset + 255 * reduction.scale)
    assert (np.abs(restored - exact) <= 0.51 * reduction.scale)[inside].all()
    assert set(stored[~inside].tolist()) <= {0, 255}
    assert ((~inside).sum(axis=(0, 1)) <= 2).all()  # the smallest and the largest
    assert 0 < reduction.kept <= 1
    assert most < directions or reduction.kept == pytest.approx(1)


def test_a_few_large_numbers_do_not_make_the_steps_large():
    maps = some_maps(200)
    far = maps.copy()
    far[0, 0, 0] *= 50
    usual, odd = (RegionReduction.find(each, 3) for each in (maps, far))
    assert odd.scale.max() < 2 * usual.scale.max()
    assert {0, 255} & set(odd.stored(far)[0, 0].tolist())


def test_equal_places_give_one_constant_number():
    reduction = RegionReduction.find(np.full((2, 3, 4, 8), 0.5, np.float32), 5)
    assert (len(reduction.scale), reduction.kept) == (1, 1)
    np.testing.assert_array_equal(reduction.stored(np.full((1, 3, 4, 8), 0.5, np.float32)), 0)


def test_the_digest_identifies_a_reduction_and_its_arrays_restore_it():
    maps = some_maps(20)
    found = [RegionReduction.find(maps, 3), RegionReduction.find(maps, 2), RegionReduction.find(maps[1:], 3)]
    assert len({each.digest() for each in found}) == 3
    assert RegionReduction.of(found[0].arrays()).digest() == found[0].digest()


# --- from a data set -------------------------------------------------------------------------------

COUNT = 30


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A data set of 30 images, of which 20 have photos, whose regions are an affine map of those of `GridExtractor`."""
    monkeypatch.setitem(EXTRACTORS, "grid", GridExtractor)
    rng, grid = np.random.default_rng(0), GridExtractor()
    (tmp_path / "photos").mkdir()
    photos = rng.integers(0, 256, (COUNT, 2, 2, 3), np.uint8)
    for i, photo in enumerate(photos):
        if i % 3:
            Image.fromarray(photo).save(tmp_path / "photos" / f"{i}.png")
    maps = grid.maps(np.stack([grid.prepare(photo) for photo in photos]))
    weight, offset = rng.standard_normal((3, 4)), np.full(4, -5.0)
    stored = np.rint((maps.reshape(COUNT, 4, 3) @ weight - offset) / 0.05).astype(np.uint8)
    with h5py.File(tmp_path / "val2014_regions.h5", "w") as file:
        file["regions"] = stored
        file["regions"].attrs.update(scale=np.full(4, 0.05), offset=offset)
    (tmp_path / "val2014_images.txt").write_text("".join(f"images/{i}.png\n" for i in range(COUNT)))
    return tmp_path, weight


def test_a_projection_is_found_and_judged_on_the_photos_that_exist(folder):
    path, weight = folder
    fitted = fit_and_judge(path, "val", "grid")
    assert (fitted.photos, fitted.left_out) == (20, 4)
    assert np.abs(fitted.projection.weight - weight).max() < 0.1
    assert np.abs(fitted.projection.bias).max() < 0.05
    assert 0.001 < fitted.error < 0.06  # rounding to steps of 0.05 gives 0.014, of a spread of about 0.5
    assert fit_and_judge(path, "val", "grid", most=10).photos == 10
    with h5py.File(path / "val2014_regions.h5", "a") as file:
        file["regions"][...] = np.random.default_rng(1).integers(1, 255, file["regions"].shape)
    assert fit_and_judge(path, "val", "grid").error > 0.9  # noise cannot be predicted


def test_what_is_missing_in_a_data_set_is_named(folder):
    path, _ = folder
    for wrong, message in [
        (("train", "grid"), r"no photos .* train.* no train2014_images\.txt$"),
        (("dev", "grid"), "'dev'"), (("val", "large"), "'large'"),
        (("val", "grid", 2), "4 unknowns: at least 2 photos"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            fit_and_judge(path, *wrong)
    with h5py.File(path / "val2014_regions.h5", "a") as file:
        stored = file["regions"][...]
        del file["regions"]
        file["regions"] = stored[:5]
    with pytest.raises(DataError, match=r"5 rows; the image of row 29"):
        fit_and_judge(path, "val", "grid")
    with pytest.raises(DataError, match=r"val2014_regions\.h5: regions: .*scale"):
        fit_and_judge(path, "val", "grid", most=3)
    for photo in (path / "photos").iterdir():
        photo.unlink()
    with pytest.raises(DataError, match=r"none of the 30 photos of val2014_images\.txt"):
        fit_and_judge(path, "val", "grid")


@pytest.mark.parametrize(("columns", "expected"), [(3, "grid"), (5, None)])
def test_the_command_keeps_a_projection_with_a_run(folder, tmp_path, capsys, columns, expected):
    """And the network's name, if the run's features can be that network's."""
    path, weight = folder
    run = a_run(tmp_path / "run", columns).folder
    command = ["regions", str(run), "--data", str(path), "--extractor", "grid", "--quiet"]
    assert main([*command, "--split", "val"]) == 0
    out = capsys.readouterr().out
    assert f"{run / 'regions.safetensors'}: from 3 to 4 numbers per region, fitted on 20 photos" in out
    kept = RegionProjection.load(run / "regions.safetensors")
    assert np.abs(kept.weight - weight).max() < 0.1
    assert Run.open(run).settings["data"].get("extractor") == expected
    with pytest.raises(SystemExit):
        main([*command, "--split", "val", "--photos", "0"])


@pytest.mark.slow
@pytest.mark.skipif("CAPTIONING_DATA" not in os.environ, reason="no real data: CAPTIONING_DATA is unset")
def test_real_regions(network, full):
    """With 160 photos 0.012 of the spread is missed on others, with 38 photos 0.094."""
    folder = Path(os.environ["CAPTIONING_DATA"]) / "flickr8k"
    fitted = fit_and_judge(folder, "val", most=200 if full else 48)
    assert fitted.projection.weight.shape == (1280, 256)
    assert fitted.error < (0.015 if full else 0.12)
