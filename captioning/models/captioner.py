"""The captioner: a recurrent cell that starts from the features of an image and predicts one word after the other.

    h0 = features W_proj + b_proj            (c0 = 0)
    h  = rnn or lstm (embedding of the input words)
    scores = h W_vocab + b_vocab
    loss = cross-entropy of the target words, summed over the words of a caption, averaged over captions

The input words are a caption without its last column, the targets a caption without its first. Targets `<NULL>` do not
count. Source: the captioning exercises of CS231n.

Four shortcuts do not change the loss or the gradients. Columns after the longest caption of a batch are cut off. The
cell stops at the last target of each caption. Each distinct input word is projected only once. Only rows whose target
is not `<NULL>` are multiplied by W_vocab.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

import minigrad as mg
from captioning.data.errors import SHARE, among, check_values, int_from
from captioning.data.vocabulary import Vocabulary
from captioning.models.caption_batches import BaseCaptioner, CaptionBatch, checked_features
from captioning.models.recurrent_cells import CELLS, State
from minigrad import Tensor, nn, ops

__all__ = ["WEIGHTS", "CaptionNetwork", "Captioner"]

WEIGHTS = {
    "W_proj": "project.weight", "b_proj": "project.bias", "W_embed": "embed.weight",
    "Wx": "cell.Wx", "Wh": "cell.Wh", "b": "cell.b", "W_vocab": "predict.weight", "b_vocab": "predict.bias",
}  # fmt: skip
"""Maps CS231n's names of weights to the network's, in the network's order. Old files use CS231n's names."""


class CaptionNetwork(BaseCaptioner):
    """The layers of a captioner, on word ids.

    words: V, the number of words. null: the id of `<NULL>`; None if every target counts. feature_size, wordvec_size,
    hidden_size: D, W and H. cell_type: 'lstm', 'rnn' or 'gru'. draw: returns standard normal numbers of a shape, such
    as `rng.standard_normal`. dtype: of all weights. forget_bias: the initial bias of the LSTM's forget gate.

    The layers are `project` (D to H), `embed` (V rows of W), `cell` and `predict` (H to V). Initial weights are those
    of CS231n: word vectors are normal / 100, matrices normal / sqrt(rows), biases 0.

    Raises:
        ValueError: for an unknown cell type or a size below 1.

    >>> network = CaptionNetwork(5, 0, 3, 4, 6, "lstm", np.random.default_rng(0).standard_normal)
    >>> network.loss(np.ones((1, 3)), np.array([[1, 4, 2, 0]])).shape
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
        sizes = {"words": words, "feature_size": feature_size, "wordvec_size": wordvec_size, "hidden_size": hidden_size}
        check_values(sizes | {"cell_type": cell_type}, dict.fromkeys(sizes, int_from(1)) | {"cell_type": among(CELLS)})
        self.null, self.cell_type = null, cell_type
        self.feature_size, self.wordvec_size, self.hidden_size = feature_size, wordvec_size, hidden_size

        def scaled(shape: tuple[int, ...]) -> NDArray[Any]:
            return np.asarray(draw(shape) / np.sqrt(shape[0]))

        own: Any = {"dtype": dtype, "initial": scaled}
        gate: Any = {"forget_bias": forget_bias} if cell_type == "lstm" else {}
        embed = nn.Embedding(
            words, wordvec_size, dtype=dtype, initial=lambda shape: draw(shape) / 100
        )  # first, for the order of random numbers
        self.project = nn.Linear(feature_size, hidden_size, **own)
        self.embed = embed
        self.cell = CELLS[cell_type](wordvec_size, hidden_size, **gate, **own)
        self.predict = nn.Linear(hidden_size, words, **own)

    @property
    def weights(self) -> dict[str, nn.Parameter]:
        """The parameters by CS231n's names; those of a GRU, which CS231n does not have, are `bx` and `bh`."""
        names = {path: name for name, path in WEIGHTS.items()}
        return {names.get(path, path.removeprefix("cell.")): weight for path, weight in self.named_parameters()}

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> nn.LoadReport:
        """Load weights as `nn.Module` does; CS231n's names are accepted too."""
        if isinstance(state, Mapping):
            new = {name: WEIGHTS.get(name, name) for name in state}
            state = {name if new[name] in state else new[name]: value for name, value in state.items()}
        return super().load_state_dict(state, strict)

    def scores(
        self, features: ArrayLike, captions: ArrayLike, read: ArrayLike | None = None
    ) -> tuple[Tensor, NDArray[Any]]:
        """Return the scores (M,V) of the targets that count, and these targets (M,); see `BaseCaptioner.scores`."""
        rows = np.asarray(features)
        batch = CaptionBatch.of(captions, self.null, read)
        each = batch.check_images(rows, self.feature_size)
        h0 = self.project(rows.astype(self.project.weight.dtype, copy=False))
        if self.training and self.dropout:  # each use of a word has its own dropout mask
            x, indices = self._drop(self.embed(batch.words_in)), None
        else:
            distinct, indices = np.unique(batch.words_in, return_inverse=True)
            x = self.embed(distinct)
        state = self.cell.start(h0 if each == 1 else ops.repeat(h0, each, axis=0))
        h = self.cell.states(x, state, batch.lengths, indices)[batch.counts]
        return self.predict(self._drop(h)), batch.targets

    def initial_state(self, features: ArrayLike) -> State:
        """Return the state before the first word, from features (N,D), without a gradient."""
        rows = checked_features(features, self.feature_size)
        with mg.no_grad():
            state: State = self.cell.start(self.project(rows.astype(self.project.weight.dtype, copy=False)))
        return state

    def step(self, words: ArrayLike, state: State, projected: Tensor | None = None) -> tuple[Tensor, State]:
        """Append words (N,) to captions in a state; return the scores (N,V) of the next word and the next state.

        projected: the result of `project_words`, which saves time over many steps. There is no gradient.
        """
        with mg.no_grad():
            state = self._next_state(words, state, projected)
            return self.predict(state[0]), state


