"""A source becomes a data set: whole, the same in every run, and of nothing that does not fit."""

import csv
import json
from collections import Counter

import h5py
import numpy as np
import pytest

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.data.raw_captions import each_raw_caption
from captioning.data.treebank import treebank_words
from captioning.preparing.pipeline import prepare_data
from captioning.preparing.recipe import Recipe
from captioning.preparing.summary import report
from tests.captioning.full_disks import files_of_at_most
from tests.captioning.preparing.photo_sources import captions_of, content, write_folder, write_photo, write_table
from tests.captioning.vision.grid_extractor import GridColours

NUMBER = 40
FILES = {"coco2014_captions.h5", "coco2014_vocab.json", "captions.csv", "photos"}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("source") / "photos", NUMBER)


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "data"
    return prepare_data(source, out, Recipe(test=0.1), GridColours())


def test_it_is_a_data_set(whole, source):
    splits = ("train", "val", "test")
    names = {f"{split}2014_{what}" for split in splits for what in ("vgg16_fc7.h5", "images.txt")}
    assert {path.name for path in whole.folder.iterdir()} == FILES | names
    network = GridColours()
    with open_captions(whole.folder, pca=False) as data:
        assert len(data.train.features) == 32
        for split in (data.train, data.val):
            for i, name in enumerate(split.image_names):
                said = [treebank_words(text) for text in captions_of(int(name[:2]))]
                assert split.references(i) == said
                rows = split.captions[split.image_idxs == i]
                stored = [split.vocabulary.tokens(row, keep_unknown=True) for row in rows]
                known = [[w if w in split.vocabulary else "<UNK>" for w in words] for words in said]
                assert stored == [words[: whole.max_length] for words in known]
                assert split.photo(i).read_bytes() == (source / name).read_bytes()
                features = network.features(network.read(source / name)[None])[0]
                np.testing.assert_allclose(split.features[i], features, rtol=1e-5, atol=1e-6)
    with h5py.File(whole.folder / "coco2014_captions.h5") as file:
        assert file.attrs["tokenizer"] == "ptb"
        assert file["test_captions"].shape == (8, whole.max_length + 2)
        assert file["test_image_idxs"][()].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    with h5py.File(whole.folder / "test2014_vgg16_fc7.h5") as file:
        assert file["features"].attrs["extractor"] == "grid-colours"
        assert (file["features"].dtype, file["features"].shape, file["features"].chunks) == ("float32", (4, 48), None)


def test_an_image_is_in_one_split_with_all_of_its_captions(whole):
    with open(whole.folder / "captions.csv", encoding="utf-8", newline="") as file:
        rows = [(row["image"], row["split"]) for row in csv.DictReader(file)]
    assert Counter(dict(rows).values()) == {"train": 32, "val": 4, "test": 4}
    assert set(Counter(rows).values()) == {2}
    assert len(set(rows)) == NUMBER


def test_it_is_the_same_in_every_run(whole, source, tmp_path):
    prepare_data(source, tmp_path / "data", Recipe(test=0.1), GridColours())
    again, first = content(tmp_path / "data"), content(whole.folder)
    assert {name: value for name, value in again.items() if not name.startswith("photos")} == {
        name: value for name, value in first.items() if not name.startswith("photos")
    }
    assert again.keys() == first.keys()


class Interrupted(GridColours):
    """Ctrl-C at the n-th photo."""

    def __init__(self, stop):
        super().__init__()
        self.stop = stop

    def prepare(self, photo):
        if self.seen == self.stop:
            raise KeyboardInterrupt
        return super().prepare(photo)


def test_it_goes_on_after_an_interrupt(whole, source, tmp_path):
    out = tmp_path / "whole" / "data"  # as far from the photos as the other, for the links
    for stop in (0, 35):
        with pytest.raises(KeyboardInterrupt):
            prepare_data(source, out, Recipe(test=0.1), Interrupted(stop))
    assert set(content(out)) == {".preparing/features.part"}
    with pytest.raises(DataError, match=r"coco2014_vocab\.json"):
        open_captions(out, pca=False)
    network = GridColours()
    prepare_data(source, out, Recipe(test=0.1), network)
    assert network.seen == NUMBER - 32
    assert {n: v for n, v in content(out).items() if n[:6] != "photos"} == {
        n: v for n, v in content(whole.folder).items() if n[:6] != "photos"
    }


