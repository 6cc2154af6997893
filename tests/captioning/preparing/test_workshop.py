"""A folder becomes a data set at once or not at all, and nobody's files are written over."""

import os
from contextlib import nullcontext, suppress

import pytest

from captioning.data.errors import DataError
from captioning.preparing.workshop import Workshop
from tests.captioning.preparing.photo_sources import content


def make(shop):
    for name in ("captions.csv", "coco2014_captions.h5", "val2014_images.txt"):
        shop.path(name).write_text(name)
    shop.path("photos").mkdir()
    (shop.path("photos") / "a.jpg").symlink_to("../x.jpg")
    shop.features.write_text("rows")


MADE = {name: name.encode() for name in ("captions.csv", "coco2014_captions.h5", "val2014_images.txt")}
MADE["photos/a.jpg"] = "link to ../x.jpg"


def test_what_is_made_moves_out_whole(tmp_path):
    out = tmp_path / "new" / "data"
    with Workshop(out) as shop:
        make(shop)
        assert sorted(out.iterdir()) == [out / ".lock", shop.place]
        shop.finish()
    assert content(out) == MADE


@pytest.mark.parametrize("killed", range(5))
def test_a_kill_between_two_moves_leaves_no_data_set(tmp_path, monkeypatch, killed):
    class Killed(BaseException):
        pass

    moves = []

    def rename(source, target):
        moves.append(target)
        if len(moves) > killed:
            raise Killed
        os.replace(source, target)

    monkeypatch.setattr("captioning.preparing.workshop.os.rename", rename)
    shop = Workshop(tmp_path / "data")
    make(shop)
    if killed < 4:
        with pytest.raises(Killed):
            shop.finish()
        assert not (tmp_path / "data" / "coco2014_captions.h5").exists()
        monkeypatch.undo()
        with Workshop(tmp_path / "data") as shop:
            assert shop.features.read_text() == "rows"
            assert sorted(shop.place.iterdir()) == [shop.features]
            make(shop)
            shop.finish()
    else:
        shop.finish()
        assert moves[-1].name == "coco2014_captions.h5"
    assert content(tmp_path / "data") == MADE


@pytest.mark.parametrize("moved", range(1, 4))
@pytest.mark.parametrize("killed", [True, False])
def test_what_an_attempt_moved_out_is_no_part_of_the_next(tmp_path, monkeypatch, moved, killed):
    """Which may be without the third split or with other photos; nobody else's files are removed."""
    moves = []

    def rename(source, target):
        moves.append(target)
        if len(moves) > moved:
            raise KeyboardInterrupt
        os.replace(source, target)

    shop = Workshop(tmp_path / "data")
    with monkeypatch.context() as patch, suppress(KeyboardInterrupt), nullcontext() if killed else shop:
        patch.setattr("captioning.preparing.workshop.os.rename", rename)
        make(shop)
        shop.finish()
    assert len(moves) == moved + 1
    assert any(path.name[0] != "." for path in (tmp_path / "data").iterdir()) == killed
    with Workshop(tmp_path / "data") as shop:
        shop.path("photos").mkdir()
        for name in ("coco2014_captions.h5", "photos/b.jpg"):
            shop.path(name).write_text(name)
        shop.finish()
    assert content(tmp_path / "data") == {name: name.encode() for name in ("coco2014_captions.h5", "photos/b.jpg")}


def test_files_that_others_put_beside_a_workshop_are_refused_and_stay(tmp_path):
    with Workshop(tmp_path / "data") as shop:
        shop.features.write_text("rows")
    (tmp_path / "data" / "photos").mkdir()
    (tmp_path / "data" / "photos" / "mine.jpg").write_text("mine")
    refused = pytest.raises(DataError, match="has 'photos' in it; choose a new or an empty folder with --out")
    with refused, Workshop(tmp_path / "data"):
        pass
    assert content(tmp_path / "data") == {".preparing/features.part": b"rows", "photos/mine.jpg": b"mine"}


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_data_set_that_is_whole_stays_whatever_comes(tmp_path, monkeypatch, interrupted):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with suppress(KeyboardInterrupt), Workshop(tmp_path / "data") as shop:
        make(shop)
        with monkeypatch.context() as patch:
            if interrupted:
                patch.setattr("captioning.preparing.workshop.shutil.rmtree", interrupt)
            shop.finish()
    assert content(tmp_path / "data") == MADE


def test_an_error_leaves_features_alone_or_nothing(tmp_path):
    def fail(shop):
        with shop:
            make(shop)
            if shop.folder.parent.name == "other":
                shop.features.unlink()
            raise KeyError

    with pytest.raises(KeyError):
        fail(Workshop(tmp_path / "new" / "data"))
    assert content(tmp_path / "new") == {"data/.preparing/features.part": b"rows"}
    with pytest.raises(KeyError):
        fail(Workshop(tmp_path / "other" / "data"))
    assert not (tmp_path / "other").exists()


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "captions.csv").write_text("mine")
    with pytest.raises(DataError, match=r"has 'captions\.csv' in it; choose a new or an empty folder with --out"):
        Workshop(tmp_path)
    with pytest.raises(DataError, match=r"captions\.csv: exists and is no folder"):
        Workshop(tmp_path / "captions.csv")
    assert content(tmp_path) == {"captions.csv": b"mine"}


def test_a_data_set_is_refused_and_a_workshop_in_it_swept_away(tmp_path):
    (tmp_path / ".preparing").mkdir()
    (tmp_path / ".preparing" / "features.part").touch()
    (tmp_path / "coco2014_captions.h5").touch()
    with pytest.raises(DataError, match="is a data set already; choose another folder with --out"):
        Workshop(tmp_path)
    assert content(tmp_path) == {"coco2014_captions.h5": b""}
