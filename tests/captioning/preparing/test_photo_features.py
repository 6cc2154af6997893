"""Features by batches, and the reduction to regions, whatever happens on the way."""

import os
from pathlib import Path

import numpy as np
import pytest

from captioning.data.errors import DataError
from captioning.preparing.photo_features import BATCH, compute_features, photo_fingerprint
from captioning.preparing.region_sample import SAMPLE, find_reduction, sample_of
from captioning.preparing.unfinished_features import UnfinishedFeatures
from captioning.progress import Progress
from tests.captioning.preparing.photo_sources import write_photo
from tests.captioning.vision.grid_extractor import GridColours, GridPlaces

QUIET = Progress(enabled=False)
NUMBER = 2 * BATCH + 5


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / f"{n:02}.png" for n in range(NUMBER)]
    for n, path in enumerate(paths):
        write_photo(path, n)
    return paths


def broken(photos, tmp_path, *places):
    """The photos with some that cannot be read."""
    found = list(photos)
    for n in places:
        found[n] = tmp_path / f"broken{n}.png"
        found[n].write_bytes(b"no photo")
    return found


def opened(tmp_path, photos, network):
    return UnfinishedFeatures(tmp_path / "rows", photo_fingerprint(photos, network), network.size)


def computed(tmp_path, photos, network=None, **options):
    network = network or GridColours()
    with opened(tmp_path, photos, network) as rows:
        failed = compute_features(photos, network, rows, QUIET, **options)
        return rows.read(0, len(rows))["features"], failed


@pytest.fixture(scope="module")
def whole(photos, tmp_path_factory):
    features, failed = computed(tmp_path_factory.mktemp("whole"), photos)
    assert failed == {}
    return features


def test_each_photo_has_its_features(photos, whole):
    network = GridColours()
    alone = [network.features(network.read(path)[None])[0] for path in photos]
    np.testing.assert_allclose(whole, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("done", [0, BATCH - 1, BATCH, 2 * BATCH + 4, NUMBER])
def test_it_resumes_with_the_first_batch_that_is_not_whole(photos, whole, tmp_path, done):
    with opened(tmp_path, photos, GridColours()) as rows:
        rows.append(whole[:done])
    network = GridColours()
    features, _ = computed(tmp_path, photos, network)
    np.testing.assert_array_equal(features, whole, strict=True)
    assert network.seen == NUMBER - (done if done == NUMBER else done // BATCH * BATCH)


def test_photos_that_cannot_be_read_change_no_others(photos, whole, tmp_path):
    places = [0, BATCH, NUMBER - 1]
    paths = broken(photos, tmp_path, *places)
    features, failed = computed(tmp_path, paths)
    assert list(failed) == places
    assert all(str(paths[n]) in text and "not a photo" in text for n, text in failed.items())
    expected = whole.copy()
    expected[places] = np.nan
    np.testing.assert_array_equal(features, expected)
    network = GridColours()
    again, failed_again = computed(tmp_path, paths, network)
    np.testing.assert_array_equal(again, features)
    assert (failed_again, network.seen) == (failed, 0)
    for given, strict, message in ((paths, True, "without --strict"), (paths[:1] * 3, False, "none of 3 photos")):
        with pytest.raises(DataError, match=message):
            computed(tmp_path, given, strict=strict)


def test_a_photo_that_can_be_read_after_all_is_read(photos, whole, tmp_path):
    """It was out of reach when the first run stopped, such as on a drive that was not there."""
    gone = whole[: 2 * BATCH].copy()
    gone[[3, BATCH + 1]] = np.nan
    with opened(tmp_path, photos, GridColours()) as rows:
        rows.append(gone)
    features, failed = computed(tmp_path, photos)
    np.testing.assert_array_equal(features, whole)
    assert failed == {}


def test_numbers_that_are_not_finite_are_an_error(photos, tmp_path):
    colours, places = GridColours(), GridPlaces()
    colours._weight[0, 0] = places._weight[0, 0] = np.nan
    with pytest.raises(DataError, match=r"00\.png: grid-colours computes a feature that is not finite"):
        computed(tmp_path, photos, colours)
    with pytest.raises(DataError, match=r"00\.png: grid-places computes a feature that is not finite"):
        found(photos, tmp_path / "part", network=places)


def test_the_fingerprint_depends_on_photos_their_order_and_the_network(photos):
    prints = [photo_fingerprint(paths, GridColours()) for paths in (photos, photos, photos[::-1], photos[1:])]
    prints.append(photo_fingerprint(photos, GridPlaces()))
    times = os.stat(photos[3])
    os.utime(photos[3], ns=(times.st_atime_ns, times.st_mtime_ns + 1))
    prints.append(photo_fingerprint(photos, GridColours()))
    assert prints[0] == prints[1]
    assert len(set(prints)) == 5
    assert {len(each) for each in prints} == {32}


# --- the reduction to regions -------------------------------------------------------------------------


def found(photos, path, most=5, network=None, **options):
    return find_reduction(photos, network or GridPlaces(), most, path, QUIET, **options)


def test_a_kept_reduction_is_used_unless_it_is_damaged_or_of_something_else(photos, tmp_path):
    path, rng, network = tmp_path / "part", np.random.default_rng(0), GridPlaces()
    digest = found(photos, path).digest()
    kept = path.read_bytes()
    assert found(photos, path, network=network).digest() == digest
    assert network.seen == 0
    damaged = [b"", b"no reduction", kept[:-1]]
    for place in [*rng.integers(0, len(kept), 5), len(kept) - 1]:
        damaged.append(kept[:place] + bytes([kept[place] ^ 1 << rng.integers(8)]) + kept[place + 1 :])
    for content in damaged:
        path.write_bytes(content)
        assert found(photos, path).digest() == digest
        assert path.read_bytes() == kept
    for changes in ({"most": 4}, {"photos": photos[1:]}):
        path.write_bytes(kept)
        assert found(**{"photos": photos, "path": path, "network": network} | changes).digest() != digest
    assert network.seen == 2 * NUMBER - 1


def test_the_reduction_leaves_out_photos_that_cannot_be_read(photos, tmp_path, monkeypatch):
    paths = broken(photos, tmp_path, 0, 33)
    first = found(paths, tmp_path / "part")
    alone = found([path for n, path in enumerate(photos) if n not in (0, 33)], tmp_path / "alone")
    np.testing.assert_allclose(first.projection.weight, alone.projection.weight, atol=1e-4)
    np.testing.assert_allclose(first.scale, alone.scale, rtol=1e-4)
    network = GridPlaces()
    assert found(paths, tmp_path / "part", network=network).digest() == first.digest()
    assert network.seen == 0
    for given, path, strict, message in (
        (paths, "part", True, "without --strict"), (paths, "other", True, "without --strict"),
        (paths[:1] * 2, "other", False, "none of 2 photos can be read"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=message):
            found(given, tmp_path / path, strict=strict)
    assert not (tmp_path / "other").exists()


def test_a_sample_is_spread_over_the_photos_and_has_each_at_most_once():
    for number in (1, 2, SAMPLE - 1, SAMPLE, SAMPLE + 1, 10 * SAMPLE + 3):
        chosen = [int(path.name) for path in sample_of([Path(str(n)) for n in range(number)])]
        assert len(set(chosen)) == len(chosen) == min(number, SAMPLE)
        assert chosen == sorted(chosen)
        assert (chosen[0], chosen[-1]) == (0, number - 1)
