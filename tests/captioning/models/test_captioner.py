"""The captioner: its loss by hand, the shortcuts that change nothing, dropout, and steps that agree with the loss."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import minigrad as mg
from captioning.data.vocabulary import Vocabulary
from captioning.models.captioner import WEIGHTS, Captioner
from captioning.models.kinds import new_captioner
from captioning.models.recurrent_cells import CELLS
from tests.captioning.models.by_hand import VOCABULARY, cell_by_hand, check_gradients, cross_entropy

CAPTIONS = np.array([[1, 4, 5, 2, 0, 0], [1, 4, 6, 5, 2, 0], [1, 2, 0, 0, 0, 0]], dtype=np.int32)
FEATURES = np.random.default_rng(1).standard_normal((3, 3))


def make(cell="lstm", dtype=np.float64, **options):
    return Captioner(VOCABULARY, 3, 4, 5, cell, dtype=dtype, rng=0, **options)


def loss_by_hand(model, features, captions, cell):
    """Word by word, in plain NumPy, with every column and every row."""
    w, total = model.state_dict(), 0.0
    for feature, caption in zip(features, captions, strict=True):
        h, c = feature @ w["project.weight"] + w["project.bias"], 0.0
        for word, following in itertools.pairwise(caption):
            h, c = cell_by_hand(w, cell, w["embed.weight"][word], h, c)
            if following != 0:
                total += cross_entropy(h @ w["predict.weight"] + w["predict.bias"], following)
    return total / len(captions)


@pytest.mark.parametrize("cell", CELLS)
def test_the_loss_and_every_gradient_by_hand(cell):
    model = make(cell)
    gaps = np.array([[1, 0, 5, 0, 4], [0, 0, 6, 0, 0], [1, 4, 4, 4, 4]])  # <NULL> between words counts as input
    assert model(FEATURES, gaps).item() == pytest.approx(loss_by_hand(model, FEATURES, gaps, cell), rel=1e-12)
    loss = model.loss(FEATURES, CAPTIONS)
    assert loss.item() == pytest.approx(loss_by_hand(model, FEATURES, CAPTIONS, cell), rel=1e-12)
    loss.backward()
    check_gradients(model, lambda: loss_by_hand(model, FEATURES, CAPTIONS, cell))


def test_more_padding_changes_no_bit():
    model, losses, grads = make(dtype=np.float32), [], []
    for captions in (CAPTIONS, np.pad(CAPTIONS, ((0, 0), (0, 7)))):
        model.zero_grad()
        loss = model.loss(FEATURES, captions)
        loss.backward()
        losses.append(loss.item())
        grads.append({name: t.grad for name, t in model.weights.items()})
    assert losses[0] == losses[1]
    for name in WEIGHTS:
        np.testing.assert_array_equal(grads[0][name], grads[1][name])


def test_masked_rows_never_reach_the_vocabulary():
    """Words that count: 3 + 4 + 1; without the mask 15 rows would meet W_vocab."""
    record, kept = mg.ops.affine.primitive, mg.ops.affine.primitive.forward
    shapes = []

    def watched(x, W, b):
        shapes.append((x.shape, W.shape))
        return kept(x, W, b)

    record.forward = watched
    try:
        make().loss(FEATURES, CAPTIONS)
    finally:
        record.forward = kept
    assert shapes == [((3, 3), (3, 5)), ((8, 5), (5, 7))]  # of the features, and of the words that count


def test_captions_without_any_word_cost_nothing():
    model = make()
    loss = model.loss(FEATURES, np.array([[1, 0, 0]] * 3))
    assert loss.item() == 0
    loss.backward()
    assert not any(np.any(t.grad) for t in model.weights.values())


@pytest.mark.parametrize("cell", CELLS)
def test_the_first_weights_are_drawn_as_in_cs231n(cell):
    rng, G, model = np.random.default_rng(0), 5 * CELLS[cell].gates, make(cell)
    expected = {"W_embed": rng.standard_normal((7, 4)) / 100, "W_proj": rng.standard_normal((3, 5)) / np.sqrt(3),
                "Wx": rng.standard_normal((4, G)) / np.sqrt(4), "Wh": rng.standard_normal((5, G)) / np.sqrt(5),
                "W_vocab": rng.standard_normal((5, 7)) / np.sqrt(5)}  # fmt: skip
    for name, weight in model.weights.items():
        np.testing.assert_array_equal(weight.data, expected.get(name, np.zeros(weight.shape)))
    assert model.rng.bit_generator.state == rng.bit_generator.state  # the layers draw nothing from it
    open_gate = np.repeat([0, 1, 0, 0], 5) if cell == "lstm" else 0
    biases = make(cell, forget_bias=1.0).weights["bx" if cell == "gru" else "b"].data
    np.testing.assert_array_equal(biases, np.broadcast_to(open_gate, G))
    again = new_captioner(VOCABULARY, model.settings, rng=3)
    again.load_state_dict(model.state_dict())
    assert again.loss(FEATURES, CAPTIONS).item() == model.loss(FEATURES, CAPTIONS).item()


def test_weights_under_their_names_in_cs231n_are_loaded():
    other = Captioner(VOCABULARY, 3, 4, 5, dtype=np.float64, rng=5)
    model, drawn = make(), {name: weight.data for name, weight in other.weights.items()}
    assert list(model.state_dict()) == list(WEIGHTS.values())
    assert list(drawn) == list(WEIGHTS)
    assert model.load_state_dict(drawn) == ([], [])
    for name, weight in model.weights.items():
        np.testing.assert_array_equal(weight.data, drawn[name])
    with pytest.raises(ValueError, match=r"cell\.Wx is missing"):
        model.load_state_dict({name: array for name, array in drawn.items() if name != "Wx"})
    with pytest.raises(ValueError, match="Wx is unexpected"):  # it is there twice
        model.load_state_dict({**drawn, "cell.Wx": drawn["Wx"]})
    with pytest.raises(TypeError, match="must map names to arrays"):
        model.load_state_dict([])
    report = model.load_state_dict({"b": drawn["b"]}, strict=False)
    assert report.missing == [name for name in WEIGHTS.values() if name != "cell.b"]


@pytest.mark.parametrize("option", ["dropout", "feature_dropout"])
def test_dropout_only_while_training(option):
    model, plain = make(**{option: 0.5}), make().loss(FEATURES, CAPTIONS).item()
    assert len({model.loss(FEATURES, CAPTIONS).item() for _ in range(5)}) > 2
    model.eval()
    assert model.loss(FEATURES, CAPTIONS).item() == plain
    model.train()
    seeded = []
    for _ in range(2):
        model.rng = np.random.default_rng(3)
        seeded.append(model.loss(FEATURES, CAPTIONS).item())
    assert seeded[0] == seeded[1]


def test_dropout_of_hidden_states_and_word_vectors_keeps_the_mean_and_the_dtype():
    model, seen = make(dtype=np.float32, dropout=0.3), []
    dropped = model._drop(mg.tensor(np.ones((200, 200), np.float32)))
    assert dropped.dtype == np.float32
    assert set(np.unique(dropped.data)) == {0, np.float32(1 / 0.7)}
    assert dropped.data.mean() == pytest.approx(1, abs=0.02)
    model._drop = lambda x: seen.append(x.shape) or x
    model.loss(FEATURES, CAPTIONS)
    assert seen == [(3, 4, 4), (8, 5)]


@pytest.mark.parametrize("projected", [False, True])
@pytest.mark.parametrize("cell", CELLS)
def test_steps_give_the_scores_of_the_loss(cell, projected):
    model = make(cell)
    state, found = model.initial_state(FEATURES), []
    words = model.project_words() if projected else None
    for t in range(CAPTIONS.shape[1] - 1):
        scores, state = model.step(CAPTIONS[:, t], state, words)
        assert not scores.requires_grad
        found.append(scores.data)
    counts = CAPTIONS[:, 1:] != 0
    np.testing.assert_allclose(np.stack(found, axis=1)[counts], model.scores(FEATURES, CAPTIONS)[0].data, rtol=1e-10)


def test_features_of_another_dtype_do_not_widen_the_model():
    model = make(dtype=np.float32)
    assert model.loss(FEATURES, CAPTIONS).dtype == model.initial_state(FEATURES)[0].dtype == np.float32


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: make().loss(FEATURES, CAPTIONS[:, :1]), ValueError, r"captions must be word ids \(N,T\).*\(3, 1\)"),
    (lambda: make().loss(FEATURES, CAPTIONS[0]), ValueError, "captions must be word ids"),
    (lambda: make().loss(FEATURES[:0], CAPTIONS[:0]), ValueError, "the batch is empty"),
    (lambda: make().loss(FEATURES[:2], CAPTIONS), ValueError, r"features must be \(M, 3\).*3 in all; got \(2, 3\)"),
    (lambda: make().loss(FEATURES[:, :2], CAPTIONS), ValueError, r"features must be \(M, 3\).*got \(3, 2\)"),
    (lambda: make().loss(FEATURES, CAPTIONS, 0.0, CAPTIONS[:, :5]), ValueError, r"read must be .*\(3, 6\).*\(3, 5\)"),
    (lambda: make().loss(FEATURES, CAPTIONS.astype(float)), TypeError, "captions must be integers"),
    (lambda: make().loss(FEATURES, CAPTIONS + 6), IndexError, "embedding"),
    (lambda: make().initial_state(FEATURES[:, :2]), ValueError, r"features must be \(N, 3\).*got \(3, 2\)"),
    (lambda: make(dropout=1), ValueError, "dropout must be at least 0 and below 1; got 1"),
    (lambda: make("qrnn"), ValueError, "cell_type must be one of 'rnn', 'lstm', 'gru'; got 'qrnn'"),
    (lambda: make(forget_bias=1e300, dtype=np.float32), ValueError, "forget_bias must be finite in float32"),
    (lambda: Captioner(VOCABULARY, 3, 4, 0), ValueError, "hidden_size must be an int of at least 1; got 0"),
])  # fmt: skip
def test_mistakes_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("cell", CELLS)
def test_training_on_two_threads_gives_the_same_bits_each_time(cell):
    """Large enough for threads in the steps, the products and the optimiser."""
    words = Vocabulary([*VOCABULARY.idx_to_word, *(f"word{i}" for i in range(1000))])
    rng = np.random.default_rng(0)
    features = rng.standard_normal((100, 300)).astype(np.float32)
    captions = rng.integers(4, len(words), (100, 9))
    captions[rng.random(captions.shape) < 0.2] = 0

    def trained():
        model = Captioner(words, 300, 128, 256, cell, rng=0)
        adam = mg.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(2):
            adam.zero_grad()
            model.loss(features, captions).backward()
            adam.step()
        return [p.data for p in model.parameters()]

    before = mg.get_num_threads()
    mg.set_num_threads(2)
    try:
        for once, again in zip(trained(), trained(), strict=True):
            np.testing.assert_array_equal(once, again)
    finally:
        mg.set_num_threads(before)
