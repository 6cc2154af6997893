"""The command `download`: from a server to a data set, even if it is interrupted."""

from __future__ import annotations

import os
import shlex
from unittest.mock import Mock

import pytest

from captioning.cli.entry import main
from captioning.data.dataset import open_captions
from captioning.data.folder import PHOTOS_FOLDER
from captioning.storage import FolderLock
from captioning.vision import extractors
from tests.captioning.cli.commands import SMALL, output_of, refused, status_of
from tests.captioning.downloading.server import TEXTS, Site, members_of, serving, zipped
from tests.captioning.preparing.photo_sources import write_photo
from tests.captioning.vision.grid_extractor import GridColours


@pytest.fixture
def site(small_folder, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with serving(Site({"/coco_captioning.zip": zipped(members_of(small_folder))})) as site:
        yield site


def test_coco_arrives_and_can_be_trained_on(site, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("captioning.progress._FIRST_LINE", 0.0)
    out = tmp_path / "data"
    download = ["download", "coco", "--out", str(out), "--mirror", site.address]
    assert main(download) == 0
    printed, err = capsys.readouterr()
    assert " KiB/" in err
    assert "no checksum is known" in err
    archive = out / "coco_captioning.zip"
    assert printed.splitlines() == [
        f"{out}: train: 48 captions of 24 images",
        f"{out}: val: 48 captions of 24 images",
        f"no longer needed: {archive} ({archive.stat().st_size / 1024:.1f} KiB)",
        f"next: captioning train --data {out} --out RUN",
    ]
    assert status_of("train", "--data", out, "--out", tmp_path / "run", *SMALL, "--epochs", "1") == 0
    requests = len(site.requests)
    assert output_of(capsys, *download, "--quiet") == printed
    assert len(site.requests) == requests  # everything was there


def test_the_printed_next_command_prepares_flickr8k(site, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(extractors._made, "efficientnet-lite0", GridColours())
    monkeypatch.chdir(tmp_path)
    for n, name in enumerate("abc"):
        write_photo(tmp_path / f"{name}.jpg", n)
    photos = {f"Flicker8k_Dataset/{name}.jpg": (tmp_path / f"{name}.jpg").read_bytes() for name in "abc"}
    tokens = "".join(f"{name}.jpg#{i}\tA cat .\n" for name in "abc" for i in range(5))
    texts = {name: text.encode() for name, text in (TEXTS | {"Flickr8k.token.txt": tokens}).items()}
    site.files |= {"/Flickr8k_Dataset.zip": zipped(photos), "/Flickr8k_text.zip": zipped(texts)}
    refused(capsys, ["download", "flickr8k", "--out", "my data/", "--mirror", site.address, "--quiet"], "md5 checksum")
    for out in ("my data/", "."):
        printed = output_of(
            capsys, "download", "flickr8k", "--out", out, "--mirror", site.address, "--quiet", "--no-verify"
        )
        program, *command = shlex.split(printed.splitlines()[-1].removeprefix("next: "))
        assert program == "captioning"
        assert status_of(*command, "--quiet") == 0, command
        with open_captions(command[-1]) as data:
            assert (len(data.train), len(data.val)) == (5, 5)
            assert (data.folder / PHOTOS_FOLDER / "a.jpg").read_bytes() == photos["Flicker8k_Dataset/a.jpg"]
    assert command[-1] == f"{tmp_path}-data"


@pytest.mark.parametrize(("options", "part"), [
    ([], "name a data set (coco, flickr8k)"), (["flickr8k", "--annotations"], "--annotations"),
    (["coco", "--timeout", "1e10"], "from 0.001 to 86400; got 1e10"),
    (["coco", "--attempts", "0"], "from 1 to 1000; got 0"),
    (["coco", "--address", "x=http://a.example/"], "coco_captioning"),
    (["coco", "--mirror", "ftp://a.example/"], "--mirror"),
])  # fmt: skip
def test_wrong_options_are_refused_and_leave_nothing(tmp_path, capsys, options, part):
    refused(capsys, ["download", *options, "--out", tmp_path / "out"], part)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("captioning.cli.data_sets.fetch", Mock(side_effect=KeyboardInterrupt))
    assert status_of("download", "coco", "--out", tmp_path) == 130
    err = capsys.readouterr().err
    assert (f"{tmp_path} already contains" in err, "same command" in err, len(err.splitlines())) == (True, True, 1)


def test_an_archive_in_the_folder_is_used_unless_it_is_damaged(site, tmp_path, capsys):
    whole = site.files["/coco_captioning.zip"]
    (tmp_path / "coco_captioning.zip").write_bytes(whole[:999] + bytes([whole[999] ^ 1]) + whole[1000:])
    refused(capsys, ["download", "coco", "--out", tmp_path, "--quiet"], "coco_captioning.zip: is a damaged zip archive")
    assert os.listdir(tmp_path) == ["coco_captioning.zip"]
    (tmp_path / "coco_captioning.zip").write_bytes(whole)
    assert status_of("download", "coco", "--out", tmp_path, "--quiet") == 0
    assert site.requests == []
    with FolderLock(tmp_path, "downloading", ValueError):
        refused(capsys, ["download", "coco", "--out", tmp_path], f"process {os.getpid()} is downloading")
