"""BLEU, ROUGE-L and diversity against their definitions, and all scores against pycocoevalcap, which papers use."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captioning.data.vocabulary import SPECIAL, Vocabulary
from captioning.scoring.cider import cider_d
from captioning.scoring.metrics import BLEU_score, corpus_bleu, distinct, diversity, exercise_bleu, rouge_l
from tests.captioning.scoring.corpora import CORPORA, as_ids, columns, human_captions

FROZEN = json.loads(Path(__file__).with_name("pycocoevalcap.json").read_text("utf-8"))


def grams(tokens, n):
    return [tuple(tokens[k : k + n]) for k in range(len(tokens) - n + 1)]


def plain_corpus_bleu(references, hypotheses, n_max):
    """BLEU by its definition, with lists and counting only."""
    pairs, product, r = list(zip(references, hypotheses, strict=True)), 1.0, 0
    for n in range(1, n_max + 1):
        hit = total = 0
        for item, hypothesis in pairs:
            found = grams(hypothesis, n)
            total += len(found)
            for gram in set(found):
                hit += min(found.count(gram), max(grams(reference, n).count(gram) for reference in item))
        product *= hit / total if total else 0.0
    for item, hypothesis in pairs:
        r += sorted(map(len, item), key=lambda length: (abs(length - len(hypothesis)), length))[0]
    c = sum(map(len, hypotheses))
    return product ** (1 / n_max) * min(1.0, math.exp(1 - r / c)) if c else 0.0


def rouge_l_by_definition(references, hypothesis):
    if not hypothesis:
        return 0.0
    p = max(common(hypothesis, reference) / len(hypothesis) for reference in references)
    r = max(common(hypothesis, reference) / max(1, len(reference)) for reference in references)
    return (1 + 1.2**2) * p * r / (r + 1.2**2 * p) if p else 0.0


def common(one, other):
    """The length of the longest common subsequence, by the table of all beginnings."""
    table = np.zeros((len(one) + 1, len(other) + 1), int)
    for i, a in enumerate(one, 1):
        for j, b in enumerate(other, 1):
            table[i, j] = table[i - 1, j - 1] + 1 if a == b else max(table[i - 1, j], table[i, j - 1])
    return table[-1, -1]


@given(CORPORA, st.integers(1, 3))
def test_scores_equal_their_definitions(corpus, n):
    references, hypotheses = columns(corpus)
    expected = {f"BLEU-{k}": plain_corpus_bleu(references, hypotheses, k) for k in (1, 2, 3, 4)}
    assert corpus_bleu(references, hypotheses) == pytest.approx(expected, abs=1e-12)
    mean, scores = rouge_l(references, hypotheses)
    assert scores == pytest.approx([rouge_l_by_definition(*pair) for pair in corpus], abs=1e-12)
    assert mean == pytest.approx(scores.mean(), abs=1e-15)
    assert rouge_l([as_ids(item) for item in references], as_ids(hypotheses))[1].tolist() == scores.tolist()
    found = [gram for words in hypotheses for gram in grams(words, n)]
    assert distinct(hypotheses, n) == (len(set(found)) / len(found) if found else 0)


def test_diversity():
    vocabulary = Vocabulary([*SPECIAL, "a", "dog", "cat", "runs", "here"])
    said = [["a", "dog", "<UNK>"], ["a", "zebra"], []]  # a word that the vocabulary does not have
    found = diversity(said, vocabulary, {("a", "zebra"), ("a", "dog", "<UNK>", "here")})
    assert found == {"distinct_1": 4 / 5, "distinct_2": 1.0, "words_in_use": 3, "vocabulary_share": 2 / 5,
                     "novel_share": pytest.approx(2 / 3), "mean_length": 5 / 3, "unknown_rate": 1 / 5}  # fmt: skip
    assert not any(diversity([[]], Vocabulary(SPECIAL)).values())


@pytest.mark.parametrize("score", [corpus_bleu, rouge_l, cider_d])
@pytest.mark.parametrize(("references", "hypotheses", "error", "message"), [
    ([["a dog"]], [["a", "dog"]], TypeError, "item 0 has a str"),
    ([[["a"]], "a dog"], [["a"], ["a"]], TypeError, "item 1 has a str"),
    ([[["a", "dog"]]], ["a dog"], TypeError, "item 0 has a str"),
    ("a", [["a"]], TypeError, "references must be a list"),
    ([[["a"]]], "a", TypeError, "hypotheses must be a list"),
    ([[["a"]]], [["a"], ["b"]], ValueError, "references has 1 items, hypotheses has 2"),
    ([[]], [["a"]], ValueError, "item 0 has no references"), ([], [], ValueError, "no hypotheses"),
])  # fmt: skip
def test_a_corpus_that_does_not_fit(score, references, hypotheses, error, message):
    with pytest.raises(error, match=f"{score.__name__}: .*{message}"):
        score(references, hypotheses)


CAPTIONS = st.lists(st.sampled_from(["a", "dog", "cat", "runs", "<START>", "<END>", "<UNK>", "<NULL>"]), max_size=9)


@settings(max_examples=15)
@given(CAPTIONS, CAPTIONS)
def test_exercise_bleu_is_clipped_unigram_precision_with_brevity(gt, sample):
    reference, hypothesis = ([word for word in words if word[0] != "<"] for words in (gt, sample))
    expected = plain_corpus_bleu([[reference]], [hypothesis], 1)
    assert BLEU_score(" ".join(gt), " ".join(sample)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("gt", "sample", "score"), [
    ("<START> a dog runs <END>", "a dog runs <END>", 1.0), ("a dog", "", 0.0), ("", "a dog", 0.0), ("", "", 0.0),
    ("<START> <END>", "<UNK>", 0.0), ("a b c d", "a b", math.exp(-1)), ("a  b", "a b ", 1.0),
    ("a dog", ["a", "dog"], "sample_caption must be a str of words; got list"),
    (np.array(["a"]), "a", "gt_caption must be a str of words; got ndarray"),
])  # fmt: skip
def test_exercise_bleu_examples(gt, sample, score):
    if isinstance(score, str):
        with pytest.raises(TypeError, match=score):
            BLEU_score(gt, sample)
    else:
        assert BLEU_score(gt, sample) == pytest.approx(score)


def test_exercise_bleu_is_a_mean_and_another_number_than_corpus_bleu():
    pairs = [("a dog runs", "a dog runs"), ("two cats", "a dog on the grass")]
    assert exercise_bleu(iter(pairs)) == 0.5
    references, hypotheses = [[gt.split()] for gt, _ in pairs], [sample.split() for _, sample in pairs]
    assert corpus_bleu(references, hypotheses)["BLEU-1"] == 3 / 8
    with pytest.raises(ValueError, match="no pairs"):
        exercise_bleu([])


def check(references, hypotheses, expected):
    """Our scores are those of the package: BLEU of the corpus, ROUGE-L and CIDEr-D of the corpus and each caption."""
    assert list(corpus_bleu(references, hypotheses).values()) == pytest.approx(expected["bleu"], abs=1e-6)
    for name, function in (("rouge_l", rouge_l), ("cider_d", cider_d)):
        mean, scores = function(references, hypotheses)
        assert mean == pytest.approx(expected[name][0], abs=1e-6)
        assert scores == pytest.approx(expected[name][1], abs=1e-6)


def test_scores_are_those_that_pycocoevalcap_gave():
    check(FROZEN["references"], FROZEN["hypotheses"], FROZEN["expected"])


@pytest.mark.parametrize("data_set", ["flickr8k", "coco", None])
def test_scores_are_those_of_pycocoevalcap(data_set):
    references, hypotheses = (
        human_captions(data_set) if data_set else (FROZEN["references"], FROZEN["hypotheses"])
    )  # fmt: skip
    truth = {i: [" ".join(tokens) for tokens in item] for i, item in enumerate(references)}
    said = {i: [" ".join(tokens)] for i, tokens in enumerate(hypotheses)}
    found = {}
    for name in ("Bleu", "Rouge", "Cider"):
        module = pytest.importorskip(f"pycocoevalcap.{name.lower()}.{name.lower()}", reason="no pycocoevalcap")
        options = {"verbose": 0} if name == "Bleu" else {}
        found[name] = getattr(module, name)().compute_score(truth, said, **options)
    check(references, hypotheses, {"bleu": found["Bleu"][0], "rouge_l": found["Rouge"], "cider_d": found["Cider"]})
