"""Record values, gradients and source lines of a forward and a backward pass, for drawings.

    with mg.record():
        loss = model(x)
        loss.backward()
    mg.render.draw(loss, "heat.svg", gradients=True)

Each node gets a :class:`Note`, which holds a few numbers for each array, but never the array.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .core import Node, plain
from .observers import Observer, observing
from .primitives import Primitive
from .spec import Array

__all__ = ["Note", "Stats", "badness", "norm_of", "note_of", "record", "user_line"]

_HERE = str(Path(__file__).parent) + os.sep
BINS = 24
"""The number of bars of a histogram."""


@dataclass(frozen=True, slots=True)
class Stats:
    """Statistics of an array.

    Attributes:
        size: the number of entries.
        norm: the Euclidean norm; NaN or infinite if an entry is.
        mean, std, low, high: of the finite entries.
        unusual: the number of entries that are NaN or infinite.
        bars: the number of finite entries in each of `BINS` equal intervals from low to high.
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
        """Compute the statistics of an array of numbers.

        >>> Stats.of(np.array([3.0, 4.0])).norm
        5.0
        """
        x = np.asarray(array, np.float64).ravel()
        good = x[np.isfinite(x)]
        unusual = x.size - good.size
        if not good.size:
            return cls(x.size, norm_of(x), 0.0, 0.0, 0.0, 0.0, unusual, (0,) * BINS)
        low, high = float(good.min()), float(good.max())
        scale = max(-low, high) or 1.0  # prevents overflow in squares and sums of large entries
        small = good / scale
        mean, std = float(small.mean()) * scale, float(small.std()) * scale
        return cls(x.size, norm_of(x), mean, std, low, high, unusual, _bars(small, low / scale, high / scale))


def norm_of(array: Array) -> float:
    """Return the Euclidean norm in float64; scale first if squares would overflow or underflow.

    >>> norm_of(np.array([3e200, 4e200]))
    5e+200
    """
    x = np.asarray(array, np.float64).ravel()
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        norm = math.sqrt(x @ x)
    if 1e-150 <= norm < math.inf or math.isnan(norm):
        return norm
    scale = float(np.abs(x).max(initial=0.0))
    return scale * norm_of(x / scale) if 0 < scale < math.inf else scale


def badness(value: Any) -> int:
    """Return 2 if nested tuples, lists, dicts or arrays contain a NaN, 1 for an infinity, else 0.

    >>> badness(np.ones(3)), badness([0.5, -np.inf]), badness({"x": np.array([np.nan, np.inf])}), badness("nan")
    (0, 1, 2, 0)
    """
    worst = 0
    stack = [value]
    while stack and worst < 2:
        value = stack.pop()
        if isinstance(value, (dict, tuple, list)):
            stack += value.values() if isinstance(value, dict) else value
        elif isinstance(value, (float, np.ndarray, np.floating)):
            x = np.asarray(value)
            if x.dtype.kind == "f" and not np.isfinite(x).all():
                worst = max(worst, 2 if np.isnan(x).any() else 1)
    return worst


def _birth(results: Any, given: Any) -> int:
    """Return the badness of the results if it is worse than that of what they were computed from; else 0."""
    bad = badness(results)
    return bad if bad > badness(given) else 0


