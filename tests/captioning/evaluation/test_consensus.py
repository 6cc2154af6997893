"""Consensus decoding: the caption of the highest utility by its definition, and the cases in which nobody agrees."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captioning.decoding.captions import n_best
from captioning.decoding.stepwise import sample
from captioning.evaluation.consensus import ConsensusSettings, TrainingCaptions, decode_consensus
from captioning.models.captioner import Captioner
from captioning.models.ensemble import Ensemble
from captioning.scoring.cider import cider_d
from tests.captioning.decoding.table import END, NULL, START, VOCABULARY, A, B, Table, random_table

IMAGES = np.array([[0.0], [1.0], [0.0]])


class Pictures:
    """Enough of a split: pictures in a line, to the left and to the right of their mean."""

    name, vocabulary = "train", VOCABULARY

    def __init__(self, *captions):
        self.captions = [[caption.split() for caption in item] for item in captions]
        self.features = self
        self.parts = [np.array([[-1.0], [0.5], [1.0]])[: len(captions)]]

    def references_by_image(self):
        return iter(self.captions)


def training_captions(*captions):
    return TrainingCaptions(Pictures(*captions or (["a b", "a b c"], ["b c"], ["c c a", "c b"])))


def words(row):
    return tuple(row[: list(row).index(END)]) if END in row else None


@settings(max_examples=15)
@given(st.integers(0, 999), st.integers(1, 12), st.integers(0, 3), st.sampled_from([0.0, 0.5, 3.0]))
def test_what_is_said_has_the_highest_utility_by_definition(seed, drafts, neighbours, weight):
    model, asked = Table(random_table(seed), random_table(seed + 1)), training_captions()
    how = ConsensusSettings(drafts, 1.3, neighbours, weight, width=4)
    said = decode_consensus(model, IMAGES, asked, how, 5, rng=seed)
    drawn = sample(model, IMAGES, 5, 1.3, rng=seed, each=drafts).reshape(len(IMAGES), drafts, -1)
    like = asked.captions_like(IMAGES, neighbours)
    for row, own, beams, others in zip(said, drawn, n_best(model, IMAGES, 4, 4, 5), like, strict=True):
        ended = [list(found) for found in map(words, own) if found]
        candidates = [VOCABULARY.encode(each.words).tolist() for each in beams if each.ended and each.words] + ended

        def utility(caption, ended=ended, others=others):
            total, rest = 0.0, list(ended)
            if caption in rest:
                rest.remove(caption)  # no vote for itself
            for references, share in ((rest, 1.0), (others, weight)):
                if references:
                    total += share * cider_d([references], [[*caption, END]], asked.frequencies)[0]
            return total

        chosen = list(words(row) or ())
        assert chosen in (candidates or [[]])
        if candidates:
            assert utility(chosen) == pytest.approx(max(map(utility, candidates)))


def test_without_a_caption_that_ends_the_beam_decides():
    scores = np.zeros((7, 7))
    scores[:, [NULL, START, END]] = -np.inf
    scores[:, B], scores[B, A] = 3.0, 4.0
    asked, how = training_captions(), ConsensusSettings(3)
    said = decode_consensus(Table(scores), np.zeros((2, 1)), asked, how, 3, rng=0)
    np.testing.assert_array_equal(said, [[B, A, B]] * 2)
    assert decode_consensus(Table(scores), np.zeros((0, 1)), asked, max_length=3).shape[0] == 0


def test_the_same_seed_says_the_same_and_a_generator_goes_on(small_data, monkeypatch):
    split, rng = small_data.train, np.random.default_rng(3)
    monkeypatch.setattr("captioning.evaluation.consensus._IMAGES", 7)
    model = Captioner(split.vocabulary, split.features.shape[1], 4, 5, rng=0)
    features, asked, how = split.features[:20], TrainingCaptions(split), ConsensusSettings(5, neighbours=2)
    first, *others = (decode_consensus(model, features, asked, how, 6, rng=each).tolist() for each in (3, 3, rng))
    assert others == [first, first]
    assert rng.random() != np.random.default_rng(3).random()
    assert len(decode_consensus(Ensemble([model, model]), features, asked, how, 6, rng=3)) == 20


@pytest.mark.parametrize("wrong", [
    {"drafts": 0}, {"drafts": 1001}, {"drafts": 2.0}, {"temperature": 0.0}, {"neighbours": -1}, {"width": 0},
    {"weight": -1.0}, {"weight": float("nan")},
])  # fmt: skip
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ConsensusSettings(**wrong)
    with pytest.raises(ValueError, match="no captions to agree with"):
        training_captions([], [], [])
