"""Every kind of source gives the same table, and what is wrong with one is said in a line."""

import json
import os
import re
from pathlib import Path

import pytest

from captioning.data.errors import DataError
from captioning.preparing.gaps import Gaps
from captioning.preparing.sources import read_source, read_sources
from captioning.preparing.table import CaptionedImage, have_splits, with_captions
from tests.captioning.preparing.photo_sources import write_photo

SAID = {"a.png": ["A dog runs", "Dogs, running"], "b.png": ["A cat"]}


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


def write_json(tmp_path, content):
    path = tmp_path / "captions.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def write_csv(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "captions.csv"
    path.write_bytes(text.encode(encoding))
    return path


def read(path, format=None):
    gaps = Gaps()
    return read_source(path, gaps, format), gaps


def table(images):
    return {image.path: image.captions for image in images}


def test_coco(tmp_path):
    images, gaps = read(write_json(tmp_path, coco()))
    assert table(images) == SAID
    assert [image.split for image in images] == [None, None]
    assert not gaps


def write_both(tmp_path, train, val, names=("captions_train2014.json", "captions_val2014.json")):
    paths = [tmp_path / name for name in names]
    for path, content in zip(paths, (train, val), strict=True):
        path.write_text(json.dumps(content))
    return paths


VAL = coco(images=[{"id": 8, "file_name": "c.png"}], annotations=[{"id": 4, "image_id": 8, "caption": "A horse"}])


def test_coco_in_two_files_has_their_splits(tmp_path):
    images = read_sources(write_both(tmp_path, coco(), VAL), gaps := Gaps())
    assert table(images) == {**SAID, "c.png": ["A horse"]}
    assert [image.split for image in images] == ["train", "train", "val"]
    assert not gaps


@pytest.mark.parametrize(("val", "names", "message"), [
    (coco(**{**VAL, "images": [{"id": 7, "file_name": "c.png"}]}), None,
     r"val2014\.json: images\[0\]: the id 7 stands twice, first in .*train2014\.json: images\[0\]"),
    (coco(**{**VAL, "annotations": [{"id": 3, "image_id": 8, "caption": "x"}]}), None,
     r"val2014\.json: annotations\[0\]: the id 3 stands twice, first in .*train2014\.json: annotations\[2\]"),
    (coco(**{**VAL, "images": [{"id": 8, "file_name": "a.png"}]}), None,
     r"val2014\.json: the image 'a\.png' stands twice, first in .*train2014\.json"),
    (karpathy(), None, r"val2014\.json: of several sources each must be COCO's caption JSON"),
    (VAL, ("train.json", "more.json"), r"more\.json: of several sources each must have either train or val in"),
    (VAL, ("train.json", "trainval.json"), r"trainval\.json: of several sources each must have either"),
])  # fmt: skip
def test_two_files_that_do_not_fit_are_named(tmp_path, val, names, message):
    paths = write_both(tmp_path, coco(), val, *([names] if names else []))
    with pytest.raises(DataError, match=message):
        read_sources(paths, Gaps())


def test_karpathy(tmp_path):
    images, gaps = read(write_json(tmp_path, karpathy()))
    assert table(images) == {"val2014/a.png": SAID["a.png"], "b.png": SAID["b.png"]}
    assert [image.split for image in images] == ["train", "val"]
    assert not gaps


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_csv(tmp_path, encoding):
    text = 'image,split,caption\na.png,train,A dog runs\nb.png,val,A cat\na.png,train,"Dogs, running"\n'
    images, _ = read(write_csv(tmp_path, text, encoding))
    assert table(images) == SAID
    assert [image.split for image in images] == ["train", "val"]
    images, _ = read(write_csv(tmp_path, 'image,caption\r\na.png,A dog runs\r\nb.png,A cat\r\na.png,"Dogs, running"'))
    assert table(images) == SAID
    assert [image.split for image in images] == [None, None]


