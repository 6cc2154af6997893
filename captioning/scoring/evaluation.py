"""How good a captioner is on a split: its loss, and the scores and the variety of the captions it says."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from captioning.data.splits import Split
from captioning.data.vocabulary import SPECIAL
from captioning.decoding.lengths import length_for
from captioning.decoding.stepwise import greedy
from captioning.models.kinds import AnyCaptioner
from captioning.progress import Progress
from captioning.scoring.cider import DocumentFrequencies, cider_d
from captioning.scoring.diversity import (
    distinct,
    mean_length,
    novel_share,
    unknown_rate,
    vocabulary_share,
    words_in_use,
)
from captioning.scoring.metrics import corpus_bleu, exercise_bleu, exercise_bleu_table
from captioning.scoring.rouge import rouge_l
from minigrad.parallel.communicators import ALONE
from minigrad.runtime.threads import split as split_evenly

__all__ = [
    "captions_of", "cider_d_by_image", "evaluate", "human_exercise_bleu", "known_captions", "mean_exercise_bleu",
    "mean_loss", "score",
]  # fmt: skip

Rows = NDArray[np.int64]
_IMAGES = 500  # whose features are in memory at once
_SILENT = Progress(enabled=False)


def mean_loss(
    model: AnyCaptioner,
    split: Split,
    images: Rows,
    batch_size: int = 100,
    progress: Progress = _SILENT,
    comm: Any = ALONE,
) -> float:
    """The loss of the captions of some images, averaged over captions; without dropout.

    comm: the ranks that share the batches, each of which calls this and gets the same bits as one alone.
    """
    rows = np.flatnonzero(np.isin(split.image_idxs, images))
    training = model.training
    model.eval()
    blocks = list(_batches_by_length(split, rows, batch_size))
    losses, done = np.zeros(sum(map(len, blocks))), 0
    progress.begin(len(rows), what="loss of captions")
    try:
        with mg.no_grad():
            for number, features, captions in _own_batches(split, blocks, comm):
                losses[number] = model.loss(features, captions).item() * len(captions)
                done += len(captions) * comm.size
                progress.update(min(done, len(rows)))
    finally:
        model.train(training)
    total = 0.0
    for loss in mg.parallel.merge(comm, losses).tolist():
        total += loss
    return total / len(rows)


def _batches_by_length(split: Split, rows: Rows, batch_size: int) -> Iterator[list[Rows]]:
    """All rows of captions in batches: those of some hundred images, which are read together, and then of the next.

    Captions of like length in a batch leave few columns of <NULL>; the mean over all is the same.
    """
    by_image = rows[np.argsort(split.image_idxs[rows], kind="stable")]
    _, first = np.unique(split.image_idxs[by_image], return_index=True)  # caption of each image
    for near in map(np.sort, np.split(by_image, first[_IMAGES::_IMAGES])):
        lengths = (split.captions[near] != split.vocabulary.null).sum(axis=1)
        near = near[np.argsort(lengths, kind="stable")]
        yield [near[start : start + batch_size] for start in range(0, len(near), batch_size)]


def _own_batches(split: Split, blocks: list[list[Rows]], comm: Any) -> Iterator[tuple[int, NDArray[Any], NDArray[Any]]]:
    """This rank's share of the batches: the number of each among all, its features (N,D) and captions (N,T).

    Of the images of a block each is read once.
    """
    before = 0
    for block in blocks:
        own = [(number, rows) for number, rows in enumerate(block, before) if number % comm.size == comm.rank]
        before += len(block)
        if own:
            images = np.unique(split.image_idxs[np.concatenate([rows for _, rows in own])])
            features = split.features[images]
            for number, rows in own:
                yield number, features[np.searchsorted(images, split.image_idxs[rows])], split.captions[rows]


def captions_of(
    model: AnyCaptioner,
    split: Split,
    images: Rows,
    decode: Any = greedy,
    max_length: int | None = None,
    progress: Progress = _SILENT,
    comm: Any = ALONE,
    shards: int | None = None,
) -> list[list[str]]:
    """The words that the model says for each image, at most `max_length` with `<END>`; None means `length_for(split)`.

    The features of some hundred images are read at once, and `decode` is called with them and `max_length`: random
    numbers that it draws must come from a Generator, which goes on, not from a seed.
    comm: the ranks that share the images, each of which calls this, with a `decode` that draws nothing. shards: how
    often each of these readings is divided for that; as many as ranks by default.
    """
    length = length_for(split) if max_length is None else max_length
    ids = np.zeros((len(images), length), np.int32)
    blocks = mg.parallel.blocks_of_shards(comm.size if shards is None else shards, comm.size)
    done = 0
    progress.begin(len(images), what="captions of images")
    for rows in _slices(len(images), blocks, comm.rank):
        found = decode(model, split.features[images[rows]], max_length=length)
        ids[rows] = model.vocabulary.null
        ids[rows, : found.shape[1]] = found
        done += len(found) * comm.size
        progress.update(min(done, len(images)))
    whole = mg.parallel.merge(comm, ids)
    return [model.vocabulary.tokens(row, keep_unknown=True) for row in whole]


def _slices(count: int, blocks: list[range], rank: int) -> Iterator[slice]:
    """Which of so many images a rank captions, some hundred at a time: of each reading the slices of its shards."""
    shards = sum(map(len, blocks))
    for start in range(0, count, _IMAGES):
        near = split_evenly(min(_IMAGES, count - start), shards)
        for part in near[blocks[rank].start : blocks[rank].stop]:
            if part.stop > part.start:
                yield slice(start + part.start, start + part.stop)


def evaluate(
    model: AnyCaptioner,
    split: Split,
    images: Rows,
    decode: Any = greedy,
    seed: int = 0,
    max_length: int | None = None,
    progress: Progress = _SILENT,
    frequencies: DocumentFrequencies | None = None,
    known: Container[tuple[str, ...]] | None = None,
) -> dict[str, float | None]:
    """The figures of a model on some images of a split: `score` of its `captions_of`."""
    said = captions_of(model, split, images, decode, max_length, progress)
    return score(model, split, images, said, seed, progress, frequencies, known)


def score(
    model: AnyCaptioner,
    split: Split,
    images: Rows,
    said: Sequence[Sequence[str]],
    seed: int = 0,
    progress: Progress = _SILENT,
    frequencies: DocumentFrequencies | None = None,
    known: Container[tuple[str, ...]] | None = None,
    comm: Any = ALONE,
) -> dict[str, float | None]:
    """The figures of a model that said a caption for each of some images of a split.

    frequencies: of CIDEr-D; None means those of the images' own references. known: captions that are not novel, such as
    `known_captions` of the training split. comm: the ranks that share what the loss takes, each of which calls this;
    the other figures are rank 0's alone. Returns a dict with

    - `loss`: the mean over all captions of the images;
    - `exercise_bleu`: the homework's, unigram BLEU against one caption of each image, drawn by `seed`, as the data set
      stores it; `exercise_bleu_mean`: the same in the mean over all captions of each image, without luck in the draw;
      `exercise_bleu_human`: what one human caption scores against the others of its image (`human_exercise_bleu`);
    - `corpus_bleu_1` to `corpus_bleu_4`, `rouge_l` and `cider_d`: against all captions of each image;
    - of what was said alone: `distinct_1` and `distinct_2`, `words_in_use` and `vocabulary_share`, `novel_share` (if
      there is `known`), `mean_length` in words, and `unknown_rate`;
    - `images` and `captions`: the counts.

    The two kinds of BLEU are different numbers: see `captioning.scoring.metrics`.
    """
    loss = mean_loss(model, split, images, progress=progress, comm=comm)
    if comm.rank:
        return {"loss": loss}
    progress.begin(len(images), what="scores of images")
    pairs = zip(_one_reference_each(split, images, seed), map(" ".join, said), strict=True)
    exercise = exercise_bleu(_counted(pairs, progress))
    references = [split.references(int(i)) for i in images]
    corpus = corpus_bleu(references, said)
    return {
        "loss": loss,
        "exercise_bleu": exercise,
        "exercise_bleu_mean": mean_exercise_bleu(split, images, said),
        "exercise_bleu_human": human_exercise_bleu(split, images),
        **{f"corpus_bleu_{n}": corpus[f"BLEU-{n}"] for n in range(1, 5)},
        "rouge_l": rouge_l(references, said)[0],
        "cider_d": float(cider_d_by_image(split, images, said, frequencies, progress).mean()),
        "distinct_1": distinct(said, 1),
        "distinct_2": distinct(said, 2),
        "words_in_use": words_in_use(said),
        "vocabulary_share": vocabulary_share(said, model.vocabulary),
        **({} if known is None else {"novel_share": novel_share(said, known)}),
        "mean_length": mean_length(said),
        "unknown_rate": unknown_rate(said),
        "images": len(images),
        "captions": int(np.isin(split.image_idxs, images).sum()),
    }


def cider_d_by_image(
    split: Split,
    images: Rows,
    said: Sequence[Sequence[str]],
    frequencies: DocumentFrequencies | None = None,
    progress: Progress = _SILENT,
) -> NDArray[np.float64]:
    """CIDEr-D of a caption of each of some images (n,) against all of its human captions: float64 (n,), in [0, 10].

    frequencies: None means those of these images' captions, so that the scores depend on which images they are.
    """
    references = [split.references(int(i)) for i in images]
    frequencies = DocumentFrequencies.of(references) if frequencies is None else frequencies
    scores = []
    progress.begin(len(references), what="CIDEr-D of images")
    for start in range(0, len(references), _IMAGES):
        block = slice(start, start + _IMAGES)
        scores.append(cider_d(references[block], said[block], frequencies)[1])
        progress.update(min(start + _IMAGES, len(references)))
    return np.concatenate(scores)


def known_captions(split: Split, progress: Progress = _SILENT) -> set[tuple[str, ...]]:
    """The captions that a training on a split has seen, as people wrote them and as the data set stores them, cut."""
    known = {tuple(words) for item in split.references_by_image() for words in item}
    stored, _ = split.stored
    progress.begin(len(stored), what="training captions")
    for done, row in enumerate(stored, 1):
        known.add(tuple(split.vocabulary.tokens(row, keep_unknown=True)))
        progress.update(done)
    return known


def mean_exercise_bleu(split: Split, images: Rows, said: Sequence[Sequence[str]]) -> float:
    """The exercise BLEU of one caption for each image, averaged over all stored captions of each image.

    It is what `evaluate` gives in the mean over its seeds, if all images have equally many captions.
    """
    scores = []
    for words, stored in zip(said, _stored(split, images), strict=True):
        plain = [[word for word in words if word not in SPECIAL]]
        scores.append(exercise_bleu_table(plain, stored).mean())
    return float(np.mean(scores))


def human_exercise_bleu(split: Split, images: Rows) -> float | None:
    """The exercise BLEU of a stored caption against another of the same image: about what people reach.

    The mean over all ordered pairs of an image, then over the images with at least two captions; None without any.
    """
    scores = []
    for stored in _stored(split, images):
        if len(stored) > 1:
            table = exercise_bleu_table(stored, stored)
            scores.append(table[~np.eye(len(stored), dtype=bool)].mean())
    return float(np.mean(scores)) if scores else None


def _stored(split: Split, images: Rows) -> Iterator[list[list[str]]]:
    """The captions of each image as the data set stores them, as words without special tokens."""
    order = np.argsort(split.image_idxs, kind="stable")
    owners = split.image_idxs[order]
    bounds = np.searchsorted(owners, images, side="left"), np.searchsorted(owners, images, side="right")
    for start, stop in zip(*bounds, strict=True):
        yield [split.vocabulary.tokens(row) for row in split.captions[order[start:stop]]]


def _counted(pairs: Iterable[tuple[str, str]], progress: Progress) -> Iterator[tuple[str, str]]:
    """The same pairs; progress tells how many were taken."""
    for done, pair in enumerate(pairs, 1):
        yield pair
        progress.update(done)


def _one_reference_each(split: Split, images: Rows, seed: int) -> Sequence[str]:
    """One stored caption of each image, drawn at random."""
    shuffled = np.random.default_rng(seed).permutation(len(split))
    owners, first = np.unique(split.image_idxs[shuffled], return_index=True)
    chosen = shuffled[first[np.searchsorted(owners, images)]]
    decoded = split.vocabulary.decode(split.captions[chosen])
    return [decoded] if isinstance(decoded, str) else decoded
