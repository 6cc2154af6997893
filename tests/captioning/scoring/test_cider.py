"""CIDEr-D against its formula, and of images whose references are kept."""

from __future__ import annotations

import io
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.progress import Progress
from captioning.scoring.cider import CiderD, DocumentFrequencies, cider_d
from tests.captioning.scoring.corpora import CORPORA, WORDS, columns


def grams(tokens, n):
    return [tuple(tokens[k : k + n]) for k in range(len(tokens) - n + 1)]


def weights(tokens, n, images):
    """g_k of the paper's equation 1, over all n-grams of all images and of the caption, as a dict.

    images: the captions of each. tf is the share of the caption's n-grams, idf the log of images over those with it.
    """
    own = grams(tokens, n)
    g = {}
    for k in own:
        having = sum(min(1, sum(grams(caption, n).count(k) for caption in captions)) for captions in images)
        g[k] = own.count(k) / len(own) * math.log(len(images) / max(1, having))
    return g


def length(g):
    return math.sqrt(sum(value * value for value in g.values()))


def cider_d_by_the_paper(references, hypotheses):
    """Equation 4 with counts for tf, since clipping compares how often: times 10, clipped, and with the penalty."""
    scores = []
    for item, hypothesis in zip(references, hypotheses, strict=True):
        total = 0.0
        for n, reference in itertools.product((1, 2, 3, 4), item):
            one, other = (
                {k: g * len(grams(tokens, n)) for k, g in weights(tokens, n, references).items()}
                for tokens in (hypothesis, reference)
            )
            if length(one) and length(other):
                cosine = sum(min(one[k], other[k]) * other[k] for k in one.keys() & other.keys())
                penalty = math.exp(-((len(hypothesis) - len(reference)) ** 2) / (2 * 6**2))
                total += 10 * penalty * cosine / length(one) / length(other)
        scores.append(total / 4 / len(item))
    return scores


@given(CORPORA, st.booleans())
def test_scores_are_those_of_the_papers_formula(corpus, counts_end):
    references, hypotheses = columns(corpus)
    mean, scores = cider_d(references, hypotheses)
    assert scores == pytest.approx(cider_d_by_the_paper(references, hypotheses), abs=1e-12)
    assert mean == pytest.approx(scores.mean(), abs=1e-15)
    frequencies = DocumentFrequencies.of(references, end="<END>" if counts_end else None)
    expected = cider_d(references, hypotheses, frequencies)[1].tolist()
    kept = CiderD(dict(enumerate(references)), frequencies)
    assert kept.score_many(np.arange(len(references)), hypotheses).tolist() == expected
    assert [kept.score(i, words) for i, words in enumerate(hypotheses)] == expected


@given(CORPORA, st.integers(0, 100))
def test_cider_d_does_not_depend_on_the_order_or_on_names_of_words(corpus, turn):
    references, hypotheses = columns(corpus)
    _, scores = cider_d(references, hypotheses)
    turn %= len(corpus)
    moved = [item[::-1] for item in references[turn:] + references[:turn]]
    _, others = cider_d(moved, hypotheses[turn:] + hypotheses[:turn])
    assert np.roll(scores, -turn) == pytest.approx(others, abs=1e-12)
    ids = [[[ord(word) for word in tokens] for tokens in item] for item in references]
    _, of_ids = cider_d(ids, [np.array([ord(word) for word in tokens], np.int32) for tokens in hypotheses])
    assert of_ids == pytest.approx(scores, abs=1e-12)


def test_repeated_words_and_other_lengths_cost():
    references = [[["a", "dog", "runs", "here"]], [["two", "cats"]], [["a", "bird"]]]

    def first(words):
        return cider_d(references, [words, ["x"], ["x"]])[1][0]

    said = first(["a", "dog", "runs", "here"])
    assert said == pytest.approx(10)
    assert 0 < first(["dog"] * 4) < first(["dog", "x", "y", "z"])
    assert first(["a", "dog", "runs", "here", "here", "here"]) < said
    assert first([]) == first(["two", "cats"]) == 0.0


