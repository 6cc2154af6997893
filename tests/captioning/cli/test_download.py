"""The command `download`: from a server to a data set, whatever stops it in between."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from captioning.cli.entry import main
from captioning.data.dataset import open_captions
from captioning.data.folder import PHOTOS_FOLDER
from captioning.storage import FolderLock
from captioning.vision import extractors
from tests.captioning.cli.commands import SMALL, refused
from tests.captioning.downloading.server import PHOTOS, TEXTS, Site, members_of, serving, zipped
from tests.captioning.preparing.photo_sources import write_photo
from tests.captioning.vision.grid_extractor import GridColours

ROOT = Path(__file__).parents[3]


@pytest.fixture
def site(small_folder, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    texts = {name: text.encode() for name, text in TEXTS.items()}
    annotations = {f"annotations/captions_{split}2014.json": b"{}" for split in ("train", "val")}
    files = {
        "/coco_captioning.zip": zipped(members_of(small_folder)),
        "/annotations_trainval2014.zip": zipped(annotations),
        "/Flickr8k_Dataset.zip": zipped(PHOTOS),
        "/Flickr8k_text.zip": zipped(texts),
    }
    with serving(Site(files)) as site:
        yield site


def test_coco_arrives_opens_and_trains(site, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("captioning.progress._FIRST_LINE", 0.0)
    out = tmp_path / "data"
    assert main(["download", "coco", "--out", str(out), "--mirror", site.address]) == 0
    said, err = capsys.readouterr()
    assert " KiB/" in err
    archive = out / "coco_captioning.zip"
    assert said.splitlines() == [
        f"{out}: train: 48 captions of 24 images",
        f"{out}: val: 48 captions of 24 images",
        f"no longer needed: {archive} ({archive.stat().st_size / 1024:.1f} KiB)",
        f"next: captioning train --data {out} --out RUN",
    ]
    assert "no checksum is known, so none is checked" in err
    with open_captions(out) as data:
        assert len(data.train) == 48
    train = ["train", "--data", str(out), "--out", str(tmp_path / "run"), *SMALL, "--epochs", "1", "--batch-size", "24"]
    assert main(train) == 0
    assert "trained 2 iterations" in capsys.readouterr().out
    requests = len(site.requests)
    assert main(["download", "coco", "--out", str(out), "--mirror", site.address, "--quiet"]) == 0
    assert capsys.readouterr() == (said, "")
    assert len(site.requests) == requests  # all of it was there


def test_what_flickr8k_is_told_to_go_on_with_works(site, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(extractors._made, "efficientnet-lite0", GridColours())
    monkeypatch.chdir(tmp_path)
    for n, name in enumerate("abc"):
        write_photo(tmp_path / f"{name}.jpg", n)
    photos = {f"Flicker8k_Dataset/{name}.jpg": (tmp_path / f"{name}.jpg").read_bytes() for name in "abc"}
    tokens = "".join(f"{name}.jpg#{i}\tA cat .\n" for name in "abc" for i in range(5))
    texts = {name: text.encode() for name, text in (TEXTS | {"Flickr8k.token.txt": tokens}).items()}
    site.files |= {"/Flickr8k_Dataset.zip": zipped(photos), "/Flickr8k_text.zip": zipped(texts)}
    for out in ("my data/", "."):
        assert main(["download", "flickr8k", "--out", out, "--mirror", site.address, "--quiet", "--no-verify"]) == 0
        then = capsys.readouterr().out.splitlines()[-1]
        program, *command = shlex.split(then.removeprefix("next: "))
        assert program == "captioning"
        assert main([*command, "--quiet"]) == 0, then
        with open_captions(command[-1]) as data:
            assert (len(data.train), len(data.val)) == (5, 5)
            assert (data.folder / PHOTOS_FOLDER / "a.jpg").read_bytes() == photos["Flicker8k_Dataset/a.jpg"]
        assert not (set(os.listdir(tmp_path)) & {".-data", "-data"})
    assert then.endswith(f"--out {tmp_path}-data")


@pytest.mark.parametrize(("options", "part"), [
    ([], "needs the name of a data set, one of coco, flickr8k; or --list"),
    (["flickr8k", "--annotations"], "--annotations is for coco alone"),
    (["coco", "--timeout", "0"], "--timeout: must be a number from 0.001 to 86400; got 0"),
    (["coco", "--timeout", "1e10"], "86400; got 1e10"),
    (["coco", "--attempts", "0"], "--attempts: must be an int from 1 to 1000; got 0"),
    (["coco", "--address", "x=http://a.example/"], "NAME one of coco_captioning"),
    (["coco", "--mirror", "ftp://a.example/"], "--mirror: needs an address"),
])  # fmt: skip
def test_options_that_do_not_fit_are_refused_and_nothing_is_left(tmp_path, capsys, options, part):
    refused(capsys, ["download", *options, "--out", tmp_path / "out"], part)
    assert list(tmp_path.iterdir()) == []


def test_an_archive_put_there_by_hand_is_taken(site, tmp_path, capsys):
    (tmp_path / "coco_captioning.zip").write_bytes(site.files["/coco_captioning.zip"])
    assert main(["download", "coco", "--out", str(tmp_path), "--quiet"]) == 0  # from the real address, were it asked
    assert site.requests == []


def test_a_damaged_archive_is_said(site, tmp_path, capsys):
    content = bytearray(site.files["/coco_captioning.zip"])
    content[len(content) // 3] ^= 1
    site.files["/coco_captioning.zip"] = bytes(content)
    refused(capsys, ["download", "coco", "--out", tmp_path, "--mirror", site.address, "--quiet"],
            "coco_captioning.zip: is a damaged zip archive", "the same command fetches it again")  # fmt: skip
    assert os.listdir(tmp_path) == ["coco_captioning.zip"]


def test_two_downloads_into_one_folder(tmp_path, capsys):
    pytest.importorskip("fcntl", reason="needs fcntl")
    with FolderLock(tmp_path, "downloading", ValueError):
        refused(capsys, ["download", "coco", "--out", tmp_path],
                f"{tmp_path}: process {os.getpid()} is downloading in this folder: wait until it ends")  # fmt: skip
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_signal_in_the_middle_and_the_same_command_again(site, small_folder, tmp_path, number, status):
    """A real process and a real signal; the second call asks for the rest alone."""
    padding = {"coco_captioning/padding.bin": np.random.default_rng(0).bytes(100_000)}
    whole = site.files["/coco_captioning.zip"] = zipped(padding | members_of(small_folder))
    site.piece, site.drip = 20_000, 0.1
    command = [sys.executable, "-m", "captioning", "download", "coco", "--out", str(tmp_path), "--mirror", site.address]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    part = tmp_path / "coco_captioning.zip.part"
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size >= 10_000):
        assert time.monotonic() < deadline, "nothing arrived"
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == status
    assert "Traceback" not in err
    if number != signal.SIGKILL:
        told = f"stopped; {tmp_path} keeps what was downloaded, and the same command continues"
        assert err.endswith(f"captioning download: {told}\n")
        assert err.count("stopped") == 1
    have = part.stat().st_size
    assert part.read_bytes() == whole[:have]
    assert not (tmp_path / "coco_captioning.zip").exists()
    site.drip = 0.0
    assert main([*command[3:], "--quiet"]) == 0
    assert site.requests[-1][1]["Range"] == f"bytes={have}-"
    assert {path.name for path in tmp_path.iterdir()} == {"coco_captioning.zip", *os.listdir(small_folder)}
