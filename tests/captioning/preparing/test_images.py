"""Images are divided into splits, found as files, and named."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.data.errors import DataError
from captioning.preparing.images import (
    CaptionedImage,
    LeftOut,
    check_shares,
    divide,
    find_photos,
    name_images,
    photo_folders,
)


def divided(number, **shares):
    images = [CaptionedImage(str(n)) for n in range(number)]
    divide(images, **{"val": 0.1, "test": 0.0, "seed": 0} | shares)
    return [image.split for image in images]


@given(st.integers(3, 300), st.floats(0.01, 0.3), st.floats(0, 0.3), st.integers(0, 9))
def test_shares_are_kept(number, val, test, seed):
    counts = Counter(divided(number, val=val, test=test, seed=seed))
    assert counts["val"] == max(1, round(val * number))
    assert counts["test"] == (max(1, round(test * number)) if test else 0)
    assert counts["train"] == number - counts["val"] - counts["test"] > 0


def test_the_seed_decides():
    assert divided(40, seed=1) != divided(40, seed=2)
    assert [n for n, split in enumerate(divided(8, val=0.25, seed=0)) if split == "val"] == [2, 4]  # on every machine


@given(st.integers(2, 300), st.sampled_from([0, 0.3, 0.5]))
def test_shares_of_1_together_leave_nothing_to_train(number, val):
    counts = Counter(divided(number, val=val, test=1 - val))
    assert (counts["val"], counts["train"]) == (round(max(1, val * number)) if val else 0, 0)
    assert counts["test"] == number - counts["val"] > 0


@pytest.mark.parametrize(("number", "val", "test"), [(1, 0.1, 0), (2, 0.1, 0.1), (2, 0.9, 0)])
def test_too_few_images_are_refused(number, val, test):
    with pytest.raises(DataError, match=rf"{number} images are too few"):
        divided(number, val=val, test=test)


@pytest.mark.parametrize(("val", "test", "message"), [
    (0, 0, "val must be above 0"), (-0.1, 0, r"val .* got -0\.1"), (0.1, 1.5, "test must be a share"),
    (float("nan"), 0, "val must be a share"), (0.5, 0.5, r"got 0\.5 and 0\.5"),
])  # fmt: skip
def test_shares_that_leave_nothing_are_refused(val, test, message):
    with pytest.raises(DataError, match=message):
        check_shares(val, test)


def test_photos_are_found_beside_the_source_or_in_named_folders(tmp_path):
    source, photos = tmp_path / "captions.csv", tmp_path / "photos"
    assert photo_folders([source]) == [tmp_path]
    photos.mkdir()
    assert photo_folders([source]) == [tmp_path, photos]
    assert photo_folders([photos]) == [photos]
    assert photo_folders([source], [photos]) == [photos]
    with pytest.raises(DataError, match="none: there is no such folder of photos"):
        photo_folders([source], [tmp_path / "none"])


def test_a_photo_is_found_by_its_path_or_its_name(tmp_path):
    first, second = tmp_path / "a" / "val" / "1.jpg", tmp_path / "b" / "2.jpg"
    for path in (first, second, tmp_path / "b" / "1.jpg"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    images = [CaptionedImage("val/1.jpg", None, ["x"]), CaptionedImage("val/2.jpg", None, ["x"]),
              CaptionedImage("3.jpg", None, ["x", "y"]), CaptionedImage("\0" + "4" * 300, None, ["z"])]  # fmt: skip
    left_out = LeftOut()
    assert find_photos(images, [tmp_path / "a", tmp_path / "b"], left_out) == [first, second, None, None]
    (line,) = left_out.lines()
    assert line.startswith("3 captions of missing photos, the first of 3.jpg (searched in ")


@pytest.mark.parametrize(("paths", "message"), [
    (["a/1", "b/1", "a__1"], "'a/1' and 'a__1' would both be called 'a__1'"),
    (["a\nb.jpg"], "cannot be a file name"), ([" a.jpg"], "cannot be a file name"), (["a/"], "cannot be a file name"),
    ([".."], "cannot be a file name"),
])  # fmt: skip
def test_names_that_will_not_do_are_refused(paths, message):
    with pytest.raises(DataError, match=message):
        name_images(paths)


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join), unique=True))
def test_names_are_distinct_and_have_no_folders(paths):
    names = name_images(paths)
    assert len(set(names)) == len(paths)
    assert not any("/" in name for name in names)
    assert name_images(["x/1.jpg", "../x/1.jpg", "/y/2.jpg"]) == ["x__1.jpg", "..__x__1.jpg", "2.jpg"]
