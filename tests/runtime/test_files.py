"""Files appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import minigrad as mg
from minigrad.render import draw, to_html
from minigrad.runtime.files import replacing


def write(path, text="new"):
    with replacing(path) as temporary:
        temporary.write_text(text)


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(os.path.relpath(path))


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (os.mkfifo, "a pipe"),
        (lambda path: path.symlink_to("/dev/null"), "a device"),
        (lambda path: path.symlink_to(path), "a link that leads to itself"),
        (make_socket, "a socket"),
    ],
)
def test_only_regular_files_are_replaced(tmp_path, make, kind):
    path = tmp_path / "a.dot"
    make(path)
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    for writer in (write, lambda path: to_html(x * x, path), lambda path: draw(x * x, path)):
        with pytest.raises(OSError, match=f"{kind}, not a regular file"):
            writer(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.dot"]
    assert not path.is_file()


@pytest.mark.parametrize(
    ("name", "message"), [("", "does not name a file"), ("new/", "does not name a file"), ("é" * 128, "too long")]
)
def test_wrong_names_are_noticed_before_the_work(tmp_path, name, message):
    with pytest.raises(OSError, match=message), replacing(f"{tmp_path}/{name}" if name else ""):
        pytest.fail("the work has begun")
    assert list(tmp_path.iterdir()) == []


def test_links_are_followed(tmp_path):
    (tmp_path / "folder").mkdir()
    for name in "ab":
        (tmp_path / name).symlink_to(Path("folder", name))
    (tmp_path / "folder" / "a").write_text("old")
    for name in "ab":
        write(tmp_path / name)
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "folder" / name).read_text() == "new"


def test_an_error_while_renaming_names_only_the_file(tmp_path):
    """A folder appears while the block runs; the error does not name the temporary file."""
    path = tmp_path / "a"
    with pytest.raises(IsADirectoryError) as caught, replacing(path):
        path.mkdir()
    assert str(caught.value) == f"[Errno {errno.EISDIR}] Is a directory: '{path}'"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_threads_can_write_the_same_file(tmp_path):
    """Each has its own temporary file, and one whole file remains."""
    texts, together = [str(i) * 100_000 for i in range(4)], threading.Barrier(4)

    def repeatedly(text):
        for _ in range(10):
            together.wait(20)
            write(tmp_path / "a", text)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(repeatedly, texts))
    assert (tmp_path / "a").read_text() in texts
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_permissions_of_a_replaced_file_stay(tmp_path):
    path, plain = tmp_path / "a", tmp_path / "plain"
    plain.touch()
    write(path)
    assert path.stat().st_mode == plain.stat().st_mode
    path.chmod(0o640)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("failing", ["os.replace", "os.chmod", "block"])
def test_a_failure_leaves_the_old_file_alone(tmp_path, monkeypatch, failing):
    path = tmp_path / "a"
    path.write_text("old")

    def fail(*_):
        assert len(list(tmp_path.iterdir())) == 2  # the temporary file is there
        raise KeyboardInterrupt

    if failing.startswith("os."):
        monkeypatch.setattr(failing, fail)
    with contextlib.suppress(KeyboardInterrupt), replacing(path) as temporary:
        temporary.write_text("new")
        if failing == "block":
            fail()
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("a", "old")]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_killed_process_leaves_a_file_that_is_removed_an_hour_later(tmp_path):
    child = os.fork()
    if child == 0:
        with replacing(tmp_path / "long"):
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    write(tmp_path / "long")  # the other process might still be writing
    assert left.exists()
    os.utime(left, (left.stat().st_mtime - 3700,) * 2)
    write(tmp_path / "long")
    assert [entry.name for entry in tmp_path.iterdir()] == ["long"]
