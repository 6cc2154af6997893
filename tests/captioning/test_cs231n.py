"""The facade of the CS231n notebooks: their names, numbers and gradients, the model, and the solver."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from captioning import cs231n
from captioning.cs231n import (
    CaptioningRNN,
    CaptioningSolver,
    coco_data,
    eval_numerical_gradient,
    eval_numerical_gradient_array,
    evaluate_model,
    load_coco_data,
    lstm_forward,
    lstm_step_forward,
    rel_error,
    rnn_forward,
    rnn_step_forward,
    temporal_softmax_loss,
    word_embedding_backward,
    word_embedding_forward,
)
from captioning.data.errors import DataError

real_data = pytest.mark.skipif("CAPTIONING_DATA" not in os.environ, reason="no real data: CAPTIONING_DATA is unset")


def lin(low, high, *shape):
    return np.linspace(low, high, num=int(np.prod(shape))).reshape(*shape)


@pytest.fixture(autouse=True)
def _notebook_seed():
    np.random.seed(231)  # noqa: NPY002 - the notebooks' cells start so


def randn(*shape):
    return np.random.randn(*shape)  # noqa: NPY002


# Layers ----------------------------------------------------------------------------------------


def test_the_recurrent_layers_give_the_numbers_of_the_notebooks():
    h, _ = rnn_step_forward(
        lin(-0.4, 0.7, 3, 10), lin(-0.2, 0.5, 3, 4), lin(-0.1, 0.9, 10, 4), lin(-0.3, 0.7, 4, 4), lin(-0.2, 0.4, 4)
    )
    expected = [
        [-0.58172089, -0.50182032, -0.41232771, -0.31410098],
        [0.66854692, 0.79562378, 0.87755553, 0.92795967],
        [0.97934501, 0.99144213, 0.99646691, 0.99854353],
    ]
    assert rel_error(expected, h) < 1e-8

    h, _ = rnn_forward(
        lin(-0.1, 0.3, 2, 3, 4), lin(-0.3, 0.1, 2, 5), lin(-0.2, 0.4, 4, 5), lin(-0.4, 0.1, 5, 5), lin(-0.7, 0.1, 5)
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

    weights = lin(-2.1, 1.3, 4, 20), lin(-0.7, 2.2, 5, 20), lin(0.3, 0.7, 20)
    h, c, _ = lstm_step_forward(lin(-0.4, 1.2, 3, 4), lin(-0.3, 0.7, 3, 5), lin(-0.4, 0.9, 3, 5), *weights)
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

    weights = lin(-0.2, 0.9, 5, 16), lin(-0.3, 0.6, 4, 16), lin(0.2, 0.7, 16)
    h, _ = lstm_forward(lin(-0.4, 0.6, 2, 3, 5), lin(-0.4, 0.8, 2, 4), *weights)
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


def extrapolated(numeric, h=2e-3):
    """Richardson's extrapolation of central differences, whose own error would break the bound on small entries."""
    return (4 * numeric(h / 2) - numeric(h)) / 3


LAYERS = {  # shapes of the inputs, and of the outputs
    "affine": ([(2, 3, 4), (12, 5), (5,)], [(2, 5)]),
    "rnn_step": ([(4, 5), (4, 6), (5, 6), (6, 6), (6,)], [(4, 6)]),
    "rnn": ([(2, 4, 3), (2, 5), (3, 5), (5, 5), (5,)], [(2, 4, 5)]),
    "lstm_step": ([(3, 4), (3, 5), (3, 5), (4, 20), (5, 20), (20,)], [(3, 5), (3, 5)]),
    "lstm": ([(2, 4, 3), (2, 4), (3, 16), (4, 16), (16,)], [(2, 4, 4)]),
    "temporal_affine": ([(2, 3, 4), (4, 5), (5,)], [(2, 3, 5)]),
}


