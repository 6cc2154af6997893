"""The table of readers, and how an entry is declared."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from .... import ops
from ....core import Tensor
from ....spec import Array

__all__ = ["READERS", "Reader", "constant", "integers", "like", "reads"]

F = TypeVar("F", bound=Callable[..., Any])


class Reader(NamedTuple):
    """How an operator is run.

    run: a function of the inputs as tensors, None for one that was left out, and of the attributes as keywords, to the
    output or a tuple of outputs. attributes: the keywords that it takes, which are those of ONNX that are supported.
    counts: whether it takes ``count`` too, how many outputs are wanted.
    """

    run: Callable[..., Any]
    attributes: frozenset[str]
    counts: bool


READERS: dict[str, Reader] = {}
"""By the operator's name in ONNX."""


def reads(*operators: str) -> Callable[[F], F]:
    """Declare the reader of operators; one of several operators takes the name of its own as the keyword ``kind``."""

    def declare(function: F) -> F:
        keywords = inspect.signature(function).parameters.values()
        names = {p.name for p in keywords if p.kind is inspect.Parameter.KEYWORD_ONLY}
        for operator in operators:
            run = _of_kind(function, operator) if "kind" in names else function
            READERS[operator] = Reader(run, frozenset(names - {"count", "kind"}), "count" in names)
        return function

    return declare


def _of_kind(function: Callable[..., Any], kind: str) -> Callable[..., Any]:
    return lambda *inputs, **attributes: function(*inputs, kind=kind, **attributes)


def integers(x: Any) -> list[int]:
    """What a tensor of integers holds, such as axes or a shape."""
    if x.dtype.kind not in "iu":
        raise TypeError(f"expected integers, not {x.dtype}")
    return [int(i) for i in x.data.ravel()]


def like(y: Any, x: Any) -> Any:
    """y in x's dtype: ONNX promotes nothing."""
    return y if y.dtype == x.dtype else ops.astype(y, x.dtype)


def constant(array: Array) -> Tensor:
    """A tensor that holds this array."""
    return Tensor(np.asarray(array))
