"""Archives of strangers: unpacked whole or not at all, and never out of the folder."""

from __future__ import annotations

import io
import os
import resource
import stat
import struct
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from captioning.downloading.archives import unpack
from captioning.downloading.errors import DownloadError
from captioning.progress import Progress
from tests.captioning.downloading.zips import zipped

MEMBERS = {"top/a.txt": b"a" * 1000, "top/b.txt": bytes(range(256)) * 40, "top/c.md": b"left out"}


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def run(tmp_path, out):
    """Unpack an archive of the given bytes: its .txt members, by their names alone."""

    def run(content, largest=10**6, needed=("a.txt",), said=None):
        (tmp_path / "x.zip").write_bytes(content)
        progress = Progress(said or io.StringIO())
        return unpack(tmp_path / "x.zip", out, choose, needed, largest, progress)

    return run


def choose(member):
    return member.rpartition("/")[2] if member.endswith(".txt") else None


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


WANTED = {"a.txt": MEMBERS["top/a.txt"], "b.txt": MEMBERS["top/b.txt"]}


def test_chosen_members_come_to_their_places(run, out):
    assert run(zipped({"top/": b"", **MEMBERS})) == [out / "a.txt", out / "b.txt"]
    assert contents(out) == WANTED
    assert sorted(os.listdir(out)) == ["a.txt", "b.txt"]


def test_what_is_there_already_stays_as_it_is(run, out):
    content = zipped(MEMBERS)
    run(content)
    before = {path: path.stat().st_ino for path in out.iterdir()}
    (out / "a.txt").unlink()
    run(content)
    assert contents(out) == WANTED
    assert (out / "b.txt").stat().st_ino == before[out / "b.txt"]


@pytest.mark.parametrize("other", [b"b" * 1000, b"a" * 999, None])
def test_something_else_in_its_place_is_not_overwritten(run, out, other):
    if other is None:
        (out / "a.txt").symlink_to(out / "nowhere")
    else:
        (out / "a.txt").write_bytes(other)
    with pytest.raises(DownloadError, match=r"a\.txt: is there already and is not what x\.zip has; remove it, or"):
        run(zipped(MEMBERS))
    assert os.listdir(out) == ["a.txt"]


@pytest.mark.parametrize("name", ["../a.txt", "/a.txt", "top/../../a.txt", "C:/a.txt", "top\\a.txt", "..", "//h/a.txt",
                                  "a\0.txt"])  # fmt: skip
@pytest.mark.parametrize("chosen", [True, False], ids=["chosen", "left out"])
def test_paths_out_of_the_folder_are_refused(run, out, name, chosen):
    info = zipfile.ZipInfo("x" * len(name))
    content = zipped({**MEMBERS, info: b"bad"}).replace(b"x" * len(name), name.encode())
    if not chosen:
        content = content.replace(b".txt", b".rst")
    with pytest.raises(DownloadError, match=r"x\.zip: is not unpacked: its member .* leads out of the folder"):
        run(content)
    assert os.listdir(out) == []
    assert sorted(os.listdir(out.parent)) == ["out", "x.zip"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_links_and_devices_are_refused(run, out, kind):
    info = zipfile.ZipInfo("top/link")
    info.external_attr = (kind | 0o777) << 16
    with pytest.raises(DownloadError, match="'top/link' is a link or a device"):
        run(zipped({**MEMBERS, info: b"/etc/passwd"}))
    assert os.listdir(out) == []


def test_encrypted_members_are_refused(run, out):
    content = bytearray(zipped(MEMBERS))
    place = content.rindex(b"PK\x01\x02", 0, content.index(b"top/a.txt", content.index(b"PK\x01\x02")))
    content[place + 8] |= 1  # the first of the general flags, in the directory
    with pytest.raises(DownloadError, match=r"'top/a\.txt' is encrypted"):
        run(bytes(content))
    assert os.listdir(out) == []


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_may_take_any_memory_are_refused(run, out, method):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        file.writestr("a.txt", b"a" * 1000)
    with pytest.raises(DownloadError, match=rf"'a\.txt' is packed by method {method}, not by Deflate"):
        run(buffer.getvalue())
    assert os.listdir(out) == []


def test_two_members_for_one_place_are_refused(run, out):
    with pytest.raises(DownloadError, match=r"two of its members are for a\.txt"):
        run(zipped({**MEMBERS, "other/a.txt": b"b"}))
    assert os.listdir(out) == []


def test_an_archive_without_what_is_needed_is_another_one(run, out):
    with pytest.raises(DownloadError, match=r"x\.zip: has no z\.txt; it is not the archive that is meant"):
        run(zipped(MEMBERS), needed=("a.txt", "z.txt"))
    assert os.listdir(out) == []


def test_a_bomb_is_seen_before_it_is_unpacked(run, out):
    content = zipped({"a.txt": b"\0" * 5_000_000})
    assert len(content) < 10_000
    with pytest.raises(DownloadError, match=r"would take 4\.8 MiB, more than the 976\.6 KiB that such an archive may"):
        run(content)
    assert os.listdir(out) == []


@pytest.mark.parametrize("declared", [1000, 6_000_000])
def test_a_bomb_that_declares_another_size_is_no_way_around_it(run, out, declared):
    """The directory, which is what is read first, says one size; the packed bytes become another."""
    content = zipped({"a.txt": b"\0" * 5_000_000})
    content = content.replace(struct.pack("<L", 5_000_000), struct.pack("<L", declared))
    with pytest.raises(DownloadError, match=r"x\.zip: is a damaged zip archive: .*the same command fetches it anew"):
        run(content, largest=10**7)
    assert os.listdir(out) == []


def test_a_disk_that_is_too_small_is_seen_before(run, out, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(DownloadError, match=r"the content of x\.zip needs 11\.0 KiB, but the disk has 1000 B left"):
        run(zipped(MEMBERS))
    assert os.listdir(out) == []


def test_a_disk_that_is_full_leaves_nothing(run, out):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    content = zipped({"a.txt": b"\0" * 500_000, "b.txt": b"b"})
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            run(content)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(out) == []


def test_an_error_in_the_middle_leaves_nothing(run, out, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", stop)
    with pytest.raises(KeyboardInterrupt):
        run(zipped(MEMBERS))
    assert os.listdir(out) == []


def test_what_a_killed_process_left_is_removed(run, out):
    (out / ".unpacking").mkdir()
    (out / ".unpacking" / "0").write_bytes(b"half")
    run(zipped(MEMBERS))
    assert sorted(os.listdir(out)) == ["a.txt", "b.txt"]


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06", b"<html>", zipped(MEMBERS)[:-30], zipped(MEMBERS)[50:]])
def test_what_is_no_archive_is_said(run, out, content):
    with pytest.raises(DownloadError, match=r"x\.zip: is a damaged zip archive: .*remove it"):
        run(content)
    assert os.listdir(out) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=3))
def test_damage_anywhere_is_noticed_or_without_effect(tmp_path_factory, places):
    """Bytes are changed: what is unpacked is what was packed, or nothing is."""
    folder = tmp_path_factory.mktemp("damaged")
    content = bytearray(zipped(MEMBERS))
    for where, change in places:
        content[int(where * len(content))] ^= change
    (folder / "x.zip").write_bytes(content)
    (folder / "out").mkdir()
    try:
        unpack(folder / "x.zip", folder / "out", choose, ("a.txt", "b.txt"), 10**6, Progress(enabled=False))
    except DownloadError:
        assert os.listdir(folder / "out") == []
    else:
        assert contents(folder / "out") == WANTED
