"""The command `demo`."""

from __future__ import annotations

import os

from captioning.cli import demo
from captioning.cli.entry import main
from tests.captioning.cli.commands import refused
from tests.captioning.full_disks import files_of_at_most


def test_demo(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        demo,
        "QUICK",
        demo.Size(train=30, val=12, hidden=12, learning=1),
    )
    folder = tmp_path / "demo"
    assert main(["demo", "--quick", "--out", str(folder)]) == 0
    out = capsys.readouterr().out
    for part in ("the captioner", "captions of other scenes", "combinations never seen", "precision", "corpus BLEU-1"):
        assert part in out
    named = [line.split(":")[0].strip() for line in out.split("files\n")[1].splitlines()]
    assert named == [str(folder / name) for name in ("data", "run", "captions.png")]
    assert all(os.path.exists(path) for path in named)
    refused(capsys, ["demo", "--quick", "--out", folder], "already contains a demonstration")


def test_a_full_disk_is_named_and_leaves_no_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(demo, "QUICK", demo.Size(train=30, val=12, hidden=12, learning=0))
    with files_of_at_most(2000):
        assert main(["demo", "--quick", "--out", str(tmp_path / "demo")]) == 2
    assert f"captioning demo: {tmp_path / 'demo'}: cannot be written: File too large\n" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
