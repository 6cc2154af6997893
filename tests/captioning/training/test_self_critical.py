"""Self-critical training: the gradient of an expected reward, and a captioner that learns to score."""

import dataclasses
import itertools

import numpy as np
import pytest

from captioning.data.dataset import open_captions
from captioning.data.vocabulary import Vocabulary
from captioning.models.captioner import Captioner
from captioning.scoring.cider import CiderD, DocumentFrequencies
from captioning.training.run_folder import Run
from captioning.training.self_critical import Drawing, SelfCritical, advantages, self_critical_loss
from captioning.training.settings import Settings
from captioning.training.solver import Solver
from tests.captioning.models.by_hand import check_gradients
from tests.captioning.training.small_trainings import new_run, same, weights

VOCABULARY = Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", "a", "b"])
NULL, START, END, UNK, A, B = range(6)
SHORT = Settings(epochs=3, batch_size=8, learning_rate=2e-3, average=0.9, keep="cider")


def probability(model, feature, caption):
    """With which a caption is drawn, by the steps of the model, without barred words."""
    state, before, total = model.initial_state(feature[None]), START, 1.0
    for word in caption:
        scores, state = model.step(np.array([before]), state)
        total *= np.exp(scores.data[0, word]) / np.exp(scores.data[0, [END, A, B]]).sum()
        before = word
    return total


def test_the_estimate_is_the_gradient_of_the_expected_reward():
    """Over all captions, each as often as it is drawn: -sum p(y) r(y) d log p(y) is the estimate's mean."""
    model, feature = Captioner(VOCABULARY, 2, 3, 4, dtype=np.float64, rng=0), np.array([0.5, -1.0])
    captions = [(END,), (A, END), (B, END), *itertools.product((A, B), repeat=2)]  # of two words at most
    rewards = np.random.default_rng(0).standard_normal(len(captions))

    def chances():
        return np.array([probability(model, feature, caption) for caption in captions])

    assert chances().sum() == pytest.approx(1, rel=1e-12)
    rows = np.array([[START, *c, *[NULL] * (2 - len(c))] for c in captions])
    shares = chances() * (rewards - 0.7) * sum(map(len, captions))  # any baseline; the mean over words undone
    self_critical_loss(model, feature[None], rows, shares).backward()
    check_gradients(model, lambda: -chances() @ rewards, directions=1)


def test_advantages_are_beside_the_mean_of_the_others():
    rewards = np.array([1.0, 2.0, 6.0, 0.0, 0.0, 3.0])
    np.testing.assert_allclose(advantages(rewards, 3), [1 - 4, 2 - 3.5, 6 - 1.5, -1.5, -1.5, 3])


def make(data, settings=SHORT, run=None):
    model = Captioner(data.vocabulary, data.train.features.shape[1], 16, 24, dropout=0.2, rng=1)
    return SelfCritical(model, data.train, data.val, settings, Drawing(drafts=4, longest=7), run=run)


def test_it_learns_to_score(small_data):
    """From a captioner that has seen the captions a little, the drawn captions score better and better."""
    start = Solver(make(small_data).model, small_data.train, None, Settings(epochs=4, learning_rate=5e-3))
    start.train()
    solver = make(small_data, dataclasses.replace(SHORT, epochs=30, learning_rate=2e-2, average=None))
    solver.model.load_state_dict(start.model.state_dict())
    solver.val = None
    rewards = [entry["reward"] for entry in solver.train() if "reward" in entry]
    assert np.mean(rewards[-15:]) > 1.25 * np.mean(rewards[:9])
    assert solver.epoch_length == 3  # batches are of pictures, of which there are 24


def test_it_keeps_to_the_pictures_of_the_chosen_captions(small_folder):
    """All human captions of these pictures are references; other pictures do not even count as documents."""
    with open_captions(small_folder, max_train=5) as data:
        solver, encode = make(data), data.vocabulary.encode
        pictures = sorted(set(data.train.image_idxs.tolist()))
        assert sorted(solver._order_of(0)) == sorted(solver.training_images.tolist()) == pictures
        every = [[encode(words).tolist() for words in data.train.references(i)] for i in pictures]
        expected = DocumentFrequencies.of(every, end=data.vocabulary.end)
        assert solver.reward.frequencies == expected
        said = [*every[0][1], data.vocabulary.end]
        assert solver.reward.score(pictures[0], said) == CiderD([every[0]], expected).score(0, said) > 0


def test_a_resumed_training_is_the_unbroken_one_to_the_bit(small_data, tmp_path):
    whole, first = make(small_data), make(small_data)
    history = whole.train()
    assert all("reward" in entry for entry in history if "loss" in entry)
    first.run = new_run(tmp_path / "run", small_data, SHORT, first.state(), first.model)
    first.train(max_iterations=4)
    again = make(small_data, run=Run.open(tmp_path / "run"))
    again.resume()
    assert again.iteration == 4
    assert again.train() == history
    assert same(weights(whole), weights(again))


@pytest.mark.parametrize(("name", "value"), [("drafts", 1), ("drafts", 2.0), ("longest", 1001), ("longest", True)])
def test_impossible_drawings_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be an int from 2 to 1000; got {value!r}"):
        Drawing(**{name: value})


@pytest.mark.parametrize(("name", "value"), [("label_smoothing", 0.1), ("scheduled_sampling", 0.5), ("buckets", 20)])
def test_settings_that_would_do_nothing_are_refused(small_data, name, value):
    with pytest.raises(ValueError, match=f"{name} .*self-critical.*{value}"):
        make(small_data, dataclasses.replace(SHORT, **{name: value}))
