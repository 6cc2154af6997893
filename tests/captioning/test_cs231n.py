"""The facade: every row of the notebooks' checks to its bound, and no arithmetic beside the primitives."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

import minigrad as mg
from captioning import cs231n
from captioning.cs231n import (
    CaptioningRNN,
    CaptioningSolver,
    affine_backward,
    affine_forward,
    coco_data,
    eval_numerical_gradient,
    eval_numerical_gradient_array,
    evaluate_model,
    load_coco_data,
    lstm_backward,
    lstm_forward,
    lstm_step_backward,
    lstm_step_forward,
    rel_error,
    rnn_backward,
    rnn_forward,
    rnn_step_backward,
    rnn_step_forward,
    sigmoid,
    temporal_affine_backward,
    temporal_affine_forward,
    temporal_softmax_loss,
    word_embedding_backward,
    word_embedding_forward,
)
from captioning.data.errors import DataError
from minigrad.primitives import Primitive


def lin(low, high, *shape):
    return np.linspace(low, high, num=int(np.prod(shape))).reshape(*shape)


@pytest.fixture(autouse=True)
def _notebook_seed():
    np.random.seed(231)  # noqa: NPY002 - the notebooks' cells start so


def randn(*shape):
    return np.random.randn(*shape)  # noqa: NPY002


# Values ----------------------------------------------------------------------------------------


def test_rnn_step_forward():
    N, D, H = 3, 10, 4
    h, _ = rnn_step_forward(
        lin(-0.4, 0.7, N, D), lin(-0.2, 0.5, N, H), lin(-0.1, 0.9, D, H), lin(-0.3, 0.7, H, H), lin(-0.2, 0.4, H)
    )
    expected = [
        [-0.58172089, -0.50182032, -0.41232771, -0.31410098],
        [0.66854692, 0.79562378, 0.87755553, 0.92795967],
        [0.97934501, 0.99144213, 0.99646691, 0.99854353],
    ]
    assert rel_error(expected, h) < 1e-8


def test_rnn_forward():
    N, T, D, H = 2, 3, 4, 5
    h, _ = rnn_forward(
        lin(-0.1, 0.3, N, T, D), lin(-0.3, 0.1, N, H), lin(-0.2, 0.4, D, H), lin(-0.4, 0.1, H, H), lin(-0.7, 0.1, H)
    )
    expected = [
        [
            [-0.42070749, -0.27279261, -0.11074945, 0.05740409, 0.22236251],
            [-0.39525808, -0.22554661, -0.0409454, 0.14649412, 0.32397316],
            [-0.42305111, -0.24223728, -0.04287027, 0.15997045, 0.35014525],
        ],
        [
            [-0.55857474, -0.39065825, -0.19198182, 0.02378408, 0.23735671],
            [-0.27150199, -0.07088804, 0.13562939, 0.33099728, 0.50158768],
            [-0.51014825, -0.30524429, -0.06755202, 0.17806392, 0.40333043],
        ],
    ]
    assert rel_error(expected, h) < 1e-7


@pytest.mark.parametrize(("N", "T", "p", "expected"), [(100, 1, 1, 2.3), (100, 10, 1, 23), (5000, 10, 0.1, 2.3)])
def test_temporal_softmax_loss(N, T, p, expected):
    rng = np.random.default_rng(0)
    x = 0.001 * rng.standard_normal((N, T, 10))
    loss, dx = temporal_softmax_loss(x, rng.integers(10, size=(N, T)), rng.random((N, T)) <= p)
    assert type(loss) is float
    assert loss == pytest.approx(expected, rel=0.02)
    assert dx.shape == x.shape


def test_lstm_step_forward():
    N, D, H = 3, 4, 5
    h, c, _ = lstm_step_forward(
        lin(-0.4, 1.2, N, D),
        lin(-0.3, 0.7, N, H),
        lin(-0.4, 0.9, N, H),
        lin(-2.1, 1.3, D, 4 * H),
        lin(-0.7, 2.2, H, 4 * H),
        lin(0.3, 0.7, 4 * H),
    )
    expected_h = [
        [0.24635157, 0.28610883, 0.32240467, 0.35525807, 0.38474904],
        [0.49223563, 0.55611431, 0.61507696, 0.66844003, 0.7159181],
        [0.56735664, 0.66310127, 0.74419266, 0.80889665, 0.858299],
    ]
    expected_c = [
        [0.32986176, 0.39145139, 0.451556, 0.51014116, 0.56717407],
        [0.66382255, 0.76674007, 0.87195994, 0.97902709, 1.08751345],
        [0.74192008, 0.90592151, 1.07717006, 1.25120233, 1.42395676],
    ]
    assert rel_error(expected_h, h) < 1e-8
    assert rel_error(expected_c, c) < 1e-8


def test_lstm_forward():
    N, D, H, T = 2, 5, 4, 3
    h, _ = lstm_forward(
        lin(-0.4, 0.6, N, T, D),
        lin(-0.4, 0.8, N, H),
        lin(-0.2, 0.9, D, 4 * H),
        lin(-0.3, 0.6, H, 4 * H),
        lin(0.2, 0.7, 4 * H),
    )
    expected = [
        [
            [0.01764008, 0.01823233, 0.01882671, 0.0194232],
            [0.11287491, 0.12146228, 0.13018446, 0.13902939],
            [0.31358768, 0.33338627, 0.35304453, 0.37250975],
        ],
        [
            [0.45767879, 0.4761092, 0.4936887, 0.51041945],
            [0.6704845, 0.69350089, 0.71486014, 0.7346449],
            [0.81733511, 0.83677871, 0.85403753, 0.86935314],
        ],
    ]
    assert rel_error(expected, h) < 1e-7


# Gradients -------------------------------------------------------------------------------------


def extrapolated(numeric, h=2e-3):
    """Richardson's extrapolation of central differences, whose own rounding would break the bounds on small entries."""
    return (4 * numeric(h / 2) - numeric(h)) / 3


