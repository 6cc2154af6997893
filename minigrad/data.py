"""Minibatches of arrays, in another order every epoch, that can be resumed in the middle of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .core import Tensor
from .rng import generator
from .spec import Array, describe

__all__ = ["Batches", "batches"]


def batches(*arrays: Any, size: int, shuffle: bool = True, rng: Any = None, drop_last: bool = False) -> Batches:
    """Minibatches of examples that lie along the first axes of arrays of the same length.

    Each ``for`` over them is an epoch: every example comes once, with ``shuffle`` in another order each time. The order
    depends on a seed and on the number of the epoch alone, and so the state is a few integers: see
    :meth:`Batches.state_dict`.

    Args:
        arrays: ndarrays, tensors, or what has a shape, a dtype and rows as they have, such as a data set of h5py, of
            which only the rows of a batch are read.
        size: how many examples a batch has; the last one of an epoch has what is left.
        shuffle: whether to draw the order; else it is that of the arrays.
        rng: a generator or a seed, from which the seed of all orders is drawn; the library's generator by default.
        drop_last: whether to leave out the last batch of an epoch if it is smaller.

    Returns:
        What gives a tuple of batches, one of each array, or with a single array its batches themselves: tensors of
        tensors (a gradient flows back), ndarrays of all others; copies, not views. ``len`` is how many an epoch has.

    Raises:
        TypeError: if there is no array, or something is none.
        ValueError: if the lengths differ, ``size`` is not a positive integer, or ``drop_last`` leaves nothing.

    >>> import minigrad as mg
    >>> x, y = np.arange(10.0).reshape(5, 2), np.arange(5)
    >>> pairs = mg.data.batches(x, y, size=2, rng=0)
    >>> first, second = list(pairs), list(pairs)
    >>> [labels.size for _, labels in first], sorted(np.concatenate([labels for _, labels in first]).tolist())
    ([2, 2, 1], [0, 1, 2, 3, 4])
    >>> all(bool((two == x[labels]).all()) for two, labels in first + second)
    True
    """
    return Batches(arrays, size, shuffle, rng, drop_last)


class Batches:
    """What :func:`batches` gives.

    Attributes:
        epoch: how many epochs are over. position: how many batches of the current one have been given.
        examples, size, shuffle, drop_last: how many there are, and what :func:`batches` was told. seed: of all orders.
    """

    def __init__(self, arrays: tuple[Any, ...], size: int, shuffle: bool, rng: Any, drop_last: bool) -> None:
        if not arrays:
            raise TypeError("batches: pass at least one array")
        for i, array in enumerate(arrays):
            fits = all(hasattr(array, name) for name in ("shape", "dtype", "__getitem__"))
            if not fits or not array.shape or hasattr(array, "iloc"):  # what pandas has; its [rows] are labels
                raise TypeError(
                    f"batches: argument {i} must be an array or a tensor with axes, not {type(array).__name__}"
                )
        lengths = [array.shape[0] for array in arrays]
        if len(set(lengths)) > 1:
            raise ValueError(f"batches: the arrays must have as many examples, not {', '.join(map(str, lengths))}")
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(f"batches: size must be a positive integer, not {size!r}")
        if drop_last and 0 < lengths[0] < size:
            raise ValueError(f"batches: with drop_last {lengths[0]} examples give no batch of {size}")
        self.arrays, self.examples, self.size = arrays, int(lengths[0]), int(size)
        self.shuffle, self.drop_last = bool(shuffle), bool(drop_last)
        self.seed = int(generator(rng).integers(2**63 - 1)) if shuffle else 0
        self.epoch = self.position = 0
        self._resumes = False  # whether the next loop goes on in the middle of an epoch
        self._latest: object = None  # which loop moves epoch and position

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return self.examples // self.size if self.drop_last else -(-self.examples // self.size)

    def __iter__(self) -> Iterator[Any]:
        """One epoch: a new one, or after :meth:`load_state_dict` the rest of that one.

        Of several loops at once the one that began last moves the state.
        """
        if self.position and not self._resumes:  # a loop was left by `break`, and its epoch with it
            self.epoch, self.position = self.epoch + 1, 0
        self._resumes, self._latest = False, object()
        return self._rest(self._latest, self.epoch, self.position)

    def _rest(self, loop: object, epoch: int, start: int) -> Iterator[Any]:
        in_order = np.arange(self.examples)
        order = np.random.default_rng([self.seed, epoch]).permutation(in_order) if self.shuffle else in_order
        for position in range(start, len(self)):
            rows = order[position * self.size : (position + 1) * self.size]
            batch = tuple(_taken(array, rows) for array in self.arrays)
            if loop is self._latest:
                self.position = position + 1
            yield batch if len(batch) > 1 else batch[0]
        if loop is self._latest:
            self.epoch, self.position = epoch + 1, 0

    def state_dict(self) -> dict[str, int]:
        """Where it stands, as integers, ready for JSON or :func:`minigrad.save`.

        A batch counts as done once the loop has it: a state saved at the end of a loop's body continues with the next.
        (With the same release of NumPy: another one may make another order of the same seed.)

        >>> import json
        >>> x = np.arange(6)
        >>> first, second = batches(x, size=2, rng=0), batches(x, size=2, rng=1)
        >>> rest = iter(first)
        >>> _ = next(rest)
        >>> second.load_state_dict(json.loads(json.dumps(first.state_dict())))
        >>> [bool((a == b).all()) for a, b in zip(rest, second, strict=True)]
        [True, True]
        """
        return {
            "seed": self.seed,
            "epoch": self.epoch,
            "position": self.position,
            "examples": self.examples,
            "size": self.size,
            "shuffle": int(self.shuffle),
            "drop_last": int(self.drop_last),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over where another one stood: the next ``for`` gives the rest of its epoch, and later ones its orders.

        Raises:
            TypeError: if the state is no mapping.
            ValueError: names what is missing, unexpected or impossible, and what belongs to other data or another size
                of batches; nothing has been changed.
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"Batches.load_state_dict: expected a mapping, not {describe(state)}")
        mine = self.state_dict()
        if state.keys() != mine.keys():
            wrong = ", ".join(sorted(map(str, state.keys() ^ mine.keys())))
            raise ValueError(f"Batches.load_state_dict: missing or unexpected: {wrong}")
        taken = {name: _whole(name, value) for name, value in state.items()}
        for name in ("examples", "size", "shuffle", "drop_last"):
            if taken[name] != mine[name]:
                raise ValueError(f"Batches.load_state_dict: {name} is {taken[name]} in the state and {mine[name]} here")
        if taken["position"] > len(self):
            raise ValueError(f"Batches.load_state_dict: position {taken['position']} of {len(self)} batches")
        self.seed, self.epoch, self.position = taken["seed"], taken["epoch"], taken["position"]
        self._resumes, self._latest = True, None


def _whole(name: str, value: Any) -> int:
    """An integer of a state, also as a 0-d array from a file."""
    array = np.asarray(value)
    if array.ndim or array.dtype.kind not in "biu" or array < 0:
        raise ValueError(f"Batches.load_state_dict: {name} must be an integer of at least 0, not {value!r}")
    return int(array)


def _taken(array: Any, rows: Array) -> Any:
    """Some rows, as a copy."""
    if isinstance(array, (np.ndarray, Tensor)):
        return array[rows]
    order = np.argsort(rows)  # h5py takes them in ascending order alone
    ascending = rows[order]
    first, last = int(ascending[0]), int(ascending[-1])
    wanted = slice(first, last + 1) if last - first + 1 == len(rows) else ascending  # a slice is read faster
    read = np.asarray(array[wanted])
    taken = np.empty_like(read)
    taken[order] = read
    return taken
