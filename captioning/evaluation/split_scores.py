"""Evaluate a captioner on a split: its loss, its captions, their scores and diversity, and files of results.

`write_results` uses COCO's results format, which other evaluation tools read: a JSON array of objects with `image_id`
and `caption` (https://cocodataset.org/#format-results). Compare two scores only if their `signature` is equal, as
in sacreBLEU: M. Post, A call for clarity in reporting BLEU scores (2018).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Container, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from captioning.data.errors import DataError
from captioning.data.folder import read_text
from captioning.data.splits import Split
from captioning.data.tokens import TOKENIZERS, recorded_tokenizer_name
from captioning.data.vocabulary import SPECIAL
from captioning.decoding.batches import CaptionModel, length_for
from captioning.decoding.stepwise import greedy
from captioning.progress import SILENT, Progress
from captioning.scoring.cider import DocumentFrequencies, cider_d
from captioning.scoring.metrics import BLEU_score, corpus_bleu, diversity, exercise_bleu_table, rouge_l
from minigrad.parallel.communicators import ALONE
from minigrad.runtime.files import replacing
from minigrad.runtime.threads import split as split_evenly

__all__ = [
    "SCORE_TABLE", "captions_of", "cider_d_by_image", "evaluate", "human_exercise_bleu", "image_ids",
    "known_captions", "mean_exercise_bleu", "mean_loss", "read_results", "score", "score_captions", "signature",
    "write_results",
]  # fmt: skip

_COCO_NAME = re.compile(r"(?:.*_)?(\d{12})(?:\.\w+)?")  # such as COCO_val2014_000000391895.jpg
Rows = NDArray[np.int64]
_IMAGES = 500  # images whose features are in memory at once

SCORE_TABLE = {
    "against all human captions of an image, as in papers (some print 100 x CIDEr-D)": {
        **{f"corpus_bleu_{n}": (f"corpus BLEU-{n}", ".4f", f"n-grams up to n = {n} that people use, 0 to 1")
           for n in range(1, 5)},
        "rouge_l": ("ROUGE-L", ".4f", "longest common subsequence, 0 to 1"),
        "cider_d": ("CIDEr-D", ".4f", "n-grams that people agree on, 0 to 10"),
    },
    "against one human caption": {
        "loss": ("loss", ".3f", "mean cross-entropy of a human caption, nats"),
        "exercise_bleu": ("exercise BLEU", ".4f", "unigrams, one reference, mean over images"),
        "exercise_bleu_mean": ("exercise BLEU, mean", ".4f", "mean over all references"),
        "exercise_bleu_human": ("exercise BLEU of people", ".4f", "one human caption against another"),
    },
    "what was said, true or not": {
        "distinct_1": ("distinct-1", ".4f", "different words, of all words"),
        "distinct_2": ("distinct-2", ".4f", "different pairs of words, of all pairs"),
        "words_in_use": ("words in use", "d", "different words in the captions"),
        "vocabulary_share": ("vocabulary share", ".1%", "words in use, of the vocabulary"),
        "novel_share": ("novel captions", ".1%", "captions that are no training caption"),
        "mean_length": ("mean length", ".2f", "words per caption"),
        "unknown_rate": ("unknown words", ".2%", "<UNK>, of all words"),
    },
}  # fmt: skip
"""The keys of `score` under each heading, and of each the name, the format and the meaning.