def check_gradients(forward, inputs, cotangents, grads, bound):
    """Compare grads with central differences of every input; forward returns the outputs as a tuple."""
    for i, (x, grad) in enumerate(zip(inputs, grads, strict=True)):

        def moved(value, i=i):
            return forward(*inputs[:i], value, *inputs[i + 1 :])

        numeric = sum(
            extrapolated(lambda h, x=x, k=k, d=d: eval_numerical_gradient_array(lambda v: moved(v)[k], x, d, h))
            for k, d in enumerate(cotangents)
        )
        assert grad.shape == x.shape
        assert rel_error(numeric, grad) < bound, f"input {i}"


H, D, N, T = 6, 5, 4, 7
RNN = ((D, H), (H, H), (H,))
LSTM = ((D, 4 * H), (H, 4 * H), (4 * H,))


@pytest.mark.parametrize(("forward", "backward", "shapes", "outputs", "bound"), [
    (rnn_step_forward, rnn_step_backward, ((N, D), (N, H), *RNN), ((N, H),), 1e-8),
    (rnn_forward, rnn_backward, ((2, T, D), (2, H), *RNN), ((2, T, H),), 5e-7),
    (lstm_step_forward, lstm_step_backward, ((N, D), (N, H), (N, H), *LSTM), ((N, H), (N, H)), 1e-6),
    (lstm_forward, lstm_backward, ((2, T, D), (2, H), *LSTM), ((2, T, H),), 1e-7),
    (temporal_affine_forward, temporal_affine_backward, ((2, 3, 4), (4, 5), (5,)), ((2, 3, 5),), 1e-9),
    (affine_forward, affine_backward, ((2, 3, 4), (12, 5), (5,)), ((2, 5),), 1e-9),
])  # fmt: skip
def test_backward(forward, backward, shapes, outputs, bound):
    inputs, cotangents = [randn(*shape) for shape in shapes], [randn(*shape) for shape in outputs]
    *_, cache = forward(*inputs)
    count = len(outputs)
    check_gradients(lambda *a: forward(*a)[:count], inputs, cotangents, backward(*cotangents, cache), bound)


def test_word_embedding_backward():
    x = np.random.default_rng(0).integers(5, size=(50, 3))
    W, dout = randn(5, 6), randn(50, 3, 6)
    _, cache = word_embedding_forward(x, W)
    numeric = eval_numerical_gradient_array(lambda w: word_embedding_forward(x, w)[0], W, dout)
    assert rel_error(numeric, word_embedding_backward(dout, cache)) < 1e-11


def test_affine_flattens_each_example():
    inputs = [randn(2, 3, 4), randn(12, 5), randn(5)]
    out, _ = affine_forward(*inputs)
    np.testing.assert_allclose(out, inputs[0].reshape(2, 12) @ inputs[1] + inputs[2], rtol=1e-12)


