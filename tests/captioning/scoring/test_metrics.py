"""Two kinds of BLEU against independent code."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nltk.translate import bleu_score

from captioning.scoring.metrics import BLEU_score, corpus_bleu, exercise_bleu

TOKENS = st.lists(st.sampled_from("abcd"), max_size=9)
CORPORA = st.lists(st.tuples(st.lists(TOKENS, min_size=1, max_size=4), TOKENS), min_size=1, max_size=5)


def plain_corpus_bleu(references, hypotheses, n_max):
    """BLEU by its definition, with lists and counting only."""

    def grams(tokens, n):
        return [tuple(tokens[k : k + n]) for k in range(len(tokens) - n + 1)]

    product = 1.0
    for n in range(1, n_max + 1):
        hit = total = 0
        for item, hypothesis in zip(references, hypotheses, strict=True):
            found = grams(hypothesis, n)
            total += len(found)
            for gram in set(found):
                hit += min(found.count(gram), max(grams(reference, n).count(gram) for reference in item))
        product *= hit / total if total else 0.0
    c = sum(map(len, hypotheses))
    r = sum(
        sorted(map(len, item), key=lambda length: (abs(length - len(hypothesis)), length))[0]
        for item, hypothesis in zip(references, hypotheses, strict=True)
    )
    if c == 0:
        return 0.0
    return product ** (1 / n_max) * (1.0 if c > r else math.exp(1 - r / c))


@given(CORPORA)
def test_corpus_bleu_equals_its_definition(corpus):
    references, hypotheses = zip(*corpus, strict=True)
    scores = corpus_bleu(references, hypotheses)
    assert list(scores) == ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4"]
    for n, score in enumerate(scores.values(), start=1):
        assert 0 <= score <= 1
        assert score == pytest.approx(plain_corpus_bleu(references, hypotheses, n), abs=1e-12)


@given(CORPORA.filter(lambda corpus: all(len(hypothesis) >= 4 for _, hypothesis in corpus)))
def test_corpus_bleu_equals_nltk_where_nothing_is_short(corpus):
    references, hypotheses = zip(*corpus, strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nltk warns of overlaps that are zero
        expected = [bleu_score.corpus_bleu(references, hypotheses, weights=[1 / n] * n) for n in range(1, 5)]
    assert list(corpus_bleu(references, hypotheses).values()) == pytest.approx(expected, abs=1e-12)


@given(CORPORA, st.randoms())
def test_corpus_bleu_does_not_depend_on_order(corpus, random):
    shuffled = [(random.sample(item, len(item)), hypothesis) for item, hypothesis in corpus]
    random.shuffle(shuffled)
    one, two = (corpus_bleu(*zip(*pairs, strict=True)) for pairs in (corpus, shuffled))
    assert one == pytest.approx(two, abs=1e-12)


def test_corpus_bleu_of_papinenis_examples():
    first = ["the", "cat", "is", "on", "the", "mat"]
    second = ["there", "is", "a", "cat", "on", "the", "mat"]
    assert corpus_bleu([[first, second]], [["the"] * 7])["BLEU-1"] == pytest.approx(2 / 7)
    assert set(corpus_bleu([[first, second]], [second]).values()) == {1.0}
    # length 5 lies as far from 4 as from 6: the shorter counts, so nothing is taken off
    assert corpus_bleu([[["a"] * 6, ["a"] * 4]], [["a"] * 5])["BLEU-4"] == 1.0
    assert corpus_bleu([[["a"] * 6]], [["a"] * 5])["BLEU-4"] == pytest.approx(math.exp(-1 / 5))


def test_hypotheses_without_words_score_zero():
    zero = dict.fromkeys(["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4"], 0.0)
    assert corpus_bleu([[["a"]], [["b"]]], [[], []]) == zero
    assert corpus_bleu([[[]]], [[]]) == zero
    assert corpus_bleu([[["a"]]], [["b"]]) == zero


@pytest.mark.parametrize(
    ("references", "hypotheses", "error", "message"),
    [
        ([["a dog"]], [["a", "dog"]], TypeError, "item 0 has a str where a list of tokens"),
        ([[["a"]], "a dog"], [["a"], ["a"]], TypeError, "item 1 has a str"),
        ([[["a", "dog"]]], ["a dog"], TypeError, "item 0 has a str"),
        ("a", [["a"]], TypeError, "references must be a list"),
        ([[["a"]]], "a", TypeError, "hypotheses must be a list"),
        ([[["a"]]], [["a"], ["b"]], ValueError, "references has 1 items, hypotheses has 2"),
        ([[]], [["a"]], ValueError, "item 0 has no references"),
        ([], [], ValueError, "no hypotheses"),
    ],
)
def test_corpus_bleu_names_what_is_wrong(references, hypotheses, error, message):
    with pytest.raises(error, match=message):
        corpus_bleu(references, hypotheses)


CAPTION_WORDS = st.lists(
    st.sampled_from(["a", "dog", "cat", "runs", "<START>", "<END>", "<UNK>", "<NULL>"]), max_size=9
)


@given(CAPTION_WORDS, CAPTION_WORDS)
def test_exercise_bleu_is_clipped_unigram_precision_with_brevity(gt, sample):
    reference, hypothesis = ([word for word in words if word[0] != "<"] for words in (gt, sample))
    expected = 0.0
    if hypothesis:
        hits = sum(min(hypothesis.count(word), reference.count(word)) for word in set(hypothesis))
        expected = hits / len(hypothesis) * min(1.0, math.exp(1 - len(reference) / len(hypothesis)))
    assert BLEU_score(" ".join(gt), " ".join(sample)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("gt", "sample", "score"),
    [
        ("<START> a dog runs <END>", "a dog runs <END>", 1.0),
        ("a dog", "", 0.0),
        ("", "a dog", 0.0),
        ("", "", 0.0),
        ("<START> <END>", "<UNK>", 0.0),
        ("a b c d", "a b", math.exp(-1)),
        ("a  b", "a b ", 1.0),
    ],
)
def test_exercise_bleu_examples(gt, sample, score):
    assert BLEU_score(gt, sample) == pytest.approx(score)


def test_exercise_bleu_takes_strings():
    with pytest.raises(TypeError, match="sample_caption must be a str of words; got list"):
        BLEU_score("a dog", ["a", "dog"])
    with pytest.raises(TypeError, match="gt_caption must be a str of words; got ndarray"):
        BLEU_score(np.array(["a"]), "a")


def test_exercise_bleu_is_a_mean_and_another_number_than_corpus_bleu():
    pairs = [("a dog runs", "a dog runs"), ("two cats", "a dog on the grass")]
    assert exercise_bleu(iter(pairs)) == 0.5
    references, hypotheses = [[gt.split()] for gt, _ in pairs], [sample.split() for _, sample in pairs]
    assert corpus_bleu(references, hypotheses)["BLEU-1"] == 3 / 8
    with pytest.raises(ValueError, match="no pairs"):
        exercise_bleu([])
