"""Self-critical training: the gradient of an expected reward, and a captioner that learns to score."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

from captioning.data.dataset import open_captions
from captioning.data.vocabulary import Vocabulary
from captioning.models.captioner import Captioner
from captioning.scoring.cider import CiderD, DocumentFrequencies
from captioning.training.errors import RunError
from captioning.training.run_folder import Run
from captioning.training.run_settings import settings_of
from captioning.training.self_critical import Drawing, SelfCritical, advantages, self_critical_loss
from captioning.training.settings import Settings
from captioning.training.solver import Solver

VOCABULARY = Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", "a", "b"])
NULL, START, END, UNK, A, B = range(6)
SHORT = Settings(epochs=3, batch_size=8, learning_rate=2e-3, average=0.9, keep="cider")


def model_of(dtype=np.float64):
    return Captioner(VOCABULARY, 3, 4, 5, dtype=dtype, rng=0)


def every_caption(longest):
    """All captions of at most so many words, <END> counted: those that end, and those that are cut."""
    for length in range(longest):
        yield from ((*words, END) for words in itertools.product((A, B), repeat=length))
    yield from itertools.product((A, B), repeat=longest)


def log_probability(model, feature, caption):
    """The logarithm of what a caption is drawn with, by the steps of the model, with barred words left out."""
    state, before, total = model.initial_state(feature[None]), START, 0.0
    for word in caption:
        scores, state = model.step(np.array([before]), state)
        allowed = scores.data[0, [END, A, B]]
        total += scores.data[0, word] - np.log(np.exp(allowed).sum())
        before = word
    return total


def test_the_estimate_is_the_gradient_of_the_expected_reward():
    """Over all captions, each as often as it is drawn: -sum p(y) r(y) d log p(y) is the estimate's mean."""
    model, feature, longest = model_of(), np.array([0.5, -1.0, 2.0]), 3
    captions = list(every_caption(longest))
    rewards = np.random.default_rng(0).standard_normal(len(captions))

    def expected():
        return sum(np.exp(log_probability(model, feature, c)) * r for c, r in zip(captions, rewards, strict=True))

    assert sum(np.exp(log_probability(model, feature, c)) for c in captions) == pytest.approx(1, rel=1e-12)
    rows = np.array([[START, *c, *[NULL] * (longest - len(c))] for c in captions])
    words = sum(map(len, captions))
    chances = np.exp([log_probability(model, feature, c) for c in captions])
    weights = chances * (rewards - 0.7) * words  # any baseline that does not depend on the caption; the mean undone
    self_critical_loss(model, feature[None], rows, weights).backward()
    for name, weight in model.named_parameters():
        numeric = np.empty_like(weight.data)
        for index in np.ndindex(weight.shape):
            kept, sides = weight.data[index], []
            for step in (1e-5, -1e-5):
                weight.data[index] = kept + step
                sides.append(expected())
            weight.data[index] = kept
            numeric[index] = (sides[0] - sides[1]) / 2e-5
        np.testing.assert_allclose(-weight.grad, numeric, rtol=1e-5, atol=1e-8, err_msg=name)


def test_barred_words_get_no_gradient():
    model = model_of(np.float32)
    self_critical_loss(model, np.ones((1, 3)), np.array([[START, A, END]]), np.ones(1)).backward()
    assert not model.predict.bias.grad[[NULL, START, UNK]].any()
    assert model.predict.bias.grad[[A, B, END]].all()


def test_advantages_are_beside_the_mean_of_the_others():
    rewards = np.array([1.0, 2.0, 6.0, 0.0, 0.0, 3.0])
    np.testing.assert_allclose(advantages(rewards, 3), [1 - 4, 2 - 3.5, 6 - 1.5, -1.5, -1.5, 3])


def make(data, settings=SHORT, run=None, **options):
    model = Captioner(data.vocabulary, data.train.features.shape[1], 16, 24, dropout=0.2, rng=1)
    return SelfCritical(model, data.train, data.val, settings, Drawing(drafts=4, longest=7), run=run, **options)