def test_sigmoid_has_no_overflow_in_either_tail():
    x = np.array([-1e4, -40.0, 0.0, 40.0, 1e4])
    with np.errstate(over="raise"):
        y = sigmoid(x)
    assert type(y) is np.ndarray
    np.testing.assert_allclose(y, [0, np.exp(-40), 0.5, 1, 1], rtol=1e-15)
    assert sigmoid(x.astype(np.float32)).dtype == np.float32


def test_temporal_softmax_gradient():
    rng = np.random.default_rng(0)
    x, y, mask = randn(7, 8, 9), rng.integers(9, size=(7, 8)), rng.random((7, 8)) > 0.5
    _, dx = temporal_softmax_loss(x, y, mask)
    numeric = eval_numerical_gradient(lambda v: temporal_softmax_loss(v, y, mask)[0], x, verbose=False)
    assert rel_error(numeric, dx) < 1e-7


def test_a_cache_can_be_used_again_and_outlives_its_inputs():
    inputs = [randn(2, 3), randn(2, 4), randn(3, 4), randn(4, 4), randn(4)]
    _, cache = rnn_step_forward(*inputs)
    first = rnn_step_backward(np.ones((2, 4)), cache)
    for array in inputs:
        array[...] = 0.0
    for a, b in zip(first, rnn_step_backward(np.ones((2, 4)), cache), strict=True):
        np.testing.assert_array_equal(a, b)


def test_float32_stays_float32():
    arrays = [randn(2, 3), randn(2, 4), randn(3, 4), randn(4, 4), randn(4)]
    arrays = [a.astype(np.float32) for a in arrays]
    h, cache = rnn_step_forward(*arrays)
    assert {a.dtype for a in (h, *rnn_step_backward(np.ones((2, 4), np.float32), cache))} == {np.dtype(np.float32)}


@contextlib.contextmanager
def counted():
    """Counts the forwards of every primitive by name."""
    calls = {}
    records = {f.primitive for f in vars(mg.ops).values() if isinstance(getattr(f, "primitive", None), Primitive)}
    kept = {record: record.forward for record in records}
    for record in records:

        def counting(*args, record=record, **options):
            calls[record.name] = calls.get(record.name, 0) + 1
            return kept[record](*args, **options)

        record.forward = counting
    try:
        yield calls
    finally:
        for record, forward in kept.items():
            record.forward = forward


def test_the_layers_call_the_primitives_and_nothing_else():
    rnn = [randn(2, 3), randn(2, 4), randn(3, 4), randn(4, 4), randn(4)]
    lstm = [randn(2, 3), randn(2, 4), randn(2, 4), randn(3, 16), randn(4, 16), randn(16)]
    ids, mask = np.array([[0, 1]]), np.ones((1, 2), bool)
    calls = [
        (lambda: rnn_step_forward(*rnn), {"rnn_step": 1}),
        (lambda: rnn_forward(randn(2, 5, 3), *rnn[1:]), {"rnn": 1}),
        (lambda: lstm_step_forward(*lstm), {"lstm_step": 1}),
        (lambda: lstm_forward(randn(2, 5, 3), lstm[1], *lstm[3:]), {"lstm": 1}),
        (lambda: word_embedding_forward(ids, randn(3, 4)), {"embedding": 1}),
        (lambda: affine_forward(randn(2, 3), randn(3, 4), randn(4)), {"reshape": 1, "affine": 1}),
        (lambda: temporal_affine_forward(randn(1, 2, 3), randn(3, 4), randn(4)), {"temporal_affine": 1}),
        (lambda: temporal_softmax_loss(randn(1, 2, 3), ids, mask), {"temporal_softmax_loss": 1}),
    ]
    for call, expected in calls:
        with counted() as found:
            call()
        assert found == expected


# The model -------------------------------------------------------------------------------------


def spread_model(cell, N=10, D=20, W=30, H=40, T=13):
    model = CaptioningRNN({"<NULL>": 0, "cat": 2, "dog": 3}, D, W, H, cell, np.float64)
    for name, value in model.params.items():
        model.params[name] = lin(-1.4, 1.3, *value.shape)
    return model, (np.arange(N * T) % 3).reshape(N, T)


