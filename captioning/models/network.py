"""The captioner's network: a picture's features start a recurrent cell, which then says one word after the other.

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
from captioning.models.recurrent_cells import CELLS, State, check_cell
from captioning.models.weights import WEIGHTS, renamed
from minigrad import Tensor, nn, ops

__all__ = ["CaptionNetwork"]


class CaptionNetwork(nn.Module):
    """The layers of a captioner, on word ids: what the words are does not matter here.

    words: V, how many there are. null: the id of `<NULL>`; None if no word is free of cost. feature_size, wordvec_size,
    hidden_size: D, W and H. cell_type: 'lstm' or 'rnn'. draw: standard normal numbers of a shape, such as
    `rng.standard_normal`. dtype: of every weight. forget_bias: where the LSTM's forget gate starts. An unknown cell
    type or a size below 1 is a ValueError.

    Its layers are `project` (D to H), `embed` (V rows of W), `cell` and `predict` (H to V). They start as CS231n draws
    them, in its order: one hundredth (the word vectors) or 1/sqrt(rows) times normal, biases 0.

    >>> network = CaptionNetwork(5, 0, 3, 4, 6, "lstm", np.random.default_rng(0).standard_normal)
    >>> network.caption_loss(np.ones((1, 3)), np.array([[1, 4, 2, 0]])).shape
    ()
    >>> list(network.state_dict())[:4]
    ['project.weight', 'project.bias', 'embed.weight', 'cell.Wx']
    """

    def __init__(
        self,
        words: int,
        null: int | None,
        feature_size: int,
        wordvec_size: int,
        hidden_size: int,
        cell_type: str,
        draw: Callable[[tuple[int, ...]], NDArray[Any]],
        dtype: DTypeLike = np.float32,
        forget_bias: float = 0.0,
    ) -> None:
        check_cell(cell_type)
        for name, size in (("words", words), ("feature_size", feature_size), ("wordvec_size", wordvec_size),
                           ("hidden_size", hidden_size)):  # fmt: skip
            if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
                raise ValueError(f"{name} must be an int of at least 1; got {size!r}")
        self.null, self.cell_type = null, cell_type
        self.feature_size, self.wordvec_size, self.hidden_size = feature_size, wordvec_size, hidden_size

        def scaled(shape: tuple[int, ...]) -> NDArray[Any]:
            drawn: NDArray[Any] = draw(shape) / np.sqrt(shape[0])
            return drawn

        embed = nn.Embedding(words, wordvec_size, dtype=dtype, initial=lambda shape: draw(shape) / 100)  # drawn first
        self.project = nn.Linear(feature_size, hidden_size, dtype=dtype, initial=scaled)
        self.embed = embed
        self.cell = CELLS[cell_type](wordvec_size, hidden_size, forget_bias=forget_bias, dtype=dtype, initial=scaled)
        self.predict = nn.Linear(hidden_size, words, dtype=dtype, initial=scaled)

    # Weights -----------------------------------------------------------------------------------

    @property
    def weights(self) -> dict[str, nn.Parameter]:
        """The eight parameters under CS231n's names."""
        own = dict(self.named_parameters())
        return {name: own[path] for name, path in WEIGHTS.items()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> nn.LoadReport:
        """As every module's; weights under CS231n's names, as they were saved before, are taken too."""
        return super().load_state_dict(renamed(state) if isinstance(state, Mapping) else state, strict)

    # Training ----------------------------------------------------------------------------------

    def caption_loss(
        self, features: ArrayLike, captions: ArrayLike, drop: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """The loss of the module's page, a scalar.

        features: (N,D). captions: (N,T) word ids, T >= 2. drop: applied to the word vectors and to the hidden states
        before the vocabulary product, for dropout. Shapes that do not fit, or ids outside the vocabulary, are a
        ValueError or IndexError.
        """
        ids, rows = np.asarray(captions), np.asarray(features)
        _check_batch(rows, ids, self.feature_size)
        words_in, words_out = ids[:, :-1], ids[:, 1:]
        counts = np.ones(words_out.shape, bool) if self.null is None else words_out != self.null
        used = np.flatnonzero(counts.any(axis=0))
        steps = int(used[-1]) + 1 if used.size else 1  # up to the last word of the longest caption
        words_in, words_out, counts = words_in[:, :steps], words_out[:, :steps], counts[:, :steps]

        h0 = self._projected(rows)
        if drop is None:
            distinct, indices = np.unique(words_in, return_inverse=True)
            x = self.embed(distinct)
        else:  # each use of a word drops others of its numbers, so each is a row of its own
            x, indices = drop(self.embed(words_in)), None
        h = self.cell.states(x, h0, _lengths(counts), indices)[counts]  # (words that count, H)
        if drop is not None:
            h = drop(h)
        loss: Tensor = mg.cross_entropy(self.predict(h), words_out[counts], reduction="sum") / len(ids)
        return loss

    def _projected(self, features: NDArray[Any]) -> Tensor:
        """The hidden state (N,H) that the features start the cell with, of the weights' dtype."""
        h: Tensor = self.project(features.astype(self.project.weight.dtype, copy=False))
        return h

    # Saying words ------------------------------------------------------------------------------

    def initial_state(self, features: ArrayLike) -> State:
        """The state before the first word, from features (N,D): (h,) for an RNN, (h, c) for an LSTM; no gradient."""
        rows = np.asarray(features)
        if rows.ndim != 2 or rows.shape[1] != self.feature_size:
            raise ValueError(f"features must be (N, {self.feature_size}); got {rows.shape}")
        with mg.no_grad():
            return self.cell.start(self._projected(rows))

    def project_words(self) -> Tensor:
        """What each word adds to the cell's pre-activations, W_embed Wx + b (V, gates H); no gradient."""
        with mg.no_grad():
            projected: Tensor = ops.affine(self.embed.weight, self.cell.Wx, self.cell.b)
        return projected

    def step(self, words: ArrayLike, state: State, projected: Tensor | None = None) -> tuple[Tensor, State]:
        """Say words (N,) in a state: the scores (N,V) of the next word and the next state; no gradient.

        projected: what `project_words` gives, so that many steps do that once.
        """
        ids = np.asarray(words)
        with mg.no_grad():
            if projected is None:
                state = self.cell.step(self.embed(ids), state)
            else:
                state = self.cell.advance(ops.embedding(ids, projected) + state[0] @ self.cell.Wh, state)
            return self.predict(state[0]), state


def _lengths(counts: NDArray[np.bool_]) -> NDArray[np.intp]:
    """For each row (N,T) how far the last column that counts is from the front: no state behind it is ever used."""
    behind = np.argmax(counts[:, ::-1], axis=1)
    return np.where(counts.any(axis=1), counts.shape[1] - behind, 0)


def _check_batch(features: NDArray[Any], captions: NDArray[Any], size: int) -> None:
    if captions.ndim != 2 or captions.shape[1] < 2:
        raise ValueError(f"captions must be word ids (N,T) with T >= 2, a word in and a word out; got {captions.shape}")
    if not len(captions):
        raise ValueError("captions: the batch is empty, its mean loss is not defined")
    if captions.dtype.kind not in "iu":
        raise TypeError(f"captions must be integers, word ids; got dtype {captions.dtype}")
    if features.shape != (len(captions), size):
        raise ValueError(
            f"features must be ({len(captions)}, {size}), a row for each caption and a column for each feature; "
            f"got {features.shape}"
        )
