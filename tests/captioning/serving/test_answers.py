"""From a photo to what the page shows."""

import json

import numpy as np
import pytest

from captioning.data.vocabulary import Vocabulary
from captioning.decoding.stepwise import greedy
from captioning.models.captioner import Captioner
from captioning.serving.answers import Answering, Spoken, as_json, spoken
from captioning.vision.photo_files import PhotoError, decode_photo
from tests.captioning.serving.served import photo
from tests.captioning.vision.grid_extractor import GridExtractor

WORDS = ["<NULL>", "<START>", "<END>", "<UNK>", "a", "dog", "cat", "runs", "sits"]


def captioner(seed=0, cell="lstm"):
    """One whose weights are large enough that it says different things."""
    model = Captioner(Vocabulary(WORDS), feature_size=3, wordvec_size=6, hidden_size=8, cell_type=cell, rng=seed)
    for parameter in model.parameters():
        parameter.data[...] *= 4
    model.eval()
    return model


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
@pytest.mark.parametrize("seed", range(6))
def test_it_says_what_greedy_decoding_says(seed, cell):
    model, features = captioner(seed, cell), np.random.default_rng(seed).standard_normal((1, 3)).astype(np.float32)
    for longest in (1, 3, 12):
        (said,) = spoken(model, features, longest)
        ids = greedy(model, features, max_length=longest)[0]
        assert said.words == model.vocabulary.tokens(ids, keep_unknown=True)
        assert said.ended == (2 in ids)
        assert len(said.log_probs) == len(said.words) + said.ended


def test_probabilities_are_those_of_the_words_that_may_be_said():
    model, features = captioner(3), np.array([[0.4, -1.0, 2.0]], np.float32)
    (said,) = spoken(model, features, 8)
    state, word = model.initial_state(features), [1]
    for log_prob, text in zip(said.log_probs, [*said.words, "<END>"], strict=False):
        scores, state = model.step(word, state)
        weights = np.exp(scores.data[0].astype(np.float64))
        weights[[0, 1, 3]] = 0  # <NULL>, <START> and <UNK> are never said
        word = [WORDS.index(text)]
        assert np.exp(log_prob) == pytest.approx(weights[word[0]] / weights.sum(), rel=1e-5)
    assert said.score == pytest.approx(np.mean(said.log_probs))


def test_json_of_beams_and_looks():
    looks = np.eye(2, 4, dtype=np.float32)
    beams = [
        Spoken(["a", "dog"], np.log([0.5, 0.25, 0.125]), -1.25, True, looks, 0.6180339),
        Spoken(["a", "cat"], np.log([0.5, 0.2]), -2.0, False, looks),
    ]
    answer = json.loads(json.dumps(as_json(beams, (2, 2))))
    assert (answer["caption"], answer["confidence"], answer["grid"]) == ("a dog", 0.618, [2, 2])
    best, other = answer["beams"]
    assert best["words"][1] == {"word": "dog", "probability": 0.25, "look": [0, 1, 0, 0]}
    assert (best["end"], best["ended"], best["score"]) == (0.125, True, -1.25)
    assert (other["end"], other["ended"], other["confidence"]) == (None, False, None)


def test_a_caption_without_words_is_an_answer_too():
    answer = as_json([Spoken([], np.log([0.5]), -0.7, True)], (7, 7))
    assert (answer["caption"], answer["beams"][0]["words"], answer["beams"][0]["end"]) == ("", [], 0.5)


def test_a_photo_is_answered_and_no_photo_is_an_error():
    network = GridExtractor()
    answering = Answering(captioner(), network, decode_photo)
    answer = answering(photo(colour="red"))
    json.dumps(answer)
    (expected,) = spoken(captioner(), np.array([[1, 0, 0]], np.float32))
    assert answer["caption"] == " ".join(expected.words)
    assert (answer["grid"], answer["milliseconds"] >= 0) == (None, True)
    with pytest.raises(PhotoError):
        answering(b"hello")


def test_it_needs_no_photo_to_get_ready():
    network = GridExtractor()
    Answering(captioner(), network, decode_photo).rehearse()
    assert network.seen == 1