@pytest.mark.parametrize(("cell", "low", "high", "expected"), [
    ("rnn", -1.5, 0.3, 9.83235591003), ("lstm", -0.5, 1.7, 9.82445935443),
])  # fmt: skip
def test_the_loss_of_the_notebooks(cell, low, high, expected):
    model, captions = spread_model(cell)
    loss, grads = model.loss(lin(low, high, 10, 20), captions)
    assert type(loss) is float
    assert abs(loss - expected) < 1e-10
    assert {name: (g.shape, g.dtype) for name, g in grads.items()} == {
        name: (p.shape, p.dtype) for name, p in model.params.items()
    }


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_the_gradients_of_the_model(cell):
    captions = np.random.randint(3, size=(2, 3))  # noqa: NPY002
    features = randn(2, 4)
    model = CaptioningRNN({"<NULL>": 0, "cat": 2, "dog": 3}, 4, 5, 6, cell, np.float64)
    for name, value in model.params.items():
        model.params[name] = 0.5 * randn(*value.shape)
    _, grads = model.loss(features, captions)
    for name, grad in grads.items():

        def numeric(h, name=name):
            return eval_numerical_gradient(lambda _: model.loss(features, captions)[0], model.params[name], False, h)

        numeric = extrapolated(numeric)
        assert rel_error(numeric, grad) < 5e-6, name


def test_the_parameters_may_be_replaced_or_written():
    model = CaptioningRNN({"<NULL>": 0, "<START>": 1, "<END>": 2, "a": 3}, 3, 4, 5, "lstm")
    assert {p.dtype for p in model.params.values()} == {np.dtype(np.float32)}
    features, captions = randn(2, 3), np.array([[1, 3, 2, 0], [1, 3, 3, 2]])
    first, _ = model.loss(features, captions)
    model.params["b_vocab"][3] += 1.0
    second, _ = model.loss(features, captions)
    model.params["W_vocab"] = np.zeros_like(model.params["W_vocab"])
    model.params["b_vocab"] = np.zeros_like(model.params["b_vocab"])
    third, grads = model.loss(features, captions)
    assert first != second
    assert third == pytest.approx(5 / 2 * np.log(4), rel=1e-6)
    assert {g.dtype for g in grads.values()} == {np.dtype(np.float32)}
    del model.params["b"]
    with pytest.raises(ValueError, match="params: b are missing"):
        model.loss(features, captions)


def test_sample_is_the_argmax_of_every_step():
    model = CaptioningRNN({"<NULL>": 0, "<START>": 1, "<END>": 2, "a": 3}, 3, 4, 5, "rnn", np.float64)
    p, features = model.params, randn(4, 3)
    p["W_vocab"] *= 10
    h, words, expected = features @ p["W_proj"] + p["b_proj"], np.full(4, 1), []
    for _ in range(9):
        h = np.tanh(p["W_embed"][words] @ p["Wx"] + h @ p["Wh"] + p["b"])
        words = (h @ p["W_vocab"] + p["b_vocab"]).argmax(axis=1)
        expected.append(words)
    said = model.sample(features, max_length=9)
    assert said.dtype.kind == "i"
    np.testing.assert_array_equal(said, np.transpose(expected))
    assert model.sample(features).shape == (4, 30)


def test_words_without_start_or_end_are_accepted():
    model = CaptioningRNN({"<NULL>": 0, "cat": 2, "dog": 3}, 3, 4, 5, "lstm")
    assert model.sample(randn(2, 3), max_length=3).shape == (2, 3)
    with pytest.raises(ValueError, match="word_to_idx has no <NULL>"):
        CaptioningRNN({"cat": 0})
    with pytest.raises(ValueError, match="cell_type must be one of 'rnn', 'lstm'"):
        CaptioningRNN({"<NULL>": 0}, cell_type="gru")


def test_params_may_be_replaced_by_others_of_other_sizes():
    words = {"<NULL>": 0, "a": 1, "b": 2}
    small, large = (CaptioningRNN(words, 3, *sizes, "lstm", np.float64) for sizes in ((4, 5), (6, 7)))
    features, captions = np.ones((1, 3)), np.array([[1, 2, 0]])
    small.params = dict(large.params)
    loss, grads = small.loss(features, captions)
    assert loss == large.loss(features, captions)[0]
    assert {name: g.shape for name, g in grads.items()} == {name: w.shape for name, w in large.params.items()}
    np.testing.assert_array_equal(small.sample(features), large.sample(features))
    small.params["b"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"params: b must be \(28,\) beside the others, not \(3,\)"):
        small.loss(features, captions)
    small.params = large.params | {"b_vocab": np.zeros(3, int)}  # sampling takes no gradients
    assert small.sample(features, max_length=2).shape == (1, 2)


