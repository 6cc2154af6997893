"""The figures of a captioner on a split."""

import itertools
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from captioning.data.dataset import open_captions
from captioning.data.features import FeatureRows
from captioning.data.splits import images_of_part
from captioning.decoding.batches import length_for
from captioning.decoding.stepwise import sample
from captioning.evaluation.split_scores import (
    SCORE_TABLE,
    captions_of,
    cider_d_by_image,
    evaluate,
    human_exercise_bleu,
    known_captions,
    mean_exercise_bleu,
    mean_loss,
    score,
)
from captioning.models.captioner import Captioner
from captioning.scoring.cider import DocumentFrequencies, cider_d
from captioning.scoring.metrics import BLEU_score, corpus_bleu, diversity, rouge_l


@pytest.fixture
def model(small_data):
    return Captioner(small_data.vocabulary, 6, 8, 12, rng=0, dtype=np.float64, dropout=0.4)


def bleu_with(words, references):
    return [BLEU_score(" ".join(reference), " ".join(words)) for reference in references]


def test_the_figures_are_those_of_their_definitions(small_data, model):
    split, known = small_data.val, known_captions(small_data.train)
    images = images_of_part(split, "second")
    figures = evaluate(model, split, images, seed=2, known=known)
    assert figures.keys() == {key for rows in SCORE_TABLE.values() for key in rows} | {"images", "captions"}
    said, references = captions_of(model, split, images), [split.references(int(i)) for i in images]
    expected = corpus_bleu(references, said)
    assert {n: figures[f"corpus_bleu_{n[-1]}"] for n in expected} == expected
    assert figures["rouge_l"] == rouge_l(references, said)[0]
    assert figures["cider_d"] == pytest.approx(cider_d(references, said)[0], abs=1e-12)
    assert (figures["images"], figures["captions"]) == (12, 24)
    assert figures.items() >= diversity(said, small_data.vocabulary, known).items()
    model.eval()
    losses = [model.loss(*split.batch([row])[1::-1]).item() for row in np.flatnonzero(split.image_idxs >= 12)]
    assert figures["loss"] == pytest.approx(np.mean(losses), rel=1e-9)
    assert mean_loss(model, split, images, batch_size=7) == pytest.approx(figures["loss"], rel=1e-9)
    possible = [bleu_with(words, item) for words, item in zip(said, references, strict=True)]
    assert np.min(possible, axis=1).mean() <= figures["exercise_bleu"] <= np.max(possible, axis=1).mean()
    assert figures["exercise_bleu_mean"] == mean_exercise_bleu(split, images, said) == pytest.approx(np.mean(possible))


def test_figures_with_frequencies_of_the_training_captions(small_data, model):
    split, images, said = small_data.val, np.array([0, 3, 7]), [["a", "dog"], ["a", "dog", "<UNK>"], ["a", "bird"]]
    assert ("a", "dog", "runs") in known_captions(small_data.train)
    frequencies = DocumentFrequencies.of(small_data.train.references_by_image())
    figures, of_training = score(model, split, images, said), score(model, split, images, said, frequencies=frequencies)
    assert "novel_share" not in figures
    assert of_training["cider_d"] == cider_d_by_image(split, images, said, frequencies).mean() != figures["cider_d"]


def test_cider_d_by_image_is_that_of_all_at_once(small_data, few_at_once):
    split, images = small_data.val, np.array([20, 3, 5, 11, 2, 9, 1])
    said = [split.references(int(i))[0] for i in images[::-1]]
    mean, expected = cider_d([split.references(int(i)) for i in images], said)
    assert 0 < mean < 10
    for found in (cider_d_by_image(split, images, said), cider_d_by_image(few_at_once, images, said)):
        assert (found.dtype, found.tolist()) == (np.float64, expected.tolist())


def test_known_captions_are_whole_and_cut(small_folder, tmp_path):
    folder = Path(shutil.copytree(small_folder, tmp_path / "data"))
    names = [f"{i}.jpg" for i in range(24)]
    (folder / "train2014_images.txt").write_text("\n".join(names) + "\n")
    words = ("a", "caption", "that", "is", "longer", "than", "what", "was", "stored")
    rows = [f"{name},train,{' '.join(words)} .\n" for name in names]
    (folder / "captions.csv").write_text("image,split,caption\n" + "".join(rows))
    with open_captions(folder) as data:
        stored = {tuple(data.vocabulary.tokens(row)) for row in data.train.captions}
        assert known_captions(data.train) == {*stored, words}


@pytest.fixture
def few_at_once(small_folder, monkeypatch):
    """A split whose features stay in the file, of which so few are read at once that there are several blocks."""
    monkeypatch.setattr("captioning.evaluation.split_scores._IMAGES", 5)
    with open_captions(small_folder, cache_bytes=0) as data:
        yield data.val


def test_features_are_read_by_blocks(small_data, model, few_at_once, monkeypatch):
    """And the random numbers of a generator go on from block to block."""
    images, read, of_rows = np.arange(1, 24), [], FeatureRows._read
    whole = evaluate(model, small_data.val, images)
    monkeypatch.setattr(FeatureRows, "_read", lambda self, rows: read.append(len(rows)) or of_rows(self, rows))
    assert evaluate(model, few_at_once, images) == pytest.approx(whole, rel=1e-12)
    assert read == [5, 5, 5, 5, 3, 5, 5, 5, 5, 3]  # for the captions, and again for the loss
    drawn = partial(sample, temperature=3.0, rng=np.random.default_rng(0))
    said = captions_of(model, few_at_once, np.zeros(10, int), drawn)
    assert said[:5] != said[5:]


def test_captions_are_as_long_as_asked(small_data, model):
    model.predict.bias.data[small_data.vocabulary.end] = -99.0
    for asked, length in ((1, 1), (20, 20), (None, length_for(small_data.val))):
        assert {len(words) for words in captions_of(model, small_data.val, np.arange(3), max_length=asked)} == {length}


def test_human_exercise_bleu_is_the_mean_over_pairs(small_data):
    split = small_data.val
    images = images_of_part(split, "first")
    pairs = [bleu_with(two, [one]) for i in images for one, two in itertools.permutations(split.references(int(i)), 2)]
    assert human_exercise_bleu(split, images) == pytest.approx(np.mean(pairs))
    lone = split.with_captions(split.captions[:1], split.image_idxs[:1])
    assert human_exercise_bleu(lone, split.image_idxs[:1]) is None
