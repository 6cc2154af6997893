"""Looking for what makes a gradient wrong: writes that the engine cannot see, and the first NaN of a backward pass."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .core import Node
from .keeping import Kept
from .overwrites import arrays_in
from .recording import Recorder, recorder, user_line, using
from .spec import Array, describe

__all__ = ["Fingerprinted", "detect_anomaly"]


class Fingerprinted(Kept):
    """The residuals of a node, with the checksum of each array among them and the line that called the primitive.

    ``born`` is the node's; the node has -1 instead, so that the reverse pass looks at it.
    """

    born: int
    line: str
    sums: list[int]

    @classmethod
    def taken(cls, residuals: tuple[Any, ...], line: str) -> Fingerprinted:
        self = cls(residuals)
        self.inputs = residuals.inputs if isinstance(residuals, Kept) else ()
        self.line, self.sums = line, list(map(_checksum, arrays_in(residuals)))
        return self

    def verify(self, name: str) -> None:
        """Raise if an array is not what it was."""
        for array, sum in zip(arrays_in(tuple(self)), self.sums, strict=True):
            if _checksum(array) != sum:
                raise ValueError(
                    f"backward: {name}{_called(self.line)} saved {describe(array)} for its gradient, and it was "
                    "written into since, where the engine does not see it: through .data, .numpy() or an array that "
                    "the tensor shares"
                )


def _checksum(array: Array) -> int:
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def _called(line: str) -> str:
    return f" (called at {line})" if line else ""


class _Watch(Recorder):
    """Takes fingerprints of residuals and looks for NaNs; tells another recorder, if there is one, of all it hears."""

    def __init__(self, other: Recorder | None) -> None:
        super().__init__(values=False, gradients=False, lines=False)
        self.other = other
        self.clean = True  # whether the cotangent that a VJP is about to get is free of NaNs

    def around(self, inner: Recorder | None) -> Recorder | None:
        return _Watch(inner)

    def call(self, node: Node, inputs: Sequence[Any], outputs: Sequence[Array]) -> None:
        if self.other is not None:
            self.other.call(node, inputs, outputs)
        residuals: Any = node.residuals
        if type(residuals) in (tuple, Kept):
            node.residuals = Fingerprinted.taken(residuals, user_line())
            node.residuals.born, node.born = node.born, -1

    def cotangent(self, node: Node, cotangent: Any) -> None:
        if self.other is not None:
            self.other.cotangent(node, cotangent)
        self.clean = not any(map(_has_nan, cotangent if type(cotangent) is tuple else (cotangent,)))

    def flows(self, node: Node, flows: Mapping[int, Array]) -> None:
        if self.other is not None:
            self.other.flows(node, flows)
        assert node.primitive is not None
        for argnum, g in flows.items():
            if self.clean and _has_nan(g):
                line = node.residuals.line if isinstance(node.residuals, Fingerprinted) else ""
                raise FloatingPointError(
                    f"backward: the VJP of {node.primitive.name}{_called(line)} gave NaN for "
                    f"{node.primitive.input_name(argnum)}, {describe(g)}, from a cotangent without any"
                )

    def step(self, t: int, *cotangents: Array) -> None:
        if self.other is not None:
            self.other.step(t, *cotangents)


def _has_nan(g: Any) -> bool:
    return g is not None and bool(np.isnan(g).any())


class detect_anomaly(using):  # noqa: N801  (used as a function)
    """Within this context a wrong gradient is looked for, at the price of a look at every array.

    - Each call takes a fingerprint of what its gradient needs, and the backward pass (also outside) raises if that is
      no longer the same: something wrote into it through ``.data``, ``.numpy()`` or an array that a tensor shares.
      (Writes that go through the engine raise always, see :mod:`minigrad.overwrites`.)
    - A backward pass within it raises where a VJP first gives NaN, and names the primitive and the line that called it.

    It holds for the thread or task that enters it, and goes together with :func:`minigrad.record`.

    Raises:
        ValueError: in the backward pass, for a write. FloatingPointError: for a NaN.

    >>> import minigrad as mg
    >>> w, x = mg.tensor([2.0], requires_grad=True), np.array([3.0])
    >>> with mg.detect_anomaly():
    ...     y = w * x
    >>> x += 1
    >>> y.backward()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: backward: multiply (called at <doctest minigrad.anomaly.detect_anomaly[2]>:2) saved float64 (1,) for ...
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(None)

    def again(self) -> detect_anomaly:
        return detect_anomaly()

    def begin(self) -> Callable[[], Any]:
        self.own = _Watch(recorder())
        return super().begin()
