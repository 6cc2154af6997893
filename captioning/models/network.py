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
from captioning.models.caption_batches import CaptionBatch, summed_loss
from captioning.models.recurrent_cells import CELLS, State, check_cell
from captioning.models.sizes import check_sizes
from captioning.models.weights import WEIGHTS, renamed
from minigrad import Tensor, nn, ops

__all__ = ["CaptionNetwork", "Drop"]

Drop = Callable[[Tensor], Tensor]
"""Dropout, of a share that its maker knows."""


class CaptionNetwork(nn.Module):
    """The layers of a captioner, on word ids: what the words are does not matter here.

    words: V, how many there are. null: the id of `<NULL>`; None if no word is free of cost. feature_size, wordvec_size,
    hidden_size: D, W and H. cell_type: 'lstm', 'rnn' or 'gru'. draw: standard normal numbers of a shape, such as
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
        sizes = {"feature_size": feature_size, "wordvec_size": wordvec_size, "hidden_size": hidden_size}
        check_sizes(words=words, **sizes)
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
        """The parameters under CS231n's names, eight of them; a GRU, which it has not, has its own two biases."""
        own = dict(self.named_parameters())
        names = {path: name for name, path in WEIGHTS.items()}
        return {names.get(path, path.removeprefix("cell.")): parameter for path, parameter in own.items()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> nn.LoadReport:
        """As every module's; weights under CS231n's names, as they were saved before, are taken too."""
        return super().load_state_dict(renamed(state) if isinstance(state, Mapping) else state, strict)

    # Training ----------------------------------------------------------------------------------

    def caption_loss(
        self, features: ArrayLike, captions: ArrayLike, drop: Drop | None = None, label_smoothing: float = 0.0
    ) -> Tensor:
        """The loss of the module's page, a scalar.

        features: (N,D). captions: (N,T) word ids, T >= 2. drop: applied to the word vectors and to the hidden states
        before the vocabulary product, for dropout. label_smoothing: as of `minigrad.cross_entropy`. Shapes that do not
        fit, or ids outside the vocabulary, are a ValueError or IndexError.
        """
        scores, words_out = self.word_scores(features, captions, drop)
        return summed_loss(scores, words_out, len(np.asarray(captions)), label_smoothing)

    def word_scores(
        self, features: ArrayLike, captions: ArrayLike, drop: Drop | None = None, read: ArrayLike | None = None
    ) -> tuple[Tensor, NDArray[Any]]:
        """The scores (M,V) of the words that count, with everything said before them given, and these words (M,).

        features: (N,D). captions: (S N,T), S captions of each image one after the other, mostly one. The words are
        those out that are not `<NULL>`, caption by caption. read: other captions (S N,T), to take the words in from.
        """
        rows = np.asarray(features)
        batch = CaptionBatch.of(captions, self.null, read)
        each = batch.check_images(rows, self.feature_size)
        h0 = self._projected(rows)
        if drop is None:
            distinct, indices = np.unique(batch.words_in, return_inverse=True)
            x = self.embed(distinct)
        else:  # each use of a word drops others of its numbers, so each is a row of its own
            x, indices = drop(self.embed(batch.words_in)), None
        state = self.cell.start(h0 if each == 1 else ops.repeat(h0, each, axis=0))
        h = self.cell.states(x, state, batch.lengths, indices)[batch.counts]  # (words that count, H)
        if drop is not None:
            h = drop(h)
        return self.predict(h), batch.targets

    def _projected(self, features: NDArray[Any]) -> Tensor:
        """The hidden state (N,H) that the features start the cell with, of the weights' dtype."""
        h: Tensor = self.project(features.astype(self.project.weight.dtype, copy=False))
        return h

    # Saying words ------------------------------------------------------------------------------

    def initial_state(self, features: ArrayLike) -> State:
        """The state before the first word, from features (N,D): (h,), or (h, c) for an LSTM; no gradient."""
        rows = np.asarray(features)
        if rows.ndim != 2 or rows.shape[1] != self.feature_size:
            raise ValueError(f"features must be (N, {self.feature_size}); got {rows.shape}")
        with mg.no_grad():
            return self.cell.start(self._projected(rows))

    def project_words(self) -> Tensor:
        """What each word adds to the cell's pre-activations, W_embed Wx + b (V, gates H); no gradient."""
        with mg.no_grad():
            return self.cell.projected(self.embed.weight)

    def step(self, words: ArrayLike, state: State, projected: Tensor | None = None) -> tuple[Tensor, State]:
        """Say words (N,) in a state: the scores (N,V) of the next word and the next state; no gradient.

        projected: what `project_words` gives, so that many steps do that once.
        """
        ids = np.asarray(words)
        with mg.no_grad():
            if projected is None:
                state = self.cell.step(self.embed(ids), state)
            else:
                state = self.cell.advance(ops.embedding(ids, projected), state)
            return self.predict(state[0]), state
