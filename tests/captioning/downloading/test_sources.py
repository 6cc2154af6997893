"""The table of addresses, and addresses in their place."""

from __future__ import annotations

import re

import pytest

from captioning.downloading.errors import DownloadError
from captioning.downloading.sources import DATA_SETS, check_address, sources_of, table

ALL = [source for group in DATA_SETS.values() for source in group]


@pytest.mark.parametrize("source", ALL, ids=lambda source: source.name)
def test_the_table_can_be_used(source):
    assert check_address("table", source.address) == source.address
    assert source.address.endswith("/" + source.file)  # as --mirror takes it to be
    if source.checksum is not None:
        kind, digest = source.checksum.split(":")
        assert re.fullmatch("[0-9a-f]+", digest)
        assert len(digest) == {"md5": 32, "sha256": 64}[kind]
    assert bool(source.known_from) == (source.size is not None or source.checksum is not None)
    assert source.size is None or source.size < source.largest


def test_names_are_unique_and_printed():
    assert len({source.name for source in ALL}) == len(ALL)
    text = table()
    for source in ALL:
        assert source.name in text
        assert source.address in text
    assert text.count("address not verified by this project") == len(ALL)
    assert "not known, so not checked" in text


def test_addresses_that_are_asked_for_come_before_the_mirror():
    found = sources_of("flickr8k", ["Flickr8k_text=https://a.example/t?x=1"], "http://b.example/d/")
    assert [s.address for s in found] == ["http://b.example/d/Flickr8k_Dataset.zip", "https://a.example/t?x=1"]
    assert [source.checksum for source in found] == [source.checksum for source in DATA_SETS["flickr8k"]]


def test_optional_archives_come_when_asked_for():
    assert [source.name for source in sources_of("coco")] == ["coco_captioning"]
    both = ["coco_captioning", "annotations_trainval2014"]
    assert [source.name for source in sources_of("coco", optional=True)] == both
    named = sources_of("coco", ["annotations_trainval2014=http://a.example/b.zip"])
    assert [source.name for source in named] == both


@pytest.mark.parametrize("text", ["coco_captioning", "nothing=http://a.example", "=http://a.example", ""])
def test_an_address_of_no_archive_is_refused(text):
    with pytest.raises(DownloadError, match="--address must be NAME=URL with NAME one of coco_captioning, annotations"):
        sources_of("coco", [text])


@pytest.mark.parametrize("address", ["", "a.zip", "ftp://a.example/b.zip", "file:///etc/passwd", "http://", "http:///a",
                                     "http://a.example/a b", "http://[::1/a", "http://a.example:x/", "http://é.example/",
                                     "http://a.example/a\nHost: b"])  # fmt: skip
def test_what_is_no_address_of_the_web_is_refused(address):
    with pytest.raises(DownloadError, match=r"--address coco_captioning: needs an address that begins with http://"):
        sources_of("coco", [f"coco_captioning={address}"])
    if address:
        with pytest.raises(DownloadError, match="--mirror: needs an address"):
            sources_of("coco", mirror=address)