def test_it_learns_to_score(small_data):
    """From a captioner that has seen the captions a little: what it draws scores better and better."""
    start = Solver(make(small_data).model, small_data.train, None, Settings(epochs=4, learning_rate=5e-3))
    start.train()
    solver = make(small_data, dataclasses.replace(SHORT, epochs=80, learning_rate=1e-2))
    solver.model.load_state_dict(start.model.state_dict())
    rewards = [entry["reward"] for entry in solver.train() if "reward" in entry]
    assert np.mean(rewards[-30:]) > 1.25 * np.mean(rewards[:9])
    assert solver.epoch_length == 3  # batches are of pictures, of which there are 24


def test_it_keeps_to_the_pictures_of_the_chosen_captions(small_folder):
    """Of which all human captions are references; of other pictures not even the words that are rare count."""
    with open_captions(small_folder, max_train=5) as data:
        solver = make(data)
        pictures = sorted(set(data.train.image_idxs.tolist()))
        assert sorted(solver.pictures.tolist()) == pictures
        assert solver.reward.frequencies.documents == len(pictures) < 24
        encode = data.vocabulary.encode
        every = [[encode(words).tolist() for words in data.train.references(i)] for i in pictures]
        assert [len(item) for item in every] == [2] * len(pictures)
        expected = DocumentFrequencies.of(every, end=data.vocabulary.end)
        assert solver.reward.frequencies.counts == expected.counts
        said = [*every[0][1], data.vocabulary.end]
        assert solver.reward.score(pictures[0], said) == CiderD([every[0]], expected).score(0, said) > 0
        with pytest.raises(KeyError):
            solver.reward.score(next(i for i in range(24) if i not in pictures), said)


def test_the_history_has_the_reward_and_the_scores(small_data):
    history = make(small_data).train()
    assert all("reward" in entry for entry in history if "loss" in entry)
    assert [entry["epoch"] for entry in history if "val_cider" in entry] == [1, 2, 3]


def test_a_resumed_training_is_the_unbroken_one_to_the_bit(small_data, tmp_path):
    whole = make(small_data)
    history = whole.train()
    first = make(small_data)
    settings = settings_of(first.model, SHORT, small_data)
    first.run = Run.create(tmp_path / "run", settings, small_data.vocabulary, first.state())
    first.train(max_iterations=4)
    again = make(small_data, run=Run.open(tmp_path / "run"))
    again.resume()
    assert again.iteration == 4
    assert again.train() == history
    for name, weight in whole.model.state_dict().items():
        np.testing.assert_array_equal(weight, again.model.state_dict()[name])


@pytest.mark.parametrize(("name", "value"), [("drafts", 1), ("drafts", 2.0), ("longest", 1), ("longest", True)])
def test_impossible_drawings_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be an int from 2 to 1000; got {value!r}"):
        Drawing(**{name: value})


@pytest.mark.parametrize(("name", "value"), [("label_smoothing", 0.1), ("scheduled_sampling", 0.5), ("buckets", 20)])
def test_settings_that_would_do_nothing_are_refused(small_data, name, value):
    with pytest.raises(ValueError, match=f"{name} does nothing in a self-critical training.*got {value}"):
        make(small_data, dataclasses.replace(SHORT, **{name: value}))


def test_an_average_that_a_checkpoint_has_not_is_refused(small_data, tmp_path):
    without = make(small_data, dataclasses.replace(SHORT, average=None))
    settings = settings_of(without.model, without.settings, small_data)
    without.run = Run.create(tmp_path / "run", settings, small_data.vocabulary, without.state())
    without.train(max_iterations=2)
    other = make(small_data, run=Run.open(tmp_path / "run"))
    before = {name: weight.copy() for name, weight in other.model.state_dict().items()}
    with pytest.raises(RunError, match="average"):
        other.resume()
    for name, weight in other.model.state_dict().items():
        np.testing.assert_array_equal(weight, before[name])
