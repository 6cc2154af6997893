"""What captions look at while they are said: keys and values of the places of pictures.

Captions come and go: a beam keeps some, in another order, and those that have ended are dropped. The pictures stay
where they are, and each caption knows which is its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from minigrad import Tensor, ops

__all__ = ["Sight", "attend", "heads_apart", "heads_joined"]


def heads_apart(x: Any, heads: int) -> Any:
    """Rows (N, T, heads d) as a stack of heads (N, heads, T, d), each with its own d columns."""
    return np.swapaxes(np.reshape(x, (*x.shape[:2], heads, x.shape[2] // heads)), 1, 2)


def heads_joined(x: Any) -> Any:
    """The inverse of `heads_apart`."""
    n, heads, steps, d = x.shape
    return np.reshape(np.swapaxes(x, 1, 2), (n, steps, heads * d))


def attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """What queries (N, T, A) see of the places of N pictures: means of the values, weighted by how well keys fit.

    keys, values: (N, heads, places, A / heads). Returns (N, T, A).

    >>> queries, keys, values = (Tensor(np.ones(shape)) for shape in ((1, 2, 4), (1, 2, 3, 2), (1, 2, 3, 2)))
    >>> attend(queries, keys, values).shape
    (1, 2, 4)
    """
    seen: Tensor = heads_joined(ops.attention(heads_apart(queries, keys.shape[1]), keys, values))
    return seen


class Sight:
    """The pictures that C captions look at, and which of them each caption is of.

    keys, values: (N, heads, places, d). picture: (N, E), what a picture adds to the scores of every word of its
    captions. owners: (C,) the picture of each caption, in rising order. An index takes some of the captions.

    >>> sight = Sight(*(Tensor(np.ones((2, 1, 3, 4), np.float32)) for _ in range(2)), Tensor(np.ones((2, 5))))
    >>> more = sight[[0, 0, 1]]
    >>> more.see(Tensor(np.ones((3, 4), np.float32))).shape, more.pictures().shape
    ((3, 4), (3, 5))
    """

    def __init__(self, keys: Tensor, values: Tensor, picture: Tensor, owners: NDArray[np.intp] | None = None) -> None:
        self.keys, self.values, self.picture = keys, values, picture
        self.owners = np.arange(len(keys.data)) if owners is None else owners

    def __getitem__(self, index: Any) -> Sight:
        owners = self.owners[index]
        used, places = np.unique(owners, return_inverse=True)
        if 2 * len(used) > len(self.keys.data):
            return Sight(self.keys, self.values, self.picture, owners)
        return Sight(self.keys[used], self.values[used], self.picture[used], places)  # the others are of no use

    def see(self, queries: Tensor) -> Tensor:
        """What each caption sees (C, A), from its query (C, A)."""
        rows, columns, width = self._seats()
        together = np.zeros((len(self.keys.data), width, queries.shape[1]), queries.dtype)
        together[rows, columns] = queries.data
        return attend(Tensor(together), self.keys, self.values)[rows, columns]

    def looks(self, queries: Tensor) -> NDArray[np.floating[Any]]:
        """How much each caption looks at each place (C, places), in the mean over the heads; rows sum to 1."""
        keys = self.keys.data[self.owners]  # (C, heads, places, d)
        d = keys.shape[-1]
        split = queries.data.reshape(len(keys), -1, 1, d)
        weights = ops.softmax(Tensor((split * keys).sum(axis=-1) / np.sqrt(d, dtype=keys.dtype)), -1)
        mean: NDArray[np.floating[Any]] = weights.data.mean(axis=1)
        return mean

    def pictures(self) -> Tensor:
        """What the picture of each caption adds to its scores (C, E)."""
        own: Tensor = self.picture[self.owners]
        return own

    def _seats(self) -> tuple[NDArray[np.intp], NDArray[np.intp], int]:
        """The picture of each caption, its place among those of the picture, and the most that a picture has."""
        _, first, counts = np.unique(self.owners, return_index=True, return_counts=True)
        columns = np.arange(len(self.owners)) - np.repeat(first, counts)
        return self.owners, columns, int(counts.max(initial=1))