class Captioner(CaptionNetwork):
    """An image captioner: a `CaptionNetwork` with a vocabulary, and dropout while it trains.

    vocabulary: the words. feature_size: D, the columns of the features. wordvec_size, hidden_size: W and H. cell_type:
    'lstm', 'rnn' or 'gru'. dropout: the share of entries of the word vectors, and of the hidden states before the
    vocabulary product, that training drops. feature_dropout: the share of the features that it drops. dtype: of every
    weight. forget_bias: the initial bias of the LSTM's forget gate; CS231n's is 0. rng: a Generator or a seed, which
    draws the initial weights and then dropout.

    >>> v = Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", "dog"])
    >>> model = Captioner(v, feature_size=3, wordvec_size=4, hidden_size=5, rng=0)
    >>> model.loss(np.ones((1, 3)), np.array([[1, 4, 2, 0]])).item() > 0
    True
    >>> model
    Captioner(
      (project): Linear(in_features=3, out_features=5, bias=True)
      (embed): Embedding(5, 4)
      (cell): CaptionLSTM(4, 5)
      (predict): Linear(in_features=5, out_features=5, bias=True)
    )
    """

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
        shares = {"dropout": dropout, "feature_dropout": feature_dropout}
        check_values(shares, dict.fromkeys(shares, SHARE))
        with np.errstate(over="ignore"):
            kept = np.asarray(forget_bias, dtype)
        if not np.isfinite(kept):
            raise ValueError(f"forget_bias must be finite in {kept.dtype}; got {forget_bias!r}")
        self.vocabulary, self.dropout, self.feature_dropout = vocabulary, dropout, feature_dropout
        self.forget_bias, self.rng = forget_bias, np.random.default_rng(rng)
        sizes = feature_size, wordvec_size, hidden_size
        draw = self.rng.standard_normal
        super().__init__(len(vocabulary), vocabulary.null, *sizes, cell_type, draw, dtype, forget_bias)

    def scores(
        self, features: ArrayLike, captions: ArrayLike, read: ArrayLike | None = None
    ) -> tuple[Tensor, NDArray[Any]]:
        """Return the scores of `BaseCaptioner.scores`, with dropout while the model is in training mode."""
        if self.training and self.feature_dropout:
            features = ops.dropout(np.asarray(features), self.feature_dropout, rng=self.rng).data
        return super().scores(features, captions, read)

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments, without the vocabulary, as JSON values."""
        names = ("feature_size", "wordvec_size", "hidden_size", "cell_type", "dropout", "forget_bias",
                 "feature_dropout")  # fmt: skip
        return {name: getattr(self, name) for name in names} | {"dtype": str(self.embed.weight.dtype)}
