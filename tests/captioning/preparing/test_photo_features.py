"""Features by batches, whatever happens on the way."""

import os

import numpy as np
import pytest

from captioning.data.errors import DataError
from captioning.preparing.looking import BATCH
from captioning.preparing.photo_features import compute_features, photo_fingerprint
from captioning.preparing.unfinished_features import UnfinishedFeatures
from captioning.progress import Progress
from tests.captioning.preparing.photo_sources import write_photo
from tests.captioning.vision.grid_extractor import GridColours

QUIET = Progress(enabled=False)
NUMBER = 2 * BATCH + 5


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / f"{n:02}.png" for n in range(NUMBER)]
    for n, path in enumerate(paths):
        write_photo(path, n)
    return paths


def opened(tmp_path, photos, network):
    return UnfinishedFeatures(tmp_path / "rows", photo_fingerprint(photos, network), network.size)


def computed(tmp_path, photos, network=None, **options):
    network = network or GridColours()
    with opened(tmp_path, photos, network) as rows:
        failed = compute_features(photos, network, rows, QUIET, **options)
        return rows.read(0, NUMBER), failed


@pytest.fixture(scope="module")
def whole(photos, tmp_path_factory):
    features, failed = computed(tmp_path_factory.mktemp("whole"), photos)
    assert failed == {}
    return features


def test_each_photo_has_its_features(photos, whole):
    network = GridColours()
    alone = [network.features(network.read(path)[None])[0] for path in photos]
    np.testing.assert_allclose(whole, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("done", [0, 1, BATCH - 1, BATCH, 2 * BATCH + 4, NUMBER])
def test_it_goes_on_with_the_first_batch_that_is_not_whole(photos, whole, tmp_path, done):
    with opened(tmp_path, photos, GridColours()) as rows:
        rows.append(whole[:done])
    network = GridColours()
    features, _ = computed(tmp_path, photos, network)
    np.testing.assert_array_equal(features, whole, strict=True)
    assert network.seen == NUMBER - (done if done == NUMBER else done // BATCH * BATCH)


def test_photos_that_cannot_be_read_change_no_others(photos, whole, tmp_path):
    broken = list(photos)
    for n in (0, BATCH, NUMBER - 1):
        broken[n] = tmp_path / f"broken{n}.png"
        broken[n].write_bytes(b"no photo")
    features, failed = computed(tmp_path, broken)
    assert sorted(failed) == [0, BATCH, NUMBER - 1]
    assert all(str(broken[n]) in text and "not a photo" in text for n, text in failed.items())
    good = [n for n in range(NUMBER) if n not in failed]
    np.testing.assert_array_equal(features[good], whole[good])
    assert np.isnan(features[sorted(failed)]).all()
    network = GridColours()
    again, failed_again = computed(tmp_path, broken, network)
    np.testing.assert_array_equal(again, features)
    assert failed_again == failed
    assert network.seen == 0


def test_a_photo_that_can_be_read_after_all_is(photos, whole, tmp_path):
    """It was out of reach in the run that was stopped, such as on a drive that was not there."""
    with opened(tmp_path, photos, GridColours()) as rows:
        gone = whole[: 2 * BATCH].copy()
        gone[[3, BATCH + 1]] = np.nan
        rows.append(gone)
    features, failed = computed(tmp_path, photos)
    assert failed == {}
    np.testing.assert_array_equal(features, whole)


def test_strict_and_nothing_to_see_are_errors(photos, tmp_path):
    broken = [tmp_path / "a.png", *photos[1:]]
    broken[0].write_bytes(b"no photo")
    with pytest.raises(DataError, match=r"a\.png: not a photo.*; without --strict it would be left out"):
        computed(tmp_path, broken, strict=True)
    with pytest.raises(DataError, match=r"none of 3 photos can be read; .*a\.png: not a photo"):
        computed(tmp_path, broken[:1] * 3)


def test_strict_is_true_of_what_an_earlier_run_left_out(photos, tmp_path):
    broken = [*photos[:3], tmp_path / "a.png", *photos[4:]]
    broken[3].write_bytes(b"no photo")
    _, failed = computed(tmp_path, broken)
    assert list(failed) == [3]
    with pytest.raises(DataError, match=r"a\.png: not a photo.*; without --strict it would be left out"):
        computed(tmp_path, broken, strict=True)
    assert computed(tmp_path, broken)[1] == failed  # what was computed is there still


def test_features_that_are_not_finite_are_an_error(photos, tmp_path):
    network = GridColours()
    network._weight[0, 0] = np.nan
    with pytest.raises(DataError, match=r"00\.png: grid-colours gives a feature that is not finite"):
        computed(tmp_path, photos, network)


def test_the_fingerprint_knows_photos_their_order_and_the_network(photos):
    network = GridColours()
    first = photo_fingerprint(photos, network)
    assert len(first) == 32
    assert first == photo_fingerprint(photos, network)
    assert first != photo_fingerprint(photos[::-1], network)
    assert first != photo_fingerprint(photos[1:], network)
    network.name = "another"
    assert first != photo_fingerprint(photos, network)
    network.name = GridColours.name
    times = os.stat(photos[3])
    os.utime(photos[3], ns=(times.st_atime_ns, times.st_mtime_ns + 1))
    assert first != photo_fingerprint(photos, network)