def test_folder(tmp_path):
    for name, lines in {"a": "A dog runs\n\nDogs, running", "more/b": "\ufeffA cat\r\n"}.items():
        write_photo(tmp_path / f"{name}.png", 0)
        (tmp_path / f"{name}.txt").write_text(lines, encoding="utf-8")
    write_photo(tmp_path / ".hidden" / "c.png", 0)
    images, gaps = read(tmp_path)
    assert table(images) == {"a.png": SAID["a.png"], "more/b.png": SAID["b.png"]}
    assert not gaps


@pytest.mark.parametrize(("content", "message"), [
    ("{", "is not JSON: Expecting property name"),
    ("[" * 100_000, "is not JSON: maximum recursion"),
    ([1], r"must be an object; got list '\[1\]'"),
    ({}, "has neither the keys images and annotations, as COCO's captions, nor images with sentences"),
    ({"annotations": []}, "the key images is missing"),
    (coco(images=[]), "has no images"),
    (coco(images={}), "images: must be a list; got dict"),
    (coco(images=[{"id": 1}]), r"images\[0\]: the key file_name is missing"),
    (coco(images=[{"id": 1, "file_name": None}]), r"images\[0\]: file_name: must be a text; got NoneType"),
    (coco(images=[{"id": True, "file_name": "a"}]), r"images\[0\]: id: must be a number or a text; got bool"),
    (coco(images=["a"]), r"images\[0\]: must be an object; got str 'a'"),
    (coco(images=[{"id": 1, "file_name": "a"}, {"id": 1, "file_name": "b"}]),
     r"images\[1\]: the id 1 stands twice, for 'a' and 'b'"),
    (coco(images=[{"id": 1, "file_name": "a"}, {"id": 2, "file_name": "a"}]), "the image 'a' stands twice"),
    (coco(annotations=[{"image_id": 7}]), r"annotations\[0\]: the key caption is missing"),
    (coco(annotations=[{"image_id": 7, "caption": 5}]), r"annotations\[0\]: caption: must be a text; got int '5'"),
    (coco(annotations=[{"id": 4, "image_id": 7, "caption": "x"}] * 2),
     r"annotations\[1\]: the id 4 stands twice, first in annotations\[0\]"),
    (karpathy(images=[{"sentences": []}]), r"images\[0\]: the key filename is missing"),
    (karpathy(images=[{"filename": "a", "split": "dev", "sentences": []}]),
     r"images\[0\]: the split 'dev' is none of train, restval, val, test"),
    (karpathy(images=[{"filename": "a", "sentences": [{}]}]), r"sentences\[0\]: needs the key raw or the key tokens"),
    (karpathy(images=[{"filename": "a", "sentences": [{"tokens": ["a", 1]}]}]), r"tokens\[1\]: must be a text; got"),
])  # fmt: skip
def test_what_is_wrong_with_json_is_said(tmp_path, content, message):
    path = write_json(tmp_path, content)
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(("text", "message"), [
    ("", "must name the columns image,caption or image,split,caption; it lacks caption and image, it has nothing"),
    ("image;caption\n", "it lacks caption and image, it has image;caption"),
    ("image,text\na,b\n", "it lacks caption, it has image,text"),
    ("image,caption\n", "has no images"),
    ("image,caption\na.png,a dog, a cat\n", "line 2: has more columns than the first line; .* needs quotes"),
    ("image,caption\na.png\n", "line 2: is cut short; it needs image,caption"),
    ("image,caption\n ,a dog\n", "line 2: names no image"),
    ("image,split,caption\na,,a dog\n", "line 2: the split '' is none of train"),
    ("image,split,caption\na,train,b\na,val,b\n", "line 3: 'a' is in the split val, but above it was in train"),
    ('image,caption\na,"b\n', "is no line of a table: unexpected end of data"),
])  # fmt: skip
def test_what_is_wrong_with_a_table_is_said(tmp_path, text, message):
    path = write_csv(tmp_path, text)
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_other_encodings_are_refused(tmp_path, encoding):
    text = "image,caption\na.png,un café\n"
    paths = [write_csv(tmp_path, text, encoding), tmp_path / "captions.json", tmp_path / "photos" / "a.txt"]
    write_photo(tmp_path / "photos" / "a.png", 0)
    for path in paths[1:]:
        path.write_bytes(text.encode(encoding))
    for source, path in zip((*paths[:2], tmp_path / "photos"), paths, strict=True):
        with pytest.raises(DataError, match=rf"{path.name}: is not UTF-8 (at|near) byte \d+: save it as UTF-8"):
            read(source)


