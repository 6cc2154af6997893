"""Captioners: their loss by hand, the shortcuts that change nothing, dropout, and steps that agree with the loss."""

import numpy as np
import pytest

import minigrad as mg
from captioning.data.vocabulary import Vocabulary
from captioning.models.attention_captioner import AttentionCaptioner
from captioning.models.captioner import WEIGHTS, Captioner
from captioning.models.kinds import MODELS, kind_of, new_captioner
from captioning.models.recurrent_cells import CELLS
from minigrad.observers import Observer, observing
from tests.captioning.models.by_hand import CAPTIONS, FEATURES, VOCABULARY, check_gradients, loss_by_hand, make


@pytest.mark.parametrize(
    ("kind", "cell", "options"),
    [*((kind, cell, {}) for kind in MODELS for cell in CELLS), *(("attention", "lstm", {"heads": n}) for n in (1, 4))],
)
def test_the_loss_and_every_gradient_by_hand(kind, cell, options):
    model = make(kind, cell, **options)
    gaps = np.array([[1, 0, 5, 0, 4], [0, 0, 6, 0, 0], [1, 4, 4, 4, 4], [1, 2, 0, 0, 0]])  # <NULL> counts as input
    for captions in (gaps, CAPTIONS):
        loss = model(FEATURES, captions)
        assert loss.item() == pytest.approx(loss_by_hand(model, FEATURES, captions), rel=1e-12)
    loss.backward()
    check_gradients(model, lambda: loss_by_hand(model))


@pytest.mark.parametrize("projected", [False, True])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("kind", MODELS)
def test_steps_give_the_scores_of_the_loss(kind, cell, projected):
    model = make(kind, cell)
    state, found = model.initial_state(FEATURES), []
    words = model.project_words() if projected else None
    for t in range(CAPTIONS.shape[1] - 1):
        scores, state = model.step(CAPTIONS[:, t], state, words)
        found.append(scores.data)
    assert not scores.requires_grad
    counts = CAPTIONS[:, 1:] != 0
    np.testing.assert_allclose(np.stack(found, axis=1)[counts], model.scores(FEATURES, CAPTIONS)[0].data, rtol=1e-10)


@pytest.mark.parametrize(("kind", "option"), [
    ("source", "dropout"), ("source", "feature_dropout"), ("attention", "dropout")
])  # fmt: skip
def test_dropout_only_while_training(kind, option):
    model, seeded = make(kind, **{option: 0.5}), []
    assert len({model.loss(FEATURES, CAPTIONS).item() for _ in range(5)}) > 2
    for _ in range(2):
        model.rng = np.random.default_rng(3)
        seeded.append(model.loss(FEATURES, CAPTIONS).item())
    assert seeded[0] == seeded[1]
    model.eval()
    assert model.loss(FEATURES, CAPTIONS).item() == make(kind).loss(FEATURES, CAPTIONS).item()


@pytest.mark.parametrize("kind", MODELS)
def test_it_is_made_again_by_its_settings(kind):
    model = make(kind, dtype=np.float32)
    again = new_captioner(VOCABULARY, {"kind": kind_of(model), **model.settings}, rng=5)
    again.load_state_dict(model.state_dict())
    assert again.loss(FEATURES, CAPTIONS).item() == model.loss(FEATURES, CAPTIONS).item()
    assert again.loss(FEATURES, CAPTIONS).dtype == again.initial_state(FEATURES)[0].dtype == np.float32


@pytest.mark.parametrize("kind", MODELS)
def test_several_captions_of_an_image_are_as_captions_of_its_copies(kind):
    model = make(kind)
    pairs = CAPTIONS[[0, 1, 2, 3, 3, 0]]
    together, words = model.scores(FEATURES[:2], pairs)
    apart, same_words = model.scores(np.repeat(FEATURES[:2], 3, axis=0), pairs)
    np.testing.assert_array_equal(words, same_words)
    np.testing.assert_allclose(together.data, apart.data, rtol=1e-12)


def test_more_padding_changes_no_bit():
    once, again = make(dtype=np.float32), make(dtype=np.float32)
    losses = [once.loss(FEATURES, CAPTIONS), again.loss(FEATURES, np.pad(CAPTIONS, ((0, 0), (0, 7))))]
    assert losses[0].item() == losses[1].item()
    for model, loss in zip((once, again), losses, strict=True):
        loss.backward()
        np.testing.assert_equal([t.grad for t in model.parameters()], [t.grad for t in once.parameters()])


def test_masked_rows_never_reach_the_vocabulary_and_dropout_is_of_words_and_hidden_states(monkeypatch):
    """Words that count: 3 + 4 + 1 + 5; without the mask 20 rows would meet W_vocab."""
    model, dropped, multiplied = make(dropout=0.3), [], []

    class Products(Observer):
        def call(self, primitive, params, inputs, outputs, node):
            if primitive.name == "affine":
                multiplied.append(inputs[0].shape)

    monkeypatch.setattr(model, "_drop", lambda x: dropped.append(x.shape) or x)
    with observing(Products()):
        model.loss(FEATURES, CAPTIONS)
    assert multiplied == [(4, 11), (13, 5)]  # of the features, and of the words that count
    assert dropped == [(4, 5, 4), (13, 5)]


