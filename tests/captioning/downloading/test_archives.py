"""Archives arrive whole, of one version, and are unpacked whole and never outside of the folder."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import struct
import zipfile
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from captioning.downloading import archives
from captioning.downloading.archives import Patience, fetch, unpack
from captioning.downloading.sources import DownloadError, Source
from captioning.progress import Progress
from tests.captioning.downloading.server import Site, of_size, serving, zipped
from tests.captioning.full_disks import files_of_at_most

CONTENT = of_size(300_000)
OTHER = of_size(310_000, seed=1)


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with serving(Site({"/a.zip": CONTENT})) as site:
        yield site


@pytest.fixture
def get(site, tmp_path, monkeypatch):
    """Fetch the archive into tmp_path. `get.pauses` are noted and not made; `get.output` has the messages."""

    def get(path="/a.zip", address=None, attempts=3, timeout=5.0, **known):
        source = Source("a", address or site.address + path, "an archive", 10**9, known_from="a test", **known)
        return fetch(source, tmp_path, Progress(get.output), Patience(timeout, attempts))

    get.pauses, get.output = [], io.StringIO()
    monkeypatch.setattr(archives, "time", SimpleNamespace(sleep=get.pauses.append))
    return get


def stopped(folder, content=CONTENT[:100_000], etag='"one"'):
    """Write what an interrupted download leaves."""
    (folder / "a.zip.part").write_bytes(content)
    (folder / "a.zip.part.etag").write_text(etag)


def ranges(site):
    return [headers.get("Range") for _, headers in site.requests]


def test_a_whole_archive(site, get, tmp_path):
    path = get(checksum=f"sha256:{hashlib.sha256(CONTENT).hexdigest()}")
    assert (path.read_bytes(), os.listdir(tmp_path)) == (CONTENT, ["a.zip"])
    assert f"fetching {site.address}/a.zip, 293.2 KiB\n" in get.output.getvalue()
    assert "no checksum" not in get.output.getvalue()
    assert get() == path
    for part in ("already exists", "no checksum is known"):
        assert part in get.output.getvalue()
    assert len(site.requests) == 1
    assert site.requests[0][1]["Accept-Encoding"] == "identity"
    assert "minigrad" in site.requests[0][1]["User-Agent"]


@pytest.mark.parametrize(("content", "checksum", "words"), [
    (b"<html>Sign in</html>", None, "not a complete zip archive"), (CONTENT[:-100], None, "not a complete zip archive"),
    (CONTENT, "md5:" + "0" * 32, "md5 checksum [0-9a-f]{32}, not 0{32}"),
])  # fmt: skip
def test_another_file_is_refused_and_stays_only_if_the_user_put_it_there(site, get, tmp_path, content, checksum, words):
    site.files["/a.zip"], site.length = content, False
    with pytest.raises(DownloadError, match=rf"/a\.zip: .*{words}.*--no-verify"):
        get(checksum=checksum)
    assert os.listdir(tmp_path) == []
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DownloadError, match=rf"{tmp_path}/a\.zip: .*{words}.*remove"):
        get(checksum=checksum)
    assert (tmp_path / "a.zip").read_bytes() == content


@pytest.mark.parametrize("validator", ['"one"', "Tue, 10 Jul 2018 16:46:29 GMT"])
def test_it_resumes_in_the_middle(site, get, tmp_path, validator):
    stopped(tmp_path, etag=validator)
    site.etag = validator
    site.redirects["/old.zip"] = f"{site.address}/a.zip"
    assert get("/old.zip").read_bytes() == CONTENT
    assert ranges(site) == ["bytes=100000-"] * 2
    assert "/old.zip, 293.2 KiB, resuming after 97.7 KiB\n" in get.output.getvalue()
    assert site.requests[1][1]["If-Range"] == validator
    assert os.listdir(tmp_path) == ["a.zip"]


@pytest.mark.parametrize(("content", "ranged", "etag"), [
    (CONTENT, False, '"one"'), (OTHER, True, '"two"'), (CONTENT, True, ""),
])  # fmt: skip
def test_it_starts_again_for_another_version_and_without_ranges_or_etag(site, get, tmp_path, content, ranged, etag):
    stopped(tmp_path, b"x" * 100_000, etag and '"one"')
    site.files["/a.zip"], site.etag, site.ranges = content, etag, ranged
    assert get().read_bytes() == content
    assert ranges(site) == ["bytes=100000-" if etag else None]
    assert "resuming" not in get.output.getvalue()


def test_a_part_may_be_complete(site, get, tmp_path):
    stopped(tmp_path, CONTENT)
    assert get().read_bytes() == CONTENT
    assert ranges(site) == [f"bytes={len(CONTENT)}-"]


def test_a_broken_connection_resumes_after_growing_pauses(site, get):
    site.cuts = [50_000, 60_000, 0, 0, None]
    assert get(attempts=4).read_bytes() == CONTENT
    starts = [int(text[6:-1]) for text in ranges(site)[1:]]
    assert 30_000 < starts[0] <= 50_000 < starts[1] <= 110_000
    assert starts[1:] == [starts[1]] * 3
    assert get.pauses == [1, 1, 2, 4]
    assert "the connection failed" in get.output.getvalue()


@pytest.mark.parametrize("fault", [
    {"cuts": [50_000, 0]}, {"cuts": [50_000], "ranges": False}, {"drip": 0.5, "piece": 50_000},
])  # fmt: skip
def test_it_gives_up_after_some_attempts_and_keeps_the_part(site, get, tmp_path, fault):
    vars(site).update(fault)
    with pytest.raises(DownloadError, match=rf"connection failed.* resumes after 4.* KiB; .*{tmp_path}/a\.zip"):
        get(timeout=0.2, attempts=1 if site.drip else 3)
    assert len(site.requests) == (1 if site.drip else 3)
    part = (tmp_path / "a.zip.part").read_bytes()
    assert part == CONTENT[: len(part)] != b""
    site.cuts, site.ranges, site.drip = [None], True, 0.01
    assert get().read_bytes() == CONTENT
    assert ranges(site)[-1] == f"bytes={len(part)}-"


def test_temporary_errors_of_the_server(site, get):
    site.statuses = [500, 503, 429, 408] + [500] * 7
    assert get(attempts=20).read_bytes() == CONTENT
    assert get.pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert "the server answers 500 Internal Server Error; retrying in 1 s" in get.output.getvalue()


@pytest.mark.parametrize(("fault", "words"), [
    *(({"statuses": [status]}, f"answers {status} .*--address NAME=URL") for status in (401, 403, 404, 410, 501)),
    *(({"redirects": {"/a.zip": target}}, "cannot be fetched") for target in ("file:///etc/hostname", "ftp://127.0.0.1/",
                                                                              "data:,PK", "/a.zip")),
    ({"statuses": [206]}, "did not send the bytes from 0"),
])  # fmt: skip
def test_permanent_errors_of_the_server(site, get, tmp_path, fault, words):
    vars(site).update(fault)
    with pytest.raises(DownloadError, match=rf"/a\.zip: .*{words}"):
        get()
    assert (get.pauses, os.listdir(tmp_path)) == ([], [])


def test_a_full_disk(site, get, tmp_path):
    with files_of_at_most(100_000), pytest.raises(OSError, match="too large") as caught:
        get()
    assert caught.value.filename == str(tmp_path / "a.zip.part")
    assert get().read_bytes() == CONTENT
    assert ranges(site)[-1] == "bytes=100000-"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=settings.default.max_examples // 2)
@given(cuts=st.lists(st.integers(0, 60_000), max_size=6), changes=st.integers(0, 6), ranged=st.booleans())
def test_one_version_arrives_whatever_is_cut_and_changed(site, get, tmp_path, cuts, changes, ranged):
    """The file on the server changes between two attempts."""
    old, new = (of_size(60_000, seed) for seed in range(2))
    (tmp_path / "a.zip").unlink(missing_ok=True)
    site.files["/a.zip"], site.etag, site.ranges, site.cuts = old, '"one"', ranged, [*cuts, None]
    get.pauses.clear()

    def pause(_):
        get.pauses.append(0)
        if len(get.pauses) > changes:
            site.files["/a.zip"], site.etag = new, '"two"'

    archives.time.sleep = pause
    assert get(attempts=9).read_bytes() in (old, new)


# Unpacking -----------------------------------------------------------------------------------------------------------

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
    with pytest.raises(DownloadError, match=r"a\.txt: already exists and differs from x\.zip"):
        run(zipped(MEMBERS))
    assert os.listdir(out) == ["a.txt"]


@pytest.mark.parametrize("name", ["../a.txt", "/a.txt", "top/../../a.txt", "C:/a.txt", "top\\a.txt", "..", "//h/a.txt",
                                  "a\0.txt", "../a.rst"])  # fmt: skip
def test_paths_outside_of_the_folder_are_refused(run, out, name):
    info = zipfile.ZipInfo("x" * len(name))
    content = zipped({**MEMBERS, info: b"bad"}).replace(b"x" * len(name), name.encode())
    with pytest.raises(DownloadError, match=r"x\.zip: was not unpacked, .* outside of the folder"):
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


def test_a_small_disk_and_an_interrupt_leave_nothing(run, get, out, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
        for action, message in ((lambda: run(zipped(MEMBERS)), r"x\.zip needs 11\.0 KiB, .* 1000 B left"),
                                (get, r"a\.zip needs 293\.\d KiB, but the disk has 1000 B left")):  # fmt: skip
            with pytest.raises(DownloadError, match=message):
                action()
    monkeypatch.setattr("os.replace", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run(zipped(MEMBERS))
    assert (os.listdir(out), sorted(os.listdir(tmp_path))) == ([], ["out", "x.zip"])


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


def test_a_redirect_from_https_to_http_is_refused(site, get, tmp_path, monkeypatch):
    send = requests.adapters.HTTPAdapter.send

    def send_or_redirect(adapter, request, **options):
        if not request.url.startswith("https:"):
            return send(adapter, request, **options)
        response = requests.Response()
        response.status_code, response.url, response.request, response.raw = 302, request.url, request, io.BytesIO()
        response.headers["Location"] = f"{site.address}/a.zip"
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send_or_redirect)
    with pytest.raises(DownloadError, match=rf"https://a\.example/a\.zip: .*{site.address}/a\.zip, .*--address"):
        get(address="https://a.example/a.zip")
    assert (get.pauses, os.listdir(tmp_path)) == ([], [])