@pytest.mark.parametrize("name", LAYERS)
def test_backward_passes_agree_with_numerical_gradients(name):
    forward, backward = getattr(cs231n, f"{name}_forward"), getattr(cs231n, f"{name}_backward")
    inputs, cotangents = ([randn(*shape) for shape in shapes] for shapes in LAYERS[name])
    *outputs, cache = forward(*inputs)
    grads = backward(*cotangents, cache)
    assert [output.shape for output in outputs] == LAYERS[name][1]
    assert [grad.shape for grad in grads] == LAYERS[name][0]
    for i, (x, grad) in enumerate(zip(inputs, grads, strict=True)):

        def loss(value, i=i):
            outputs = forward(*inputs[:i], value, *inputs[i + 1 :])[:-1]
            return sum(np.sum(output * d) for output, d in zip(outputs, cotangents, strict=True))

        numeric = extrapolated(lambda h, x=x, loss=loss: eval_numerical_gradient(loss, x, False, h))
        assert rel_error(numeric, grad) < 1e-6, f"input {i}"
    for x in inputs:
        x[...] = 0.0  # the cache keeps what it needs, and can be used again
    assert all(np.array_equal(a, b) for a, b in zip(grads, backward(*cotangents, cache), strict=True))
    narrow = [x.astype(np.float32) for x in inputs]
    assert {output.dtype for output in forward(*narrow)[:-1]} == {np.dtype(np.float32)}
    with pytest.raises(ValueError, match=name.removeprefix("temporal_")):
        forward(inputs[0][..., :-1], *inputs[1:])


def test_word_embedding():
    x, W, dout = np.random.default_rng(0).integers(5, size=(50, 3)), randn(5, 6), randn(50, 3, 6)
    out, cache = word_embedding_forward(x, W)
    np.testing.assert_array_equal(out, W[x])
    numeric = eval_numerical_gradient_array(lambda w: word_embedding_forward(x, w)[0], W, dout)
    assert rel_error(numeric, word_embedding_backward(dout, cache)) < 1e-9


@pytest.mark.parametrize(("N", "T", "p", "expected"), [(100, 1, 1, 2.3), (100, 10, 1, 23), (5000, 10, 0.1, 2.3)])
def test_temporal_softmax_loss(N, T, p, expected):
    rng = np.random.default_rng(0)
    x = 0.001 * rng.standard_normal((N, T, 10))
    loss, dx = temporal_softmax_loss(x, rng.integers(10, size=(N, T)), rng.random((N, T)) <= p)
    assert type(loss) is float
    assert loss == pytest.approx(expected, rel=0.02)
    assert dx.shape == x.shape


def test_temporal_softmax_gradient(capsys):
    rng = np.random.default_rng(0)
    x, y, mask = randn(3, 4, 5), rng.integers(5, size=(3, 4)), rng.random((3, 4)) > 0.5
    _, dx = temporal_softmax_loss(x, y, mask, verbose=True)
    assert "(3, 4, 5)" in capsys.readouterr().out
    numeric = eval_numerical_gradient(lambda v: temporal_softmax_loss(v, y, mask)[0], x, verbose=False)
    assert rel_error(numeric, dx) < 1e-7


def test_affine_takes_an_empty_batch():
    out, cache = cs231n.affine_forward(randn(0, 3, 4), randn(12, 5), randn(5))
    assert [out.shape, *(grad.shape for grad in cs231n.affine_backward(out, cache))] == [
        (0, 5),
        (0, 3, 4),
        (12, 5),
        (5,),
    ]


def test_numerical_gradients_and_the_relative_error(capsys):
    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(eval_numerical_gradient(lambda v: float((v**3).sum()), x), [3.0, 12.0], rtol=1e-8)
    np.testing.assert_array_equal(x, [1.0, 2.0])  # restored
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert rel_error([1.0, 1.0], [1.0, 3.0]) == pytest.approx(0.5)
    assert rel_error(0.0, 1e-9) == pytest.approx(0.1)


# The model -------------------------------------------------------------------------------------

WORDS = {"<NULL>": 0, "cat": 2, "dog": 3}


@pytest.mark.parametrize(("cell", "low", "high", "expected"), [
    ("rnn", -1.5, 0.3, 9.83235591003), ("lstm", -0.5, 1.7, 9.82445935443),
])  # fmt: skip
def test_the_loss_of_the_notebooks(cell, low, high, expected):
    model = CaptioningRNN(WORDS, 20, 30, 40, cell, np.float64)
    for name, value in model.params.items():
        model.params[name] = lin(-1.4, 1.3, *value.shape)
    captions = (np.arange(10 * 13) % 3).reshape(10, 13)
    loss, grads = model.loss(lin(low, high, 10, 20), captions)
    assert type(loss) is float
    assert abs(loss - expected) < 1e-10
    assert {k: (g.shape, g.dtype) for k, g in grads.items()} == {k: (p.shape, p.dtype) for k, p in model.params.items()}
    with mg.no_grad():
        again, same = model.loss(lin(low, high, 10, 20), captions)
    assert again == loss
    assert all((same[name] == grads[name]).all() for name in grads)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_the_gradients_of_the_model(cell):
    captions = np.random.default_rng(0).integers(3, size=(2, 3))
    model, features = CaptioningRNN(WORDS, 3, 2, 3, cell, np.float64), randn(2, 3)
    for name, value in model.params.items():
        model.params[name] = 0.5 * randn(*value.shape)
    _, grads = model.loss(features, captions)
    for name, grad in grads.items():

        def numeric(h, name=name):
            return eval_numerical_gradient(lambda _: model.loss(features, captions)[0], model.params[name], False, h)

        assert rel_error(extrapolated(numeric), grad) < 5e-6, name


