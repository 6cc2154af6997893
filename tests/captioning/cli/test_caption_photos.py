"""Captions of photos: read, turned into features, said."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import captioning
from captioning.cli.caption import caption_photos
from captioning.data.vocabulary import Vocabulary
from captioning.models.attention_captioner import AttentionCaptioner
from captioning.models.captioner import Captioner
from captioning.photo_captioner import PhotoCaptioner
from captioning.training.run_features import extractor_of
from captioning.training.run_files import RunError
from captioning.training.run_folder import Run
from captioning.vision.extractors import EXTRACTORS
from captioning.vision.photo_files import PhotoError
from captioning.vision.regions import RegionProjection
from tests.captioning.vision.grid_extractor import GridExtractor

WORDS = Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", "red", "green", "blue"])


def namer():
    """A captioner that says which of the three colours a photo has most of, and then ends."""
    model = Captioner(WORDS, 3, 4, 8, "rnn", rng=0)
    weights = {name: np.zeros_like(array) for name, array in model.state_dict().items()}
    weights["project.weight"][:, :3] = 2 * np.eye(3)  # colours stand in the first state
    weights["embed.weight"][1, 0] = weights["embed.weight"][4:, 1] = 1  # <START>, and any colour
    weights["cell.Wx"][0, 3], weights["cell.Wx"][1, 4] = 5, 5
    weights["cell.Wh"][:3, :3] = 2 * np.eye(3)
    weights["predict.weight"][:3, 4:] = 4 * np.eye(3)
    weights["predict.weight"][4, 2] = 50  # a colour was said: <END>
    model.load_state_dict(weights)
    model.eval()
    return model


@pytest.fixture
def photos(tmp_path):
    paths = []
    for i, colour in enumerate(["red", "green", "blue"] * 4):
        paths.append(tmp_path / f"{i}.png")
        Image.new("RGB", (20 + i, 10), {"green": "lime"}.get(colour, colour)).save(paths[-1])
    return paths


def test_each_photo_gets_its_own_caption_in_order(photos):
    done, captioner, colours = [], PhotoCaptioner(namer(), GridExtractor()), ["red", "green", "blue"] * 4
    found = list(caption_photos(photos, captioner, report=done.append))
    assert [(each.path, each.caption.text) for each in found] == list(zip(photos, colours, strict=True))
    assert done == [12]
    photos[1].write_bytes(b"no photo")
    photos[2].unlink()
    for path in photos[8:]:
        path.write_bytes(b"")  # a whole batch
    found = list(caption_photos(photos, captioner))
    said = [each.caption and each.caption.text for each in found]
    assert said == ["red", None, None, "red", "green", "blue", "red", "green", *[None] * 4]
    for each in found:
        assert (each.caption is None) == (each.error is not None and str(each.path) in each.error)


def a_run(tmp_path, feature_size=3, **data):
    model = Captioner(WORDS, feature_size, 4, 8, "rnn", rng=0)
    kept = ("feature_size", "wordvec_size", "hidden_size", "cell_type", "dropout", "forget_bias")
    settings = {"model": {name: getattr(model, name) for name in kept} | {"dtype": "float32"}}
    return Run.create(tmp_path, settings | {"training": {}, "data": data}, WORDS)


def test_the_network_is_the_one_that_made_the_features_of_the_run(tmp_path, monkeypatch):
    monkeypatch.setitem(EXTRACTORS, "grid", GridExtractor)
    known, unknown = a_run(tmp_path / "known", extractor="grid"), a_run(tmp_path / "unknown")
    assert extractor_of(known).name == extractor_of(known, "grid").name == extractor_of(unknown, "grid").name == "grid"
    reduced = a_run(tmp_path / "reduced", feature_size=2, extractor="grid", pca=True)
    for run, name, message in (
        (known, "efficientnet-lite0", "was trained on features of grid; got --extractor efficientnet-lite0"),
        (unknown, None, "does not record which network .* it was grid, pass --extractor NAME"),
        (reduced, None, "features of 2 columns, reduced ones.* --no-pca .* grid gives 3"),
    ):
        with pytest.raises(RunError, match=message):
            extractor_of(run, name)


def attention_run(tmp_path, columns=2):
    """Return a run with attention over the 2x2 places of a grid."""
    model = AttentionCaptioner(WORDS, 3 + 4 * columns, (4, columns), 4, 8, 6, 4, 2, rng=0)
    settings = {"model": {"kind": "attention", **model.settings}, "training": {}, "data": {"extractor": "grid"}}
    return Run.create(tmp_path / "run", settings, WORDS, best=model.state_dict())


def test_a_run_with_attention_gets_its_regions_by_its_projection(tmp_path, monkeypatch, photos):
    monkeypatch.setitem(EXTRACTORS, "grid", GridExtractor)
    run, weight = attention_run(tmp_path), np.random.default_rng(0).standard_normal((3, 2)).astype(np.float32)
    RegionProjection(weight, np.array([1, 2], np.float32)).save(run.regions_path)
    network = extractor_of(run)
    assert (network.name, network.size, network.grid) == ("grid", 11, (2, 2))
    prepared = np.stack([network.read(path) for path in photos[:3]])
    rows, maps = network.features(prepared), GridExtractor().maps(prepared)
    np.testing.assert_allclose(rows[:, :3], maps.mean(axis=(1, 2)), rtol=1e-6)
    np.testing.assert_allclose(rows[:, 3:], (maps @ weight + [1, 2]).reshape(3, -1), rtol=1e-5)
    found = list(caption_photos(photos, PhotoCaptioner.of_runs([run])))
    assert all(each.caption is not None for each in found)


def test_a_run_with_attention_needs_a_projection_that_fits(tmp_path, monkeypatch):
    monkeypatch.setitem(EXTRACTORS, "grid", GridExtractor)
    run = attention_run(tmp_path)
    for shape, message in ((None, r"regions\.safetensors: there is no such file.*captioning regions "),
                           ((3, 5), "gives 5 numbers per place; the run was trained on 2"),
                           ((4, 2), "takes 4 numbers per place; grid has 3")):  # fmt: skip
        if shape is not None:
            RegionProjection(np.ones(shape, np.float32), np.ones(shape[1], np.float32)).save(run.regions_path)
        with pytest.raises(RunError, match=message):
            extractor_of(run)


def test_photos_are_paths_arrays_or_lists_of_these(photos, tmp_path, monkeypatch):
    captioner = PhotoCaptioner(namer(), GridExtractor())
    red, lime = (np.full((9, 7, 3), colour, np.uint8) for colour in ([255, 0, 0], [0, 255, 0]))
    assert captioner.caption(str(photos[0])).text == captioner.caption(red).text == "red"
    assert [each.text for each in captioner.caption([photos[2], lime])] == ["blue", "green"]
    assert captioner.caption([]) == []
    with pytest.raises(PhotoError, match=r"none\.jpg: .*No such file"):
        captioner.caption([red, tmp_path / "none.jpg"])
    with pytest.raises(TypeError, match=r"got Image.*np.asarray\(image.convert"):
        captioner.caption(Image.fromarray(red))
    monkeypatch.setitem(EXTRACTORS, "grid", GridExtractor)
    run = attention_run(tmp_path)
    RegionProjection(np.ones((3, 2), np.float32), np.ones(2, np.float32)).save(run.regions_path)
    caption = captioning.load(run.folder).caption(red)
    assert caption.attention.shape == (len(caption.words), 2, 2)
    assert caption.probabilities.shape == (len(caption.words),)
    assert (caption.confidence, caption.unsure) == (None, None)
