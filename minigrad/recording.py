"""Notes on a forward and backward pass: values, gradients and source lines, kept on the nodes for drawings.

    with mg.record():
        loss = model(x)
        loss.backward()
    mg.render.draw(loss, "heat.svg", gradients=True)

Nothing is noted, and nothing costs anything but a test of a flag, outside of this context. Notes hold a
few numbers for each array, never the array.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .runtime.contexts import Context, until
from .spec import Array, Spec

if TYPE_CHECKING:
    from .core import Node

__all__ = ["Note", "Recorder", "Stats", "note_of", "record", "recorder", "user_line", "using"]

BINS = 24
"""Bars of a histogram."""
_HERE = str(Path(__file__).parent) + os.sep

active: set[object] = set()
"""A key for each context of `record` that is open, in all threads: while there is none nobody asks further."""
_current: ContextVar[Recorder | None] = ContextVar("minigrad_record", default=None)


@dataclass(frozen=True, slots=True)
class Stats:
    """An array in a few numbers.

    norm: the Euclidean norm, NaN or infinite if an entry is; mean, std, low, high: of the finite entries; unusual: how
    many entries are NaN or infinite; bars: how many finite entries lie in each of `BINS` equal intervals from low
    to high.
    """

    size: int
    norm: float
    mean: float
    std: float
    low: float
    high: float
    unusual: int
    bars: tuple[int, ...]

    @classmethod
    def of(cls, array: Array) -> Stats:
        """Of any array of numbers.

        >>> Stats.of(np.array([3.0, 4.0])).norm
        5.0
        """
        x = np.asarray(array, np.float64).ravel()
        good = x[np.isfinite(x)]
        unusual = x.size - good.size
        if not good.size:
            return cls(x.size, norm_of(x), 0.0, 0.0, 0.0, 0.0, unusual, (0,) * BINS)
        low, high = float(good.min()), float(good.max())
        scale = max(-low, high) or 1.0  # so that no square and no sum of large entries overflows
        small = good / scale
        mean, std = float(small.mean()) * scale, float(small.std()) * scale
        return cls(x.size, norm_of(x), mean, std, low, high, unusual, _bars(small, low / scale, high / scale))


def norm_of(array: Array) -> float:
    """The Euclidean norm of all entries, computed in float64 and without overflow.

    >>> norm_of(np.array([3e200, 4e200]))
    5e+200
    """
    x = np.asarray(array, np.float64).ravel()
    scale = float(np.abs(x).max(initial=0.0))
    if scale == 0 or not np.isfinite(scale):
        return scale
    return float(np.linalg.norm(x / scale)) * scale


def _bars(x: Array, low: float, high: float) -> tuple[int, ...]:
    """How many entries lie in each interval; all in the middle one if there is nothing between low and high."""
    span = high - low
    if span == 0:
        return tuple(x.size if i == BINS // 2 else 0 for i in range(BINS))
    place = np.minimum(((x - low) / span * BINS).astype(np.int64), BINS - 1)
    return tuple(np.bincount(place, minlength=BINS).tolist())


@dataclass(slots=True)
class Note:
    """What was noted of a node.

    line: file and line of the call. inputs: shape and dtype of each array argument, constants too; None for one that
    was left out. numbers: the value of each constant that is a single number, by its place among the inputs.

    values, gradients: of each output, None where none was seen. flows: the norm of the gradient that went on to each
    argument, by its name.

    Of a sequence primitive, the norm at each time step: value_steps and gradient_steps of each output, where the
    gradient of a state is summed over all later steps; direct_steps of the part of it that came from outside; and
    flow_steps of what went on to an argument that has a time axis.
    """

    line: str = ""
    inputs: tuple[Spec | None, ...] = ()
    numbers: dict[int, float] = field(default_factory=dict)
    values: list[Stats | None] = field(default_factory=list)
    gradients: list[Stats | None] = field(default_factory=list)
    value_steps: dict[int, list[float]] = field(default_factory=dict)
    gradient_steps: dict[int, list[float]] = field(default_factory=dict)
    direct_steps: dict[int, list[float]] = field(default_factory=dict)
    flows: dict[str, float] = field(default_factory=dict)
    flow_steps: dict[str, list[float]] = field(default_factory=dict)


def note_of(node: Node) -> Note | None:
    """The note on a node, or None if there is none."""
    return getattr(node, "note", None)


class Recorder:
    """What a context of `record` does: it writes notes on nodes."""

    def __init__(self, values: bool, gradients: bool, lines: bool) -> None:
        self.values, self.gradients, self.lines = values, gradients, lines
        self._node: Node | None = None  # whose VJP is running

    def around(self, inner: Recorder | None) -> Recorder | None:
        """Who is told within a context inside of this recorder's: the inner one takes the place of the outer."""
        return inner

    def call(self, node: Node, inputs: Sequence[Array | Any], outputs: Sequence[Array]) -> None:
        """A primitive has been applied."""
        note = node.note = Note(user_line() if self.lines else "")
        note.inputs = tuple(None if x is None else (np.shape(x), np.asarray(x).dtype) for x in inputs)
        constants = [i for i, tracked in enumerate(node.route[1]) if not tracked and inputs[i] is not None]
        note.numbers = {i: np.asarray(inputs[i]).item() for i in constants if not np.ndim(inputs[i])}
        if self.values:
            note.values = [Stats.of(array) for array in outputs]
            if node.primitive is not None and node.primitive.states:
                note.value_steps = {slot: _norms(array) for slot, array in enumerate(outputs)}

    def cotangent(self, node: Node, cotangent: Any) -> None:
        """A reverse pass is about to call the VJP of a node, or has summed the gradient of a leaf."""
        self._node = None if node.primitive is None else node
        if self.gradients:
            note = node.note = note_of(node) or Note()
            several = cotangent if type(cotangent) is tuple else (cotangent,)
            note.gradients = [None if g is None else Stats.of(g) for g in several]
            note.gradient_steps, note.flows, note.flow_steps = {}, {}, {}
            if node.primitive is not None and node.primitive.states:
                note.direct_steps = {slot: _norms(g) for slot, g in enumerate(several) if g is not None}

    def flows(self, node: Node, flows: Mapping[int, Array]) -> None:
        """The VJP of a node has given the gradients of its arguments, here by the argument's number."""
        self._node = None
        note, primitive = note_of(node), node.primitive
        if self.gradients and note is not None and primitive is not None:
            for argnum, g in flows.items():
                name = primitive.input_name(argnum)
                note.flows[name] = norm_of(g)
                if primitive.states and np.ndim(g) == 3:
                    note.flow_steps[name] = _norms(g)

    def step(self, t: int, *cotangents: Array) -> None:
        """The VJP of a sequence primitive has summed the cotangents of the states at step t, from the last step on."""
        note = None if self._node is None else note_of(self._node)
        if self.gradients and note is not None:
            for slot, g in enumerate(cotangents):
                note.gradient_steps.setdefault(slot, [0.0] * (t + 1))[t] = norm_of(g)


