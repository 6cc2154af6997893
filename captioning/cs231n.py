"""The names that a CS231n captioning notebook imports, on minigrad's primitives.

The cells of the notebooks run with only their import lines changed:

    from captioning.cs231n import *

Nothing is computed here: the layers call `minigrad.ops`, their gradients come from the engine, and a
`cache` is the engine's pullback, which may be used again. Arrays are NumPy's; N batch, T steps, D input,
H hidden, V words, gates i f o g. Shapes that do not fit are a ValueError of the primitive.
Source: homework, the captioning exercises (CS231n).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

import minigrad as mg
from captioning.data.cs231n_notebook import load_coco_data, sample_coco_minibatch
from captioning.data.vocabulary import decode_captions
from captioning.models.network import CaptionNetwork
from captioning.models.weights import WEIGHTS
from captioning.pictures.photos import image_from_url
from captioning.scoring.metrics import BLEU_score, exercise_bleu
from minigrad import Tensor, ops
from minigrad.core import recording

__all__ = [
    "BLEU_score", "CaptioningRNN", "CaptioningSolver", "decode_captions", "eval_numerical_gradient",
    "eval_numerical_gradient_array", "evaluate_model", "image_from_url", "load_coco_data", "lstm_backward",
    "lstm_forward", "lstm_step_backward", "lstm_step_forward", "rel_error", "rnn_backward", "rnn_forward",
    "rnn_step_backward", "rnn_step_forward", "sample_coco_minibatch", "temporal_affine_backward",
    "temporal_affine_forward", "temporal_softmax_loss", "word_embedding_backward", "word_embedding_forward",
]  # fmt: skip

Array = NDArray[Any]
Cache = Callable[..., tuple[Tensor, ...]]


def _arrays(tensors: Any) -> tuple[Array, ...]:
    return tuple(t.data for t in tensors)


# Layers ----------------------------------------------------------------------------------------


def rnn_step_forward(x: Array, prev_h: Array, Wx: Array, Wh: Array, b: Array) -> tuple[Array, Cache]:
    """One step of a vanilla RNN: x (N,D), prev_h (N,H), Wx (D,H), Wh (H,H), b (H,). Returns next_h (N,H), cache."""
    h, cache = mg.vjp(ops.rnn_step, x, prev_h, Wx, Wh, b)
    return h.data, cache


def rnn_step_backward(dnext_h: Array, cache: Cache) -> tuple[Array, ...]:
    """Returns dx, dprev_h, dWx, dWh, db of the shapes of the inputs."""
    return _arrays(cache(dnext_h))


def rnn_forward(x: Array, h0: Array, Wx: Array, Wh: Array, b: Array) -> tuple[Array, Cache]:
    """A vanilla RNN over x (N,T,D) from h0 (N,H). Returns h (N,T,H), cache."""
    h, cache = mg.vjp(ops.rnn, x, h0, Wx, Wh, b)
    return h.data, cache


def rnn_backward(dh: Array, cache: Cache) -> tuple[Array, ...]:
    """dh (N,T,H): of the loss at each step alone. Returns dx, dh0, dWx, dWh, db."""
    return _arrays(cache(dh))


def lstm_step_forward(
    x: Array, prev_h: Array, prev_c: Array, Wx: Array, Wh: Array, b: Array
) -> tuple[Array, Array, Cache]:
    """One step of an LSTM: Wx (D,4H), Wh (H,4H), b (4H,). Returns next_h, next_c (N,H), cache."""
    (h, c), cache = mg.vjp(ops.lstm_step, x, prev_h, prev_c, Wx, Wh, b)
    return h.data, c.data, cache


def lstm_step_backward(dnext_h: Array, dnext_c: Array, cache: Cache) -> tuple[Array, ...]:
    """Returns dx, dprev_h, dprev_c, dWx, dWh, db."""
    return _arrays(cache(dnext_h, dnext_c))


def lstm_forward(x: Array, h0: Array, Wx: Array, Wh: Array, b: Array) -> tuple[Array, Cache]:
    """An LSTM over x (N,T,D) from h0 (N,H) and a cell state of 0. Returns h (N,T,H), cache."""
    h, cache = mg.vjp(lambda *args: ops.lstm(*args)[0], x, h0, Wx, Wh, b)
    return h.data, cache


def lstm_backward(dh: Array, cache: Cache) -> tuple[Array, ...]:
    """dh (N,T,H). Returns dx, dh0, dWx, dWh, db."""
    return _arrays(cache(dh))


def word_embedding_forward(x: Array, W: Array) -> tuple[Array, Cache]:
    """The word vectors W (V,D) of word ids x (N,T). Returns out (N,T,D), cache."""
    out, cache = mg.vjp(lambda weight: ops.embedding(np.asarray(x), weight), W)
    return out.data, cache


def word_embedding_backward(dout: Array, cache: Cache) -> Array:
    """Returns dW (V,D)."""
    return _arrays(cache(dout))[0]


def temporal_affine_forward(x: Array, w: Array, b: Array) -> tuple[Array, Cache]:
    """x (N,T,D) w (D,M) + b (M,) at every step. Returns out (N,T,M), cache."""
    out, cache = mg.vjp(ops.temporal_affine, x, w, b)
    return out.data, cache


def temporal_affine_backward(dout: Array, cache: Cache) -> tuple[Array, ...]:
    """Returns dx, dw, db."""
    return _arrays(cache(dout))


def temporal_softmax_loss(x: Array, y: Array, mask: Array, verbose: bool = False) -> tuple[float, Array]:
    """Cross-entropy of scores x (N,T,V) at words y (N,T) where mask (N,T), summed over steps, divided by N.

    Returns the loss and dx (N,T,V); with `verbose` it prints dx's shape.
    """
    loss, dx = mg.value_and_grad(lambda scores: ops.temporal_softmax_loss(scores, np.asarray(y), np.asarray(mask)))(x)
    if verbose:
        print("dx: ", dx.shape)
    return float(loss.item()), dx.data


# The model -------------------------------------------------------------------------------------


class CaptioningRNN:
    """The captioning model of the notebooks; `captioning.models.network` says what it computes.

    word_to_idx: the words and their ids; V is its length. It must have `<NULL>`; if it has no `<START>`,
    `sample` starts from `<NULL>`. params: the dict of the eight weights, ndarrays of `dtype`, which may be
    replaced or written in place: every call uses what is there. First weights come from NumPy's global
    generator, as in the notebooks: the same `np.random.seed` gives the same ones.
    """

    def __init__(
        self,
        word_to_idx: Mapping[str, int],
        input_dim: int = 512,
        wordvec_dim: int = 128,
        hidden_dim: int = 128,
        cell_type: str = "rnn",
        dtype: DTypeLike = np.float32,
    ) -> None:
        if "<NULL>" not in word_to_idx:
            raise ValueError("word_to_idx has no <NULL>, the word that pads captions")
        self.cell_type, self.dtype = cell_type, np.dtype(dtype)
        self.word_to_idx = dict(word_to_idx)
        self.idx_to_word = {i: word for word, i in word_to_idx.items()}
        self._null = word_to_idx["<NULL>"]
        self._start = word_to_idx.get("<START>", self._null)
        draw = np.random.standard_normal  # the global one: see the docstring
        sizes = input_dim, wordvec_dim, hidden_dim
        self._network = CaptionNetwork(len(word_to_idx), self._null, *sizes, cell_type, draw, dtype)
        self.params: dict[str, Array] = {name: weight.data for name, weight in self._network.weights.items()}

    def _bound(self, requires_grad: bool) -> CaptionNetwork:
        """The network on the arrays that `params` has now, of any sizes; nothing is copied, no gradient left."""
        missing = [name for name in WEIGHTS if name not in self.params]
        if missing:
            raise ValueError(f"params: {', '.join(missing)} are missing")
        arrays = {name: np.asarray(self.params[name]) for name in WEIGHTS}
        if any(arrays[name].shape != weight.shape for name, weight in self._network.weights.items()):
            (words, wordvec), (hidden, _) = arrays["W_embed"].shape, arrays["Wh"].shape
            sizes = len(arrays["W_proj"]), wordvec, hidden
            self._network = CaptionNetwork(words, self._null, *sizes, self.cell_type, np.zeros, self.dtype)
        for name, weight in self._network.weights.items():
            if arrays[name].shape != weight.shape:
                raise ValueError(f"params: {name} must be {weight.shape} beside the others, not {arrays[name].shape}")
            weight.requires_grad = False
            weight.data = arrays[name]
            weight.requires_grad = requires_grad  # a new leaf, of this array
        return self._network

    def loss(self, features: ArrayLike, captions: ArrayLike) -> tuple[float, dict[str, Array]]:
        """The loss of captions (N,T), features (N,D), and its gradients under the keys of `params`."""
        network = self._bound(requires_grad=True)
        with recording():  # whatever surrounds the call, such as no_grad
            loss = network.caption_loss(features, captions)
        loss.backward()
        return float(loss.item()), {name: cast(Array, weight.grad) for name, weight in network.weights.items()}

    def sample(self, features: ArrayLike, max_length: int = 30) -> NDArray[np.int32]:
        """The likeliest word at each of `max_length` steps, also after `<END>`: int32 (N, max_length)."""
        network, rows = self._bound(requires_grad=False), np.asarray(features)
        captions = np.full((len(rows), max_length), self._null, dtype=np.int32)
        words, state = np.full(len(rows), self._start), network.initial_state(rows)
        for t in range(max_length):
            scores, state = network.step(words, state)
            words = scores.data.argmax(axis=1)
            captions[:, t] = words
        return captions


# The solver ------------------------------------------------------------------------------------

# CS231n's names of the hyperparameters, their defaults, and the optimiser's names of them.
_RULES: dict[str, tuple[Any, dict[str, float]]] = {
    "sgd": (lambda p, c: mg.optim.SGD(p, lr=c["learning_rate"]), {"learning_rate": 1e-2}),
    "sgd_momentum": (
        lambda p, c: mg.optim.SGD(p, lr=c["learning_rate"], momentum=c["momentum"]),
        {"learning_rate": 1e-2, "momentum": 0.9},
    ),
    "rmsprop": (
        lambda p, c: mg.optim.RMSprop(p, lr=c["learning_rate"], alpha=c["decay_rate"], eps=c["epsilon"]),
        {"learning_rate": 1e-2, "decay_rate": 0.99, "epsilon": 1e-8},
    ),
    "adam": (
        lambda p, c: mg.optim.Adam(p, lr=c["learning_rate"], betas=(c["beta1"], c["beta2"]), eps=c["epsilon"]),
        {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    ),
}


class CaptioningSolver:
    """Trains a model that has `params`, a dict of float ndarrays, and `loss(features, captions) -> (loss, grads)`.

    data: the dict of `load_coco_data`. update_rule: 'sgd', 'sgd_momentum', 'rmsprop' or 'adam';
    optim_config: its hyperparameters under CS231n's names (`learning_rate`, `momentum`, `decay_rate`,
    `epsilon`, `beta1`, `beta2`). lr_decay: times which the learning rate is taken after every epoch.
    `train()` runs num_epochs * max(captions // batch_size, 1) iterations of minibatches drawn with
    replacement from NumPy's global generator, and appends each loss to `loss_history`.
    """

    def __init__(
        self,
        model: Any,
        data: dict[str, Any],
        update_rule: str = "sgd",
        optim_config: Mapping[str, float] | None = None,
        lr_decay: float = 1.0,
        batch_size: int = 100,
        num_epochs: int = 10,
        print_every: int = 10,
        verbose: bool = True,
    ) -> None:
        if update_rule not in _RULES:
            raise ValueError(f"update_rule must be one of {', '.join(_RULES)}; got {update_rule!r}")
        make, defaults = _RULES[update_rule]
        unknown = set(optim_config or ()) - set(defaults)
        if unknown:
            raise ValueError(f"optim_config: {update_rule} has {', '.join(defaults)}; got {', '.join(sorted(unknown))}")
        for name, value in (("batch_size", batch_size), ("num_epochs", num_epochs), ("print_every", print_every)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1; got {value!r}")
        self.model, self.data, self.update_rule = model, data, update_rule
        self.optim_config = {**defaults, **(optim_config or {})}
        self.lr_decay, self.batch_size, self.num_epochs = lr_decay, batch_size, num_epochs
        self.print_every, self.verbose = print_every, verbose
        self.epoch = 0
        self.loss_history: list[float] = []
        self._tensors = {name: mg.tensor(array, requires_grad=True) for name, array in model.params.items()}
        self._optimiser = make(list(self._tensors.values()), self.optim_config)

    def _step(self) -> None:
        """One minibatch and one update."""
        captions, features, _ = sample_coco_minibatch(self.data, batch_size=self.batch_size, split="train")
        loss, grads = self.model.loss(features, captions)
        self.loss_history.append(float(loss))
        for name, tensor in self._tensors.items():
            tensor.data = self.model.params[name]  # whoever replaced it: the update goes into what is there
            tensor.grad = grads[name]
        self._optimiser.step()
        for name, tensor in self._tensors.items():
            self.model.params[name] = tensor.data

    def train(self) -> None:
        """Train, and print the loss every `print_every` iterations if `verbose`."""
        per_epoch = max(len(self.data["train_captions"]) // self.batch_size, 1)
        iterations = self.num_epochs * per_epoch
        for t in range(iterations):
            self._step()
            if self.verbose and t % self.print_every == 0:
                print(f"(Iteration {t + 1} / {iterations}) loss: {self.loss_history[-1]:f}")
            if (t + 1) % per_epoch == 0:
                self.epoch += 1
                self._optimiser.lr *= self.lr_decay


def evaluate_model(model: Any, data: dict[str, Any], batch_size: int = 1000, verbose: bool = True) -> dict[str, float]:
    """Exercise BLEU of a model on `batch_size` captions drawn from each split: {'train': …, 'val': …}.

    model: anything with `sample(features)`. It is unigram BLEU against the one caption drawn, not corpus BLEU.
    """
    scores = {}
    for split in ("train", "val"):
        captions, features, _ = sample_coco_minibatch(data, batch_size=batch_size, split=split)
        truth = decode_captions(captions, data["idx_to_word"])
        said = decode_captions(model.sample(features), data["idx_to_word"])
        scores[split] = exercise_bleu(zip(truth, said, strict=True))
        if verbose:
            print(f"Average BLEU score for {split}: {scores[split]:f}")
    return scores


# Gradient checks -------------------------------------------------------------------------------


def eval_numerical_gradient(f: Callable[[Array], float], x: Array, verbose: bool = True, h: float = 1e-5) -> Array:
    """The gradient of f, a number, at x by central differences; x is written in place and restored.

    So f may look at x itself, at `model.params[…]` for example, instead of at its argument. With
    `verbose` each entry is printed.
    """
    gradient = np.zeros_like(x)
    for index, difference in _differences(f, x, h):
        gradient[index] = difference
        if verbose:
            print(index, gradient[index])
    return gradient


def eval_numerical_gradient_array(f: Callable[[Array], Array], x: Array, df: Array, h: float = 1e-5) -> Array:
    """The gradient of <df, f(x)>, f an array of df's shape, by central differences as above."""
    gradient = np.zeros_like(x)
    for index, difference in _differences(f, x, h):
        gradient[index] = np.sum(difference * df)
    return gradient


def _differences(f: Callable[[Array], Any], x: Array, h: float) -> Any:
    """For each entry of x its index and (f(x + h) - f(x - h)) / 2h."""
    for index in np.ndindex(x.shape):
        kept = x[index]
        x[index] = kept + h
        above = np.array(f(x))
        x[index] = kept - h
        below = np.array(f(x))
        x[index] = kept
        yield index, (above - below) / (2 * h)


def rel_error(x: ArrayLike, y: ArrayLike) -> float:
    """The largest |x - y| / max(1e-8, |x| + |y|) of all entries."""
    a, b = np.asarray(x), np.asarray(y)
    return float(np.max(np.abs(a - b) / np.maximum(1e-8, np.abs(a) + np.abs(b))))
