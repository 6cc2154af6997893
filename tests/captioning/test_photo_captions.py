"""Captions of photos: read, turned into features, said."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from captioning.cli.caption import caption_photos, extractor_of
from captioning.data.vocabulary import Vocabulary
from captioning.models.attention_captioner import AttentionCaptioner
from captioning.models.captioner import Captioner
from captioning.training.run_files import RunError
from captioning.training.run_folder import Run
from captioning.vision.extractors import EXTRACTORS
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
    done = []
    found = list(caption_photos(photos, namer(), GridExtractor(), report=done.append))
    assert [each.caption for each in found] == ["red", "green", "blue"] * 4
    assert [each.path for each in found] == photos
    assert done == [12]


def test_one_that_cannot_be_read_is_told_and_the_others_go_on(photos):
    photos[1].write_bytes(b"no photo")
    photos[2].unlink()
    for path in photos[8:]:
        path.write_bytes(b"")  # a whole batch
    found = list(caption_photos(photos, namer(), GridExtractor()))
    assert [each.caption for each in found] == ["red", None, None, "red", "green", "blue", "red", "green", *[None] * 4]
    for each in found:
        assert (each.caption is None) == (each.error is not None)
        assert each.error is None or str(each.path) in each.error


def a_run(tmp_path, feature_size=3, **data):
    model = Captioner(WORDS, feature_size, 4, 8, "rnn", rng=0)
    kept = ("feature_size", "wordvec_size", "hidden_size", "cell_type", "dropout", "forget_bias")
    settings = {"model": {name: getattr(model, name) for name in kept} | {"dtype": "float32"}}
    return Run.create(tmp_path / "run", settings | {"training": {}, "data": data}, WORDS)


def test_a_run_says_which_network_made_its_features(tmp_path, monkeypatch):
    monkeypatch.setitem(EXTRACTORS, "grid", GridExtractor)
    run = a_run(tmp_path, extractor="grid")
    assert extractor_of(run).name == extractor_of(run, "grid").name == "grid"
    with pytest.raises(RunError, match="was trained on features of grid; got --extractor efficientnet-lite0"):
        extractor_of(run, "efficientnet-lite0")


def test_a_run_of_unknown_features_needs_to_be_told(tmp_path, monkeypatch):
    monkeypatch.setitem(EXTRACTORS, "grid", GridExtractor)
    run = a_run(tmp_path)
    with pytest.raises(RunError, match=r"does not say which network made .* If it was grid, pass --extractor"):
        extractor_of(run)
    assert extractor_of(run, "grid").size == 3


def test_features_that_do_not_fit_are_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(EXTRACTORS, "grid", GridExtractor)
    run = a_run(tmp_path, feature_size=2, extractor="grid", pca=True)
    with pytest.raises(RunError, match=r"features of 2 columns, reduced ones: train with --no-pca .* grid gives 3"):
        extractor_of(run)


def a_looking_run(tmp_path, columns=2):
    """A run with attention over the 2x2 places of a grid."""
    model = AttentionCaptioner(WORDS, 3 + 4 * columns, (4, columns), 4, 8, 6, 4, 2, rng=0)
    settings = {"model": {"kind": "attention", **model.settings}, "training": {}, "data": {"extractor": "grid"}}
    return Run.create(tmp_path / "run", settings, WORDS, best=model.state_dict())


def test_a_run_that_looks_at_regions_gets_them_by_its_projection(tmp_path, monkeypatch, photos):
    monkeypatch.setitem(EXTRACTORS, "grid", GridExtractor)
    run, weight = a_looking_run(tmp_path), np.random.default_rng(0).standard_normal((3, 2)).astype(np.float32)
    RegionProjection(weight, np.array([1, 2], np.float32)).save(run.regions_path)
    network = extractor_of(run)
    assert (network.name, network.size, network.grid) == ("grid", 11, (2, 2))
    prepared = np.stack([network.read(path) for path in photos[:3]])
    rows, maps = network.features(prepared), GridExtractor().maps(prepared)
    np.testing.assert_allclose(rows[:, :3], maps.mean(axis=(1, 2)), rtol=1e-6)
    np.testing.assert_allclose(rows[:, 3:], (maps @ weight + [1, 2]).reshape(3, -1), rtol=1e-5)
    found = list(caption_photos(photos, run.load_model(), network))
    assert all(each.caption is not None for each in found)


def test_without_a_projection_that_fits_it_is_told_how_to_get_one(tmp_path, monkeypatch):
    monkeypatch.setitem(EXTRACTORS, "grid", GridExtractor)
    run = a_looking_run(tmp_path)
    with pytest.raises(RunError, match=r"regions\.safetensors: there is no such file.*captioning regions .* finds"):
        extractor_of(run)
    RegionProjection(np.ones((3, 5), np.float32), np.ones(5, np.float32)).save(run.regions_path)
    with pytest.raises(RunError, match="gives 5 numbers a place; the run was trained on 2"):
        extractor_of(run)
    RegionProjection(np.ones((4, 2), np.float32), np.ones(2, np.float32)).save(run.regions_path)
    with pytest.raises(RunError, match="takes 4 numbers a place; grid has 3"):
        extractor_of(run)
