"""A captioner that attends to the regions of a picture before each word.

A row of features holds D columns of the whole image, then K columns of each of R regions, or places. f are the features
of the whole image minus their mean, divided by their standard deviation. r_i are those of region i divided by their
root mean square. A recurrent cell reads the words of a caption:

    g = relu(W_g f + b_g)                      a summary of the image
    s_0 = tanh(W_0 g + b_0)                    the cell's first state
    h_t = cell(embedding of word t, s_(t-1))
    q_t = W_q h_t + b_q,  k_i = W_k r_i + b_k,  v_i = relu(W_v r_i + b_v)
    c_t = sum_i softmax_i(q_t k_i / sqrt(d)) v_i     for each of several heads, side by side
    z_t = 2 tanh(W_h h_t + W_c c_t + W_p g)
    scores = z_t E' + b                         E the embedding, shared with the input words

The query depends on h_t, and so on all words so far. The attended values do not go back into the cell, so a caption
takes one pass of the cell and one product for all words. Sources: J. Lu et al., Knowing when to look
(2017), for the spatial attention; A. Vaswani et al., Attention is all you need (2017), for the heads; O. Press and
L. Wolf, Using the output embedding to improve language models (2017), for the shared embedding.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

import minigrad as mg
from captioning.data.errors import SHARE, among, check_values, int_from
from captioning.data.vocabulary import Vocabulary
from captioning.models.caption_batches import BaseCaptioner, CaptionBatch, checked_features
from captioning.models.recurrent_cells import CELLS, State
from minigrad import Tensor, nn, ops

__all__ = ["AttendedRegions", "AttentionCaptioner"]

_STEEPNESS = 2.0  # z is in [-2, 2], so that words can be likely while embeddings stay small


class AttendedRegions:
    """The regions that C captions attend to, and the image of each caption.

    A beam search drops and adds captions, while the images stay the same. An index selects some of the captions.

    keys, values: (N, heads, R, d). summary: (N, E), what an image adds to the scores of each word. owners: (C,), the
    image of each caption, in increasing order.

    >>> keys = Tensor(np.ones((2, 1, 3, 4), np.float32))
    >>> regions = AttendedRegions(keys, keys, Tensor(np.ones((2, 5))))
    >>> regions[[0, 0, 1]].attend(Tensor(np.ones((3, 4), np.float32))).shape
    (3, 4)
    """

    def __init__(self, keys: Tensor, values: Tensor, summary: Tensor, owners: NDArray[np.intp] | None = None) -> None:
        self.keys, self.values, self.summary = keys, values, summary
        self.owners = np.arange(len(keys.data)) if owners is None else owners

    def __getitem__(self, index: Any) -> AttendedRegions:
        owners = self.owners[index]
        used, new = np.unique(owners, return_inverse=True)
        if 2 * len(used) > len(self.keys.data):  # copying costs more than it saves
            return AttendedRegions(self.keys, self.values, self.summary, owners)
        return AttendedRegions(self.keys[used], self.values[used], self.summary[used], new)

    def attend(self, queries: Tensor) -> Tensor:
        """Return the attended values (C, A) of each caption, from its query (C, A)."""
        _, first, counts = np.unique(self.owners, return_index=True, return_counts=True)
        columns = np.arange(len(self.owners)) - np.repeat(first, counts)  # within the captions of the same image
        together = np.zeros((len(self.keys.data), int(counts.max(initial=1)), queries.shape[1]), queries.dtype)
        together[self.owners, columns] = queries.data
        return _attend(Tensor(together), self.keys, self.values)[self.owners, columns]

    def attention_maps(self, queries: Tensor) -> NDArray[np.floating[Any]]:
        """Return the attention of each caption to each region (C, R), averaged over the heads; rows sum to 1."""
        keys = self.keys.data[self.owners]  # (C, heads, R, d)
        d = keys.shape[-1]
        split = queries.data.reshape(len(keys), -1, 1, d)
        weights = ops.softmax(Tensor((split * keys).sum(axis=-1) / np.sqrt(d, dtype=keys.dtype)), -1)
        return np.asarray(weights.data.mean(axis=1))


def _split_heads(x: Any, heads: int) -> Any:
    """Return rows (N, T, heads d) as (N, heads, T, d)."""
    return np.swapaxes(np.reshape(x, (*x.shape[:2], heads, x.shape[2] // heads)), 1, 2)


def _attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Return the attended values (N, T, A) of queries (N, T, A); keys, values: (N, heads, R, A / heads)."""
    attended: Any = np.swapaxes(ops.attention(_split_heads(queries, keys.shape[1]), keys, values), 1, 2)
    return cast(Tensor, ops.reshape(attended, queries.shape))


