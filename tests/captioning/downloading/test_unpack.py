"""Archives are unpacked whole or not at all, and never outside of the folder."""

from __future__ import annotations

import os
import resource
import stat
import struct
import zipfile
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from captioning.downloading.archives import unpack
from captioning.downloading.sources import DownloadError
from captioning.progress import Progress
from tests.captioning.downloading.server import zipped

MEMBERS = {
    "top/a.txt": b"a" * 1000,
    "top/b.txt": bytes(range(256)) * 40,
    "top/c.md": b"left out",
    "__MACOSX/a.txt": b"",
}
SILENT = Progress(enabled=False)
WANTED = {"a.txt": MEMBERS["top/a.txt"], "b.txt": MEMBERS["top/b.txt"]}


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


@pytest.fixture
def run(tmp_path, out):
    """Unpack the .txt members of an archive of the given bytes."""

    def run(content, largest=10**6, needed=("a.txt",)):
        (tmp_path / "x.zip").write_bytes(content)
        return unpack(tmp_path / "x.zip", out, {"a.txt": "a.txt", "b.txt": "b.txt"}.get, needed, largest, SILENT)

    out.mkdir()
    return run


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_chosen_members_come_to_their_places_once(run, out):
    (out / ".unpacking").mkdir()
    (out / ".unpacking" / "0").write_bytes(b"half, from a killed process")
    content = zipped({"top/": b"", **MEMBERS})
    assert run(content) == [out / "a.txt", out / "b.txt"]
    assert contents(out) == WANTED
    assert sorted(os.listdir(out)) == ["a.txt", "b.txt"]
    inode = (out / "b.txt").stat().st_ino
    (out / "a.txt").unlink()
    run(content)
    assert (contents(out), (out / "b.txt").stat().st_ino) == (WANTED, inode)


@pytest.mark.parametrize("other", [b"b" * 1000, b"a" * 999, None])
def test_another_file_is_not_overwritten(run, out, other):
    if other is None:
        (out / "a.txt").symlink_to(out / "nowhere")
    else:
        (out / "a.txt").write_bytes(other)
    with pytest.raises(DownloadError, match=r"a\.txt: is there already and differs from x\.zip"):
        run(zipped(MEMBERS))
    assert os.listdir(out) == ["a.txt"]


@pytest.mark.parametrize("name", ["../a.txt", "/a.txt", "top/../../a.txt", "C:/a.txt", "top\\a.txt", "..", "//h/a.txt",
                                  "a\0.txt", "../a.rst"])  # fmt: skip
def test_paths_outside_of_the_folder_are_refused(run, out, name):
    info = zipfile.ZipInfo("x" * len(name))
    content = zipped({**MEMBERS, info: b"bad"}).replace(b"x" * len(name), name.encode())
    with pytest.raises(DownloadError, match=r"x\.zip: is not unpacked, .* outside of the folder"):
        run(content)
    assert sorted(os.listdir(out.parent)) == ["out", "x.zip"]
    assert os.listdir(out) == []


def of_kind(kind):
    info = zipfile.ZipInfo("top/link")
    info.external_attr = (kind | 0o777) << 16
    return zipped({**MEMBERS, info: b"/etc/passwd"})


def encrypted():
    content = bytearray(zipped({"a.txt": b"secret"}))
    content[content.rindex(b"PK\x01\x02") + 8] |= 1  # the first of the general flags, in the directory
    return bytes(content)


def bomb(declared):
    """Content of 5,000,000 bytes whose directory declares another size."""
    content = zipped({"a.txt": b"\0" * 5_000_000})
    return content.replace(struct.pack("<L", 5_000_000), struct.pack("<L", declared))


@pytest.mark.parametrize(("content", "words"), [
    *((of_kind(kind), "'top/link' is a link or a device") for kind in (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFSOCK)),
    (encrypted(), "encrypted"), (zipped(MEMBERS, zipfile.ZIP_BZIP2), "method 12"),
    (zipped(MEMBERS, zipfile.ZIP_LZMA), "method 14"), (zipped({**MEMBERS, "other/a.txt": b"b"}), r"two .* for a\.txt"),
    (zipped({"b.txt": b""}), r"has no a\.txt"), (bomb(5_000_000), r"4\.8 MiB, more than 976\.6 KiB"),
    (bomb(1000), "is a damaged zip archive"), (b"", "damaged"), (b"PK\x05\x06", "damaged"), (b"<html>", "damaged"),
    (zipped(MEMBERS)[:-30], "damaged"), (zipped(MEMBERS)[50:], "damaged"),
])  # fmt: skip
def test_unsafe_and_damaged_archives_are_refused(run, out, content, words):
    with pytest.raises(DownloadError, match=rf"x\.zip: .*{words}"):
        run(content)
    assert os.listdir(out) == []


def test_a_full_disk_leaves_nothing(run, out, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
        with pytest.raises(DownloadError, match=r"x\.zip needs 11\.0 KiB, .* 1000 B left"):
            run(zipped(MEMBERS))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    content = zipped({"a.txt": b"\0" * 500_000, "b.txt": b"b"})
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            run(content)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(out) == []


def test_an_interrupt_leaves_nothing(run, out, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", stop)
    with pytest.raises(KeyboardInterrupt):
        run(zipped(MEMBERS))
    assert os.listdir(out) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=3))
def test_damage_anywhere_is_noticed_or_without_effect(run, out, places):
    content = bytearray(zipped(MEMBERS))
    for where, change in places:
        content[int(where * len(content))] ^= change
    try:
        run(bytes(content), needed=("a.txt", "b.txt"))
    except DownloadError:
        assert os.listdir(out) == []
    else:
        assert contents(out) == WANTED
        for name in WANTED:
            (out / name).unlink()