def test_the_parameters_may_be_replaced_or_written():
    model = CaptioningRNN({"<NULL>": 0, "<START>": 1, "<END>": 2, "a": 3}, 3, 4, 5, "lstm")
    features, captions = randn(2, 3), np.array([[1, 3, 2, 0], [1, 3, 3, 2]])
    first, _ = model.loss(features, captions)
    model.params["b_vocab"][3] += 1.0
    second, _ = model.loss(features, captions)
    model.params |= {name: np.zeros_like(model.params[name]) for name in ("W_vocab", "b_vocab")}
    third, grads = model.loss(features, captions)
    assert first != second
    assert third == pytest.approx(5 / 2 * np.log(4), rel=1e-6)
    assert {g.dtype for g in grads.values()} == {np.dtype(np.float32)}
    large = CaptioningRNN(model.word_to_idx, 3, 6, 7, "lstm")  # other sizes
    model.params = dict(large.params)
    assert model.loss(features, captions)[0] == large.loss(features, captions)[0]
    np.testing.assert_array_equal(model.sample(features), large.sample(features))
    model.params["b"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"b must be \(28,\).*\(3,\)"):
        model.loss(features, captions)
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
    sampled = model.sample(features, max_length=9)
    assert sampled.dtype.kind == "i"
    np.testing.assert_array_equal(sampled, np.transpose(expected))
    assert model.sample(features).shape == (4, 30)


def test_words_and_cells_of_a_model():
    assert CaptioningRNN(WORDS, 3, 4, 5, "lstm").sample(randn(2, 3), max_length=3).shape == (2, 3)  # without <START>
    with pytest.raises(ValueError, match="<NULL>"):
        CaptioningRNN({"cat": 0})
    with pytest.raises(ValueError, match="'rnn', 'lstm'"):
        CaptioningRNN(WORDS, cell_type="gru")
    with pytest.raises((ValueError, IndexError), match="embedding"):
        CaptioningRNN(WORDS, 3, 4, 5).loss(randn(1, 3), np.array([[1, 7, 1]]))


def test_the_first_weights_follow_numpys_seed():
    model = CaptioningRNN({"<NULL>": 0, "a": 1}, 3, 4, 5, "lstm", np.float64)
    np.random.seed(231)  # noqa: NPY002
    np.testing.assert_array_equal(model.params["W_embed"], randn(2, 4) / 100)
    np.testing.assert_array_equal(model.params["W_proj"], randn(3, 5) / np.sqrt(3))


# The solver ------------------------------------------------------------------------------------


class Bowl:
    """A model whose loss is |w - mean of features|^2."""

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
    """CS231n's update rules on the bowl, one update an epoch."""
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
    assert (solver.epoch, len(solver.loss_history)) == (7, 7)
    assert (solver.best_val_acc, solver.best_params, solver.train_acc_history, solver.val_acc_history) == (
        0,
        {},
        [],
        [],
    )
    assert capsys.readouterr().out.splitlines()[0] == "(Iteration 1 / 7) loss: 13.000000"
    once, model.params["w"] = model.params["w"], np.array([3.0, -2.0])  # replaced
    solver._reset()
    solver.train()
    np.testing.assert_array_equal(model.params["w"], once)
    assert len(solver.loss_history) == 7


