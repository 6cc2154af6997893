"""A source becomes a data set: whole, the same in every run, and of nothing that does not fit."""

import h5py
import numpy as np
import pytest

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.data.tokens import treebank_words
from captioning.preparing.pipeline import prepare_data
from captioning.preparing.recipe import Recipe, report
from captioning.vision.extractors import RegionExtractor
from captioning.vision.regions import RegionProjection
from tests.captioning.full_disks import files_of_at_most
from tests.captioning.preparing.photo_sources import captions_of, content, write_folder, write_table
from tests.captioning.vision.grid_extractor import GridPlaces

NUMBER, TRAIN, K = 40, 32, 5
PLAIN = Recipe(test=0.1, photos="copy")
WITH_REGIONS = Recipe(test=0.1, photos="copy", regions=K)
FEW = Recipe(min_count=1)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("source") / "photos", NUMBER)


@pytest.fixture(scope="module")
def whole(source, tmp_path_factory):
    return prepare_data(source, tmp_path_factory.mktemp("whole") / "data", WITH_REGIONS, GridPlaces())


def counts(prepared):
    return {split: summary.images for split, summary in prepared.splits.items()}


def test_it_is_a_data_set(whole, source):
    projection = RegionProjection.load(whole.folder / "regions.safetensors")
    network = RegionExtractor(GridPlaces(), projection)
    names = {f"{split}2014_{what}" for split in ("train", "val", "test")
             for what in ("vgg16_fc7.h5", "images.txt", "regions.h5")}  # fmt: skip
    assert {path.name for path in whole.folder.iterdir()} == names | {
        "coco2014_captions.h5", "coco2014_vocab.json", "captions.csv", "photos", "regions.safetensors"
    }  # fmt: skip
    assert counts(whole) == {"train": TRAIN, "val": 4, "test": 4}
    with open_captions(whole.folder, regions=True) as data:
        assert data.check() == []
        for split, number in ((data.train, TRAIN), (data.val, 4), (data.test, 4)):
            assert len(split.image_names) == number
            for i, name in enumerate(split.image_names):
                raw = [treebank_words(text) for text in captions_of(int(name[:2]))]
                assert split.references(i) == raw
                rows = split.captions[split.image_idxs == i]
                stored = [split.vocabulary.tokens(row, keep_unknown=True) for row in rows]
                known = [[w if w in split.vocabulary else "<UNK>" for w in words] for words in raw]
                assert stored == [words[: whole.max_length] for words in known]
                assert split.photo(i).read_bytes() == (source / name).read_bytes()
            assert split.features.places.projection == projection.fingerprint()
            exact = network.features(np.stack([network.read(source / name) for name in split.image_names]))
            rows, step = split.features[:], np.tile(split.features.places.scale, 16)
            low = np.tile(split.features.places.offset, 16)
            np.testing.assert_allclose(rows[:, :12], exact[:, :12], rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(rows[:, 12:], exact[:, 12:].clip(low, low + 255 * step), atol=0.51 * step.max())
    with h5py.File(whole.folder / "coco2014_captions.h5") as file:
        assert file.attrs["tokenizer"] == "ptb"
    for key, name, shape in (("features", "vgg16_fc7", (4, 12)), ("regions", "regions", (4, 16, K))):
        with h5py.File(whole.folder / f"test2014_{name}.h5") as file:
            assert (file[key].shape, file[key].chunks) == (shape, None)
    assert f"next: captioning train --model attention --data {whole.folder} --out run" in report(whole, WITH_REGIONS)


def interrupted(source, out, recipe, stop):
    """Prepare with Ctrl-C at the n-th photo; what is left."""
    network = GridPlaces()
    prepare = network.prepare

    def prepare_or_stop(photo):
        if network.seen == stop:
            raise KeyboardInterrupt
        return prepare(photo)

    network.prepare = prepare_or_stop
    with pytest.raises(KeyboardInterrupt):
        prepare_data(source, out, recipe, network)
    assert not out.exists()
    return set(content(out.parent))


def test_it_resumes_after_an_interrupt(whole, source, tmp_path):
    """The photos of the training split are read twice, for the reduction and for their features."""
    out, kept = tmp_path / "data", set()
    for stop, more in ((3, set()), (TRAIN + 3, {"regions.part"}), (TRAIN + 3, {"features.part"})):
        kept |= {f".data.preparing/{name}" for name in more}
        assert interrupted(source, out, WITH_REGIONS, stop) == kept
    network = GridPlaces()
    prepare_data(source, out, WITH_REGIONS, network)
    assert network.seen == NUMBER - 32
    assert content(out) == content(whole.folder)
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("other", [PLAIN, Recipe(test=0.1, regions=K, seed=1)])
def test_what_was_begun_with_another_recipe_is_begun_anew(whole, source, tmp_path, other):
    out = tmp_path / "data"
    stop = NUMBER - 1 if other.regions is None else TRAIN + NUMBER - 1
    assert ".data.preparing/features.part" in interrupted(source, out, other, stop)
    network = GridPlaces()
    prepare_data(source, out, WITH_REGIONS, network)
    assert network.seen == TRAIN + NUMBER
    assert content(out) == content(whole.folder)
    if other is PLAIN:  # features do not depend on regions
        prepare_data(source, tmp_path / "plain", PLAIN, GridPlaces())
        assert content(tmp_path / "plain").items() <= content(out).items()


@pytest.mark.parametrize("bytes", [100, 2000, 6000])
def test_a_full_disk_is_one_line_and_leaves_no_data_set(whole, source, tmp_path, bytes):
    """While it writes the reduction, the unfinished features, or the features of the training split."""
    out = tmp_path / "data"
    with files_of_at_most(bytes), pytest.raises(OSError, match="too large") as caught:
        prepare_data(source, out, WITH_REGIONS, GridPlaces())
    assert str(caught.value.filename).startswith(str(tmp_path / ".data.preparing"))
    assert set(content(tmp_path)) <= {".data.preparing/features.part", ".data.preparing/regions.part"}
    prepare_data(source, out, WITH_REGIONS, GridPlaces())
    assert content(out) == content(whole.folder)


def test_photos_that_cannot_be_read_are_left_out_with_their_captions(tmp_path):
    source = write_folder(tmp_path / "photos", 10)
    (source / "03.png").write_bytes(b"no photo")
    recipe = Recipe(min_count=1, regions=256)
    prepared = prepare_data(source, tmp_path / "data", recipe, GridPlaces())
    with open_captions(tmp_path / "data", regions=True) as data:
        names = data.train.image_names + data.val.image_names
        assert (len(names), len(data.train.features) + len(data.val.features), "03.png" in names) == (9, 9, False)
    assert "03.png" not in (tmp_path / "data" / "captions.csv").read_text()
    assert "3" not in prepared.vocabulary
    assert not (tmp_path / "data" / "photos" / "03.png").exists()
    text = report(prepared, recipe)
    assert "left out: 1 photo that cannot be read\n" in text
    assert "regions: 12 numbers per place (the training photos have no more), which keep 100.0%" in text
    for strict in (Recipe(strict=True), Recipe(strict=True, regions=3)):
        with pytest.raises(DataError, match=r"03\.png: not a photo"):
            prepare_data(source, tmp_path / "strict", strict, GridPlaces())
        assert not (tmp_path / "strict").exists()


@pytest.mark.parametrize(("split", "lost", "message"), [
    (lambda n: "val" if n == 2 else "train", [2],
     r"val: its photos \(2 .* cannot be read, the first .*02\.png: .* --resplit"),
    (lambda n: "train", [], "no image with captions is in the split val. .* --resplit"),
    (None, range(1, 6), "cannot be read, .* another --seed"),
])  # fmt: skip
def test_a_split_without_images_is_an_error(tmp_path, split, lost, message):
    source = write_table(tmp_path / "captions.csv", 6, split=split)
    for n in lost:
        (tmp_path / "photos" / f"{n:02}.png").write_bytes(b"no photo")
    with pytest.raises(DataError, match=message):
        prepare_data(source, tmp_path / "data", FEW, GridPlaces())


def test_missing_photos_are_counted_and_may_be_left_out(tmp_path):
    source = write_table(tmp_path / "captions.csv", 10)
    skip = Recipe(min_count=1, skip_missing=True)
    for n in (4, 7):
        (tmp_path / "photos" / f"{n:02}.png").unlink()
    with pytest.raises(DataError, match=r"4 captions of missing photos.* 04\.png .*--photos-dir.*--skip-missing"):
        prepare_data(source, tmp_path / "data", FEW, GridPlaces())
    prepared = prepare_data(source, tmp_path / "data", skip, GridPlaces())
    assert sum(counts(prepared).values()) == 8
    assert "left out: 4 captions of missing photos" in report(prepared, skip)
    for photo in (tmp_path / "photos").iterdir():
        photo.unlink()
    with pytest.raises(DataError, match=r"no image is left: 20 captions of missing photos.*--photos-dir"):
        prepare_data(source, tmp_path / "none", skip, GridPlaces())


def test_captions_alone_need_no_photos_and_splits_may_be_drawn_anew(tmp_path):
    source = write_table(tmp_path / "captions.csv", 10, split=lambda n: "train", photos=False)
    prepared = prepare_data(source, tmp_path / "data", Recipe(min_count=1, resplit=True, val=0.2, test=0.1))
    assert counts(prepared) == {"train": 7, "val": 2, "test": 1}
    assert {path.name for path in prepared.folder.iterdir()} == {
        "coco2014_captions.h5", "coco2014_vocab.json", "captions.csv",
        "train2014_images.txt", "val2014_images.txt", "test2014_images.txt",
    }  # fmt: skip
    text = report(prepared, FEW)
    assert "features: none; photos: none" in text
    assert "captioners need train2014_vgg16_fc7.h5, val2014_vgg16_fc7.h5, test2014_vgg16_fc7.h5 with a row" in text


@pytest.mark.parametrize("photos", ["link", "copy", "none"])
def test_photos_are_linked_copied_or_left(tmp_path, photos):
    source = write_table(tmp_path / "captions.csv", 10)
    prepare_data(source, tmp_path / "deep" / "data", Recipe(min_count=1, photos=photos), GridPlaces())
    (tmp_path / "deep").rename(tmp_path / "moved")
    found = {path.name: path for path in (tmp_path / "moved" / "data" / "photos").glob("*")}
    assert len(found) == (0 if photos == "none" else 10)
    for name, path in found.items():
        assert path.is_symlink() == (photos == "link")
        assert path.read_bytes() == (tmp_path / "photos" / name).read_bytes()


def test_the_vocabulary_is_that_of_the_training_captions(tmp_path):
    path = tmp_path / "captions.csv"
    path.write_text("image,split,caption\na,train,one t-shirt one\nb,train,one t-shirt\nc,val,three three three\n")
    prepared = prepare_data(path, tmp_path / "data", Recipe(min_count=2))
    assert prepared.vocabulary.idx_to_word[4:] == ["one", "t-shirt"]
    assert (prepared.max_length, prepared.splits["val"].unknown) == (3, 3)
    prepared = prepare_data(path, tmp_path / "cut", Recipe(tokenizer="words", words=1, max_length=2))
    assert prepared.vocabulary.idx_to_word[4:] == ["one"]
    assert [summary.cut for summary in prepared.splits.values()] == [2, 1]
    with h5py.File(tmp_path / "cut" / "coco2014_captions.h5") as file:
        assert file.attrs["tokenizer"] == "words"
        assert file["train_captions"][()].tolist() == [[1, 4, 3, 2], [1, 4, 3, 2]]


@pytest.mark.parametrize(("changes", "message"), [
    ({"tokenizer": "bert"}, "tokenizer must be one of words, ptb; got 'bert'"),
    ({"photos": "move"}, "photos must be one of link, copy, none; got 'move'"),
    ({"min_count": 0}, "min_count must be at least 1; got 0"), ({"words": 0}, "words must be at least 1"),
    ({"max_length": 0}, "max_length must be at least 1"), ({"max_length": 1001}, "at most 1000; got 1001"),
    ({"val": 0}, "val must be above 0"), ({"regions": 0}, "regions must be at least 1; got 0"),
])  # fmt: skip
def test_recipes_that_cannot_be_are_refused(changes, message):
    with pytest.raises(DataError, match=message):
        Recipe(**changes)