def test_a_photo_whose_name_is_not_utf8_is_a_gap(tmp_path):
    odd = os.fsencode(tmp_path) + b"/caf\xe9.png"
    for path in (Path(os.fsdecode(odd)), tmp_path / "a.png"):
        try:
            write_photo(path, 0)
        except OSError:
            pytest.skip("files here have no such names")
        path.with_suffix(".txt").write_text("A cat")
    gaps = Gaps()
    assert [image.path for image in read_source(tmp_path, gaps)] == ["a.png"]
    told = r"1 photo with a name that is not UTF-8, 'caf\udce9.png'"
    assert gaps.lines() == [told]
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match=re.escape("has no photo (.jpg")) as error:
        read_source(tmp_path, Gaps())
    assert str(error.value).endswith(f"; {told}")


def test_what_is_wrong_with_a_folder_is_said(tmp_path):
    (tmp_path / "a.txt").write_text("A dog")
    with pytest.raises(DataError, match=r"has no photo \(\.jpg"):
        read(tmp_path)
    write_photo(tmp_path / "b.png", 0)
    images, gaps = read(tmp_path)
    with_captions(images, "x", gaps)
    assert gaps.lines() == ["1 text file without a photo, a.txt",
                            "1 photo without a caption, b.png"]  # fmt: skip
    write_photo(tmp_path / "b.jpg", 0)
    with pytest.raises(DataError, match=r"b\.png: b\.jpg has the same name; b\.txt would speak of both"):
        read(tmp_path)


def test_captions_of_unknown_images_and_without_words_are_counted(tmp_path):
    said = [(7, " . "), (7, "A dog"), (3, ""), (9, "A"), (8, "A")]
    annotations = [{"image_id": image_id, "caption": caption} for image_id, caption in said]
    images = [*coco()["images"], {"id": 1, "file_name": "c.png"}]
    images, gaps = read(write_json(tmp_path, coco(images=images, annotations=annotations)))
    assert table(with_captions(images, "x", gaps)) == {"a.png": ["A dog"]}
    assert gaps.lines() == [
        "2 captions of an image that is not in images, the first of image_id 9",
        "2 captions without a letter or digit, the first of a.png",
        "1 photo without a caption, c.png",
    ]
    with pytest.raises(DataError, match=r"^x: 2 captions of an image .*; 2 captions without .* --skip-missing goes on"):
        gaps.refuse("x")


def test_half_a_character_is_refused(tmp_path):
    text = '{"images": [{"id": 1, "file_name": "a"}], "annotations": [{"image_id": 1, "caption": "a \\ud83d"}]}'
    images, gaps = read(write_json(tmp_path, text))
    with pytest.raises(DataError, match=r"x: 'a': 'a \\ud83d' has half a character at 2"):
        with_captions(images, "x", gaps)


def test_the_kind_may_be_said(tmp_path):
    path = tmp_path / "captions.dat"
    path.write_text(json.dumps(coco()))
    with pytest.raises(DataError, match=r"neither a folder nor a file \.json or \.csv; say what it is with --format"):
        read(path)
    assert table(read(path, "coco")[0]) == SAID
    with pytest.raises(DataError, match="the first line must name the columns"):
        read(path, "csv")
    with pytest.raises(DataError, match="is no folder, which is not --format folder"):
        read(path, "folder")
    with pytest.raises(DataError, match="is a folder, which is not --format csv"):
        read(tmp_path, "csv")
    with pytest.raises(DataError, match="there is no such file or folder"):
        read(tmp_path / "none.json")
    with pytest.raises(DataError, match="is a device, not a regular file"):
        read(Path("/dev/null"))


def test_all_images_have_a_split_or_none():
    images = [CaptionedImage("a", "train"), CaptionedImage("b")]
    with pytest.raises(DataError, match="x: 'a' has a split, 'b' has none; all need one, or none"):
        have_splits(images, "x")
    assert have_splits(images[:1], "x")
    assert not have_splits(images[1:], "x")
