"""Folders that appear whole or not at all, their locks, and contents of files."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from captioning.storage import FolderLock, check_free, crc32_of, making, write_all
from tests.disk_order import DiskOrder

MARK = "0123456789abcdef"
HOLD = """
import pathlib, sys
from captioning.storage import FolderLock
lock = FolderLock(pathlib.Path(sys.argv[1]), "training", ValueError)
print("held")
input()
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", ["new", "empty", "link"])
def test_it_appears_whole(tmp_path, kind):
    above, path, target = tmp_path / "above", tmp_path / "above" / "run", tmp_path / "elsewhere"
    if kind != "new":
        (path if kind == "empty" else target).mkdir(parents=True)
    if kind == "link":
        above.mkdir()
        path.symlink_to(target)
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


def test_what_is_there_is_not_touched(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_text("mine")
    for name, error in (("file", FileExistsError), ("full", FileExistsError), ("file/run", NotADirectoryError)):
        for attempt in (check_free, lambda path: making(path).__enter__()):
            with pytest.raises(error):
                attempt(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="not name a folder"):
        check_free("")
    (tmp_path / "mount").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: str(path).endswith("mount"))
    with pytest.raises(OSError, match="mount point"):
        check_free(tmp_path / "mount")
    assert (tmp_path / "file").read_text() == (tmp_path / "full" / "a").read_text() == "mine"


def test_who_comes_second_is_refused(tmp_path):
    with pytest.raises(FileExistsError), making(tmp_path / "run"), making(tmp_path / "run") as folder:
        (folder / "a").write_text("the first to be whole")
    assert names(tmp_path / "run") == ["a"]
    assert names(tmp_path) == ["run"]


def test_what_a_killed_process_left_is_removed_and_what_a_live_one_fills_is_not(tmp_path):
    left, others = tmp_path / f".run.{MARK}.tmp", [f".runs.{MARK}.tmp", f"run.{MARK}.tmp", ".run.tmp"]
    for name in (left.name, *others):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".lock").touch()
    with making(tmp_path / "run") as first:
        (first / "a").touch()
        with making(tmp_path / "run") as second:
            assert first.exists()
        assert not second.exists()
        (tmp_path / "run").rmdir()
    assert names(tmp_path) == sorted([*others, "run"])
    assert names(tmp_path / "run") == ["a"]


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


# A folder's lock


def take(folder):
    return FolderLock(folder, "training", ValueError)


def test_another_process_holds_it_until_it_is_killed(tmp_path):
    path = tmp_path / ".lock"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], **pipes) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match=rf"process {process.pid} is training in this folder; wait"):
            take(tmp_path)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert path.exists()
    with take(tmp_path) as lock:
        assert path.read_text() == f"{os.getpid()}\n"
        lock.release()
    assert not path.exists()


# Contents of files


class Narrow(io.RawIOBase):
    """A file that takes three bytes at once, and eight in all."""

    def __init__(self):
        self.content = b""

    def write(self, content):
        if len(self.content) == 8:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = bytes(content[: min(3, 8 - len(self.content))])
        self.content += taken
        return len(taken)


def test_all_is_written_to_a_file_that_takes_a_little_at_once_or_the_error_names_it():
    file = Narrow()
    write_all(file, b"abcde", "a.bin")
    with pytest.raises(OSError, match="No space left") as caught:
        write_all(file, memoryview(np.frombuffer(b"fghi", np.uint8)), Path("a.bin"))
    assert (caught.value.errno, caught.value.filename, file.content) == (errno.ENOSPC, "a.bin", b"abcdefgh")


@pytest.mark.parametrize("size", [0, 1, 2**20, 2**20 + 1])
def test_the_checksum_of_a_file(tmp_path, size):
    content = (bytes(range(251)) * (size // 251 + 1))[:size]
    (tmp_path / "a").write_bytes(content)
    assert crc32_of(tmp_path / "a") == zlib.crc32(content)


@pytest.mark.parametrize("failing", ["read", "close"])
def test_a_checksum_that_cannot_be_computed_names_the_file(tmp_path, monkeypatch, failing):
    class Failing(io.BytesIO):
        def fail(self, *_):
            raise OSError(errno.EIO, "Input/output error")

        def __exit__(self, *_):
            if failing == "close":
                self.fail()

    if failing == "read":
        Failing.read = Failing.fail
    monkeypatch.setattr("builtins.open", lambda *_: Failing())
    with pytest.raises(OSError, match="Input/output error") as caught:
        crc32_of(tmp_path / "a.csv")
    assert caught.value.filename == str(tmp_path / "a.csv")


def test_a_lock_that_cannot_be_written_leaves_no_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(ValueError, match=r"\.lock: cannot be written: No space left"):
        FolderLock(tmp_path, "training", ValueError)
    assert names(tmp_path) == []