def test_the_first_weights_are_those_of_numpy_s_seed():
    np.random.seed(231)  # noqa: NPY002
    model = CaptioningRNN({"<NULL>": 0, "a": 1}, 3, 4, 5, "lstm", np.float64)
    np.random.seed(231)  # noqa: NPY002
    np.testing.assert_array_equal(model.params["W_embed"], np.random.randn(2, 4) / 100)  # noqa: NPY002
    np.testing.assert_array_equal(model.params["W_proj"], np.random.randn(3, 5) / np.sqrt(3))  # noqa: NPY002


# The solver ------------------------------------------------------------------------------------


class Bowl:
    """Any model: the loss is |w - mean of features|^2."""

    def __init__(self):
        self.params = {"w": np.array([3.0, -2.0])}

    def loss(self, features, captions):
        difference = self.params["w"] - features.mean(axis=0)
        return float(difference @ difference), {"w": 2 * difference}


BOWL_DATA = {
    "train_captions": np.ones((10, 3), np.int32),
    "train_image_idxs": np.zeros(10, np.int32),
    "train_features": np.zeros((1, 2)),
    "train_urls": np.array([b""]),
}


def by_hand(rule, steps, lr, decay):
    """CS231n's update rules on the bowl, an update an epoch."""
    w, v, m = np.array([3.0, -2.0]), np.zeros(2), np.zeros(2)
    for t in range(1, steps + 1):
        g = 2 * w
        if rule == "sgd":
            w = w - lr * g
        elif rule == "rmsprop":
            v = 0.99 * v + 0.01 * g * g
            w = w - lr * g / (np.sqrt(v) + 1e-8)
        elif rule == "sgd_momentum":
            v = 0.9 * v + g
            w = w - lr * v
        else:
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            w = w - lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        lr *= decay
    return w


@pytest.mark.parametrize("rule", ["sgd", "sgd_momentum", "rmsprop", "adam"])
def test_the_solver_takes_any_model_and_every_rule(rule, capsys):
    model = Bowl()
    solver = CaptioningSolver(model, BOWL_DATA, rule, {"learning_rate": 0.05}, lr_decay=0.9, batch_size=10,
                              num_epochs=7, print_every=3)  # fmt: skip
    solver.train()
    np.testing.assert_allclose(model.params["w"], by_hand(rule, 7, 0.05, 0.9), rtol=1e-12)
    assert len(solver.loss_history) == 7
    assert capsys.readouterr().out.splitlines()[0] == "(Iteration 1 / 7) loss: 13.000000"


def test_the_solver_follows_a_model_whose_parameters_are_replaced():
    model = Bowl()
    solver = CaptioningSolver(model, BOWL_DATA, "sgd", {"learning_rate": 0.25}, batch_size=10, num_epochs=1,
                              verbose=False)  # fmt: skip
    model.params["w"] = np.array([8.0, 4.0])
    solver.train()
    np.testing.assert_allclose(model.params["w"], [4.0, 2.0])


def test_the_solver_s_mistakes():
    with pytest.raises(ValueError, match="update_rule must be one of sgd"):
        CaptioningSolver(Bowl(), BOWL_DATA, "adagrad")
    with pytest.raises(ValueError, match="optim_config: sgd has learning_rate; got beta1"):
        CaptioningSolver(Bowl(), BOWL_DATA, "sgd", {"beta1": 0.9})
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        CaptioningSolver(Bowl(), BOWL_DATA, batch_size=0)


