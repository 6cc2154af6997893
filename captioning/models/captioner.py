"""The captioner: a picture's features start a recurrent cell, which then says one word after the other.

    h0 = features W_proj + b_proj            (c0 = 0)
    h  = rnn or lstm (embedding of the words in)
    scores = h W_vocab + b_vocab
    loss = cross-entropy of the words out, summed over the words of a caption, averaged over captions

Words in are a caption without its last column, words out a caption without its first; a word out that
is `<NULL>` costs nothing. Source: homework, the captioning exercises (CS231n).

Four shortcuts leave the loss and every gradient as they are: the columns after the longest caption of a
batch are cut off, the cell runs along each caption only to its last word out, each distinct word in is projected once,
and only the rows whose word out is not `<NULL>` reach the vocabulary product.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

import minigrad as mg
from captioning.data.vocabulary import Vocabulary
from minigrad import Tensor, ops

__all__ = ["CELLS", "WEIGHTS", "Captioner", "caption_loss", "initial_weights"]

CELLS = {"rnn": 1, "lstm": 4}
"""The cell types, and how many blocks of H columns their weights have."""
WEIGHTS = ("W_proj", "b_proj", "W_embed", "Wx", "Wh", "b", "W_vocab", "b_vocab")
"""The parameters in the order in which the model uses them; the names are CS231n's."""

State = tuple[Tensor, ...]


def initial_weights(
    words: int,
    feature_size: int,
    wordvec_size: int,
    hidden_size: int,
    cell_type: str,
    draw: Callable[[tuple[int, ...]], NDArray[Any]],
    dtype: DTypeLike = np.float32,
    forget_bias: float = 0.0,
) -> dict[str, NDArray[Any]]:
    """The eight weights as CS231n draws them, in its order: one hundredth or 1/sqrt(rows) times normal, biases 0.

    draw: standard normal numbers of a shape, such as `rng.standard_normal`. forget_bias: what the LSTM's
    forget gate starts from. An unknown cell type or a size below 1 is a ValueError.
    """
    check_cell(cell_type)
    for name, size in (("words", words), ("feature_size", feature_size), ("wordvec_size", wordvec_size),
                       ("hidden_size", hidden_size)):  # fmt: skip
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise ValueError(f"{name} must be an int of at least 1; got {size!r}")
    D, W, H, G = feature_size, wordvec_size, hidden_size, CELLS[cell_type] * hidden_size
    weights = {
        "W_embed": draw((words, W)) / 100,
        "W_proj": draw((D, H)) / np.sqrt(D),
        "b_proj": np.zeros(H),
        "Wx": draw((W, G)) / np.sqrt(W),
        "Wh": draw((H, G)) / np.sqrt(H),
        "b": np.zeros(G),
        "W_vocab": draw((H, words)) / np.sqrt(H),
        "b_vocab": np.zeros(words),
    }
    if cell_type == "lstm":
        weights["b"][H : 2 * H] = forget_bias
    return {name: weights[name].astype(dtype) for name in WEIGHTS}


def check_cell(cell_type: str) -> None:
    """Raise a ValueError unless there is such a cell."""
    if cell_type not in CELLS:
        raise ValueError(f"cell_type must be one of {', '.join(map(repr, CELLS))}; got {cell_type!r}")


