"""The figures of a captioner on a split."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from captioning.data.parts import images_of_part
from captioning.models.captioner import Captioner
from captioning.scoring.evaluation import captions_of, evaluate, human_exercise_bleu, mean_exercise_bleu, mean_loss
from captioning.scoring.metrics import BLEU_score, corpus_bleu


def test_the_figures_are_those_of_their_definitions(small_data):
    model, split = Captioner(small_data.vocabulary, 6, 8, 12, rng=0, dropout=0.4), small_data.val
    images = images_of_part(split, "second")
    figures = evaluate(model, split, images, seed=2)
    said = captions_of(model, split, images)
    expected = corpus_bleu([split.references(int(i)) for i in images], said)
    assert {n: figures[f"corpus_bleu_{n[-1]}"] for n in expected} == expected
    assert figures["images"] == 12
    assert figures["captions"] == 24
    model.eval()
    rows = np.flatnonzero(split.image_idxs >= 12)
    losses = [model.loss(*split.batch([row])[1::-1]).item() for row in rows]
    assert figures["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert mean_loss(model, split, images, batch_size=7) == pytest.approx(figures["loss"], rel=1e-5)
    possible = [
        {BLEU_score(" ".join(reference), " ".join(words)) for reference in split.references(int(i))}
        for i, words in zip(images, said, strict=True)
    ]
    low, high = np.mean([min(p) for p in possible]), np.mean([max(p) for p in possible])
    assert low <= figures["exercise_bleu"] <= high
    every = [
        BLEU_score(" ".join(reference), " ".join(words))
        for i, words in zip(images, said, strict=True)
        for reference in split.references(int(i))
    ]
    assert mean_exercise_bleu(split, images, said) == pytest.approx(np.mean(every))
    assert figures["exercise_bleu_mean"] == pytest.approx(np.mean(every))


def test_human_exercise_bleu_is_the_mean_over_pairs(small_data):
    split = small_data.val
    images = images_of_part(split, "first")
    pairs = [
        BLEU_score(" ".join(truth), " ".join(other))
        for stored in (split.references(int(i)) for i in images)
        for truth, other in itertools.permutations(stored, 2)
    ]
    assert human_exercise_bleu(split, images) == pytest.approx(np.mean(pairs))
    lone = split.with_captions(split.captions[:1], split.image_idxs[:1])
    assert human_exercise_bleu(lone, split.image_idxs[:1]) is None