def test_the_mistakes_of_a_solver():
    for options, message in [
        ({"update_rule": "adagrad"}, "one of sgd"), ({"optim_config": {"beta1": 0.9}}, "learning_rate; got beta1"),
        ({"batch_size": 0}, "batch_size must be at least 1"), ({"num_epochs": 0}, "num_epochs must be at least 1"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=message):
            CaptioningSolver(Bowl(), BOWL_DATA, **options)


def overfit(data, cell, batch_size, lr_decay, wordvec=256, hidden=512):
    model = CaptioningRNN(data["word_to_idx"], data["train_features"].shape[1], wordvec, hidden, cell, np.float32)
    solver = CaptioningSolver(model, data, "adam", {"learning_rate": 5e-3}, lr_decay=lr_decay, batch_size=batch_size,
                              num_epochs=50, verbose=False)  # fmt: skip
    solver.train()
    return model, solver.loss_history


@pytest.mark.slow
def test_it_learns_captions_of_scenes_by_heart(tmp_path, full):
    dataset = pytest.importorskip("captioning.scenes.dataset", reason="no scenes")
    data = load_coco_data(dataset.write_scenes(tmp_path / "scenes", train=100 if full else 40, val=20, pictures=0))
    for key in ("train_captions", "train_image_idxs"):
        data[key] = data[key][::5]  # one each: which of several captions is meant cannot be learnt
    model, losses = overfit(data, "rnn", 10, 0.95, *(() if full else (128, 256)))
    assert losses[0] == pytest.approx(50, rel=0.25)
    assert losses[-1] < (0.1 if full else 0.5)
    scores = evaluate_model(model, data, batch_size=100, verbose=False)
    assert scores["train"] > 0.99
    assert scores["val"] < 0.9
    if full:
        assert overfit(data, "lstm", 25, 0.995)[1][-1] < 0.5


@real_data
@pytest.mark.parametrize(("cell", "captions", "batch", "decay", "first", "last"),
                         [("rnn", 100, 10, 0.95, 86, 0.1), ("lstm", 50, 25, 0.995, 80, 0.5)])  # fmt: skip
def test_it_learns_real_captions_by_heart(cell, captions, batch, decay, first, last):
    data = load_coco_data(Path(os.environ["CAPTIONING_DATA"]) / "flickr8k", max_train=captions)
    _, losses = overfit(data, cell, batch, decay)
    assert losses[0] == pytest.approx(first, rel=0.25)
    assert losses[-1] < last


class Parrot:
    """Says the same word for any features."""

    def sample(self, features):
        return np.array([[3, 2, 3]] * len(features))


def test_evaluate_model_takes_the_data_that_were_loaded_last(small_folder, other_folder, monkeypatch):
    monkeypatch.setattr(coco_data, "_last", [])
    with pytest.raises(DataError, match="load_coco_data"):
        evaluate_model(Parrot())
    load_coco_data(other_folder)
    data = load_coco_data(small_folder)
    with pytest.raises(DataError):
        load_coco_data(small_folder / "nowhere")  # changes nothing
    scores = []
    for argument in ((), (data,)):
        np.random.seed(0)  # noqa: NPY002 - the same captions are drawn
        scores.append(evaluate_model(Parrot(), *argument, batch_size=20, verbose=False))
    assert scores[0] == scores[1]


def test_evaluate_model_prints_bleu(capsys):
    data = {**BOWL_DATA, "idx_to_word": ["<NULL>", "a", "<END>", "dog"]}
    data |= {key.replace("train", "val"): value for key, value in BOWL_DATA.items()}
    data["val_captions"] = np.full((10, 3), 3)
    assert evaluate_model(Parrot(), data, batch_size=5) == {"train": 0.0, "val": pytest.approx(np.exp(-2))}
    assert "Average BLEU score for val: 0.135335" in capsys.readouterr().out


# from the course's modules, 2016 to 2019: gradient_check, layers, rnn_layers, captioning_solver, classifiers.rnn,
# coco_utils and image_utils; and from the cells of the notebooks
NAMES = """
eval_numerical_gradient eval_numerical_gradient_array affine_forward affine_backward rnn_step_forward rnn_step_backward
rnn_forward rnn_backward word_embedding_forward word_embedding_backward sigmoid lstm_step_forward lstm_step_backward
lstm_forward lstm_backward temporal_affine_forward temporal_affine_backward temporal_softmax_loss CaptioningSolver
CaptioningRNN load_coco_data sample_coco_minibatch decode_captions image_from_url rel_error BLEU_score evaluate_model
"""


def test_every_name_that_a_notebook_imports_is_there():
    names = {}
    exec("from captioning.cs231n import *", names)
    assert set(names) - {"__builtins__"} == set(NAMES.split())
    assert all(callable(names[name]) for name in cs231n.__all__)