def caption_loss(
    weights: Mapping[str, Tensor],
    features: ArrayLike,
    captions: ArrayLike,
    null: int | None,
    cell_type: str,
    drop: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """The loss of the module's page, a scalar.

    weights: the eight tensors named in `WEIGHTS`. features: (N,D). captions: (N,T) word ids, T >= 2.
    null: the id of `<NULL>`; None if no word is free of cost. drop: applied to the word vectors and to
    the hidden states before the vocabulary product, for dropout. Shapes that do not fit, or ids outside
    the vocabulary, are a ValueError or IndexError.
    """
    ids, rows = np.asarray(captions), np.asarray(features)
    _check_batch(rows, ids, weights["W_proj"].shape[0])
    words_in, words_out = ids[:, :-1], ids[:, 1:]
    mask = np.ones(words_out.shape, bool) if null is None else words_out != null
    used = np.flatnonzero(mask.any(axis=0))
    steps = int(used[-1]) + 1 if used.size else 1  # up to the last word of the longest caption
    words_in, words_out, mask = words_in[:, :steps], words_out[:, :steps], mask[:, :steps]

    h0 = _project(rows, weights)
    if drop is None:
        distinct, indices = np.unique(words_in, return_inverse=True)
        x = ops.embedding(distinct, weights["W_embed"])
    else:  # each use of a word drops others of its numbers, so each is a row of its own
        x, indices = drop(ops.embedding(words_in, weights["W_embed"])), None
    sequence = x, h0, weights["Wx"], weights["Wh"], weights["b"]
    options = {"lengths": _lengths(mask), "indices": indices}
    h = ops.rnn(*sequence, **options) if cell_type == "rnn" else ops.lstm(*sequence, **options)[0]
    h = h[mask]  # (words that count, H): the rest never meets the vocabulary
    if drop is not None:
        h = drop(h)
    scores = ops.temporal_affine(h.reshape(1, *h.shape), weights["W_vocab"], weights["b_vocab"])
    targets = words_out[mask][None]
    total = ops.temporal_softmax_loss(scores, targets, np.ones(targets.shape, bool))
    loss: Tensor = total / len(ids)
    return loss


def _lengths(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """For each row (N,T) how far the last column that counts is from the front: no state behind it is ever used."""
    behind = np.argmax(mask[:, ::-1], axis=1)
    return np.where(mask.any(axis=1), mask.shape[1] - behind, 0)


def _check_batch(features: NDArray[Any], captions: NDArray[Any], size: int) -> None:
    if captions.ndim != 2 or captions.shape[1] < 2:
        raise ValueError(f"captions must be word ids (N,T) with T >= 2, a word in and a word out; got {captions.shape}")
    if not len(captions):
        raise ValueError("captions: the batch is empty, its mean loss is not defined")
    if captions.dtype.kind not in "iu":
        raise TypeError(f"captions must be integers, word ids; got dtype {captions.dtype}")
    if features.shape != (len(captions), size):
        raise ValueError(
            f"features must be ({len(captions)}, {size}), a row for each caption and a column for each row "
            f"of W_proj; got {features.shape}"
        )


def _project(features: NDArray[Any], weights: Mapping[str, Tensor]) -> Tensor:
    """The hidden state that the features start the cell with."""
    W, b = weights["W_proj"], weights["b_proj"]
    h: Tensor = ops.matmul(features.astype(W.dtype, copy=False), W) + b
    return h


class Captioner(mg.nn.Module):
    """An image captioner of minigrad's primitives.

    vocabulary: the words. feature_size: D, the columns of the features. wordvec_size, hidden_size: W and
    H. cell_type: 'lstm' or 'rnn'. dropout: the share of entries that `loss` drops, of the word vectors
    and of the hidden states before the vocabulary product, while the model is in training mode.
    feature_dropout: the share of the features that it drops too, against learning pictures by heart. dtype: of
    every weight. forget_bias: where the LSTM's forget gate starts; the source's is 0. rng: a Generator
    or a seed, from which the first weights and then dropout are drawn.

    >>> v = Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", "dog"])
    >>> model = Captioner(v, feature_size=3, wordvec_size=4, hidden_size=5, rng=0)
    >>> model.loss(np.ones((1, 3)), np.array([[1, 4, 2, 0]])).item() > 0
    True
    >>> sum(p.size for p in model.parameters())
    270
    """

    W_proj: mg.nn.Parameter
    b_proj: mg.nn.Parameter
    W_embed: mg.nn.Parameter
    Wx: mg.nn.Parameter
    Wh: mg.nn.Parameter
    b: mg.nn.Parameter
    W_vocab: mg.nn.Parameter
    b_vocab: mg.nn.Parameter

    def __init__(
        self,
        vocabulary: Vocabulary,
        feature_size: int,
        wordvec_size: int = 256,
        hidden_size: int = 512,
        cell_type: str = "lstm",
        dropout: float = 0.0,
        dtype: DTypeLike = np.float32,
        forget_bias: float = 0.0,
        rng: np.random.Generator | int | None = None,
        feature_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        for name, share in (("dropout", dropout), ("feature_dropout", feature_dropout)):
            if not 0 <= share < 1:
                raise ValueError(f"{name} must be at least 0 and below 1; got {share!r}")
        self.vocabulary, self.feature_size, self.cell_type, self.dropout = vocabulary, feature_size, cell_type, dropout
        self.wordvec_size, self.hidden_size = wordvec_size, hidden_size
        self.feature_dropout = feature_dropout
        self.forget_bias, self.rng = forget_bias, np.random.default_rng(rng)
        sizes = len(vocabulary), feature_size, wordvec_size, hidden_size
        first = initial_weights(*sizes, cell_type, self.rng.standard_normal, dtype, forget_bias)
        for name, array in first.items():
            setattr(self, name, mg.nn.Parameter(array))

    @property
    def weights(self) -> dict[str, Tensor]:
        """The eight parameters by name."""
        return {name: getattr(self, name) for name in WEIGHTS}

    def loss(self, features: ArrayLike, captions: ArrayLike) -> Tensor:
        """The mean over captions (N,T) of the summed cross-entropy of their words; features (N,D). A scalar."""
        drop = self._drop if self.training and self.dropout else None
        if self.training and self.feature_dropout:
            features = ops.dropout(np.asarray(features), self.feature_dropout, rng=self.rng).data
        return caption_loss(self.weights, features, captions, self.vocabulary.null, self.cell_type, drop)

    forward = loss

    def _drop(self, x: Tensor) -> Tensor:
        return ops.dropout(x, self.dropout, rng=self.rng)

    def initial_state(self, features: ArrayLike) -> State:
        """The state before the first word, from features (N,D): (h,) for an RNN, (h, c) for an LSTM; no gradient."""
        rows = np.asarray(features)
        if rows.ndim != 2 or rows.shape[1] != self.feature_size:
            raise ValueError(f"features must be (N, {self.feature_size}); got {rows.shape}")
        with mg.no_grad():
            h = _project(rows, self.weights)
        return (h,) if self.cell_type == "rnn" else (h, mg.tensor(np.zeros_like(h.data)))

    def project_words(self) -> Tensor:
        """What each word adds to the cell's pre-activations, W_embed Wx + b (V, gates H); no gradient."""
        with mg.no_grad():
            projected: Tensor = self.W_embed @ self.Wx + self.b
        return projected

    def step(self, words: ArrayLike, state: State, projected: Tensor | None = None) -> tuple[Tensor, State]:
        """Say words (N,) in a state: the scores (N,V) of the next word and the next state; no gradient.

        projected: what `project_words` gives, so that many steps do that once.
        """
        with mg.no_grad():
            if projected is not None:
                a = ops.embedding(np.asarray(words), projected) + state[0] @ self.Wh
                state = (ops.tanh(a),) if self.cell_type == "rnn" else ops.lstm_cell(a, state[1])
            else:
                inputs = ops.embedding(np.asarray(words), self.W_embed), *state, self.Wx, self.Wh, self.b
                state = (ops.rnn_step(*inputs),) if self.cell_type == "rnn" else ops.lstm_step(*inputs)
            return state[0] @ self.W_vocab + self.b_vocab, state
