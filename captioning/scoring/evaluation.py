"""How good a captioner is on a split: its loss, and the BLEU of the captions it says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from captioning.data.splits import Split
from captioning.data.vocabulary import SPECIAL
from captioning.decoding.stepwise import greedy
from captioning.models.captioner import Captioner
from captioning.scoring.metrics import corpus_bleu, exercise_bleu, exercise_bleu_table

__all__ = ["captions_of", "evaluate", "human_exercise_bleu", "mean_exercise_bleu", "mean_loss"]

Rows = NDArray[np.int64]


def mean_loss(model: Captioner, split: Split, images: Rows, batch_size: int = 100) -> float:
    """The loss of the captions of some images, averaged over captions; without dropout."""
    rows = np.flatnonzero(np.isin(split.image_idxs, images))
    # Captions of like length in a batch leave few columns of <NULL>; the mean is the same.
    lengths = (split.captions[rows] != model.vocabulary.null).sum(axis=1)
    rows = rows[np.argsort(lengths, kind="stable")]
    training = model.training
    model.eval()
    total = 0.0
    with mg.no_grad():
        for start in range(0, len(rows), batch_size):
            batch = split.batch(rows[start : start + batch_size])
            total += model.loss(batch.features, batch.captions).item() * len(batch.captions)
    model.train(training)
    return total / len(rows)


def captions_of(model: Captioner, split: Split, images: Rows, decode: Any = greedy) -> list[list[str]]:
    """The words that the model says for each image, up to the length of the split's captions."""
    ids = decode(model, split.features[images], max_length=split.captions.shape[1] - 1)
    return [model.vocabulary.tokens(row, keep_unknown=True) for row in ids]


def evaluate(
    model: Captioner, split: Split, images: Rows, decode: Any = greedy, seed: int = 0
) -> dict[str, float | None]:
    """Loss, exercise BLEU and corpus BLEU of a model on some images of a split.

    Returns a dict with

    - `loss`: the mean over all captions of the images;
    - `exercise_bleu`: the homework's, unigram BLEU against one caption of each image, drawn by `seed`, as the data set
      stores it; `exercise_bleu_mean`: the same in the mean over all captions of each image, without luck in the draw;
      `exercise_bleu_human`: what one human caption scores against the others of its image (`human_exercise_bleu`);
    - `corpus_bleu_1` to `corpus_bleu_4`: against all captions of each image;
    - `images` and `captions`: the counts.

    The two kinds of BLEU are different numbers: see `captioning.scoring.metrics`.
    """
    said = captions_of(model, split, images, decode)
    corpus = corpus_bleu([split.references(int(i)) for i in images], said)
    exercise = exercise_bleu(zip(_one_reference_each(split, images, seed), map(" ".join, said), strict=True))
    return {
        "loss": mean_loss(model, split, images),
        "exercise_bleu": exercise,
        "exercise_bleu_mean": mean_exercise_bleu(split, images, said),
        "exercise_bleu_human": human_exercise_bleu(split, images),
        **{f"corpus_bleu_{n}": corpus[f"BLEU-{n}"] for n in range(1, 5)},
        "images": len(images),
        "captions": int(np.isin(split.image_idxs, images).sum()),
    }


def mean_exercise_bleu(split: Split, images: Rows, said: Sequence[Sequence[str]]) -> float:
    """The exercise BLEU of one caption for each image, averaged over all stored captions of each image.

    It is what `evaluate` gives in the mean over its seeds, if all images have equally many captions.
    """
    scores = []
    for i, words in zip(images, said, strict=True):
        plain = [[word for word in words if word not in SPECIAL]]
        scores.append(exercise_bleu_table(plain, _stored(split, i)).mean())
    return float(np.mean(scores))


def human_exercise_bleu(split: Split, images: Rows) -> float | None:
    """The exercise BLEU of a stored caption against another of the same image: about what people reach.

    The mean over all ordered pairs of an image, then over the images with at least two captions; None without any.
    """
    scores = []
    for i in images:
        stored = _stored(split, i)
        if len(stored) > 1:
            table = exercise_bleu_table(stored, stored)
            scores.append(table[~np.eye(len(stored), dtype=bool)].mean())
    return float(np.mean(scores)) if scores else None


def _stored(split: Split, image: int) -> list[list[str]]:
    """The captions of an image as the data set stores them, as words without special tokens."""
    return [split.vocabulary.tokens(row) for row in split.captions[split.image_idxs == image]]


def _one_reference_each(split: Split, images: Rows, seed: int) -> Sequence[str]:
    """One stored caption of each image, drawn at random."""
    shuffled = np.random.default_rng(seed).permutation(len(split))
    owners, first = np.unique(split.image_idxs[shuffled], return_index=True)
    chosen = shuffled[first[np.searchsorted(owners, images)]]
    decoded = split.vocabulary.decode(split.captions[chosen])
    return [decoded] if isinstance(decoded, str) else decoded
