"""Every format of a source gives the same images, and what is wrong with one is said in a line that names it."""

import json
import re
from pathlib import Path

import pytest

from captioning.data.errors import DataError
from captioning.preparing.images import CaptionedImage, LeftOut, have_splits, with_captions
from captioning.preparing.sources import read_sources
from tests.captioning.preparing.photo_sources import write_photo

CAPTIONS = {"a.png": ["A dog runs", "Dogs, running"], "b.png": ["A cat"]}


def coco(**changes):
    content = {
        "info": {"year": 2017},
        "images": [{"id": 7, "file_name": "a.png", "width": 3}, {"id": 3, "file_name": "b.png"}],
        "annotations": [
            {"id": 1, "image_id": 7, "caption": "A dog runs"},
            {"id": 2, "image_id": 3, "caption": "A  cat\n"},
            {"id": 3, "image_id": 7, "caption": "Dogs, running"},
        ],
    }
    return content | changes


def karpathy(**changes):
    images = [
        {"filename": "a.png", "filepath": "val2014", "split": "restval", "imgid": 0,
         "sentences": [{"raw": "A dog runs", "tokens": ["a"]}, {"tokens": ["Dogs,", "running"]}]},
        {"filename": "b.png", "split": "val", "sentences": [{"raw": "A cat"}]},
    ]  # fmt: skip
    return {"images": images, "dataset": "coco"} | changes


def write(path, content):
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def read(*paths, format=None):
    """The images and the lines about what is left out."""
    left_out = LeftOut()
    images = with_captions(read_sources(paths, left_out, format), "x", left_out)
    return images, left_out.lines()


def table(images):
    return {image.path.removeprefix("val2014/"): image.captions for image in images}


VAL = coco(images=[{"id": 8, "file_name": "c.png"}], annotations=[{"id": 4, "image_id": 8, "caption": "A horse"}])
TABLE = 'image,split,caption\na.png,train,A dog runs\nb.png,val,A cat\na.png,train,"Dogs, running"\n'
PLAIN = 'image,caption\r\na.png,A dog runs\r\nb.png,A cat\r\na.png,"Dogs, running"'


@pytest.mark.parametrize(("name", "content", "splits"), [
    ("c.json", coco(), [None, None]), ("c.json", karpathy(), ["train", "val"]), ("c.csv", TABLE, ["train", "val"]),
    ("c.csv", "\ufeff" + TABLE, ["train", "val"]),
    ("c.csv", PLAIN, [None, None]),
])  # fmt: skip
def test_files_of_captions(tmp_path, name, content, splits):
    images, left_out = read(write(tmp_path / name, content))
    assert table(images) == CAPTIONS
    assert [image.split for image in images] == splits
    assert not left_out


def test_a_folder(tmp_path):
    for name, lines in {"a": "A dog runs\n\nDogs, running", "more/b": "\ufeffA cat\r\n"}.items():
        write_photo(tmp_path / f"{name}.png", 0)
        write(tmp_path / f"{name}.txt", lines)
    write_photo(tmp_path / ".hidden" / "c.png", 0)
    images, left_out = read(tmp_path)
    assert table(images) == {"a.png": CAPTIONS["a.png"], "more/b.png": CAPTIONS["b.png"]}
    assert not left_out
    (tmp_path / "a.txt").rename(tmp_path / "c.txt")
    assert read(tmp_path)[1] == ["1 text file without a photo, c.txt", "1 photo without a caption, a.png"]
    write_photo(tmp_path / "more" / "b.jpg", 0)
    with pytest.raises(DataError, match=r"b\.png: b\.jpg has the same name; b\.txt"):
        read(tmp_path)


def test_coco_in_two_files_has_their_splits(tmp_path):
    paths = [write(tmp_path / "captions_train2014.json", coco()), write(tmp_path / "captions_val2014.json", VAL)]
    images, left_out = read(*paths)
    assert table(images) == {**CAPTIONS, "c.png": ["A horse"]}
    assert [image.split for image in images] == ["train", "train", "val"]
    assert not left_out


@pytest.mark.parametrize(("val", "name", "message"), [
    (VAL | {"images": [{"id": 7, "file_name": "c.png"}]}, "val.json",
     r"val\.json: images\[0\]: duplicate id 7, first in .*train\.json: images\[0\]"),
    (VAL | {"annotations": [{"id": 3, "image_id": 8, "caption": "x"}]}, "val.json",
     r"val\.json: annotations\[0\]: duplicate id 3, first in .*train\.json: annotations\[2\]"),
    (VAL | {"images": [{"id": 8, "file_name": "a.png"}]}, "val.json",
     r"val\.json: duplicate image 'a\.png', first in .*train\.json"),
    (karpathy(), "val.json", r"val\.json: .*each must be COCO's"),
    (VAL, "more.json", r"more\.json: .*train or val, in its name"),
    (VAL, "trainval.json", r"trainval\.json: .*train or val, in its name"),
])  # fmt: skip
def test_two_files_that_do_not_fit_are_named(tmp_path, val, name, message):
    with pytest.raises(DataError, match=message):
        read(write(tmp_path / "train.json", coco()), write(tmp_path / name, val))


