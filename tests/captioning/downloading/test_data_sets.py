"""Archives become data sets, from the addresses that are asked for."""

from __future__ import annotations

import csv
import os
import re

import pytest

from captioning.data.captions import read_raw_captions
from captioning.data.dataset import open_captions
from captioning.downloading.data_sets import caption_table, make_coco, make_flickr8k
from captioning.downloading.sources import DATA_SETS, DownloadError, sources_of, table
from captioning.progress import Progress
from tests.captioning.downloading.server import PHOTOS, TEXTS, members_of, zipped

SOURCES = {source.name: source for group in DATA_SETS.values() for source in group}


def make(convert, folder, **archives):
    for name, members in archives.items():
        members = {n: content.encode() if isinstance(content, str) else content for n, content in members.items()}
        (folder / f"{name}.zip").write_bytes(zipped(members))
    paths = {SOURCES[name]: folder / f"{name}.zip" for name in archives}
    return convert(folder, paths, Progress(enabled=False)).splitlines()


def test_coco_becomes_a_data_set(small_folder, tmp_path):
    annotations = {f"annotations/{kind}_{split}2014.json": b"{}" for kind in ("captions", "instances")
                   for split in ("train", "val")}  # fmt: skip
    data = members_of(small_folder)
    lines = make(make_coco, tmp_path, coco_captioning=data, annotations_trainval2014=annotations)
    names = ["captions_train2014.json", "captions_val2014.json"]
    assert lines == [f"{tmp_path}: train: 48 captions of 24 images", f"{tmp_path}: val: 48 captions of 24 images",
                     *(str(tmp_path / "annotations" / name) for name in names)]  # fmt: skip
    assert sorted(os.listdir(tmp_path / "annotations")) == names
    archives = {"annotations", "coco_captioning.zip", "annotations_trainval2014.zip"}
    assert set(os.listdir(tmp_path)) == archives | set(os.listdir(small_folder))
    for pca in (True, False):
        with open_captions(tmp_path, pca=pca) as data:
            assert len(data.train) == 48


def test_flickr8k_becomes_photos_and_a_table(tmp_path):
    with pytest.raises(DownloadError, match=r"photos: 1 photos of the splits are missing, the first b\.jpg"):
        make(make_flickr8k, tmp_path, Flickr8k_Dataset={"Flicker8k_Dataset/a.jpg": b"a"}, Flickr8k_text=TEXTS)
    assert not (tmp_path / "captions.csv").exists()
    lines = make(make_flickr8k, tmp_path, Flickr8k_Dataset=PHOTOS, Flickr8k_text=TEXTS)
    assert sorted(os.listdir(tmp_path / "photos")) == ["a.jpg", "b.jpg", "c.jpg"]
    assert "readme.txt" in os.listdir(tmp_path / "text")
    assert "ExpertAnnotations.txt" not in os.listdir(tmp_path / "text")
    with open(tmp_path / "captions.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["image", "split", "caption"], ["a.jpg", "train", "A cat"], ["a.jpg", "train", "Cats ."],
                    ["b.jpg", "val", 'A "dog" , here .'], ["b.jpg", "val", "Dogs"]]  # fmt: skip
    assert read_raw_captions(tmp_path / "captions.csv", "val") == {"b.jpg": [["a", "dog", "here"], ["dogs"]]}
    counts = ["train: 2 captions of 1 photos", "val: 2 captions of 1 photos", "test: 0 captions of 0 photos"]
    assert lines == [f"{tmp_path / 'photos'}: 3 photos", *(f"{tmp_path / 'captions.csv'}: {line}" for line in counts)]
    assert make(make_flickr8k, tmp_path, Flickr8k_Dataset=PHOTOS, Flickr8k_text=TEXTS) == lines
    (tmp_path / "captions.csv").write_text("mine")
    with pytest.raises(DownloadError, match=r"captions\.csv: already exists and differs"):
        make(make_flickr8k, tmp_path, Flickr8k_Dataset=PHOTOS, Flickr8k_text=TEXTS)
    assert (tmp_path / "captions.csv").read_text() == "mine"


def write(folder, **changes):
    for name, text in (TEXTS | changes).items():
        if "/" not in name:
            (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize(("changes", "words"), [
    ({"Flickr8k.token.txt": "a.jpg A cat\n"}, r"Flickr8k\.token\.txt: line 1 is not NAME#NUMBER"),
    ({"Flickr8k.token.txt": ""}, r"trainImages\.txt: a\.jpg has no caption"),
    ({"Flickr_8k.testImages.txt": "a.jpg\n"}, r"testImages\.txt: a\.jpg is already in the split train"),
])  # fmt: skip
def test_texts_that_do_not_fit_are_named(tmp_path, changes, words):
    with pytest.raises(DownloadError, match=words):
        caption_table(write(tmp_path, **changes))


# Addresses ----------------------------------------------------------------------------------------------------------


def test_the_table_of_sources():
    for source in SOURCES.values():
        assert re.fullmatch(rf"https?://.+/{source.file}", source.address)  # --mirror takes the same file name
        assert re.fullmatch("md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}|None", str(source.checksum))
        assert bool(source.known_from) == (source.checksum is not None)
        assert re.search(f": {source.name}\n(.*\n)*.*{re.escape(source.address)}", table())


def test_addresses_come_before_the_mirror_and_optional_archives_on_request():
    found = sources_of("flickr8k", ["Flickr8k_text=https://a.example/t?x=1"], "http://b.example/d/")
    assert [s.address for s in found] == ["http://b.example/d/Flickr8k_Dataset.zip", "https://a.example/t?x=1"]
    assert [source.checksum for source in found] == [source.checksum for source in DATA_SETS["flickr8k"]]
    both = ["coco_captioning", "annotations_trainval2014"]
    assert [source.name for source in sources_of("coco", mirror="http://b.example")] == both[:1]
    assert [source.name for source in sources_of("coco", optional=True)] == both
    assert [source.name for source in sources_of("coco", [f"{both[1]}=http://a.example/b.zip"])] == both


@pytest.mark.parametrize("address", ["", "a.zip", "ftp://a.example/b.zip", "file:///etc/passwd", "http://", "http:///a",
                                     "http://a.example/a b", "http://é.example/", "http://a.example/\nb"])  # fmt: skip
def test_only_addresses_of_the_web_for_known_archives_are_taken(address):
    for arguments in ({"addresses": [f"coco_captioning={address}"]}, {"mirror": address}):
        with pytest.raises(DownloadError, match="needs an address that begins with http://"):
            sources_of("coco", **arguments)
    for text in ("coco_captioning", "nothing=http://a.example", "=http://a.example", ""):
        with pytest.raises(DownloadError, match="--address"):
            sources_of("coco", [text])
