"""The captioner: its loss by hand, the shortcuts that change nothing, dropout, and steps that agree with the loss."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import minigrad as mg
from captioning.data.vocabulary import Vocabulary
from captioning.models.captioner import WEIGHTS, Captioner
from captioning.models.recurrent_cells import CELLS

VOCABULARY = Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", "a", "dog", "cat"])
CAPTIONS = np.array([[1, 4, 5, 2, 0, 0], [1, 4, 6, 5, 2, 0], [1, 2, 0, 0, 0, 0]], dtype=np.int32)
FEATURES = np.random.default_rng(1).standard_normal((3, 3))


def make(cell="lstm", dtype=np.float64, **options):
    return Captioner(VOCABULARY, 3, 4, 5, cell, dtype=dtype, rng=0, **options)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def loss_by_hand(w, features, captions, cell, null=0):
    """Word by word, in plain NumPy, with every column and every row."""
    total = 0.0
    for feature, caption in zip(features, captions, strict=True):
        h, c = feature @ w["W_proj"] + w["b_proj"], 0.0
        for word, following in itertools.pairwise(caption):
            p, a = w["W_embed"][word] @ w["Wx"] + w["bx" if cell == "gru" else "b"], h @ w["Wh"]
            if cell == "gru":
                (p_r, p_z, p_n), (a_r, a_z, a_n) = np.split(p, 3), np.split(a + w["bh"], 3)
                z, n = sigmoid(p_z + a_z), np.tanh(p_n + sigmoid(p_r + a_r) * a_n)
                h = (1 - z) * n + z * h
            elif (a := p + a).size == h.size:
                h = np.tanh(a)
            else:
                i, f, o, g = np.split(a, 4)
                c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
                h = sigmoid(o) * np.tanh(c)
            scores = h @ w["W_vocab"] + w["b_vocab"]
            if following != null:
                total += np.log(np.exp(scores).sum()) - scores[following]
    return total / len(captions)


@pytest.mark.parametrize("cell", CELLS)
def test_the_loss_by_hand(cell):
    model = make(cell)
    weights = {name: t.data for name, t in model.weights.items()}
    assert model.loss(FEATURES, CAPTIONS).item() == pytest.approx(
        loss_by_hand(weights, FEATURES, CAPTIONS, cell), rel=1e-12
    )
    gaps = np.array([[1, 0, 5, 0, 4], [0, 0, 6, 0, 0], [1, 4, 4, 4, 4]])  # <NULL> between words counts as input
    assert model(FEATURES, gaps).item() == pytest.approx(loss_by_hand(weights, FEATURES, gaps, cell), rel=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_every_gradient(cell):
    model = make(cell)
    model.loss(FEATURES, CAPTIONS).backward()
    for name, weight in model.weights.items():
        numeric = np.empty_like(weight.data)
        for index in np.ndindex(weight.shape):
            kept, sides = weight.data[index], []
            for step in (1e-5, -1e-5):
                weight.data[index] = kept + step
                sides.append(loss_by_hand({n: t.data for n, t in model.weights.items()}, FEATURES, CAPTIONS, cell))
            weight.data[index] = kept
            numeric[index] = (sides[0] - sides[1]) / 2e-5
        np.testing.assert_allclose(weight.grad, numeric, rtol=1e-6, atol=1e-9, err_msg=name)


def test_more_padding_changes_no_bit():
    model = make(dtype=np.float32)
    padded = np.pad(CAPTIONS, ((0, 0), (0, 7)))
    losses, grads = [], []
    for captions in (CAPTIONS, padded):
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


def test_the_weights_read_well_and_start_as_in_cs231n():
    model = Captioner(VOCABULARY, 300, 200, 100, rng=0)
    state = model.state_dict()
    assert list(state) == list(WEIGHTS.values()) == [name for name, _ in model.named_parameters()]
    assert {a.dtype for a in state.values()} == {np.dtype(np.float32)}
    state = {name: weight.data for name, weight in model.weights.items()}
    assert list(state) == ["W_proj", "b_proj", "W_embed", "Wx", "Wh", "b", "W_vocab", "b_vocab"]
    shapes = {"W_proj": (300, 100), "b_proj": (100,), "W_embed": (7, 200), "Wx": (200, 400), "Wh": (100, 400),
              "b": (400,), "W_vocab": (100, 7), "b_vocab": (7,)}  # fmt: skip
    assert {name: a.shape for name, a in state.items()} == shapes
    spread = {"W_embed": 0.01, "W_proj": 300**-0.5, "Wx": 200**-0.5, "Wh": 0.1, "W_vocab": 0.1}
    for name, deviation in spread.items():
        assert state[name].std() == pytest.approx(deviation, rel=0.1)
    assert not any(state[name].any() for name in ("b_proj", "b", "b_vocab"))


def test_the_forget_bias_is_that_of_the_second_gate():
    b = make(forget_bias=1.0).cell.b.data
    np.testing.assert_array_equal(b, np.repeat([0, 1, 0, 0], 5))
    np.testing.assert_array_equal(make("rnn", forget_bias=1.0).cell.b.data, np.zeros(5))


def test_the_same_seed_gives_the_same_weights():
    a, b = make().state_dict(), make().state_dict()
    assert all((a[name] == b[name]).all() for name in a)
    other = Captioner(VOCABULARY, 3, 4, 5, dtype=np.float64, rng=1)
    assert (other.cell.Wx.data != a["cell.Wx"]).any()


@pytest.mark.parametrize("cell", CELLS)
def test_the_first_weights_are_drawn_as_cs231n_draws_them(cell):
    rng, G = np.random.default_rng(0), 5 * CELLS[cell].gates
    expected = {"W_embed": rng.standard_normal((7, 4)) / 100, "W_proj": rng.standard_normal((3, 5)) / np.sqrt(3),
                "Wx": rng.standard_normal((4, G)) / np.sqrt(4), "Wh": rng.standard_normal((5, G)) / np.sqrt(5),
                "W_vocab": rng.standard_normal((5, 7)) / np.sqrt(5)}  # fmt: skip
    for name, array in expected.items():
        np.testing.assert_array_equal(make(cell).weights[name].data, array)
    assert make(cell).rng.bit_generator.state == rng.bit_generator.state  # the layers draw nothing from it


def test_weights_under_their_names_in_cs231n_are_loaded():
    other = Captioner(VOCABULARY, 3, 4, 5, dtype=np.float64, rng=5)
    model, drawn = make(), {name: weight.data for name, weight in other.weights.items()}
    assert model.load_state_dict(drawn) == ([], [])
    for name, weight in model.weights.items():
        np.testing.assert_array_equal(weight.data, drawn[name])
    model.load_state_dict({WEIGHTS[name]: array for name, array in drawn.items()})
    with pytest.raises(ValueError, match=r"cell\.Wx is missing"):
        model.load_state_dict({name: array for name, array in drawn.items() if name != "Wx"})
    with pytest.raises(ValueError, match="Wx is unexpected"):  # it is there twice
        model.load_state_dict({**drawn, "cell.Wx": drawn["Wx"]})
    with pytest.raises(TypeError, match="must map names to arrays"):
        model.load_state_dict([])
    report = model.load_state_dict({"b": drawn["b"]}, strict=False)
    assert report.missing == [name for name in WEIGHTS.values() if name != "cell.b"]


def test_dropout_only_while_training():
    model = make(dropout=0.5)
    plain = make().loss(FEATURES, CAPTIONS).item()
    model.eval()
    assert model.loss(FEATURES, CAPTIONS).item() == plain
    model.train()
    losses = {model.loss(FEATURES, CAPTIONS).item() for _ in range(5)}
    assert len(losses) == 5
    model.rng = np.random.default_rng(3)
    first = model.loss(FEATURES, CAPTIONS).item()
    model.rng = np.random.default_rng(3)
    assert model.loss(FEATURES, CAPTIONS).item() == first


def test_dropout_keeps_the_mean_and_the_dtype():
    model = make(dtype=np.float32, dropout=0.3)
    dropped = model._drop(mg.tensor(np.ones((200, 200), np.float32)))
    assert dropped.dtype == np.float32
    assert set(np.unique(dropped.data)) == {0, np.float32(1 / 0.7)}
    assert dropped.data.mean() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("cell", CELLS)
def test_steps_give_the_scores_of_the_loss(cell):
    model = make(cell)
    state, total = model.initial_state(FEATURES), 0.0
    for t in range(CAPTIONS.shape[1] - 1):
        scores, state = model.step(CAPTIONS[:, t], state)
        assert scores.shape == (3, 7)
        assert not scores.requires_grad
        targets = CAPTIONS[:, t + 1]
        rows = targets != 0
        logs = scores.data - np.log(np.exp(scores.data).sum(axis=1, keepdims=True))
        total -= logs[np.arange(3), targets][rows].sum()
    assert total / 3 == pytest.approx(model.loss(FEATURES, CAPTIONS).item(), rel=1e-12)


def test_float32_features_of_another_dtype_do_not_widen_the_model():
    model = make(dtype=np.float32)
    assert model.loss(FEATURES, CAPTIONS).dtype == np.float32
    assert model.initial_state(FEATURES)[0].dtype == np.float32


@pytest.mark.parametrize(("change", "message"), [
    ({"captions": CAPTIONS[:, :1]}, r"captions must be word ids \(N,T\) with T >= 2.*\(3, 1\)"),
    ({"captions": CAPTIONS[0]}, r"captions must be word ids"),
    ({"captions": CAPTIONS[:0], "features": FEATURES[:0]}, "the batch is empty"),
    ({"features": FEATURES[:2]}, r"features must be \(M, 3\).*3 in all; got \(2, 3\)"),
    ({"features": FEATURES[:, :2]}, r"features must be \(M, 3\).*got \(3, 2\)"),
])  # fmt: skip
def test_a_batch_that_does_not_fit_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        make().loss(**{"features": FEATURES, "captions": CAPTIONS} | change)


def test_other_mistakes_are_named():
    with pytest.raises(TypeError, match="captions must be integers"):
        make().loss(FEATURES, CAPTIONS.astype(float))
    with pytest.raises(IndexError, match="embedding"):
        make().loss(FEATURES, CAPTIONS + 6)
    with pytest.raises(ValueError, match=r"features must be \(N, 3\).*got \(3, 2\)"):
        make().initial_state(FEATURES[:, :2])
    with pytest.raises(ValueError, match="dropout must be at least 0 and below 1; got 1"):
        make(dropout=1)
    with pytest.raises(ValueError, match="cell_type must be one of 'rnn', 'lstm', 'gru'; got 'qrnn'"):
        make("qrnn")
    with pytest.raises(ValueError, match="hidden_size must be an int of at least 1; got 0"):
        Captioner(VOCABULARY, 3, 4, 0)


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
        for _ in range(3):
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
