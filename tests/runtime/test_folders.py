"""Folders that appear when they are whole, or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from minigrad.runtime.folders import check_free, making
from minigrad.runtime.locks import take_lock
from tests.disk_order import DiskOrder

MARK = "0123456789abcdef"
FILL = "import sys; from minigrad.runtime.folders import making\nwith making(sys.argv[1]) as f: print(f); input()"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", ["new", "empty", "link"])
def test_it_appears_whole(tmp_path, kind):
    above, path = tmp_path / "above", tmp_path / "above" / "run"
    if kind == "empty":
        path.mkdir(parents=True)
    elif kind == "link":
        above.mkdir()
        (tmp_path / "elsewhere").mkdir()
        path.symlink_to(tmp_path / "elsewhere")
    with making(path) as folder:
        (folder / "a").write_text("whole")
        assert not path.exists() or not names(path)
    assert names(path) == ["a"]
    assert names(above) == ["run"]
    assert path.is_symlink() == (kind == "link")


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_error_leaves_nothing(tmp_path, error):
    def fill():
        with making(tmp_path / "b" / "c" / "run") as folder:
            (folder / "a").write_text("half")
            raise error

    with pytest.raises(error):
        fill()
    assert names(tmp_path) == []


def test_what_is_there_is_not_touched(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_text("mine")
    for name in ("file", "full"):
        for attempt in (check_free, lambda path: making(path).__enter__()):
            with pytest.raises(FileExistsError):
                attempt(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="names no folder"):
        check_free("")
    assert (tmp_path / "file").read_text() == (tmp_path / "full" / "a").read_text() == "mine"


def test_a_place_where_a_file_system_is_mounted_cannot_be_renamed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(os.path, "ismount", lambda path: str(path) == str(tmp_path))
    with pytest.raises(OSError, match="mounted: name a folder within it"):
        check_free(tmp_path)


def test_who_comes_second_is_refused(tmp_path):
    with pytest.raises(FileExistsError), making(tmp_path / "run"), making(tmp_path / "run") as folder:
        (folder / "a").write_text("the first to be whole")
    assert names(tmp_path / "run") == ["a"]
    assert names(tmp_path) == ["run"]


def test_a_folder_below_a_file_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    for attempt in (check_free, lambda path: making(path).__enter__()):
        with pytest.raises(NotADirectoryError):
            attempt(tmp_path / "file" / "run")


@pytest.mark.skipif(os.name == "nt", reason="another platform: has no SIGKILL")
def test_what_a_killed_process_left_is_removed_and_what_a_live_one_fills_is_not(tmp_path):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", FILL, str(tmp_path / "run")], **pipes) as process:
        left = process.stdout.readline().strip()
        check = making(tmp_path / "run")
        with check:
            assert os.path.exists(left)
        (tmp_path / "run").rmdir()
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert os.path.exists(left)
    with making(tmp_path / "run"):
        assert not os.path.exists(left)


def test_only_ours_are_removed(tmp_path):
    others = [".run.tmp", ".run.xyz.tmp", f".runs.{MARK}.tmp", f"run.{MARK}.tmp", f".run.{MARK}.tmp.d"]
    for name in others:
        (tmp_path / name).mkdir()
        take_lock(tmp_path / name / ".lock").release()
        (tmp_path / name / ".lock").write_text("")
    (tmp_path / f".run.{MARK[::-1]}.tmp").symlink_to(tmp_path / others[0])
    young, old = tmp_path / f".run.{MARK}.tmp", tmp_path / f".run.{'0' * 16}.tmp"  # without a lock: just made?
    young.mkdir()
    old.mkdir()
    hours_ago = time.time() - 2 * 3600
    os.utime(old, (hours_ago, hours_ago))
    with making(tmp_path / "run"):
        pass
    assert names(tmp_path) == sorted([*others, f".run.{MARK[::-1]}.tmp", young.name, "run"])


@pytest.mark.skipif(os.name == "nt", reason="Windows flushes no folders")
def test_its_name_is_on_the_disk(tmp_path, monkeypatch):
    """And those of the folders above that were made, after the names in it."""
    order, path = DiskOrder(monkeypatch), tmp_path / "a" / "b" / "run"
    with making(path) as folder:
        (folder / "file").touch()
    (named,) = order.named("run")
    assert order.flushed(path)[0] < named
    for above in (path.parent, tmp_path / "a", tmp_path):
        assert order.flushed(above)[-1] > named