JSON_FAULTS = [
    ("{", "is not JSON"), ("[" * 100_000, "is not JSON"), ([1], "must be an object; got list"),
    ({}, "neither the keys images and annotations"), ({"annotations": []}, "the key images is missing"),
    (coco(images=[]), "has no images"), (coco(images={}), "images: must be a list; got dict"),
    (coco(images=[{"id": 1}]), r"images\[0\]: the key file_name is missing"),
    (coco(images=[{"id": 1, "file_name": None}]), r"images\[0\]: file_name: must be a text; got NoneType"),
    (coco(images=[{"id": True, "file_name": "a"}]), r"images\[0\]: id: must be a number or a text; got bool"),
    (coco(images=["a"]), r"images\[0\]: must be an object; got str 'a'"),
    (coco(images=[{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}]), r"images\[1\]: duplicate id 1"),
    (coco(images=[{"id": 1, "file_name": "a"}, {"id": 2, "file_name": "a"}]), "duplicate image 'a'"),
    (coco(annotations=[{"image_id": 7}]), r"annotations\[0\]: the key caption is missing"),
    (coco(annotations=[{"image_id": 7, "caption": 5}]), r"annotations\[0\]: caption: must be a text; got int '5'"),
    (coco(annotations=[{"id": 4, "image_id": 7, "caption": "x"}] * 2), r"annotations\[1\]: duplicate id 4"),
    (karpathy(images=[{"sentences": []}]), r"images\[0\]: the key filename is missing"),
    (karpathy(images=[{"filename": "a", "split": "dev", "sentences": []}]), r"images\[0\]: .*split 'dev'"),
    (karpathy(images=[{"filename": "a", "sentences": [{}]}]), r"sentences\[0\]: the key tokens is missing"),
    (karpathy(images=[{"filename": "a", "sentences": [{"tokens": ["a", 1]}]}]), r"tokens\[1\]: must be a text"),
    ('{"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 1, "caption": "a \\ud83d"}]}',
     "x: 'a': .* surrogate at 2"),
]  # fmt: skip
CSV_FAULTS = [
    ("", "lacks caption and image; it has $"), ("image;caption\n", "lacks caption and image; it has image;caption"),
    ("image,text\na,b\n", "lacks caption; it has image,text"), ("image,caption\n", "has no images"),
    ("image,caption\na.png,a dog, a cat\n", "line 2: has more columns .* needs quotes"),
    ("image,caption\na.png\n", "line 2: has too few columns"), ("image,caption\n ,a dog\n", "line 2: names no image"),
    ("image,split,caption\na,,a dog\n", "line 2: .*split ''"),
    ("image,split,caption\na,train,b\na,val,b\n", "line 3: 'a' is in the split val, .* train"),
    ('image,caption\na,"b\n', r"line \d: is not a valid table row"),
    ("image,caption\na.png,un café\n".encode("latin-1"), r"is not UTF-8 at byte \d+"),
    (f"image,caption\na.png,{'dog ' * 1001}\n", r"x: 'a\.png': .* 1,001 words"),
    (f"image,caption\na.png,{'d' * 100_001}\n", r"x: 'a\.png': .* 100,001 characters"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), [
    *(("c.json", *fault) for fault in JSON_FAULTS), *(("c.csv", *fault) for fault in CSV_FAULTS)])  # fmt: skip
def test_what_is_wrong_with_a_file_is_said_in_a_line(tmp_path, name, content, message):
    path = write(tmp_path / name, content)
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith((str(path), "x: "))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_captions_of_unknown_images_and_without_words_are_left_out(tmp_path):
    captions = [(7, " . "), (7, "A dog"), (3, ""), (9, "A"), (8, "A")]
    annotations = [{"image_id": image_id, "caption": caption} for image_id, caption in captions]
    images = [*coco()["images"], {"id": 1, "file_name": "c.png"}]
    images, left_out = read(write(tmp_path / "c.json", coco(images=images, annotations=annotations)))
    assert table(images) == {"a.png": ["A dog"]}
    assert left_out == [
        "2 captions of an image that is not in images, the first of image_id 9",
        "2 captions without a letter or digit, the first of a.png",
        "1 photo without a caption, c.png",
    ]


def test_the_format_may_be_said(tmp_path):
    path = write(tmp_path / "captions.dat", coco())
    assert table(read(path, format="coco")[0]) == CAPTIONS
    for source, format, message in (
        (path, None, "with --format"), (path, "csv", "first line must name the columns"),
        (path, "folder", "but --format is folder"), (tmp_path, "csv", "but --format is csv"),
        (tmp_path / "none.json", None, "no such file or folder"), (Path("/dev/null"), "coco", "is a device"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=f"{re.escape(str(source))}: .*{message}"):
            read(source, format=format)


def test_all_images_have_a_split_or_none():
    images = [CaptionedImage("a", "train"), CaptionedImage("b")]
    with pytest.raises(DataError, match="x: 'a' has a split, 'b' has none"):
        have_splits(images, "x")
    assert have_splits(images[:1], "x")
    assert not have_splits(images[1:], "x")
