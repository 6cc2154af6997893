"""What the families of sweeps share: the numbers of a case, a primitive run on them, and how far off its results are.

A family is a function from a case's number to its results, each as the primitive's name, what was found, what is exact,
and the sums of magnitudes (see bounds). Where a value is no sum of products, its magnitudes are those of what is
subtracted, or for recurrent networks, whose errors pass from step to step, the largest entry of the array.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from tests.checks import leaf, pull
from tests.sweeps.bounds import Found, units

__all__ = ["Array", "Family", "Results", "measured", "numbers", "run", "wide"]

Array = np.ndarray
Results = Iterator[tuple[str, Array, Any, Any]]
Family = Callable[[int], Results]


def numbers(i: int) -> Callable[..., Array]:
    """Float32 numbers of a standard normal distribution for case i."""
    rng = np.random.default_rng(i)
    return lambda *shape: np.asarray(rng.standard_normal(shape, np.float32))


def wide(*arrays: Array) -> list[Array]:
    return [a.astype(np.float64) for a in arrays]


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
