"""A folder becomes a data set at once or not at all, and nobody's files are written over."""

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

    def replace(source, target):
        moves.append(target)
        if len(moves) > killed:
            raise Killed
        source.rename(target)

    monkeypatch.setattr("captioning.preparing.workshop.os.replace", replace)
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
