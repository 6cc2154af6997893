"""Images are divided into splits, each image into one."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.data.errors import DataError
from captioning.preparing.division import check_shares, divide
from captioning.preparing.table import CaptionedImage


def divided(number, **shares):
    images = [CaptionedImage(str(n)) for n in range(number)]
    divide(images, **{"val": 0.1, "test": 0.0, "seed": 0} | shares)
    return [image.split for image in images]


@given(st.integers(3, 300), st.floats(0.01, 0.3), st.floats(0, 0.3), st.integers(0, 9))
def test_shares_are_kept(number, val, test, seed):
    found = divided(number, val=val, test=test, seed=seed)
    counts = Counter(found)
    assert counts["val"] == max(1, round(val * number))
    assert counts["test"] == (max(1, round(test * number)) if test else 0)
    assert counts["train"] == number - counts["val"] - counts["test"] > 0
    assert found == divided(number, val=val, test=test, seed=seed)


def test_the_seed_decides():
    assert divided(40, seed=1) != divided(40, seed=2)
    assert [n for n, split in enumerate(divided(8, val=0.25, seed=0)) if split == "val"] == [2, 4]  # on every machine


@pytest.mark.parametrize(("number", "val", "test"), [(1, 0.1, 0), (2, 0.1, 0.1), (2, 0.9, 0)])
def test_too_few_images_are_refused(number, val, test):
    with pytest.raises(DataError, match=rf"{number} images are too few for \d to validate, \d to test and one"):
        divided(number, val=val, test=test)


@pytest.mark.parametrize(("val", "test", "message"), [
    (0, 0, "val must be above 0"), (-0.1, 0, "val must be a share of the images, at least 0 and below 1; got -0.1"),
    (0.1, 1, "test must be a share"), (float("nan"), 0, "val must be a share"),
    (0.5, 0.5, "val and test must leave images for training; got 0.5 and 0.5"),
])  # fmt: skip
def test_shares_that_leave_nothing_are_refused(val, test, message):
    with pytest.raises(DataError, match=message):
        check_shares(val, test)
