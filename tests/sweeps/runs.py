"""What the families of sweeps share: the axes and numbers of a case, and how far off a primitive's results are.

A family is a function from a case's number to its results, each as the primitive's name, what was found, what is exact,
and the sums of magnitudes (see bounds). Where a value is no sum of products, its magnitudes are those of what is
subtracted, or the largest entry of the array.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

import minigrad as mg
from tests.checks import leaf, pull
from tests.sweeps.bounds import Found, units

__all__ = ["Array", "Family", "Results", "levels", "measured", "numbers", "run", "threads", "wide"]

Array = np.ndarray
Results = Iterator[tuple[str, Array, Any, Any]]
Family = Callable[[int], Results]

_PRIMES = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53]


def levels(i: int, axes: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """The i-th case: one level of each axis, so that any run of consecutive cases is spread evenly over all levels.

    Axis k gets the level at the fraction i sqrt(p_k) mod 1, with p_k the k-th prime: a Kronecker sequence.

    >>> [levels(i, {"a": "xyz", "b": [1, 2]}) for i in range(3)]
    [{'a': 'x', 'b': 1}, {'a': 'y', 'b': 2}, {'a': 'z', 'b': 1}]
    """
    fractions = (i * math.sqrt(prime) % 1 for prime in _PRIMES)
    return {name: choices[int(f * len(choices))] for (name, choices), f in zip(axes.items(), fractions, strict=False)}


def numbers(i: int) -> Callable[..., Array]:
    """Float32 numbers of a standard normal distribution for case i."""
    rng = np.random.default_rng(i)
    return lambda *shape: np.asarray(rng.standard_normal(shape, np.float32))


def wide(*arrays: Any) -> list[Any]:
    """Arrays of floats in float64, all else as it is."""
    return [a.astype(np.float64) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for a in arrays]


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Inside, minigrad uses so many threads."""
    before = mg.get_num_threads()
    mg.set_num_threads(number)
    try:
        yield
    finally:
        mg.set_num_threads(before)


def run(function: Callable[..., Any], inputs: list[Any], g: Array) -> list[Array]:
    """The output, then the gradient of each input that is an array of floats."""
    outs, grads = pull(function, [leaf(a) for a in inputs], [g])
    return [outs[0], *(grad for grad in grads if grad is not None)]


def measured(results: Iterable[tuple[str, Array, Any, Any]]) -> Iterator[Found]:
    """The error of each result of a case, all of which must be in float32."""
    for name, found, exact, magnitudes in results:
        found, exact = np.asarray(found), np.asarray(exact)
        assert found.dtype == np.float32, f"{name}: {found.dtype}, not float32"
        yield Found(name, found.shape, units(found, exact, np.broadcast_to(magnitudes, exact.shape)))