def test_a_solver_that_is_reset_trains_as_a_new_one():
    model = Bowl()
    solver = CaptioningSolver(model, BOWL_DATA, "adam", {"learning_rate": 0.05}, lr_decay=0.5, batch_size=10,
                              num_epochs=4, verbose=False)  # fmt: skip
    solver.train()
    once = model.params["w"].copy()
    assert (solver.epoch, len(solver.loss_history)) == (4, 4)
    model.params["w"] = np.array([3.0, -2.0])
    solver._reset()
    assert (solver.epoch, solver.loss_history, solver.best_val_acc) == (0, [], 0)
    solver.train()
    np.testing.assert_array_equal(model.params["w"], once)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    dataset = pytest.importorskip("captioning.scenes.dataset", reason="no scenes")
    folder = tmp_path_factory.mktemp("scenes") / "data"
    dataset.write_scenes(folder, train=100, val=20, pictures=0)
    data = load_coco_data(folder)
    data["train_captions"] = data["train_captions"][::5]  # one an image: what picks one of several cannot be learnt
    data["train_image_idxs"] = data["train_image_idxs"][::5]
    return data


def test_overfit_an_rnn_on_scenes(scenes):
    model = CaptioningRNN(scenes["word_to_idx"], scenes["train_features"].shape[1], 256, 512, "rnn", np.float32)
    solver = CaptioningSolver(model, scenes, "adam", {"learning_rate": 5e-3}, num_epochs=50, verbose=False,
                              batch_size=10, lr_decay=0.95)  # fmt: skip
    solver.train()
    losses = solver.loss_history
    assert losses[0] == pytest.approx(50, rel=0.25)
    assert len(losses) == 500
    assert losses[-1] < 0.1
    scores = evaluate_model(model, scenes, batch_size=100, verbose=False)
    assert set(scores) == {"train", "val"}
    assert scores["train"] > 0.99
    assert scores["val"] < 0.9


class Parrot:
    """It says one word, of whatever it sees."""

    def sample(self, features):
        return np.array([[3, 2, 3]] * len(features))


def test_evaluate_model_takes_what_was_loaded_last(small_folder, other_folder, monkeypatch):
    monkeypatch.setattr(coco_data, "_last", [])
    with pytest.raises(DataError, match="no data set has been loaded: pass one as `data`, or call load_coco_data"):
        evaluate_model(Parrot())
    load_coco_data(other_folder)
    data = load_coco_data(small_folder)
    with pytest.raises(DataError):
        load_coco_data(small_folder / "nowhere")  # which gives nothing
    assert coco_data.last_coco_data() is data
    scores = []
    for argument in ((), (data,)):
        np.random.seed(0)  # noqa: NPY002 - the same captions are drawn
        scores.append(evaluate_model(Parrot(), *argument, batch_size=20, verbose=False))
    assert scores[0] == scores[1]


def test_evaluate_model_prints(capsys):
    data = {**BOWL_DATA, "idx_to_word": ["<NULL>", "a", "<END>", "dog"]}
    data |= {key.replace("train", "val"): value for key, value in BOWL_DATA.items()}
    data["val_captions"] = np.full((10, 3), 3)
    assert evaluate_model(Parrot(), data, batch_size=5) == {"train": 0.0, "val": pytest.approx(np.exp(-2))}
    assert "Average BLEU score for val: 0.135335" in capsys.readouterr().out


# The gradient checks ---------------------------------------------------------------------------


def test_rel_error():
    assert rel_error(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == 0
    assert rel_error(1.0, 3.0) == pytest.approx(0.5)
    assert rel_error(0.0, 1e-9) == pytest.approx(0.1)


def test_eval_numerical_gradient_restores_its_point(capsys):
    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(eval_numerical_gradient(lambda v: float((v**3).sum()), x), [3.0, 12.0], rtol=1e-8)
    np.testing.assert_array_equal(x, [1.0, 2.0])
    assert len(capsys.readouterr().out.splitlines()) == 2


NOTEBOOKS = (  # what the cells of RNN_Captioning and LSTM_Captioning take from the course's modules, 2016 to 2019
    "eval_numerical_gradient eval_numerical_gradient_array affine_forward affine_backward rnn_step_forward "
    "rnn_step_backward rnn_forward rnn_backward word_embedding_forward word_embedding_backward sigmoid "
    "lstm_step_forward lstm_step_backward lstm_forward lstm_backward temporal_affine_forward temporal_affine_backward "
    "temporal_softmax_loss CaptioningSolver CaptioningRNN load_coco_data sample_coco_minibatch decode_captions "
    "image_from_url rel_error BLEU_score evaluate_model"
)


def test_every_name_that_a_notebook_imports_is_there_and_nothing_else():
    assert set(NOTEBOOKS.split()) == set(cs231n.__all__)
    assert all(callable(getattr(cs231n, name)) for name in cs231n.__all__)