def recorder() -> Recorder | None:
    """The recorder of the current context; None outside of `record`."""
    return _current.get() if active else None


class using(Context):  # noqa: N801  (used as a function)
    """Within this context your own recorder is told of every call and every backward pass; or nobody is."""

    __slots__ = ("own",)

    def __init__(self, own: Recorder | None) -> None:
        self.close, self.own = None, own

    def again(self) -> using:
        return using(self.own)

    def begin(self) -> Callable[[], Any]:
        key, outer = object(), recorder()
        own = self.own if outer is None else outer.around(self.own)
        inactive = partial(active.discard, key)
        undo = until(inactive, partial(_current.set, _current.get()))
        try:
            active.add(key)
            return until(inactive, partial(_current.reset, _current.set(own)))
        except BaseException:  # an interrupt
            undo()
            raise


class record(using):  # noqa: N801
    """Within this context every call of a primitive and every backward pass leaves notes for drawings.

    values: statistics of what each primitive gives. gradients: of the gradient that flows there in a backward
    pass, of the last one that came there; of a sequence primitive also at each time step. lines: the line of your code
    that called it. It holds for the thread or task that enters it; an inner context takes the place of an outer
    one.

    >>> import minigrad as mg
    >>> x = mg.tensor([3.0, 4.0], requires_grad=True)
    >>> with mg.record():
    ...     y = (x * x).sum()
    ...     y.backward()
    >>> note_of(x.node).gradients[0].norm
    10.0
    """

    __slots__ = ()

    def __init__(self, values: bool = True, gradients: bool = True, lines: bool = True) -> None:
        super().__init__(Recorder(values, gradients, lines))

    def again(self) -> using:
        assert self.own is not None
        return record(self.own.values, self.own.gradients, self.own.lines)


def _norms(array: Array) -> list[float]:
    """The norm at each step of an array (N, T, …)."""
    return [norm_of(array[:, t]) for t in range(array.shape[1])]


def user_line() -> str:
    """The file and line of the innermost frame outside of this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
