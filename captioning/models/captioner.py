"""The captioner: the network of `captioning.models.network` with a vocabulary, and dropout while it trains."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from captioning.data.vocabulary import Vocabulary
from captioning.models.caption_batches import summed_loss
from captioning.models.network import CaptionNetwork
from minigrad import Tensor, ops

__all__ = ["Captioner"]


class Captioner(CaptionNetwork):
    """An image captioner of minigrad's layers.

    vocabulary: the words. feature_size: D, the columns of the features. wordvec_size, hidden_size: W and
    H. cell_type: 'lstm', 'rnn' or 'gru'. dropout: the share of entries that `loss` drops, of the word vectors
    and of the hidden states before the vocabulary product, while the model is in training mode.
    feature_dropout: the share of the features that it drops too, against learning pictures by heart. dtype: of
    every weight. forget_bias: where the LSTM's forget gate starts; the source's is 0. rng: a Generator
    or a seed, from which the first weights and then dropout are drawn.

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
        for name, share in (("dropout", dropout), ("feature_dropout", feature_dropout)):
            if not 0 <= share < 1:
                raise ValueError(f"{name} must be at least 0 and below 1; got {share!r}")
        with np.errstate(over="ignore"):
            kept = np.asarray(forget_bias, dtype)
        if not np.isfinite(kept):
            raise ValueError(f"forget_bias must be finite in {kept.dtype}; got {forget_bias!r}")
        self.vocabulary, self.dropout, self.feature_dropout = vocabulary, dropout, feature_dropout
        self.forget_bias, self.rng = forget_bias, np.random.default_rng(rng)
        sizes = feature_size, wordvec_size, hidden_size
        draw = self.rng.standard_normal
        super().__init__(len(vocabulary), vocabulary.null, *sizes, cell_type, draw, dtype, forget_bias)

    def loss(
        self, features: ArrayLike, captions: ArrayLike, label_smoothing: float = 0.0, read: ArrayLike | None = None
    ) -> Tensor:
        """The mean over captions (N,T) of the summed cross-entropy of their words; features (N,D). A scalar.

        read: other captions (N,T), from which the words in are taken.
        """
        scores, words_out = self.scores(features, captions, read)
        return summed_loss(scores, words_out, len(np.asarray(captions)), label_smoothing)

    def scores(
        self, features: ArrayLike, captions: ArrayLike, read: ArrayLike | None = None
    ) -> tuple[Tensor, NDArray[Any]]:
        """`word_scores`, with dropout while the model is in training mode."""
        if self.training and self.feature_dropout:
            features = ops.dropout(np.asarray(features), self.feature_dropout, rng=self.rng).data
        return self.word_scores(features, captions, self._drop if self.training and self.dropout else None, read)

    forward = loss

    @property
    def settings(self) -> dict[str, Any]:
        """What a run must know to make the captioner again, besides its words: arguments, ready for JSON."""
        names = ("feature_size", "wordvec_size", "hidden_size", "cell_type", "dropout", "forget_bias",
                 "feature_dropout")  # fmt: skip
        return {name: getattr(self, name) for name in names} | {"dtype": str(self.embed.weight.dtype)}

    def _drop(self, x: Tensor) -> Tensor:
        return ops.dropout(x, self.dropout, rng=self.rng)
