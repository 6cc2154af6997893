"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import minigrad as mg
from minigrad.render import draw, to_html
from minigrad.runtime.files import irregular, replacing


def write(path, text="new"):
    with replacing(path) as temporary:
        temporary.write_text(text)


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "a.html")
    return tmp_path / "a.html"


def graph():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    return x * x


@pytest.mark.parametrize("writer", [write, lambda path: to_html(graph(), path)])
def test_a_pipe_is_not_replaced(pipe, writer):
    with pytest.raises(OSError, match="a pipe, not a regular file") as caught:
        writer(pipe)
    assert caught.value.filename == str(pipe)
    assert pipe.is_fifo()
    assert [entry.name for entry in pipe.parent.iterdir()] == ["a.html"]


def test_a_drawing_does_not_replace_a_pipe_or_a_device(tmp_path):
    os.mkfifo(tmp_path / "a.dot")
    (tmp_path / "b.dot").symlink_to("/dev/null")
    for name, kind in (("a.dot", "a pipe"), ("b.dot", "a device")):
        with pytest.raises(OSError, match=f"{kind}, not a regular file"):
            draw(graph(), tmp_path / name)
    assert (tmp_path / "b.dot").is_symlink()


def test_a_socket_is_not_replaced(tmp_path):
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(os.path.relpath(tmp_path / "a"))
        with pytest.raises(OSError, match="a socket, not a regular file"):
            write(tmp_path / "a")


def test_a_link_that_leads_to_itself_stays(tmp_path):
    (tmp_path / "a").symlink_to("a")
    with pytest.raises(OSError, match="a link that leads to itself, not a regular file"):
        write(tmp_path / "a")
    assert (tmp_path / "a").is_symlink()


def test_a_link_is_followed(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").write_text("old")
    (tmp_path / "link").symlink_to(Path("folder", "a"))
    (tmp_path / "new").symlink_to(Path("folder", "b"))
    write(tmp_path / "link")
    write(tmp_path / "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "new").is_symlink()
    assert [(tmp_path / "folder" / name).read_text() for name in "ab"] == ["new", "new"]


def test_an_error_of_the_renaming_names_the_file_alone(tmp_path):
    """A folder that comes while the block runs; nothing is said of a second file."""
    path = tmp_path / "a"
    with pytest.raises(IsADirectoryError) as caught, replacing(path):
        path.mkdir()
    assert str(caught.value) == f"[Errno {errno.EISDIR}] Is a directory: '{path}'"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_what_is_in_place_of_a_regular_file(tmp_path, pipe):
    (tmp_path / "old").touch()
    assert [irregular(tmp_path / name) for name in ("old", "none", "a.html", ".")] == ["", "", "a pipe", "a folder"]


def test_threads_may_write_the_same_file(tmp_path):
    """Each into a temporary file of its own: none takes another's away, and what stays is one of them whole."""
    texts = [str(i) * 100_000 for i in range(4)]
    together = threading.Barrier(len(texts))

    def repeatedly(text):
        for _ in range(10):
            together.wait(20)
            with replacing(tmp_path / "a") as temporary:
                together.wait(20)
                temporary.write_text(text)
                together.wait(20)

    with ThreadPoolExecutor(len(texts)) as pool:
        list(pool.map(repeatedly, texts))
    assert (tmp_path / "a").read_text() in texts
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_an_older_files_permissions_stay(tmp_path):
    path, plain = tmp_path / "a", tmp_path / "plain"
    plain.touch()
    write(path)
    assert path.stat().st_mode == plain.stat().st_mode
    path.chmod(0o640)
    write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_name_that_is_too_long_is_told_before_the_work(tmp_path):
    path = tmp_path / ("é" * 128)  # 256 bytes
    with pytest.raises(OSError, match="too long"), replacing(path):
        pytest.fail("the work has begun")
    with replacing(tmp_path / ("é" * 110)) as temporary:
        temporary.write_text("whole")


def test_a_path_that_names_no_file(tmp_path):
    for path in ("", f"{tmp_path}/new/"):
        with pytest.raises(IsADirectoryError, match="names no file"):
            write(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failing", ["os.replace", "os.chmod", "block", "interrupt"])
def test_a_failure_leaves_the_old_file_alone(tmp_path, monkeypatch, failing):
    path = tmp_path / "a"
    path.write_text("old")

    def fail(*_):
        assert len(list(tmp_path.iterdir())) == 2  # the temporary file is there
        raise KeyboardInterrupt if failing == "interrupt" else OSError("disk full")

    def write_and_fail():
        with replacing(path) as temporary:
            temporary.write_text("new")
            fail()

    if failing.startswith("os."):
        monkeypatch.setattr(failing, fail)
    with pytest.raises((KeyboardInterrupt, OSError)):
        write(path) if failing.startswith("os.") else write_and_fail()
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("a", "old")]


def test_what_a_killed_process_left_is_removed_an_hour_later(tmp_path):
    code = f"""if True:
        import os, signal
        from minigrad.runtime.files import replacing
        with replacing({str(tmp_path / "long")!r}):
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    write(tmp_path / "long")  # it may still be written to
    assert left.exists()
    os.utime(left, (left.stat().st_mtime - 3700,) * 2)
    write(tmp_path / "long")
    assert [entry.name for entry in tmp_path.iterdir()] == ["long"]