class AttentionCaptioner(BaseCaptioner):
    """An image captioner with attention over the regions of an image.

    feature_size: the number of columns of the features, D + R K. places: (R, K). wordvec_size: the number of columns of
    E. hidden_size: that of the cell, H. picture_size: the size of g. looking_size: the size of keys and values, all
    heads together. cell_type: 'lstm', 'gru' or 'rnn'. dropout: the share of entries of g, of word vectors and of h
    before the scores that training drops. rng: a Generator or a seed.

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
        sizes = {"wordvec_size": wordvec_size, "hidden_size": hidden_size, "picture_size": picture_size,
                 "looking_size": looking_size, "heads": heads}  # fmt: skip
        check_values(sizes | {"cell_type": cell_type, "dropout": dropout},
                     dict.fromkeys(sizes, int_from(1)) | {"cell_type": among(CELLS), "dropout": SHARE})  # fmt: skip
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

        self.mean = nn.Buffer(np.zeros(whole, dtype))  # of the features of the whole image
        self.deviations = nn.Buffer(np.ones(2, dtype))  # of these from the mean, and of the regions' from 0
        self.embed = nn.Embedding(len(vocabulary), wordvec_size, dtype=dtype,
                                  initial=lambda shape: random.standard_normal(shape) / np.sqrt(shape[1]))  # fmt: skip
        self.about = nn.Linear(whole, picture_size, **own)
        self.begin = nn.Linear(picture_size, cell.vectors * hidden_size, **own)
        self.cell = cell(wordvec_size, hidden_size, **own)  # an LSTM with forget bias 1
        self.query = nn.Linear(hidden_size, looking_size, **own)
        self.key = nn.Linear(columns, looking_size, **own)
        self.value = nn.Linear(columns, looking_size, **own)
        self.from_hidden = nn.Linear(hidden_size, wordvec_size, **own)
        self.from_seen = nn.Linear(looking_size, wordvec_size, bias=False, **own)
        self.from_picture = nn.Linear(picture_size, wordvec_size, bias=False, **own)
        self.bias = nn.Parameter(np.zeros(len(vocabulary), dtype))

    def standardise(self, features: ArrayLike) -> None:
        """Set the scales of features from some rows (N, D + R K).

        Features of the whole image are centred by column and divided by their common deviation. Those of regions are
        divided by their root mean square.
        """
        whole, places = self._parts(np.asarray(features, np.float64))
        self.mean.data[...] = whole.mean(axis=0)
        spread = [np.sqrt(np.mean((whole - whole.mean(axis=0)) ** 2)), np.sqrt(np.mean(places**2))]
        self.deviations.data[...] = [s if s > 0 else 1.0 for s in spread]

    @property
    def settings(self) -> dict[str, Any]:
        """The constructor's arguments, without the vocabulary, as JSON values."""
        names = ("feature_size", "places", "wordvec_size", "hidden_size", "picture_size", "looking_size", "heads",
                 "cell_type", "dropout")  # fmt: skip
        return {name: getattr(self, name) for name in names} | {"dtype": str(self.bias.dtype)}

    def scores(
        self, features: ArrayLike, captions: ArrayLike, read: ArrayLike | None = None
    ) -> tuple[Tensor, NDArray[Any]]:
        """Return the scores of `BaseCaptioner.scores`, with dropout while the model is in training mode."""
        batch = CaptionBatch.of(captions, self.vocabulary.null, read)
        rows = np.asarray(features)
        each = batch.check_images(rows, self.feature_size)
        regions, state = self._regions_and_state(rows)
        if each > 1:
            state = tuple(ops.repeat(s, each, axis=0) for s in state)
        h = self.cell.states(self._drop(self.embed(batch.words_in)), state, batch.lengths)  # (N S, T, H)
        together = ops.reshape(
            self.query(h), (len(rows), -1, self.looking_size)
        )  # all words of the captions of an image
        attended = ops.reshape(
            _attend(together, regions.keys, regions.values), (*batch.counts.shape, self.looking_size)
        )
        images = np.repeat(np.arange(len(rows)), batch.counts.reshape(len(rows), -1).sum(axis=1))
        return self._score(self._drop(h[batch.counts]), attended[batch.counts], regions.summary[images]), batch.targets

    def _regions_and_state(self, features: NDArray[Any]) -> tuple[AttendedRegions, State]:
        """Return the regions and the first state of the cell, from features (N, D + R K)."""
        whole, places = self._parts(features.astype(self.bias.dtype, copy=False))
        of_whole, of_places = self.deviations.data
        about = self._drop(ops.relu(self.about(Tensor((whole - self.mean.data) / of_whole))))
        first = ops.tanh(self.begin(about))
        state = tuple(first[:, k * self.hidden_size : (k + 1) * self.hidden_size] for k in range(self.cell.vectors))
        scaled = Tensor(places / of_places)
        keys, values = self.key(scaled), ops.relu(self.value(scaled))
        keys, values = _split_heads(keys, self.heads), _split_heads(values, self.heads)
        return AttendedRegions(keys, values, self.from_picture(about)), state

    def _parts(self, features: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return rows (N, D + R K) as (N, D) and (N, R, K)."""
        (count, columns), n = self.places, len(features)
        whole = self.feature_size - count * columns
        return features[:, :whole], features[:, whole:].reshape(n, count, columns)

    def _score(self, h: Tensor, attended: Tensor, summary: Tensor) -> Tensor:
        """Return the scores (M,V) from hidden states, attended values and summaries of images, M rows each."""
        z = _STEEPNESS * ops.tanh(self.from_hidden(h) + self.from_seen(attended) + summary)
        return cast(Tensor, ops.matmul(z, np.transpose(self.embed.weight)) + self.bias)

    def initial_state(self, features: ArrayLike) -> State:
        """Return the state before the first word, from features (N,D), without a gradient.

        The last entry is the `AttendedRegions`.
        """
        rows = checked_features(features, self.feature_size)
        with mg.no_grad():
            regions, state = self._regions_and_state(rows)
        return (*state, regions)

    def step(self, words: ArrayLike, state: State, projected: Tensor | None = None) -> tuple[Tensor, State]:
        """Append words (N,) to captions in a state; return the scores (N,V) of the next word and the next state.

        projected: the result of `project_words`, which saves time over many steps. There is no gradient.
        """
        *before, regions = state
        with mg.no_grad():
            after = self._next_state(words, tuple(before), projected)
            scores = self._score(after[0], regions.attend(self.query(after[0])), regions.summary[regions.owners])
        return scores, (*after, regions)

    def attention_maps(self, state: State) -> NDArray[np.floating[Any]]:
        """Return the attention to each region (N, R) for the word that follows a state; rows sum to 1."""
        with mg.no_grad():
            found: NDArray[np.floating[Any]] = state[-1].attention_maps(self.query(state[0]))
        return found
