"""An archive is fetched whole, whatever the server and the line do, and never put together of two versions."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from captioning.downloading.errors import DownloadError
from captioning.downloading.sources import Source
from captioning.downloading.transfer import Patience, fetch
from captioning.progress import Progress
from tests.captioning.downloading.server import Site, serving
from tests.captioning.downloading.zips import of_size

CONTENT = of_size(300_000)
OTHER = of_size(310_000, seed=1)


def begun(folder, content=CONTENT[:100_000], validator='"one"'):
    """What an interrupted download leaves."""
    (folder / "a.zip.part").write_bytes(content)
    (folder / "a.zip.part.json").write_text(json.dumps({"size": len(CONTENT), "validator": validator}))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def ranges(site):
    return [headers.get("Range") for _, headers in site.requests]


def test_a_whole_archive(site, get, tmp_path, said):
    digest = hashlib.sha256(CONTENT).hexdigest()
    path = get(size=len(CONTENT), checksum=f"sha256:{digest}")
    assert path.read_bytes() == CONTENT
    assert names(tmp_path) == ["a.zip"]
    assert f"fetching {site.address}/a.zip, 293.2 KiB\n" in said.getvalue()
    assert "no checksum" not in said.getvalue()
    headers = site.requests[0][1]
    assert headers["User-Agent"].startswith("minigrad-captioning/")
    assert headers["Accept-Encoding"] == "identity"


def test_what_is_there_is_taken_without_asking(site, get, tmp_path, said):
    (tmp_path / "a.zip").write_bytes(CONTENT)
    assert get(size=len(CONTENT)) == tmp_path / "a.zip"
    assert site.requests == []
    assert "is there already" in said.getvalue()
    assert "no checksum is known" in said.getvalue()


@pytest.mark.parametrize(("content", "known", "text"), [
    (b"<html>Sign in</html>", {}, "is no whole zip archive"),
    (CONTENT[:-100], {}, "is no whole zip archive"),
    (CONTENT, {"size": 5}, "has 300,2"),
    (CONTENT, {"checksum": "md5:" + "0" * 32}, "has the md5 checksum"),
])  # fmt: skip
def test_what_is_there_and_does_not_fit_is_refused_and_stays(get, tmp_path, content, known, text):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DownloadError, match=rf"a\.zip: {text}.*remove the file to have it fetched.*--no-verify"):
        get(**known)
    assert (tmp_path / "a.zip").read_bytes() == content


@pytest.mark.parametrize("validator", ['"one"', "Tue, 10 Jul 2018 16:46:29 GMT"])
def test_it_goes_on_in_the_middle(site, get, tmp_path, said, validator):
    begun(tmp_path, validator=validator)
    site.etag = validator
    assert get().read_bytes() == CONTENT
    assert ranges(site) == ["bytes=100000-"]
    assert "/a.zip, 293.2 KiB, going on after 97.7 KiB\n" in said.getvalue()
    assert site.requests[0][1]["If-Range"] == validator
    assert names(tmp_path) == ["a.zip"]


def test_a_server_without_ranges_sends_it_anew(site, get, tmp_path, said):
    begun(tmp_path)
    site.ranges = False
    assert get().read_bytes() == CONTENT
    assert "begins anew" in said.getvalue()


@pytest.mark.parametrize("length", [100_000, 0])
def test_another_version_on_the_server_is_fetched_from_its_beginning(site, get, tmp_path, length):
    begun(tmp_path, CONTENT[:length])
    site.files["/a.zip"], site.etag = OTHER, '"two"'
    assert get().read_bytes() == OTHER


def test_another_size_of_the_same_version_is_another_file(site, get, tmp_path):
    begun(tmp_path)
    site.files["/a.zip"] = OTHER
    assert get().read_bytes() == OTHER
    assert ranges(site) == ["bytes=100000-", None]


def test_a_part_that_does_not_say_how_long_the_whole_is(site, get, tmp_path, said):
    begun(tmp_path)
    site.total, site.length, site.cuts = False, False, [50_000, None]
    assert get().read_bytes() == CONTENT
    assert ranges(site) == ["bytes=100000-", "bytes=150000-"]
    assert "the connection ended after 146.5 KiB of 293.2 KiB" in said.getvalue()


@pytest.mark.parametrize("notes", [None, "", "[1]", '{"size": 1}', '{"size": null, "validator": "a\\nb"}',
                                   '{"size": null, "validator": null}', '{"size": "x", "validator": "y"}'])  # fmt: skip
def test_bytes_of_which_nobody_knows_the_version_are_not_used(site, get, tmp_path, notes):
    begun(tmp_path, b"x" * 100)
    (tmp_path / "a.zip.part.json").unlink()
    if notes is not None:
        (tmp_path / "a.zip.part.json").write_text(notes)
    assert get().read_bytes() == CONTENT
    assert ranges(site) == [None]


@pytest.mark.parametrize("length", [len(CONTENT), len(CONTENT) + 9])
def test_a_part_that_is_whole_or_too_long(site, get, tmp_path, length):
    begun(tmp_path, (CONTENT + b"123456789")[:length])
    assert get().read_bytes() == CONTENT
    assert ranges(site) == ([] if length == len(CONTENT) else [f"bytes={length}-", None])


@pytest.mark.parametrize("etag", [None, 'W/"one"'])
def test_without_a_strong_validator_it_begins_anew(site, get, etag):
    site.etag, site.cuts = etag, [150_000, None]
    assert get().read_bytes() == CONTENT
    assert ranges(site) == [None, None]


def test_a_cut_connection_goes_on_after_pauses_that_grow(site, get, said):
    site.cuts = [50_000, 60_000, 0, 0, None]
    assert get(attempts=4).read_bytes() == CONTENT
    assert ranges(site) == [None, "bytes=50000-", "bytes=110000-", "bytes=110000-", "bytes=110000-"]
    assert get.pauses == [1, 1, 2, 4]
    assert "the connection ended after 48.8 KiB of 293." in said.getvalue()


def test_it_gives_up_after_some_attempts_and_says_how_to_go_on(site, get, tmp_path):
    site.cuts = [50_000, 0]
    with pytest.raises(DownloadError, match=r"48\.8 KiB are in .*a\.zip\.part, and the same command goes on there"):
        get(attempts=3)
    assert ranges(site) == [None, "bytes=50000-", "bytes=50000-"]
    assert (tmp_path / "a.zip.part").read_bytes() == CONTENT[:50_000]
    site.cuts = []
    assert get().read_bytes() == CONTENT


def test_no_pause_is_longer_than_five_minutes(site, get):
    site.statuses = [500] * 11
    assert get(attempts=20).read_bytes() == CONTENT
    assert get.pauses == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_a_server_that_always_begins_anew_and_never_ends_is_given_up(site, get):
    site.ranges, site.cuts = False, [50_000]
    with pytest.raises(DownloadError, match="the connection ended"):
        get(attempts=4)
    assert len(site.requests) == 4


def test_errors_of_the_server_that_pass(site, get, said):
    site.statuses = [500, 503]
    assert get().read_bytes() == CONTENT
    assert get.pauses == [1, 2]
    assert "the server answers 500 Internal Server Error; again in 1 s" in said.getvalue()


@pytest.mark.parametrize("status", [401, 403, 404, 410, 501])
def test_errors_of_the_server_that_do_not_pass(site, get, tmp_path, status):
    site.statuses = [status]
    with pytest.raises(DownloadError, match=rf"a\.zip: the server answers {status} .*--address NAME=URL"):
        get()
    assert get.pauses == []
    assert names(tmp_path) == []


def test_an_answer_that_is_no_file(site, get):
    site.statuses = [204]
    with pytest.raises(DownloadError, match="status 204, not with a file"):
        get()


def test_a_part_that_nobody_asked_for(site, get, tmp_path):
    site.statuses = [206]
    with pytest.raises(DownloadError, match=r"was asked for the whole file, answers with a part \(''\)"):
        get()
    assert names(tmp_path) == []


def test_redirects_are_followed(site, get, tmp_path):
    begun(tmp_path)
    site.redirects["/old.zip"] = f"{site.address}/a.zip"
    assert get("/old.zip").read_bytes() == CONTENT
    assert ranges(site) == ["bytes=100000-"] * 2


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/a.zip", "data:,PK"])
def test_redirects_to_anything_but_the_web_are_refused(site, get, tmp_path, target):
    site.redirects["/a.zip"] = target
    with pytest.raises(DownloadError, match=r"redirects to .*, which is not followed"):
        get()
    assert names(tmp_path) == []


def test_a_circle_of_redirects_ends(site, get):
    site.redirects["/a.zip"] = f"{site.address}/a.zip"
    with pytest.raises(DownloadError, match="redirects to"):
        get()
    assert len(site.requests) < 20


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/zip"])
def test_a_web_page_in_place_of_the_archive(site, get, tmp_path, content_type):
    site.files["/a.zip"] = b"\n<!DOCTYPE html><title>Sign in</title>" + b" " * 300_000
    site.content_type = content_type
    with pytest.raises(DownloadError, match="gives a web page, not an archive"):
        get()
    assert names(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"P", b"\x1f\x8b\x08" + b"0" * 1000])
def test_anything_else_in_place_of_the_archive(site, get, tmp_path, content):
    site.files["/a.zip"] = content
    with pytest.raises(DownloadError, match=r"gives no zip archive: it begins with b'|no whole zip archive"):
        get()
    assert names(tmp_path) == []


def test_a_size_that_is_not_the_known_one_is_refused_before_it_is_fetched(site, get, tmp_path):
    with pytest.raises(DownloadError, match=r"is 300,\d+ bytes long; a has 1,000 by a test; --no-verify"):
        get(size=1000)
    assert names(tmp_path) == []


@pytest.mark.parametrize("known", [{"size": 1000}, {"checksum": "sha256:" + "0" * 64}])
def test_content_that_is_not_the_known_one_is_refused_and_removed(site, get, tmp_path, known):
    site.length = False
    with pytest.raises(DownloadError, match=r"a\.zip: what it gives has .* by a test; --no-verify"):
        get(**known)
    assert names(tmp_path) == []


def test_a_body_without_its_size_that_is_cut_is_not_taken(site, get, tmp_path):
    site.length, site.cuts = False, [200_000]
    with pytest.raises(DownloadError, match="what it gives is no whole zip archive"):
        get()
    assert names(tmp_path) == []
    site.cuts = []
    assert get().read_bytes() == CONTENT


def test_a_body_that_is_packed_for_the_way_is_refused(site, get):
    site.headers["Content-Encoding"] = "gzip"
    with pytest.raises(DownloadError, match=r"the server packs the file \(gzip\)"):
        get()


def test_a_server_that_falls_silent_is_left(site, get):
    site.drip, site.piece = 0.5, 100_000
    with pytest.raises(DownloadError, match=r"the connection broke after .*timed out"):
        get(timeout=0.1, attempts=1)


def test_a_slow_drip_is_followed_to_its_end(site, get):
    site.drip, site.piece = 0.01, 10_000
    assert get(timeout=1.0).read_bytes() == CONTENT


def test_without_a_network_somebody_else_can_fetch_it(get, tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # and never listens
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/a.zip"
        with pytest.raises(DownloadError) as caught:
            get(address=address)
    assert str(caught.value).startswith(f"cannot reach {address[7:-6]}: Connection refused; if this machine has no net")
    assert f"fetch {address} elsewhere and put it to {tmp_path / 'a.zip'}, then run the same" in str(caught.value)
    assert get.pauses == []


def test_a_host_that_nobody_knows(get, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(DownloadError, match=r"^cannot reach data\.example: Name or service not known; if this machine"):
        get(address="http://data.example/a.zip")


def test_a_disk_that_is_too_small_is_seen_before(site, get, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(DownloadError, match=r"a\.zip needs 293\.\d KiB, but the disk has 1000 B left"):
        get()
    assert names(tmp_path) == []


def test_a_disk_that_is_full_keeps_the_part(site, get, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large") as caught:
            get()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(tmp_path / "a.zip.part")
    assert (tmp_path / "a.zip.part").read_bytes() == CONTENT[:100_000]
    assert get().read_bytes() == CONTENT
    assert ranges(site) == [None, "bytes=100000-"]


@pytest.mark.parametrize("name", ["a.zip", "a.zip.part", "a.zip.part.json"])
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_in_place_of_a_file_is_said(get, tmp_path, name, make):
    make(tmp_path / name)
    with pytest.raises(DownloadError, match=rf"{name}: is a (folder|pipe), not a regular file"):
        get()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 4000), max_size=6), changes=st.integers(0, 6), ranged=st.booleans())
def test_whatever_is_cut_and_changed_one_version_arrives(tmp_path_factory, cuts, changes, ranged):
    """The file changes on the server at some time between the attempts."""
    folder = tmp_path_factory.mktemp("drawn")
    old, new = (of_size(4000, seed) for seed in range(2))
    assert len(old) == len(new)
    site = Site({"/a.zip": old}, ranges=ranged, cuts=[*cuts, None])

    def pause(_):
        if len(site.requests) > changes:
            site.files["/a.zip"], site.etag = new, '"two"'

    with serving(site), pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "*")
        source = Source("a", f"{site.address}/a.zip", "an archive", 10**6)
        path = fetch(source, folder, Progress(enabled=False), Patience(5, 9, 1, pause))
    assert path.read_bytes() in (old, new)
    assert names(folder) == ["a.zip"]
