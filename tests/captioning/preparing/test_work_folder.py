"""A data set appears at once or not at all, and nobody's files are written over."""

import os

import pytest

from captioning.data.errors import DataError
from captioning.preparing.work_folder import WorkFolder, has_features
from tests.captioning.preparing.photo_sources import content

MADE = {"coco2014_captions.h5": b"ids", "photos/a.jpg": "link to ../x.jpg"}


def fill(work):
    (work.new / "coco2014_captions.h5").write_text("ids")
    (work.new / "photos").mkdir()
    (work.new / "photos" / "a.jpg").symlink_to("../x.jpg")
    work.features.write_text("rows")


@pytest.mark.parametrize("there", [False, True])
def test_a_data_set_appears_whole_and_alone(tmp_path, there):
    out = tmp_path / "new" / "data"
    if there:
        out.mkdir(parents=True)
    with WorkFolder(out) as work:
        fill(work)
        assert content(out) == {}
        work.finish()
        assert content(out) == MADE
    assert list((tmp_path / "new").iterdir()) == [out]


@pytest.mark.parametrize("killed", [True, False])
def test_features_alone_stay_for_a_later_job(tmp_path, killed):
    work = WorkFolder(tmp_path / "data")
    work.__enter__()
    fill(work)
    if killed:
        work._lock.release()
    else:
        work.__exit__(None, None, None)
    assert has_features(tmp_path / "data")
    assert not (tmp_path / "data").exists()
    with WorkFolder(tmp_path / "data") as work:
        assert work.features.read_text() == "rows"
        assert not any(work.new.iterdir())
    assert content(tmp_path) == {".data.preparing/features.part": b"rows"}


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    for name, message in (("mine.txt", "contains 'mine.txt'; .*--out"), ("coco2014_captions.h5", "already a data set"),
                          ("", "exists and is not a folder")):  # fmt: skip
        out = tmp_path / f"of {name}"
        if name:
            out.mkdir()
        (out / name).write_text("mine")
        with pytest.raises(DataError, match=message), WorkFolder(out):
            pass
        assert (out / name).read_text() == "mine"
    assert not list(tmp_path.glob(".*"))


def test_what_appears_meanwhile_stays(tmp_path):
    out = tmp_path / "data"
    with WorkFolder(out) as work:
        fill(work)
        with pytest.raises(DataError, match=f"process {os.getpid()} is preparing"), WorkFolder(out):
            pass
        out.mkdir()
        (out / "mine.txt").write_text("mine")
        with pytest.raises(DataError, match=r"contains 'mine\.txt'"):
            work.finish()
    assert content(tmp_path) == {".data.preparing/features.part": b"rows", "data/mine.txt": b"mine"}