def _bars(x: Array, low: float, high: float) -> tuple[int, ...]:
    """Count the entries in each interval; all are in the middle one if low equals high."""
    span = high - low
    if span == 0:
        return tuple(x.size if i == BINS // 2 else 0 for i in range(BINS))
    place = np.minimum(((x - low) / span * BINS).astype(np.intp), BINS - 1)
    return tuple(np.bincount(place, minlength=BINS).tolist())


@dataclass(slots=True)
class Note:
    """The recorded facts about a node.

    Attributes:
        line: the file and line of the call.
        values, gradients: statistics of each output and of its gradient; None if unknown.
        flows: the norm of the gradient of each argument, by its name.
        value_steps, gradient_steps: for a sequence primitive, norms at each time step, by the index of the output. The
            gradient of a state is summed over all later steps.
        direct_steps: the same, but only for the gradient that enters at each step from outside the sequence.
        flow_steps: the same for the gradient of an argument with a time axis, or of the rows of a table that each step
            takes, by its name.
        birth: 1 if the outputs contain an infinity that the inputs do not, 2 for a NaN, else 0.
        gradient_birth: the same for the gradients of the arguments, computed from those of the outputs.
        forward_time, backward_time: the time of the forward and of the VJP in the last profile, in nanoseconds; or
            None.
    """

    line: str = ""
    values: list[Stats | None] = field(default_factory=list)
    gradients: list[Stats | None] = field(default_factory=list)
    value_steps: dict[int, list[float]] = field(default_factory=dict)
    gradient_steps: dict[int, list[float]] = field(default_factory=dict)
    direct_steps: dict[int, list[float]] = field(default_factory=dict)
    flows: dict[str, float] = field(default_factory=dict)
    flow_steps: dict[str, list[float]] = field(default_factory=dict)
    birth: int = 0
    gradient_birth: int = 0
    forward_time: int | None = None
    backward_time: int | None = None


def note_of(node: Node) -> Note | None:
    """Return the note on a node, or None."""
    return getattr(node, "note", None)


def ensure_note(node: Node) -> Note:
    """Return the note on a node; create one if there is none."""
    if note_of(node) is None:
        node.note = Note()
    return node.note  # type: ignore[no-any-return]


class record(observing):  # noqa: N801  (used as a function)
    """Record every call of a primitive and every backward pass within a ``with`` block, for drawings.

    It applies to the thread or task that enters it, and can also decorate a function. An inner `record` replaces an
    outer one.

    Args:
        values: record statistics of each primitive's outputs.
        gradients: record statistics of the gradients in the last backward pass, and norms at each time step of
            a sequence primitive.
        lines: record the line of your code that called the primitive.

    >>> import minigrad as mg
    >>> from minigrad.recording import note_of
    >>> x = mg.tensor([3.0, 4.0], requires_grad=True)
    >>> with mg.record():
    ...     y = (x * x).sum()
    ...     y.backward()
    >>> note_of(x.node).gradients[0].norm
    10.0
    """

    def __init__(self, values: bool = True, gradients: bool = True, lines: bool = True) -> None:
        super().__init__()
        recorder = _Recorder(values, gradients, lines)
        self._change = lambda outer: (*(o for o in outer if not isinstance(o, _Recorder)), recorder)


class _Recorder(Observer):
    """Write notes on nodes."""

    stepwise = True

    def __init__(self, values: bool, gradients: bool, lines: bool) -> None:
        self.values, self.gradients, self.lines = values, gradients, lines
        self._node: Node | None = None  # the node whose VJP is running

    def call(
        self,
        primitive: Primitive,
        params: Mapping[str, Any],
        inputs: Sequence[Any],
        outputs: Sequence[Array],
        node: Node | None,
    ) -> None:
        if node is None:
            return
        note = ensure_note(node)
        note.line = user_line() if self.lines else note.line
        if self.values:
            note.values = [Stats.of(array) for array in outputs]
            note.birth = _birth(outputs, (inputs, [plain(option) for option in params.values()]))
            if primitive.steps:
                note.value_steps = {index: _norms(array) for index, array in enumerate(outputs)}

    def cotangent(self, node: Node, g: Any, batched: bool = False) -> Any:
        self._node = None if node.primitive is None or batched else node
        if self.gradients and not batched:
            note = ensure_note(node)
            several = tuple(map(plain, g if type(g) is tuple else (g,)))
            note.gradients = [None if g is None else Stats.of(g) for g in several]
            note.gradient_steps, note.flows, note.flow_steps = {}, {}, {}
            if node.primitive is not None and node.primitive.steps:
                note.direct_steps = {index: _norms(g) for index, g in enumerate(several) if g is not None}
        return g

    def after_vjp(self, node: Node, grads: Mapping[int, Array], batched: bool = False) -> None:
        note, primitive = note_of(node), node.primitive
        if self.gradients and note is not None and primitive is not None and not batched:
            norms = [stats.norm for stats in note.gradients if stats is not None]
            note.gradient_birth = _birth([*grads.values()], (norms, node.residuals))
            for argnum, g in grads.items():
                name = primitive.input_name(argnum)
                note.flows[name] = norm_of(g)
                if primitive.steps and np.ndim(g) == 3:
                    note.flow_steps[name] = _norms(g)

    def step(self, t: int, *cotangents: Array) -> None:
        note = None if self._node is None else note_of(self._node)
        if self.gradients and note is not None:
            for index, g in enumerate(cotangents):
                note.gradient_steps.setdefault(index, [0.0] * (t + 1))[t] = norm_of(g)

    def step_inputs(self, cotangent: Callable[[], Array]) -> None:
        node = self._node
        note = None if node is None else note_of(node)
        if self.gradients and node is not None and note is not None:
            note.flow_steps[node.primitive.steps.inputs] = _norms(cotangent())


def _norms(array: Array) -> list[float]:
    """Return the norm of an array (N, T, …) at each step."""
    return [norm_of(array[:, t]) for t in range(array.shape[1])]


def user_line(through: tuple[str, ...] = ("",)) -> str:
    """Return the file and line of the innermost frame outside of this package.

    Args:
        through: the files of this package that may lie in between; the result is empty if another one does.
    """
    frame = sys._getframe(1)
    while frame.f_back is not None and (name := frame.f_code.co_filename).startswith(_HERE):
        if not name.endswith(through):
            return ""
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
