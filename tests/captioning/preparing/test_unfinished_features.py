"""What a kill, a full disk or a damaged disk leaves of a file of features."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from captioning.preparing.unfinished_features import UnfinishedFeatures

KEY, COLUMNS, SHAPE = b"k" * 32, 3, (4, 5)
RECORD = 4 * COLUMNS + 4


def rows(start, stop):
    return np.arange(start, stop, dtype=np.float32)[:, None] + np.zeros(COLUMNS, np.float32)


def opened(path, key=KEY, columns=COLUMNS, regions=()):
    return UnfinishedFeatures(path, key, columns, regions)


def features(file):
    return file.read(0, len(file))["features"]


def test_rows_are_appended_and_read(tmp_path):
    with opened(tmp_path / "rows") as file:
        assert len(file) == 0
        file.append(rows(0, 5))
        file.append(rows(5, 2000))
        np.testing.assert_array_equal(file.read(3, 7)["features"], rows(3, 7), strict=True)
    with opened(tmp_path / "rows") as file:
        assert len(file) == 2000
        file.keep(7)
        file.append(rows(7, 9))
        np.testing.assert_array_equal(features(file), rows(0, 9), strict=True)
    for other in ({"key": b"x" * 32}, {"columns": COLUMNS + 1}, {"regions": SHAPE}):
        with opened(tmp_path / "rows", **other) as file:
            assert len(file) == 0
        assert list(tmp_path.iterdir()) == []  # a file without rows does not stay
        with opened(tmp_path / "rows") as file:
            file.append(rows(0, 2))


@given(st.integers(1, 10), st.booleans(), st.booleans(), st.data())
def test_what_was_cut_or_damaged_is_not_taken(tmp_path_factory, number, with_regions, cut, data):
    path, shape = tmp_path_factory.mktemp("damaged") / "rows", SHAPE if with_regions else ()
    regions = np.random.default_rng(0).integers(0, 256, (number, *SHAPE), np.uint8) if with_regions else None
    with opened(path, regions=shape) as file:
        file.append(rows(0, number), regions)
    content = path.read_bytes()
    record = RECORD + 20 * with_regions
    head = len(content) - number * record
    place = data.draw(st.integers(0, len(content) - 1))
    flipped = bytes([content[place] ^ 1 << data.draw(st.integers(0, 7))])
    path.write_bytes(content[:place] if cut else content[:place] + flipped + content[place + 1 :])
    with opened(path, regions=shape) as file:
        assert len(file) == max(0, (place - head) // record)
        np.testing.assert_array_equal(features(file), rows(0, len(file)), strict=True)
        file.append(rows(len(file), number), regions[len(file) :] if with_regions else None)
    assert path.read_bytes() == content
