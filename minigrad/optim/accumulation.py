"""Gradients of a batch that is too large for memory, summed over parts of it.

``backward`` adds to the gradients that are there. So after a backward pass for each part they are those of
the sum of all losses; for the mean over the batch each part's mean counts by its share of the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..spec import describe
from .options import as_whole

__all__ = ["micro_batches"]


def micro_batches(parts: int, *arrays: Any) -> Iterator[tuple[Any, ...]]:
    """A batch in parts of as equal length as can be, each behind its share of the rows, between 0 and 1.

    With (share * loss).backward() for each part, gradients add up to those of the mean over the batch, to rounding,
    also where parts are not of one length. (A loss that is a sum needs no share. What normalises by the statistics
    of a batch, batch_norm, does so by those of each part.)

    Args:
        parts: how many; none is empty, so that there are no more than rows.
        arrays: arrays, tensors or lists of one length, of which parts are slices along their first axis.

    Raises:
        TypeError: if an array has no rows.
        ValueError: if ``parts`` is no positive integer, there is no array, or lengths differ.

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
    number = as_whole("micro_batches", "parts", parts)
    if not arrays:
        raise ValueError("micro_batches: give the arrays of a batch")
    lengths = [_rows(i, array) for i, array in enumerate(arrays)]
    if len(set(lengths)) > 1:
        found = ", ".join(map(str, lengths))
        raise ValueError(f"micro_batches: the arrays of a batch must be of one length, not {found}")
    return _parts(min(number, lengths[0]), lengths[0], arrays)


def _rows(number: int, array: Any) -> int:
    try:
        return len(array)
    except TypeError:  # of an array without axes too
        message = f"micro_batches: array {number} must have rows along its first axis, not {describe(array)}"
        raise TypeError(message) from None


def _parts(number: int, rows: int, arrays: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    end = 0
    for i in range(number):
        start, end = end, end + rows // number + (i < rows % number)
        yield ((end - start) / rows, *(array[start:end] for array in arrays))
