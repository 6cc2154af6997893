"""Flickr8k's text files become a table of captions."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from captioning.data.captions import read_raw_captions
from captioning.downloading.errors import DownloadError
from captioning.downloading.flickr8k import caption_table, make_flickr8k
from captioning.downloading.sources import DATA_SETS
from captioning.progress import Progress
from tests.captioning.downloading.zips import zipped

TOKENS = "".join(
    f"{name}.jpg#{i}\t{text}\n"
    for name, texts in {"b": ['A "dog" , here .', "Dogs"], "a": ["A cat", "Cats ."], "c": ["No split"]}.items()
    for i, text in enumerate(texts)
)
TEXTS = {
    "Flickr8k.token.txt": TOKENS,
    "Flickr_8k.trainImages.txt": "a.jpg\n",
    "Flickr_8k.devImages.txt": "b.jpg\r\n",
    "Flickr_8k.testImages.txt": "",
    "readme.txt": "thanks",
    "ExpertAnnotations.txt": "not needed",
    "__MACOSX/._readme.txt": "not needed",
}
PHOTOS = {f"Flicker8k_Dataset/{name}.jpg": name.encode() for name in "abc"} | {
    "__MACOSX/Flicker8k_Dataset/._a.jpg": b""
}


def write(folder, **changes):
    for name, text in (TEXTS | changes).items():
        if "/" not in name:
            (folder / name).write_text(text)
    return folder


def make(folder, photos=None, texts=None):
    archives = {}
    for source, members in zip(DATA_SETS["flickr8k"], (photos or PHOTOS, texts or TEXTS), strict=True):
        archives[source] = folder / source.file
        archives[source].write_bytes(zipped({n: t.encode() if isinstance(t, str) else t for n, t in members.items()}))
    return make_flickr8k(folder, archives, Progress(enabled=False))


def test_the_archives_become_photos_and_a_table(tmp_path):
    said = make(tmp_path)
    assert sorted(os.listdir(tmp_path / "photos")) == ["a.jpg", "b.jpg", "c.jpg"]
    assert "ExpertAnnotations.txt" not in os.listdir(tmp_path / "text")
    with open(tmp_path / "captions.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [["image", "split", "caption"], ["a.jpg", "train", "A cat"], ["a.jpg", "train", "Cats ."],
                    ["b.jpg", "val", 'A "dog" , here .'], ["b.jpg", "val", "Dogs"]]  # fmt: skip
    assert read_raw_captions(tmp_path / "captions.csv", "val") == {"b.jpg": [["a", "dog", "here"], ["dogs"]]}
    assert "train: 2 captions of 1 photos" in said
    assert make(tmp_path) == said  # again, and nothing is in the way


def test_another_table_is_not_overwritten(tmp_path):
    (tmp_path / "captions.csv").write_text("mine")
    with pytest.raises(DownloadError, match=r"captions\.csv: is there already and is another table"):
        make(tmp_path)
    assert (tmp_path / "captions.csv").read_text() == "mine"


def test_a_photo_that_is_missing_is_named(tmp_path):
    with pytest.raises(DownloadError, match=r"photos: 1 photos of the splits are missing, the first b\.jpg"):
        make(tmp_path, photos={"Flicker8k_Dataset/a.jpg": b"a"})
    assert not (tmp_path / "captions.csv").exists()


@pytest.mark.parametrize(("changes", "text"), [
    ({"Flickr8k.token.txt": "a.jpg A cat\n"}, r"Flickr8k\.token\.txt: line 1 is not NAME#NUMBER, a tab and"),
    ({"Flickr8k.token.txt": ""}, r"trainImages\.txt: a\.jpg has no caption in Flickr8k\.token\.txt"),
    ({"Flickr_8k.testImages.txt": "a.jpg\n"}, r"testImages\.txt: a\.jpg is in the split train already"),
    ({"Flickr_8k.testImages.txt": "z.jpg\n"}, r"testImages\.txt: z\.jpg has no caption"),
])  # fmt: skip
def test_texts_that_do_not_fit_are_named(tmp_path, changes, text):
    with pytest.raises(DownloadError, match=text):
        caption_table(write(tmp_path, **changes))


def test_texts_that_cannot_be_read_are_named(tmp_path):
    write(tmp_path)
    (tmp_path / "Flickr8k.token.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DownloadError, match=r"token\.txt: cannot be read as text"):
        caption_table(tmp_path)


def test_the_real_table_is_made_anew_of_its_own_captions(tmp_path):
    """The captions of the real data set, taken apart into the publisher's files, become the same table again."""
    if not os.environ.get("CAPTIONING_DATA"):
        pytest.skip("no real data: CAPTIONING_DATA is unset")
    table = Path(os.environ["CAPTIONING_DATA"]) / "flickr8k" / "captions.csv"
    with open(table, encoding="utf-8", newline="") as file:
        rows = [(row["image"].rpartition("/")[2], row["split"], row["caption"]) for row in csv.DictReader(file)]
    seen: dict[str, int] = {}
    lines = []
    for image, _, caption in rows:
        seen[image] = seen.get(image, -1) + 1
        lines.append(f"{image}#{seen[image]}\t{caption}\n")
    split_of = {image: split for image, split, _ in rows}
    splits = {
        name: "".join(f"{image}\n" for image, own in split_of.items() if own == split)
        for name, split in (("train", "train"), ("dev", "val"), ("test", "test"))
    }
    texts = {f"Flickr_8k.{name}Images.txt": text for name, text in splits.items()}
    found = caption_table(write(tmp_path, **{"Flickr8k.token.txt": "".join(lines)}, **texts))
    assert sorted(found) == sorted((image, split, caption.strip()) for image, split, caption in rows)
    assert len(found) == 35_000
