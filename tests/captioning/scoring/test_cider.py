"""CIDEr-D against its formula, and of images whose references are kept."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captioning.scoring.cider import CiderD, DocumentFrequencies, cider_d
from tests.captioning.scoring.corpora import CORPORA, WORDS, as_ids, columns


def grams(tokens, n):
    return [tuple(tokens[k : k + n]) for k in range(len(tokens) - n + 1)]


def weights(tokens, n, images):
    """g_k of the paper's equation 1, with counts for tf, since equation 4's clipping compares how often: a dict.

    images: the captions of each. idf is the log of images over those with k.
    """
    own, g = grams(tokens, n), {}
    for k in own:
        having = sum(any(k in grams(caption, n) for caption in captions) for captions in images)
        g[k] = own.count(k) * math.log(len(images) / max(1, having))
    return g


def cider_d_by_the_paper(references, hypotheses):
    """Equation 4: times 10, clipped, and with the penalty."""
    scores = []
    for item, hypothesis in zip(references, hypotheses, strict=True):
        total = 0.0
        for n, reference in itertools.product((1, 2, 3, 4), item):
            one, other = (weights(tokens, n, references) for tokens in (hypothesis, reference))
            if lengths := math.hypot(*one.values()) * math.hypot(*other.values()):
                cosine = sum(min(one[k], other[k]) * other[k] for k in one.keys() & other.keys())
                penalty = math.exp(-((len(hypothesis) - len(reference)) ** 2) / (2 * 6**2))
                total += 10 * penalty * cosine / lengths
        scores.append(total / 4 / len(item))
    return scores


@settings(max_examples=15)
@given(CORPORA)
def test_scores_are_those_of_the_papers_formula(corpus):
    """Words and ids score alike. With an end, each reference has the end as its last word."""
    references, hypotheses = columns(corpus)
    mean, scores = cider_d(references, hypotheses)
    assert scores == pytest.approx(cider_d_by_the_paper(references, hypotheses), abs=1e-12)
    assert mean == pytest.approx(scores.mean(), abs=1e-15)
    of_ids = cider_d([as_ids(item) for item in references], [np.array(ids, np.int32) for ids in as_ids(hypotheses)])[1]
    assert of_ids.tolist() == scores.tolist()
    with_end = [[[*tokens, "."] for tokens in item] for item in references]
    ended = [[*tokens, "."] for tokens in hypotheses]
    frequencies = DocumentFrequencies.of(references, end=".")
    assert dict(frequencies.counts) == dict(DocumentFrequencies.of(with_end).counts)
    kept = CiderD(references, frequencies)
    expected = cider_d(with_end, ended)[1]
    assert kept.score_many(range(len(ended)), ended) == pytest.approx(expected, abs=1e-12)
    assert [kept.score(i, words) for i, words in enumerate(ended)] == kept.score_many(range(len(ended)), ended).tolist()


@settings(max_examples=15)
@given(st.lists(st.lists(WORDS, max_size=3), min_size=1, max_size=6))
def test_document_frequencies_count_images(references):
    if not any(references):
        with pytest.raises(ValueError, match="no images with captions to count in"):
            DocumentFrequencies.of(references)
        return
    found = DocumentFrequencies.of(iter(references))
    assert found.documents == sum(map(bool, references))
    for k in {k for item in references for tokens in item for n in range(1, 6) for k in grams(tokens, n)}:
        having = sum(any(k in grams(tokens, len(k)) for tokens in item) for item in references)
        assert found.counts.get(k, 0) == (having if len(k) < 5 else 0)


def test_an_image_may_have_no_captions():
    frequencies = DocumentFrequencies.of([[["a"]], [["b"]], []])
    assert frequencies.documents == 2
    kept = CiderD([[["a"]], [], [["b"]]], frequencies)
    assert kept.score_many([2, 0], [["b"], ["b"]]).tolist() == [2.5, 0.0]
    for image in (1, 3, "dog.jpg"):
        with pytest.raises(KeyError, match=f"image {image!r} has no references"):
            kept.score(image, ["a"])


KEPT = CiderD({0: [["a"]]}, DocumentFrequencies.of([[["a"]], [["b"]]]))


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: KEPT.score(0, "a dog"), TypeError, "got the str 'a dog'"),
    (lambda: DocumentFrequencies.of([["a dog"]]), TypeError, "got the str 'a dog'"),
    (lambda: KEPT.score_many([0, 0], [["a"]]), ValueError, "2 images but 1 hypotheses"),
    (lambda: DocumentFrequencies.of([[[4, 2]]], end=2), ValueError, "already has the word 2"),
])  # fmt: skip
def test_mistakes_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
