"""Iterate over minibatches of arrays, shuffled in each epoch and resumable in mid-epoch, and over parts of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from .core import Tensor
from .nn.module import matching_arrays
from .rng import generator
from .spec import Array, as_array, as_whole, describe

__all__ = ["Batches", "batches"]


def batches(*arrays: Any, size: int, shuffle: bool = True, rng: Any = None, drop_last: bool = False) -> Batches:
    """Return an iterable over minibatches along the first axes of arrays of equal length.

    Each ``for`` loop is an epoch that yields every example once, in a new order if ``shuffle``. The order depends only
    on a seed and the number of the epoch, so the state is a few integers (:meth:`Batches.state_dict`).

    Args:
        arrays: ndarrays, tensors, or array-like objects with a shape, a dtype and rows. From an h5py data set, only the
            rows of a batch are read.
        size: the batch size; the last batch of an epoch may be smaller.
        shuffle: whether to shuffle; otherwise examples keep the order of the arrays.
        rng: a generator or seed that determines all orders; by default the library's generator.
        drop_last: whether to leave out the last batch of an epoch if it is smaller.

    Returns:
        an iterable over tuples with one batch per array, or over the batches of a single array. A batch of a tensor is
        a tensor, through which gradients flow; other batches are ndarrays. Batches are copies, not views. ``len`` is
        the number of batches per epoch.

    Raises:
        TypeError: if there is no array, or an argument is not an array.
        ValueError: if the lengths differ, ``size`` is not a positive integer, or ``drop_last`` leaves no batch.

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
    """The iterable that :func:`batches` returns.

    Attributes:
        epoch: the number of finished epochs. position: the number of batches of the current epoch yielded so far.
        examples, size, shuffle, drop_last: the number of examples and the arguments of :func:`batches`.
        seed: the seed of all orders.
    """

    def __init__(self, arrays: tuple[Any, ...], size: int, shuffle: bool, rng: Any, drop_last: bool) -> None:
        if not arrays:
            raise TypeError("batches: pass at least one array")
        for i, array in enumerate(arrays):
            fits = all(hasattr(array, name) for name in ("shape", "dtype", "__getitem__"))
            if not fits or not array.shape or hasattr(array, "iloc"):  # pandas, where [rows] selects labels
                raise TypeError(
                    f"batches: argument {i} must be an array or a tensor with axes, not {type(array).__name__}"
                )
        lengths = [array.shape[0] for array in arrays]
        if len(set(lengths)) > 1:
            raise ValueError(f"batches: the arrays must have equal lengths, not {', '.join(map(str, lengths))}")
        size = as_whole("batches", "size", size)
        if drop_last and 0 < lengths[0] < size:
            raise ValueError(f"batches: {lengths[0]} examples are fewer than size={size}, so drop_last leaves no batch")
        self.arrays, self.examples, self.size = arrays, int(lengths[0]), size
        self.shuffle, self.drop_last = bool(shuffle), bool(drop_last)
        self.seed = int(generator(rng).integers(2**63 - 1)) if shuffle else 0
        self.epoch = self.position = 0
        self._resumes = False  # whether the next loop continues in the middle of an epoch
        self._latest: object = None  # the loop that updates epoch and position

    def __len__(self) -> int:
        """Return the number of batches per epoch."""
        return self.examples // self.size if self.drop_last else -(-self.examples // self.size)

    def __repr__(self) -> str:
        order = "shuffled" if self.shuffle else "in order"
        return (
            f"Batches({self.examples:,} examples in {len(self):,} batches of {self.size:,}, {order}; "
            f"{self.position:,} done in epoch {self.epoch:,})"
        )

    def __iter__(self) -> Iterator[Any]:
        """Iterate over one epoch: a new one, or the rest of the epoch that :meth:`load_state_dict` restored.

        If several loops run at once, the one that started last updates the state.
        """
        if self.position and not self._resumes:  # a `break` ended the last loop, and so its epoch
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
        """Return the current position as integers, for JSON or :func:`minigrad.save`.

        A batch counts as done once it is yielded, so a state saved at the end of the loop body continues with the next
        batch. (This requires the same NumPy release; another release may produce a different order from the same seed.)

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
        """Restore a saved position: the next ``for`` loop yields the rest of its epoch, and later loops use its orders.

        Raises:
            TypeError: if the state is not a mapping.
            ValueError: if entries are missing, unexpected, invalid, or belong to other data or another batch size;
                nothing is changed.
        """
        caller, mine = "Batches.load_state_dict", self.state_dict()
        arrays = matching_arrays(caller, {name: as_array(n) for name, n in mine.items()}, state)
        found = {name: int(array) for name, array in arrays.items()}
        for name, n in found.items():
            if n < 0:
                raise ValueError(f"{caller}: {name} is {n} in the state, but must not be negative")
            if n != mine[name] and name not in ("seed", "epoch", "position"):
                raise ValueError(f"{caller}: {name} is {n} in the state and {mine[name]} here")
        if found["position"] > len(self):
            raise ValueError(f"{caller}: position {found['position']} exceeds {len(self)} batches")
        self.seed, self.epoch, self.position = found["seed"], found["epoch"], found["position"]
        self._resumes, self._latest = True, None


def micro_batches(parts: int, *arrays: Any) -> Iterator[tuple[Any, ...]]:
    """Split a batch into parts of nearly equal length; yield ``(share, part of each array, …)``.

    The share is the part's fraction of the rows.

    ``backward`` adds to the existing gradients. With (share * loss).backward() for each part, they add up to those of
    the mean over the batch, up to rounding, even if the parts differ in length. A loss that is a sum needs no share.
    Layers such as batch_norm normalise by the statistics of each part.

    Args:
        parts: the number of parts. No part is empty, so there are at most as many parts as rows.
        arrays: arrays, tensors or lists of equal length. Parts are slices along their first axis.

    Raises:
        TypeError: if an array has no rows.
        ValueError: if ``parts`` is not a positive integer, there is no array, or lengths differ.

    >>> import numpy as np
    >>> import minigrad as mg
    >>> x, y = np.arange(5.0)[:, None], np.arange(5.0)
    >>> w = mg.tensor([2.0], dtype="float64", requires_grad=True)
    >>> sgd = mg.optim.SGD([w], lr=0.1)
    >>> sgd.zero_grad()
    >>> for share, some_x, some_y in micro_batches(2, x, y):
    ...     loss = mg.mse_loss(some_x @ w, some_y)  # a mean
    ...     (share * loss).backward()
    ...     print(round(share, 1), some_y)
    0.6 [0. 1. 2.]
    0.4 [3. 4.]
    >>> w.grad  # 2 mean(x (x w - y))
    array([12.])
    >>> sgd.step()
    """
    parts = as_whole("micro_batches", "parts", parts)
    if not arrays:
        raise ValueError("micro_batches: pass the arrays of a batch")
    try:
        lengths = [len(array) for array in arrays]
    except TypeError:  # also for an array without axes
        given = ", ".join(map(describe, arrays))
        raise TypeError(f"micro_batches: arrays must have rows along their first axes, not be {given}") from None
    if len(set(lengths)) > 1:
        raise ValueError(
            f"micro_batches: arrays have the lengths {', '.join(map(str, lengths))}. Pass rows of one batch."
        )
    rows = lengths[0]
    number = min(parts, rows)
    ends = accumulate(rows // number + (i < rows % number) for i in range(number))
    return (((b - a) / rows, *(array[a:b] for array in arrays)) for a, b in pairwise([0, *ends]))


def _taken(array: Any, rows: Array) -> Any:
    """Return a copy of some rows."""
    if isinstance(array, (np.ndarray, Tensor)):
        return array[rows]
    order = np.argsort(rows)  # h5py needs ascending indices
    ascending = rows[order]
    first, last = int(ascending[0]), int(ascending[-1])
    wanted = slice(first, last + 1) if last - first + 1 == len(rows) else ascending  # reading a slice is faster
    read = np.asarray(array[wanted])
    taken = np.empty_like(read)
    taken[order] = read
    return taken
