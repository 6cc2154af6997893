"""BLEU, ROUGE-L and CIDEr-D beside pycocoevalcap, which papers use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from captioning.scoring.cider import cider_d
from captioning.scoring.metrics import corpus_bleu, rouge_l
from tests.captioning.scoring.corpora import coco, flickr8k, said_by_people

FROZEN = json.loads(Path(__file__).with_name("pycocoevalcap.json").read_text("utf-8"))


def check(references, hypotheses, expected):
    """Ours are what the package gave: BLEU of the corpus, and ROUGE-L and CIDEr-D of the corpus and of each caption."""
    assert list(corpus_bleu(references, hypotheses).values()) == pytest.approx(expected["bleu"], abs=1e-6)
    for name, function in (("rouge_l", rouge_l), ("cider_d", cider_d)):
        mean, scores = function(references, hypotheses)
        assert mean == pytest.approx(expected[name][0], abs=1e-6)
        assert scores == pytest.approx(expected[name][1], abs=1e-6)


def ask(references, hypotheses):
    """What the package gives."""
    where = "no pycocoevalcap: it is not installed"
    bleu = pytest.importorskip("pycocoevalcap.bleu.bleu", reason=where).Bleu()
    rouge = pytest.importorskip("pycocoevalcap.rouge.rouge", reason=where).Rouge()
    cider = pytest.importorskip("pycocoevalcap.cider.cider", reason=where).Cider()
    truth = {i: [" ".join(tokens) for tokens in item] for i, item in enumerate(references)}
    said = {i: [" ".join(tokens)] for i, tokens in enumerate(hypotheses)}
    answers = {"bleu": bleu.compute_score(truth, said, verbose=0)[0]}
    for name, scorer in (("rouge_l", rouge), ("cider_d", cider)):
        mean, scores = scorer.compute_score(truth, said)
        answers[name] = [float(mean), [float(score) for score in scores]]
    return answers


def test_scores_are_what_the_package_gave():
    check(FROZEN["references"], FROZEN["hypotheses"], FROZEN["expected"])


def test_the_package_still_gives_it():
    expected = ask(FROZEN["references"], FROZEN["hypotheses"])
    assert expected["bleu"] == pytest.approx(FROZEN["expected"]["bleu"], abs=1e-12)
    for name in ("rouge_l", "cider_d"):
        assert expected[name][0] == pytest.approx(FROZEN["expected"][name][0], abs=1e-12)
        assert expected[name][1] == pytest.approx(FROZEN["expected"][name][1], abs=1e-12)


@pytest.mark.parametrize("captions", [flickr8k, coco])
def test_scores_of_real_captions_are_the_packages(captions):
    references, hypotheses = said_by_people(captions())
    check(references, hypotheses, ask(references, hypotheses))