def test_captions_without_any_word_cost_nothing():
    model = make()
    loss = model.loss(FEATURES, np.array([[1, 0, 0]] * 4))
    assert loss.item() == 0
    loss.backward()
    assert not any(np.any(t.grad) for t in model.parameters())


@pytest.mark.parametrize("cell", CELLS)
def test_the_first_weights_are_drawn_as_in_cs231n(cell):
    rng, G, model = np.random.default_rng(0), 5 * CELLS[cell].gates, make("source", cell)
    expected = {"W_embed": rng.standard_normal((7, 4)) / 100, "W_proj": rng.standard_normal((11, 5)) / np.sqrt(11),
                "Wx": rng.standard_normal((4, G)) / np.sqrt(4), "Wh": rng.standard_normal((5, G)) / np.sqrt(5),
                "W_vocab": rng.standard_normal((5, 7)) / np.sqrt(5)}  # fmt: skip
    for name, weight in model.weights.items():
        np.testing.assert_array_equal(weight.data, expected.get(name, np.zeros(weight.shape)))
    assert model.rng.bit_generator.state == rng.bit_generator.state  # the layers draw nothing from it
    open_gate = np.repeat([0, 1, 0, 0], 5) if cell == "lstm" else 0
    biases = make("source", cell, forget_bias=1.0).weights["bx" if cell == "gru" else "b"].data
    np.testing.assert_array_equal(biases, np.broadcast_to(open_gate, G))


def test_weights_under_their_names_in_cs231n_are_loaded():
    model, drawn = make(), {name: weight.data for name, weight in make(rng=5).weights.items()}
    assert list(model.state_dict()) == list(WEIGHTS.values())
    assert list(drawn) == list(WEIGHTS)
    assert model.load_state_dict(drawn) == ([], [])
    for name, weight in model.weights.items():
        np.testing.assert_array_equal(weight.data, drawn[name])
    without = {name: array for name, array in drawn.items() if name != "Wx"}
    for state, message in ((without, r"cell\.Wx is missing"), ({**drawn, "cell.Wx": drawn["Wx"]}, "Wx is unexpected")):
        with pytest.raises(ValueError, match=message):
            model.load_state_dict(state)


@pytest.mark.parametrize(("call", "error", "message"), [
    (lambda: make().loss(FEATURES, CAPTIONS[:, :1]), ValueError, r"captions must be word ids \(N,T\).*\(4, 1\)"),
    (lambda: make().loss(FEATURES, CAPTIONS[0]), ValueError, "captions must be word ids"),
    (lambda: make().loss(FEATURES[:0], CAPTIONS[:0]), ValueError, "the batch is empty"),
    (lambda: make().loss(FEATURES[:3], CAPTIONS), ValueError, r"features must be \(M, 11\).* 4; got \(3, 11\)"),
    (lambda: make().loss(FEATURES[:, :2], CAPTIONS), ValueError, r"features must be \(M, 11\).*got \(4, 2\)"),
    (lambda: make().loss(FEATURES, CAPTIONS, 0.0, CAPTIONS[:, :5]), ValueError, r"read must .*\(4, 6\).*\(4, 5\)"),
    (lambda: make().loss(FEATURES, CAPTIONS.astype(float)), TypeError, "captions must be integers"),
    (lambda: make().loss(FEATURES, CAPTIONS + 6), IndexError, "embedding"),
    *((lambda kind=kind: make(kind).initial_state(FEATURES[:, :2]), ValueError,
       r"features must be \(N, 11\).*got \(4, 2\)") for kind in MODELS),
    *((lambda kind=kind: make(kind, dropout=1), ValueError, "dropout must be at least 0 and below 1; got 1")
      for kind in MODELS),
    *((lambda kind=kind: make(kind, "qrnn"), ValueError, "cell_type must be one of 'rnn', 'lstm', 'gru'; got 'qrnn'")
      for kind in MODELS),
    (lambda: make(forget_bias=1e300, dtype=np.float32), ValueError, "forget_bias must be finite in float32"),
    (lambda: Captioner(VOCABULARY, 3, 4, 0), ValueError, "hidden_size must be an int of at least 1; got 0"),
    (lambda: AttentionCaptioner(VOCABULARY, 8, (4, 2)), ValueError, "more than the 4 x 2 of places; got 8"),
    (lambda: AttentionCaptioner(VOCABULARY, 11, (4, 2), looking_size=6), ValueError, "divide looking_size, 6; got 4"),
    *((lambda name=name: AttentionCaptioner(VOCABULARY, 11, (4, 2), **{name: 2.0}), ValueError,
       f"{name} must be an int of at least 1; got 2.0")
      for name in ("wordvec_size", "hidden_size", "picture_size", "looking_size", "heads")),
])  # fmt: skip
def test_mistakes_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(("cell", "trainings"), [("rnn", 2), ("gru", 2), ("lstm", 50)])
def test_training_on_two_threads_gives_the_same_bits_each_time(cell, trainings):
    """Large enough for threads in the steps, the products and the optimiser."""
    words = Vocabulary([*VOCABULARY.idx_to_word, *(f"word{i}" for i in range(1000))])
    rng = np.random.default_rng(0)
    features, captions = rng.standard_normal((100, 300)).astype(np.float32), rng.integers(4, len(words), (100, 6))
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
        first = trained()
        for _ in range(trainings - 1):
            np.testing.assert_equal(trained(), first)
    finally:
        mg.set_num_threads(before)