@pytest.mark.parametrize("bytes", [100, 5000, 9000])
def test_a_full_disk_is_one_line_and_leaves_no_data_set(whole, source, tmp_path, bytes):
    """Of the features on their way, of those of the training split."""
    with files_of_at_most(bytes), pytest.raises(OSError, match="too large") as caught:
        prepare_data(source, tmp_path / "data", Recipe(test=0.1), GridColours())
    assert str(caught.value.filename).startswith(str(tmp_path / "data"))
    assert not (tmp_path / "data" / "coco2014_captions.h5").exists()
    assert set(content(tmp_path / "data")) <= {".preparing/features.part"}
    prepared = prepare_data(source, tmp_path / "data", Recipe(test=0.1), GridColours())
    for name in ("coco2014_captions.h5", "train2014_vgg16_fc7.h5"):
        assert (prepared.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_photos_that_cannot_be_read_are_left_out_with_their_captions(tmp_path):
    source = write_folder(tmp_path / "photos", 10)
    (source / "03.png").write_bytes(b"no photo")
    prepared = prepare_data(source, tmp_path / "data", Recipe(min_count=1), GridColours())
    assert len(prepared.unreadable) == 1
    assert sum(told.images for told in prepared.splits.values()) == 9
    assert "03.png" not in (tmp_path / "data" / "captions.csv").read_text()
    assert "number 3" not in " ".join(prepared.vocabulary.idx_to_word)
    assert "3" not in prepared.vocabulary
    assert not (tmp_path / "data" / "photos" / "03.png").exists()
    text = report(prepared, Recipe(min_count=1))
    assert "left out: 1 photo that cannot be read\n" in text
    with pytest.raises(DataError, match=r"03\.png: not a photo"):
        prepare_data(source, tmp_path / "strict", Recipe(strict=True), GridColours())
    assert not (tmp_path / "strict").exists()


def test_all_photos_of_a_split_lost_is_an_error(tmp_path):
    source = write_table(tmp_path / "captions.csv", 6, split=lambda n: "val" if n == 2 else "train")
    (tmp_path / "photos" / "02.png").write_bytes(b"no photo")
    told = "no image is left in the split val: 2 captions of it are of photos that cannot be read"
    with pytest.raises(DataError, match=rf"{told}; .* --resplit draws new splits"):
        prepare_data(source, tmp_path / "data", Recipe(min_count=1), GridColours())


def test_a_source_without_a_split_is_an_error(tmp_path):
    source = write_table(tmp_path / "captions.csv", 6, split=lambda n: "train", photos=False)
    with pytest.raises(DataError, match=r"no image with captions is in the split val; .* --resplit draws new splits"):
        prepare_data(source, tmp_path / "data", Recipe(min_count=1))


def test_drawn_splits_that_lose_all_photos_are_drawn_by_another_seed(tmp_path):
    source = write_table(tmp_path / "captions.csv", 6)
    for n in range(1, 6):
        (tmp_path / "photos" / f"{n:02}.png").write_bytes(b"no photo")
    with pytest.raises(DataError, match=r"photos that cannot be read; .* another --seed"):
        prepare_data(source, tmp_path / "data", Recipe(min_count=1), GridColours())


def test_a_source_all_of_whose_photos_are_missing_says_so(tmp_path):
    source = write_table(tmp_path / "captions.csv", 6, photos=False)
    with pytest.raises(DataError, match=r"no image is left: 12 captions of a photo that is not there, the first of 00"):
        prepare_data(source, tmp_path / "data", Recipe(skip_missing=True), GridColours())


def test_splits_are_drawn_anew(tmp_path):
    source = write_table(tmp_path / "captions.csv", 10, split=lambda n: "train", photos=False)
    prepared = prepare_data(source, tmp_path / "data", Recipe(min_count=1, resplit=True, val=0.2, test=0.1))
    assert {split: told.images for split, told in prepared.splits.items()} == {"train": 7, "val": 2, "test": 1}


def test_captions_alone_need_no_photos(tmp_path):
    source = write_table(tmp_path / "captions.csv", 10, photos=False)
    prepared = prepare_data(source, tmp_path / "data", Recipe(min_count=1))
    assert {path.name for path in prepared.folder.iterdir()} == {
        "coco2014_captions.h5", "coco2014_vocab.json", "captions.csv", "train2014_images.txt", "val2014_images.txt",
    }  # fmt: skip
    text = report(prepared, Recipe(min_count=1))
    assert "features: none; photos: none" in text
    assert "when train2014_vgg16_fc7.h5, val2014_vgg16_fc7.h5 have a row of features" in text


def test_missing_photos_are_counted_and_may_be_left_out(tmp_path):
    source = write_table(tmp_path / "captions.csv", 10)
    for n in (4, 7):
        (tmp_path / "photos" / f"{n:02}.png").unlink()
    with pytest.raises(
        DataError, match=r"4 captions of a photo that is not there, the first of 04\.png .*--skip-missing"
    ):
        prepare_data(source, tmp_path / "data", Recipe(min_count=1), GridColours())
    assert not (tmp_path / "data").exists()
    recipe = Recipe(min_count=1, skip_missing=True)
    prepared = prepare_data(source, tmp_path / "data", recipe, GridColours())
    assert sum(told.images for told in prepared.splits.values()) == 8
    assert "left out: 4 captions of a photo that is not there" in report(prepared, recipe)


@pytest.mark.parametrize("way", ["link", "copy", "none"])
def test_photos_are_linked_copied_or_left(tmp_path, way):
    source = write_table(tmp_path / "captions.csv", 10)
    recipe = Recipe(min_count=1, photos=way)
    prepare_data(source, tmp_path / "deep" / "data", recipe, GridColours())
    (tmp_path / "deep").rename(tmp_path / "moved")
    found = {path.name: path for path in (tmp_path / "moved" / "data" / "photos").glob("*")}
    assert len(found) == (0 if way == "none" else 10)
    for name, path in found.items():
        assert path.is_symlink() == (way == "link")
        assert path.read_bytes() == (tmp_path / "photos" / name).read_bytes()


def test_photos_of_one_name_in_several_folders(tmp_path):
    for place in "ab":
        for n in range(4):
            write_photo(tmp_path / "photos" / place / f"{n}.png", 10 * n + ord(place))
            (tmp_path / "photos" / place / f"{n}.txt").write_text(f"photo {n} of {place}")
    prepare_data(tmp_path / "photos", tmp_path / "data", Recipe(min_count=1), GridColours())
    for place in "ab":
        for n in range(4):
            photo = tmp_path / "data" / "photos" / f"{place}__{n}.png"
            assert photo.read_bytes() == (tmp_path / "photos" / place / f"{n}.png").read_bytes()
    with open_captions(tmp_path / "data", pca=False) as data:
        for i, name in enumerate(data.train.image_names):
            assert data.train.references(i) == [["photo", name[3], "of", name[0]]]


def test_splits_of_the_source_are_kept(tmp_path):
    images = [{"filename": f"{n}.png", "split": split, "sentences": [{"raw": f"A dog is number {n}"}]}
              for n, split in enumerate(["train", "restval", "val", "test", "train"])]  # fmt: skip
    (tmp_path / "dataset.json").write_text(json.dumps({"images": images}))
    prepared = prepare_data(tmp_path / "dataset.json", tmp_path / "data", Recipe(min_count=1, val=0.9))
    assert {split: told.images for split, told in prepared.splits.items()} == {"train": 3, "val": 1, "test": 1}
    assert (tmp_path / "data" / "train2014_images.txt").read_text() == "0.png\n1.png\n4.png\n"
    for image in images:
        image["split"] = "train"
    (tmp_path / "dataset.json").write_text(json.dumps({"images": images}))
    with pytest.raises(DataError, match=r"dataset\.json: no image with captions is in the split val"):
        prepare_data(tmp_path / "dataset.json", tmp_path / "other", Recipe(min_count=1))


def test_the_vocabulary_is_that_of_the_training_captions(tmp_path):
    path = tmp_path / "captions.csv"
    path.write_text("image,split,caption\na,train,one two one\nb,train,one two\nc,val,three three three\n")
    prepared = prepare_data(path, tmp_path / "data", Recipe(min_count=2))
    assert prepared.vocabulary.idx_to_word[4:] == ["one", "two"]
    assert (prepared.max_length, prepared.splits["val"].unknown) == (3, 3)
    prepared = prepare_data(path, tmp_path / "cut", Recipe(words=1, max_length=2))
    assert prepared.vocabulary.idx_to_word[4:] == ["one"]
    assert [told.cut for told in prepared.splits.values()] == [1, 1]
    with h5py.File(tmp_path / "cut" / "coco2014_captions.h5") as file:
        assert file["train_captions"][()].tolist() == [[1, 4, 3, 2], [1, 4, 3, 2]]


def test_the_other_tokenizer_is_recorded(tmp_path):
    path = tmp_path / "captions.csv"
    path.write_text("image,split,caption\na,train,a T-shirt\nb,val,a T-shirt\n")
    prepare_data(path, tmp_path / "data", Recipe(tokenizer="words", min_count=1))
    with h5py.File(tmp_path / "data" / "coco2014_captions.h5") as file:
        assert file.attrs["tokenizer"] == "words"
        assert file["train_captions"].shape == (1, 5)


@pytest.mark.parametrize(("changes", "message"), [
    ({"tokenizer": "bert"}, "tokenizer must be one of words, ptb; got 'bert'"),
    ({"photos": "move"}, "photos must be one of link, copy, none; got 'move'"),
    ({"min_count": 0}, "min_count must be at least 1; got 0"), ({"words": 0}, "words must be at least 1"),
    ({"max_length": 0}, "max_length must be at least 1"), ({"val": 0}, "val must be above 0"),
    ({"max_length": 1001}, "max_length must be at most 1000; got 1001"),
])  # fmt: skip
def test_recipes_that_cannot_be_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        Recipe(**changes)


def test_a_data_set_within_its_source_is_refused(source):
    with pytest.raises(DataError, match=r"lies in the source .*, whose photos it would be taken for"):
        prepare_data(source, source / "data", Recipe(), GridColours())
    assert not (source / "data").exists()


@pytest.mark.parametrize("caption", ["dog " * 1001, "d" * 100_001], ids=["words", "signs"])
def test_a_caption_of_no_end_is_refused_by_its_image(tmp_path, caption):
    """No reader of tables would take it, and rows of word ids are as wide as the longest."""
    (tmp_path / "captions.csv").write_text(f"image,caption\na.png,{caption}\nb.png,a dog\n")
    with pytest.raises(
        DataError, match=r"captions\.csv: 'a\.png': a caption of .* is more than 1,000 words or 100,000"
    ):
        prepare_data(tmp_path / "captions.csv", tmp_path / "data", Recipe(min_count=1))
    assert not (tmp_path / "data").exists()


def test_the_longest_captions_can_be_read_again(tmp_path):
    """A word between spaces may be several to the tokenizer: the rows of ids are not wider for it."""
    (tmp_path / "captions.csv").write_text(f"image,caption\na,{'a+b+' * 25_000}\nb,{'a+b+' * 25_000}\n")
    prepared = prepare_data(tmp_path / "captions.csv", tmp_path / "data", Recipe(min_count=1))
    assert prepared.max_length == 1000
    assert len(list(each_raw_caption(tmp_path / "data" / "captions.csv"))) == 2