`captioning.evaluation.comparison` compares the scores under the first heading.
"""


def mean_loss(
    model: CaptionModel,
    split: Split,
    images: Rows,
    batch_size: int = 100,
    progress: Progress = SILENT,
    comm: Any = ALONE,
) -> float:
    """Return the mean loss of the human captions of some images, without dropout.

    comm: the ranks that share the batches. All ranks call this, and get the same bits as one process.
    """
    rows = np.flatnonzero(np.isin(split.image_idxs, images))
    training = model.training
    model.eval()
    blocks = list(_batches_by_length(split, rows, batch_size))
    losses, done, first = np.zeros(sum(map(len, blocks))), 0, 0
    progress.begin(len(rows), what="loss of captions")
    try:
        with mg.no_grad():
            for block in blocks:
                own = range(first + (comm.rank - first) % comm.size, first + len(block), comm.size)
                if own:
                    near = np.unique(split.image_idxs[np.concatenate([block[k - first] for k in own])])
                    features = split.features[near]  # each image of a block is read once
                for number in own:
                    batch = block[number - first]
                    places = np.searchsorted(near, split.image_idxs[batch])
                    losses[number] = model.loss(features[places], split.captions[batch]).item() * len(batch)
                    done += len(batch) * comm.size
                    progress.update(min(done, len(rows)))
                first += len(block)
    finally:
        model.train(training)
    return float(sum(mg.parallel.merge(comm, losses).tolist()) / len(rows))


def _batches_by_length(split: Split, rows: Rows, batch_size: int) -> Iterator[list[Rows]]:
    """Yield the batches of caption rows of each block of images, whose features are read together.

    A batch has captions of similar length, so that few columns are <NULL>.
    """
    by_image = rows[np.argsort(split.image_idxs[rows], kind="stable")]
    _, first = np.unique(split.image_idxs[by_image], return_index=True)  # caption of each image
    for near in map(np.sort, np.split(by_image, first[_IMAGES::_IMAGES])):
        lengths = (split.captions[near] != split.vocabulary.null).sum(axis=1)
        near = near[np.argsort(lengths, kind="stable")]
        yield [near[start : start + batch_size] for start in range(0, len(near), batch_size)]


def captions_of(
    model: CaptionModel,
    split: Split,
    images: Rows,
    decode: Any = greedy,
    max_length: int | None = None,
    progress: Progress = SILENT,
    comm: Any = ALONE,
    shards: int | None = None,
) -> list[list[str]]:
    """Return the model's caption of each image, a list of words.

    decode: called with the model, the features of a block of images, and `max_length`. Give it a Generator instead of a
    seed if it draws random numbers, so that blocks draw different ones. max_length: the most words, `<END>` included;
    by default `length_for(split)`. comm: the ranks that share the images. All ranks call this with a `decode` that
    draws nothing. shards: the number of parts of a block; by default the number of ranks.
    """
    length = length_for(split) if max_length is None else max_length
    ids, done = np.zeros((len(images), length), np.int32), 0
    blocks = mg.parallel.blocks_of_shards(comm.size if shards is None else shards, comm.size)
    progress.begin(len(images), what="captions of images")
    for start in range(0, len(images), _IMAGES):
        near = images[start : start + _IMAGES]
        parts = split_evenly(len(near), sum(map(len, blocks)))
        for part in (parts[shard] for shard in blocks[comm.rank]):
            if part.stop > part.start:
                found = decode(model, split.features[near[part]], max_length=length)
                own = ids[start + part.start : start + part.stop]
                own[...] = model.vocabulary.null
                own[:, : found.shape[1]] = found
                done += len(found) * comm.size
                progress.update(min(done, len(images)))
    return [model.vocabulary.tokens(row, keep_unknown=True) for row in mg.parallel.merge(comm, ids)]


def evaluate(
    model: CaptionModel,
    split: Split,
    images: Rows,
    decode: Any = greedy,
    seed: int = 0,
    max_length: int | None = None,
    progress: Progress = SILENT,
    frequencies: DocumentFrequencies | None = None,
    known: Container[tuple[str, ...]] | None = None,
) -> dict[str, float | None]:
    """Caption some images of a split, and return the scores; see `captions_of` and `score`."""
    captions = captions_of(model, split, images, decode, max_length, progress)
    return score(model, split, images, captions, seed, progress, frequencies, known)


def score(
    model: CaptionModel,
    split: Split,
    images: Rows,
    captions: Sequence[Sequence[str]],
    seed: int = 0,
    progress: Progress = SILENT,
    frequencies: DocumentFrequencies | None = None,
    known: Container[tuple[str, ...]] | None = None,
    comm: Any = ALONE,
) -> dict[str, float | None]:
    """Return `loss`, the mean over all human captions of the images, and what `score_captions` returns.

    comm: the ranks that share the computation of the loss. All ranks call this, and only rank 0 gets the other scores.
    """
    loss = mean_loss(model, split, images, progress=progress, comm=comm)
    if comm.rank:
        return {"loss": loss}
    return {"loss": loss, **score_captions(split, images, captions, seed, progress, frequencies, known)}


def score_captions(
    split: Split,
    images: Rows,
    captions: Sequence[Sequence[str]],
    seed: int = 0,
    progress: Progress = SILENT,
    frequencies: DocumentFrequencies | None = None,
    known: Container[tuple[str, ...]] | None = None,
) -> dict[str, float | None]:
    """Return the scores of captions, lists of words, of some images.

    frequencies: of CIDEr-D; by default those of the images' references. known: captions that are not novel, such as
    `known_captions` of the training split.

    Returns the figures of `SCORE_TABLE` except `loss`, and the numbers of `images` and of human `captions`.
    `exercise_bleu` takes a stored caption of each image, drawn by `seed`. `exercise_bleu_human` is None if no image has
    two captions. `novel_share` needs `known`.
    """
    pairs = list(zip(_one_reference_each(split, images, seed), captions, strict=True))
    exercise = [BLEU_score(reference, " ".join(words)) for reference, words in progress.track(pairs, "exercise BLEU")]
    references = [split.references(int(i)) for i in images]
    corpus = corpus_bleu(references, captions)
    return {
        "exercise_bleu": sum(exercise) / len(images),
        "exercise_bleu_mean": mean_exercise_bleu(split, images, captions),
        "exercise_bleu_human": human_exercise_bleu(split, images),
        **{f"corpus_bleu_{n}": corpus[f"BLEU-{n}"] for n in range(1, 5)},
        "rouge_l": rouge_l(references, captions)[0],
        "cider_d": float(cider_d_by_image(split, images, captions, frequencies, progress).mean()),
        **diversity(captions, split.vocabulary, known),
        "images": len(images),
        "captions": int(np.isin(split.image_idxs, images).sum()),
    }


def cider_d_by_image(
    split: Split,
    images: Rows,
    captions: Sequence[Sequence[str]],
    frequencies: DocumentFrequencies | None = None,
    progress: Progress = SILENT,
) -> NDArray[np.float64]:
    """Return the CIDEr-D of one caption for each of n images against the human captions: float64 (n,), in [0, 10].

    frequencies: by default those of these images' captions, so that the scores depend on the choice of images.
    """
    references = [split.references(int(i)) for i in images]
    frequencies = DocumentFrequencies.of(references, progress=progress) if frequencies is None else frequencies
    return cider_d(references, captions, frequencies)[1]


def known_captions(split: Split, progress: Progress = SILENT) -> set[tuple[str, ...]]:
    """Return the captions that a training run on a split has seen: raw ones and stored ones."""
    known = {tuple(words) for item in split.references_by_image() for words in item}
    stored, _ = split.stored
    rows = progress.track(stored, "training captions")
    return known | {tuple(split.vocabulary.tokens(row, keep_unknown=True)) for row in rows}


def mean_exercise_bleu(split: Split, images: Rows, captions: Sequence[Sequence[str]]) -> float:
    """Return the mean exercise BLEU of one caption for each image against all stored captions of the image."""
    pairs = zip(captions, _stored(split, images), strict=True)
    tables = [exercise_bleu_table([[w for w in words if w not in SPECIAL]], stored) for words, stored in pairs]
    return float(np.mean([table.mean() for table in tables]))


def human_exercise_bleu(split: Split, images: Rows) -> float | None:
    """Return the mean exercise BLEU of a stored caption against another one of the same image.

    This is the mean over all ordered pairs of an image, then over the images; None if no image has two captions.
    """
    tables = [exercise_bleu_table(stored, stored) for stored in _stored(split, images) if len(stored) > 1]
    scores = [table[~np.eye(len(table), dtype=bool)].mean() for table in tables]
    return float(np.mean(scores)) if scores else None


def _stored(split: Split, images: Rows) -> Iterator[list[list[str]]]:
    """Yield the stored captions of each image, as words without special tokens."""
    order = np.argsort(split.image_idxs, kind="stable")
    owners = split.image_idxs[order]
    bounds = np.searchsorted(owners, images, side="left"), np.searchsorted(owners, images, side="right")
    for start, stop in zip(*bounds, strict=True):
        yield [split.vocabulary.tokens(row) for row in split.captions[order[start:stop]]]


def _one_reference_each(split: Split, images: Rows, seed: int) -> Sequence[str]:
    """Return a stored caption of each image, drawn at random."""
    shuffled = np.random.default_rng(seed).permutation(len(split))
    owners, first = np.unique(split.image_idxs[shuffled], return_index=True)
    chosen = shuffled[first[np.searchsorted(owners, images)]]
    decoded = split.vocabulary.decode(split.captions[chosen])
    return [decoded] if isinstance(decoded, str) else decoded


def image_ids(split: Split) -> list[int]:
    """Return the id of each image of a split: the number in its file name if all names are COCO's, else its row.

    >>> [match[1] for name in ("COCO_val2014_000000000042.jpg", "dog.jpg") if (match := _COCO_NAME.fullmatch(name))]
    ['000000000042']
    """
    rows = list(range(len(split.features)))
    if not split.has_image_names:
        return rows
    found = [_COCO_NAME.fullmatch(name) for name in split.image_names]
    ids = [int(match[1]) for match in found if match]
    return ids if len(set(ids)) == len(rows) else rows  # duplicate ids would be ambiguous


def write_results(
    path: str | os.PathLike[str], split: Split, images: Iterable[int], captions: Sequence[Sequence[str]]
) -> None:
    """Write captions, lists of words, of some image rows of a split.

    Objects also have the image's `file_name`, if the data set has names. The file appears whole or not at all.
    """
    ids, names = image_ids(split), split.image_names if split.has_image_names else None
    results = [
        {"image_id": ids[i], "caption": " ".join(words), **({} if names is None else {"file_name": names[i]})}
        for i, words in zip(map(int, images), captions, strict=True)
    ]
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def read_results(
    path: str | os.PathLike[str], split: Split, images: Rows, others: Iterable[Split] = ()
) -> list[list[str]]:
    """Return the caption of each image row in a file of COCO's results format, as a list of words.

    A caption whose words are all in the vocabulary stays as it is, as `write_results` wrote it. Others are split by the
    tokenizer of the data set. Captions of other images of the split are ignored.

    others: splits to look for an unknown id, for the error.

    Raises:
        DataError: for a file of another format, an unknown or duplicate id, or images without a caption.
    """
    text, tokenizer = read_text(Path(path)), TOKENIZERS[recorded_tokenizer_name(split.captions_path)]
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not JSON: {error}") from error
    if not isinstance(entries, list):
        raise DataError(f"{path}: must be a list of objects with image_id and caption, COCO's results format; got "
                        f"{type(entries).__name__}")  # fmt: skip
    ids, found = image_ids(split), dict[int, list[str]]()
    there = set(ids)
    for n, entry in enumerate(entries):
        image, caption = (entry.get(key) if isinstance(entry, dict) else None for key in ("image_id", "caption"))
        if type(image) is not int or not isinstance(caption, str):
            wrong = "caption" if type(image) is int else "image_id"
            raise DataError(f"{path}: entry {n} must be an object with an int image_id and a text caption, but its "
                            f"{wrong} is missing or of another type: {json.dumps(entry)[:80]}")  # fmt: skip
        if image not in there:
            where = [other.name for other in others if image in image_ids(other)]
            cure = (
                f"It is one of the {where[0]} split: pass --split {where[0]}."
                if where
                else ("`captioning evaluate --out` writes the ids of its images.")
            )
            raise DataError(f"{path}: entry {n} has image_id {image}, which is not an image of the {split.name} split "
                            f"of {split.folder}. {cure}")  # fmt: skip
        if image in found:
            raise DataError(f"{path}: entry {n} is a second caption of image_id {image}. Keep one caption per image.")
        words = caption.split()
        found[image] = words if all(word in split.vocabulary for word in words) else tokenizer(caption)
    if missing := [ids[i] for i in images if ids[i] not in found]:
        raise DataError(f"{path}: has no caption for {len(missing)} of {len(images)} images, the first of image_id "
                        f"{missing[0]}. Add them, or choose images with --split, --part and --max-images.")  # fmt: skip
    return [found[ids[i]] for i in images]


def signature(
    split: Split,
    part: str,
    images: int,
    decoding: str,
    max_length: int | str,
    drawn_by: int | None = None,
    frequencies: str | None = None,
) -> str:
    """Return the signature of scores: the images, the references, and how captions were decoded.

    part, images: the part of the split, and the number of images. drawn_by: the seed that drew them, unless they are
    all images of the part. decoding, max_length: a description such as 'greedy' or 'beam 3', and the most words;
    'unknown' for captions of another program. frequencies: 'corpus' if CIDEr-D used those of the references, 'train'
    for the training captions; None without CIDEr-D.

    References are 'raw', as people wrote them, or 'stored', cut as in the data set:

    ```
    references:raw|tokenizer:words|split:val|part:all|images:1000|decoding:greedy|max_length:34|frequencies:corpus
    ```
    """
    fields = {
        "references": "raw" if split.has_raw_captions else "stored",
        "tokenizer": recorded_tokenizer_name(split.captions_path),
        "split": split.name,
        "part": part,
        "images": images if drawn_by is None else f"{images} drawn by {drawn_by}",
        "decoding": decoding,
        "max_length": max_length,
    }
    if frequencies is not None:
        fields["frequencies"] = frequencies
    return "|".join(f"{name}:{value}" for name, value in fields.items())
