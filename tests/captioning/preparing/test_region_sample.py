"""What makes regions is found once, from photos that can be read, and kept for a job that goes on."""

from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from captioning.data.errors import DataError
from captioning.preparing.region_sample import SAMPLE, find_reduction, sample_of
from captioning.progress import Progress
from tests.captioning.full_disks import files_of_at_most
from tests.captioning.preparing.photo_sources import write_photo
from tests.captioning.vision.grid_extractor import GridPlaces

QUIET = Progress(enabled=False)
NUMBER = 40


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / f"{n:02}.png" for n in range(NUMBER)]
    for n, path in enumerate(paths):
        write_photo(path, n)
    return paths


def found(photos, path, most=5, network=None, **options):
    return find_reduction(photos, network or GridPlaces(), most, path, QUIET, **options)


@pytest.fixture(scope="module")
def whole(photos, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "regions.part"
    return found(photos, path), path.read_bytes()


def test_a_later_job_has_it_without_looking_at_a_photo(photos, whole, tmp_path):
    (tmp_path / "part").write_bytes(whole[1])
    network = GridPlaces()
    again = found(photos, tmp_path / "part", network=network)
    assert network.seen == 0
    assert again.digest() == whole[0].digest()


def test_a_damaged_file_and_one_of_something_else_are_found_anew(photos, whole, tmp_path):
    path, rng = tmp_path / "part", np.random.default_rng(0)
    for place in [*rng.integers(0, len(whole[1]), 40), len(whole[1]) - 1]:
        content = bytearray(whole[1])
        content[place] ^= 1 << rng.integers(8)
        path.write_bytes(content)
        assert found(photos, path).digest() == whole[0].digest()
    for content in (b"", b"no reduction", whole[1][:-1]):
        path.write_bytes(content)
        assert found(photos, path).digest() == whole[0].digest()
        assert path.read_bytes() == whole[1]
    mg.save(path, {"weight": np.ones(3)})
    assert found(photos, path).digest() == whole[0].digest()
    for changes in ({"most": 4}, {"photos": photos[1:]}):
        path.write_bytes(whole[1])
        network = GridPlaces()
        assert found(**{"photos": photos, "path": path, "network": network} | changes).digest() != whole[0].digest()
        assert network.seen >= NUMBER - 1


def test_photos_that_cannot_be_read_have_no_say(photos, whole, tmp_path):
    broken = list(photos)
    for n in (0, 33):
        broken[n] = tmp_path / f"broken{n}.png"
        broken[n].write_bytes(b"no photo")
    first = found(broken, tmp_path / "part")
    kept = [path for n, path in enumerate(photos) if n not in (0, 33)]
    alone = found(kept, tmp_path / "alone")
    np.testing.assert_allclose(first.projection.weight, alone.projection.weight, atol=1e-4)
    np.testing.assert_allclose(first.scale, alone.scale, rtol=1e-4)
    network = GridPlaces()
    assert found(broken, tmp_path / "part", network=network).digest() == first.digest()
    assert network.seen == 0
    with pytest.raises(DataError, match=r"broken0\.png: not a photo.*; without --strict it would be left out"):
        found(broken, tmp_path / "part", strict=True)
    with pytest.raises(DataError, match=r"broken0\.png: not a photo"):
        found(broken, tmp_path / "other", strict=True)
    with pytest.raises(DataError, match=r"none of 2 photos for training can be read; .*broken0\.png: not a photo"):
        found(broken[:1] * 2, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_photo_that_can_be_read_after_all_has_a_say(photos, whole, tmp_path, monkeypatch):
    """It was out of reach in the run that was stopped."""
    network, read = GridPlaces(), GridPlaces.read
    from captioning.vision.photo_files import PhotoError

    def unread(self, path):
        if path == photos[7]:
            raise PhotoError(f"{path}: out of reach")
        return read(self, path)

    monkeypatch.setattr(GridPlaces, "read", unread)
    assert found(photos, tmp_path / "part").digest() != whole[0].digest()
    monkeypatch.setattr(GridPlaces, "read", read)
    assert found(photos, tmp_path / "part", network=network).digest() == whole[0].digest()
    assert network.seen == NUMBER + 1


def test_numbers_that_are_not_finite_are_an_error(photos, tmp_path):
    network = GridPlaces()
    network._weight[0, 0] = np.nan
    with pytest.raises(DataError, match=r"00\.png: grid-places gives a feature that is not finite"):
        found(photos, tmp_path / "part", network=network)


def test_a_full_disk_is_an_error_that_names_the_file(photos, tmp_path):
    with files_of_at_most(100), pytest.raises(OSError, match="too large") as caught:
        found(photos, tmp_path / "part")
    assert "part" in str(caught.value.filename)
    assert list(tmp_path.iterdir()) == []


def test_a_sample_is_spread_over_the_photos_and_has_each_at_most_once():
    for number in (1, 2, SAMPLE - 1, SAMPLE, SAMPLE + 1, 10 * SAMPLE + 3):
        chosen = [int(path.name) for path in sample_of([Path(str(n)) for n in range(number)])]
        assert len(chosen) == len(set(chosen)) == min(number, SAMPLE)
        assert chosen == sorted(chosen)
        assert (chosen[0], chosen[-1]) == (0, number - 1)