def test_of_one_image_nothing_is_rare():
    assert cider_d([[["a", "dog"]]], [["a", "dog"]]) == (0.0, np.zeros(1))


@given(CORPORA)
def test_the_end_is_a_word_behind_every_reference(corpus):
    references, hypotheses = columns(corpus)
    with_end = [[[*tokens, "."] for tokens in item] for item in references]
    ended = [[*tokens, "."] for tokens in hypotheses]
    frequencies = DocumentFrequencies.of(references, end=".")
    assert dict(frequencies.counts) == dict(DocumentFrequencies.of(with_end).counts)
    expected = cider_d(with_end, ended)[1]
    assert CiderD(references, frequencies).score_many(range(len(ended)), ended) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.lists(WORDS, max_size=3), min_size=1, max_size=6))
def test_document_frequencies_count_images(references):
    if not any(references):
        with pytest.raises(ValueError, match="no images with captions to count in"):
            DocumentFrequencies.of(references)
        return
    found = DocumentFrequencies.of(iter(references))
    assert found.documents == sum(map(bool, references))
    every = {k for item in references for tokens in item for n in range(1, 6) for k in grams(tokens, n)}
    for k in every:
        having = sum(any(k in grams(tokens, len(k)) for tokens in item) for item in references)
        assert found.counts.get(k, 0) == (having if len(k) < 5 else 0)
        assert found.idf(k) == pytest.approx(math.log(found.documents / max(1, found.counts.get(k, 0))), abs=1e-12)


def test_other_frequencies_give_other_scores():
    references, said = [[["a", "dog"]], [["a", "cat"]]], [["a", "dog"], ["a", "dog"]]
    given_ones = DocumentFrequencies.of([[["dog"]], [["dog"]], [["dog"]], [["bird"]]])
    own, other = cider_d(references, said), cider_d(references, said, given_ones)
    assert own[1].tolist() == [5.0, 0.0]
    assert other[1][1] > 0  # "a", which is rare there


def test_an_image_may_have_no_captions():
    frequencies = DocumentFrequencies.of([[["a"]], [["b"]], []])
    assert frequencies.documents == 2
    kept = CiderD([[["a"]], [], [["b"]]], frequencies)
    assert kept.score_many([2, 0], [["b"], ["b"]]).tolist() == [2.5, 0.0]
    assert kept.score_many([], []).shape == (0,)
    for image in (1, 3, "dog.jpg"):
        with pytest.raises(KeyError, match=f"no references of the image {image!r}"):
            kept.score(image, ["a"])


def test_mistakes_are_named():
    frequencies = DocumentFrequencies.of([[["a"]], [["b"]]])
    kept = CiderD({0: [["a"]]}, frequencies)
    with pytest.raises(TypeError, match="got the str 'a dog'"):
        kept.score(0, "a dog")
    with pytest.raises(TypeError, match="got the str 'a dog'"):
        DocumentFrequencies.of([["a dog"]])
    with pytest.raises(ValueError, match="2 images for 1 hypotheses"):
        kept.score_many([0, 0], [["a"]])
    with pytest.raises(ValueError, match="the word 2 already"):
        DocumentFrequencies.of([[[4, 2]]], end=2)


def test_progress_tells_of_images():
    stream, seconds = io.StringIO(), itertools.count(0, 30)
    progress = Progress(stream, interval=1.0, clock=lambda: float(next(seconds)))
    frequencies = DocumentFrequencies.of([[["a"]], [["b"]]], progress=progress)
    CiderD([[["a"]], [], [["b"]]], frequencies, progress)
    told = [line.split("  ")[0] for line in stream.getvalue().splitlines()]
    assert told == [f"{what} of images {n}/2" for what in ("n-grams", "references") for n in (1, 2)]
