"""Where a data set is, and which files it must have."""

import pytest

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError


def test_a_missing_folder_or_file_is_named(folder, tmp_path):
    with pytest.raises(DataError, match="no_such: there is no such folder"):
        open_captions(tmp_path / "no_such")
    for name in ("coco2014_vocab.json", "coco2014_captions.h5", "val2014_vgg16_fc7_pca.h5"):
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        with pytest.raises(DataError, match=name):
            open_captions(folder)
        (folder / name).write_bytes(content)
    open_captions(folder).close()


def test_a_folder_without_a_data_set_is_said_to_be_none(tmp_path):
    (tmp_path / "1.jpg").touch()
    with pytest.raises(DataError, match=r"is no data set, .*: `captioning prepare` makes one of photos and captions"):
        open_captions(tmp_path)


def test_the_default_folder_is_the_notebooks_or_the_environments(folder, monkeypatch, tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    monkeypatch.chdir(work)
    monkeypatch.delenv("CAPTIONING_DATA", raising=False)
    with pytest.raises(DataError, match=r"datasets/coco_captioning.*set CAPTIONING_DATA"):
        open_captions()
    (work / "datasets").mkdir()
    (work / "datasets" / "coco_captioning").symlink_to(folder)
    open_captions().close()
    monkeypatch.setenv("CAPTIONING_DATA", str(work / "datasets"))
    open_captions().close()
    monkeypatch.setenv("CAPTIONING_DATA", str(folder))
    open_captions().close()
    (work / "datasets" / "second").symlink_to(folder)
    monkeypatch.setenv("CAPTIONING_DATA", str(work / "datasets"))
    with pytest.raises(DataError, match=r"needs one folder.*found coco_captioning, second"):
        open_captions()
