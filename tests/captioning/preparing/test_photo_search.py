"""Photos are found where a source says or by their names, and get names of their own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.data.errors import DataError
from captioning.preparing.gaps import Gaps
from captioning.preparing.photo_search import find_photos, name_images, photo_folders
from captioning.preparing.table import CaptionedImage


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_photos_are_looked_for_beside_the_source_and_where_it_is_said(tmp_path):
    source, photos = tmp_path / "captions.csv", tmp_path / "photos"
    assert photo_folders([source]) == [tmp_path]
    photos.mkdir()
    assert photo_folders([source]) == [tmp_path, photos]
    assert photo_folders([photos]) == [photos]
    assert photo_folders([source], [photos]) == [photos]
    with pytest.raises(DataError, match="none: there is no such folder of photos"):
        photo_folders([source], [tmp_path / "none"])


def test_a_photo_is_found_by_its_path_or_its_name(tmp_path):
    first = touch(tmp_path / "a" / "val" / "1.jpg")
    second = touch(tmp_path / "b" / "2.jpg")
    images = [CaptionedImage("val/1.jpg", None, ["x"]), CaptionedImage("val/2.jpg", None, ["x"]),
              CaptionedImage("3.jpg", None, ["x", "y"]), CaptionedImage("\0" + "4" * 300, None, ["z"])]  # fmt: skip
    gaps = Gaps()
    assert find_photos(images, [tmp_path / "a", tmp_path / "b"], gaps) == [first, second, None, None]
    (line,) = gaps.lines()
    assert line.startswith("3 captions of a photo that is not there, the first of 3.jpg (in ")
    assert line.endswith("/b)")


def test_names():
    assert name_images(["x/1.jpg", "/y/2.jpg", "../x/3.jpg"]) == ["1.jpg", "2.jpg", "3.jpg"]
    assert name_images(["../x/1.jpg", "/y/1.jpg"]) == ["..__x__1.jpg", "y__1.jpg"]


@pytest.mark.parametrize(("paths", "message"), [
    (["a/1", "b/1", "a__1"], "the images 'a/1' and 'a__1' would both be called 'a__1'"),
    (["a\nb.jpg"], "can be no name"), ([" a.jpg"], "can be no name"), (["a/"], "can be no name"),
    ([".."], "can be no name"),
])  # fmt: skip
def test_names_that_will_not_do_are_refused(paths, message):
    with pytest.raises(DataError, match=message):
        name_images(paths)


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join), unique=True))
def test_names_are_distinct_and_have_no_folders(paths):
    names = name_images(paths)
    assert len(set(names)) == len(paths)
    assert not any("/" in name for name in names)
