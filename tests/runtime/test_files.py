"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

import minigrad as mg
from minigrad.render import draw, to_html
from minigrad.runtime.files import check_writable, irregular, replacing


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


@pytest.mark.parametrize("writer", [write, lambda path: to_html(graph(), path), lambda path: check_writable(path)])
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


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write():
        with replacing(path) as temporary:
            temporary.write_text("ne")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        write()
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("a.txt", "old")]


def test_an_error_of_the_renaming_names_the_file_alone(tmp_path):
    """A folder that comes while the block runs; nothing is said of a second file."""
    path = tmp_path / "a"
    with pytest.raises(IsADirectoryError) as caught, replacing(path):
        path.mkdir()
    assert str(caught.value) == f"[Errno {errno.EISDIR}] Is a directory: '{path}'"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_whether_a_file_can_be_written(tmp_path):
    (tmp_path / "old").write_text("old")
    check_writable(tmp_path / "old")
    check_writable(tmp_path / "new")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("old", "old")]
    with pytest.raises(FileNotFoundError, match="no such folder to write into"):
        check_writable(tmp_path / "none" / "a")
    with pytest.raises(IsADirectoryError):
        check_writable(tmp_path)


def test_what_is_in_place_of_a_regular_file(tmp_path, pipe):
    (tmp_path / "old").touch()
    assert [irregular(tmp_path / name) for name in ("old", "none", "a.html", ".")] == ["", "", "a pipe", "a folder"]
