"""A captioner that looks at the places of a picture before it says each word.

A row of features is the whole picture's, D columns, then those of its R places, K columns each. With f the former less
their mean, over their deviation, r_i the latter over their root mean square, and the words of a caption going through a
recurrent cell,

    g = relu(W_g f + b_g)                      what the picture is about
    s_0 = tanh(W_0 g + b_0)                    the cell's first state
    h_t = cell(embedding of word t, s_(t-1))
    q_t = W_q h_t + b_q,  k_i = W_k r_i + b_k,  v_i = relu(W_v r_i + b_v)
    c_t = sum_i softmax_i(q_t k_i / sqrt(d)) v_i     for each of several heads, side by side
    z_t = 2 tanh(W_h h_t + W_c c_t + W_p g)
    scores = z_t E' + b                         E the embedding: words that are alike share what is learnt

It looks with h_t, which knows all words so far, so that nothing that is seen goes back into the cell: a whole caption
takes one pass of the cell and one product for all its words. Source: J. Lu et al., Knowing when to look (2017), whose
spatial attention this is, with heads (A. Vaswani et al., Attention is all you need, 2017) and the embedding as the
last layer (O. Press and L. Wolf, Using the output embedding to improve language models, 2017).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

import minigrad as mg
from captioning.data.vocabulary import Vocabulary
from captioning.models.caption_batches import CaptionBatch, summed_loss
from captioning.models.recurrent_cells import CELLS, State, check_cell
from captioning.models.sights import Sight, attend, heads_apart
from captioning.models.sizes import check_sizes
from minigrad import Tensor, nn, ops

__all__ = ["AttentionCaptioner"]

_STEEPNESS = 2.0  # z lies in [-2, 2]: wide enough for sure words, narrow enough that embeddings stay small


class AttentionCaptioner(nn.Module):
    """An image captioner with attention over the places of a picture.

    vocabulary: the words. feature_size: all columns of a row of features, D + R K. places: (R, K), how many places
    and columns of each. wordvec_size, hidden_size, picture_size, looking_size: E's columns, the cell's H, of g, and
    of all heads together; heads must divide the last. cell_type: 'lstm', 'gru' or 'rnn'. dropout: the share of
    entries of g, of word vectors and of h before the scores that training drops. rng: a Generator or a seed.

    Raises:
        ValueError: for sizes that do not fit.

    >>> v = Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", "dog"])
    >>> model = AttentionCaptioner(v, 3 + 4 * 2, places=(4, 2), wordvec_size=4, hidden_size=5, picture_size=6,
    ...                            looking_size=4, heads=2, rng=0)
    >>> model.loss(np.ones((1, 11)), np.array([[1, 4, 2, 0]])).item() > 0
    True
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        feature_size: int,
        places: tuple[int, int] = (49, 256),
        wordvec_size: int = 256,
        hidden_size: int = 512,
        picture_size: int = 512,
        looking_size: int = 256,
        heads: int = 4,
        cell_type: str = "lstm",
        dropout: float = 0.5,
        dtype: DTypeLike = np.float32,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        check_cell(cell_type)
        check_sizes(wordvec_size=wordvec_size, hidden_size=hidden_size, picture_size=picture_size,
                    looking_size=looking_size, heads=heads)  # fmt: skip
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1; got {dropout!r}")
        count, columns = places = (int(places[0]), int(places[1]))
        whole = feature_size - count * columns
        if min(*places, whole) < 1:
            raise ValueError(f"feature_size must be more than the {count} x {columns} of places; got {feature_size}")
        if looking_size % heads:
            raise ValueError(f"heads must divide looking_size, {looking_size}; got {heads}")
        self.vocabulary, self.feature_size, self.places, self.heads = vocabulary, feature_size, places, heads
        self.wordvec_size, self.hidden_size, self.picture_size = wordvec_size, hidden_size, picture_size
        self.looking_size, self.cell_type, self.dropout = looking_size, cell_type, dropout
        self.rng = random = np.random.default_rng(rng)
        own: Any = {"dtype": dtype, "rng": random}
        cell = CELLS[cell_type]

        self.mean = nn.Buffer(np.zeros(whole, dtype))  # of the whole picture's features
        self.deviations = nn.Buffer(np.ones(2, dtype))  # of the whole picture's from it, and of the places' from 0
        self.embed = nn.Embedding(len(vocabulary), wordvec_size, dtype=dtype,
                                  initial=lambda shape: random.standard_normal(shape) / np.sqrt(shape[1]))  # fmt: skip
        self.about = nn.Linear(whole, picture_size, **own)
        self.begin = nn.Linear(picture_size, cell.vectors * hidden_size, **own)
        self.cell = cell(wordvec_size, hidden_size, forget_bias=1.0, **own)
        self.query = nn.Linear(hidden_size, looking_size, **own)
        self.key = nn.Linear(columns, looking_size, **own)
        self.value = nn.Linear(columns, looking_size, **own)
        self.from_hidden = nn.Linear(hidden_size, wordvec_size, **own)
        self.from_seen = nn.Linear(looking_size, wordvec_size, bias=False, **own)
        self.from_picture = nn.Linear(picture_size, wordvec_size, bias=False, **own)
        self.bias = nn.Parameter(np.zeros(len(vocabulary), dtype))

    def standardise(self, features: ArrayLike) -> None:
        """Take the scales of features from some rows (N, D + R K), by which the captioner then sees those of any row.

        The whole picture's are seen less the mean of each column, over the root mean square of what is left in all
        columns; those of places over their root mean square alone: they keep their mean.
        """
        whole, places = self._parts(np.asarray(features, np.float64))
        self.mean.data[...] = whole.mean(axis=0)
        spread = [np.sqrt(np.mean((whole - whole.mean(axis=0)) ** 2)), np.sqrt(np.mean(places**2))]
        self.deviations.data[...] = [s if s > 0 else 1.0 for s in spread]

    @property
    def settings(self) -> dict[str, Any]:
        """What a run must know to make the captioner again, besides its words: arguments, ready for JSON."""
        names = ("feature_size", "places", "wordvec_size", "hidden_size", "picture_size", "looking_size", "heads",
                 "cell_type", "dropout")  # fmt: skip
        return {name: getattr(self, name) for name in names} | {"dtype": str(self.bias.dtype)}

    # Training ----------------------------------------------------------------------------------

    def loss(
        self, features: ArrayLike, captions: ArrayLike, label_smoothing: float = 0.0, read: ArrayLike | None = None
    ) -> Tensor:
        """The mean over captions (N,T) of the summed cross-entropy of their words; features (N,D). A scalar.

        read: other captions (N,T), from which the words in are taken.
        """
        scores, words_out = self.scores(features, captions, read)
        return summed_loss(scores, words_out, len(np.asarray(captions)), label_smoothing)

    forward = loss

    def scores(
        self, features: ArrayLike, captions: ArrayLike, read: ArrayLike | None = None
    ) -> tuple[Tensor, NDArray[Any]]:
        """As `CaptionNetwork.word_scores`, with dropout while the model is in training mode."""
        batch = CaptionBatch.of(captions, self.vocabulary.null, read)
        rows = np.asarray(features)
        each = batch.check_images(rows, self.feature_size)
        sight, state = self._look(rows)
        if each > 1:
            state = tuple(ops.repeat(s, each, axis=0) for s in state)
        h = self.cell.states(self._drop(self.embed(batch.words_in)), state, batch.lengths)  # (N S, T, H)
        together = ops.reshape(self.query(h), (len(rows), -1, self.looking_size))  # all words of a picture's captions
        seen = ops.reshape(attend(together, sight.keys, sight.values), (*batch.counts.shape, self.looking_size))
        pictures = np.repeat(np.arange(len(rows)), batch.counts.reshape(len(rows), -1).sum(axis=1))
        return self._score(self._drop(h[batch.counts]), seen[batch.counts], sight.picture[pictures]), batch.targets

    def _drop(self, x: Tensor) -> Tensor:
        return ops.dropout(x, self.dropout, rng=self.rng) if self.training and self.dropout else x

    def _look(self, features: NDArray[Any]) -> tuple[Sight, State]:
        """What captions of images go by, from the start: features (N, D + R K)."""
        whole, places = self._parts(features.astype(self.bias.dtype, copy=False))
        of_whole, of_places = self.deviations.data
        about = self._drop(ops.relu(self.about(Tensor((whole - self.mean.data) / of_whole))))
        first = ops.tanh(self.begin(about))
        state = tuple(first[:, k * self.hidden_size : (k + 1) * self.hidden_size] for k in range(self.cell.vectors))
        scaled = Tensor(places / of_places)
        keys, values = self.key(scaled), ops.relu(self.value(scaled))
        keys, values = heads_apart(keys, self.heads), heads_apart(values, self.heads)
        return Sight(keys, values, self.from_picture(about)), state

    def _parts(self, features: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Rows (N, D + R K) as (N, D) and (N, R, K)."""
        (count, columns), n = self.places, len(features)
        whole = self.feature_size - count * columns
        return features[:, :whole], features[:, whole:].reshape(n, count, columns)

    def _score(self, h: Tensor, seen: Tensor, picture: Tensor) -> Tensor:
        """The scores (M,V) from hidden states, what was seen and what the picture adds, M rows each."""
        z = _STEEPNESS * ops.tanh(self.from_hidden(h) + self.from_seen(seen) + picture)
        scores: Tensor = ops.matmul(z, np.transpose(self.embed.weight)) + self.bias
        return scores

    # Saying words ------------------------------------------------------------------------------

    def initial_state(self, features: ArrayLike) -> State:
        """The state before the first word, from features (N,D); no gradient. Its last entry is the `Sight`."""
        rows = np.asarray(features)
        if rows.ndim != 2 or rows.shape[1] != self.feature_size:
            raise ValueError(f"features must be (N, {self.feature_size}); got {rows.shape}")
        with mg.no_grad():
            sight, state = self._look(rows)
        return (*state, sight)

    def project_words(self) -> Tensor:
        """What each word adds to the cell's pre-activations (V, gates H); no gradient."""
        with mg.no_grad():
            return self.cell.projected(self.embed.weight)

    def step(self, words: ArrayLike, state: State, projected: Tensor | None = None) -> tuple[Tensor, State]:
        """Say words (N,) in a state: the scores (N,V) of the next word and the next state; no gradient.

        projected: what `project_words` gives, so that many steps do that once.
        """
        ids, (*before, sight) = np.asarray(words), state
        with mg.no_grad():
            if projected is None:
                after = self.cell.step(self.embed(ids), tuple(before))
            else:
                after = self.cell.advance(ops.embedding(ids, projected), tuple(before))
            scores = self._score(after[0], sight.see(self.query(after[0])), sight.pictures())
        return scores, (*after, sight)

    def looks(self, state: State) -> NDArray[np.floating[Any]]:
        """Where it looks, for the word that follows a state: (N, R), rows summing to 1, in the mean over the heads."""
        with mg.no_grad():
            found: NDArray[np.floating[Any]] = state[-1].looks(self.query(state[0]))
        return found
