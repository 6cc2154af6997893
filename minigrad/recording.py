"""Notes on a forward and backward pass: values, gradients and source lines, kept on the nodes for drawings.

    with mg.record():
        loss = model(x)
        loss.backward()
    mg.render.draw(loss, "heat.svg", gradients=True)

Nothing is noted, and nothing costs anything but a test of a flag, outside of this context. What a note
holds is in :mod:`minigrad.notes`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .core import Node
from .notes import Note, Stats, norm_of
from .rules import Primitive
from .runtime.contexts import Context, until
from .spec import Array

__all__ = ["Recorder", "note_of", "place_of", "record", "recorder", "say_where", "user_line", "using"]

_HERE = str(Path(__file__).parent) + os.sep

active: set[object] = set()
"""A key for each context of `record` that is open, in all threads: while there is none nobody asks further."""
_current: ContextVar[Recorder | None] = ContextVar("minigrad_record", default=None)


def note_of(node: Node) -> Note | None:
    """The note on a node, or None if there is none."""
    return getattr(node, "note", None)


def place_of(node: Node) -> str:
    """Where a node was made, for messages, to follow a name; empty if nothing is known.

    >>> import minigrad as mg
    >>> with mg.record(), mg.scope("encoder"), mg.scope("layer 1"):
    ...     y = mg.tensor(1.0, requires_grad=True) * 2
    >>> place_of(y.node)
    ' (called at <doctest minigrad.recording.place_of[1]>:2, in scope encoder/layer 1)'
    """
    note = note_of(node)
    return in_words("" if note is None else note.line, node.scope)


def say_where(error: BaseException, node: Node | None) -> None:
    """Note at an error of a reverse pass in the call of what it came up, if that is known and not said yet."""
    if node is not None and (place := place_of(node)) not in str(error):
        error.add_note(f"backward: at {node.primitive.name if node.primitive else 'a leaf'}{place}")


def in_words(line: str, scope: Sequence[str]) -> str:
    """A line and a path of scopes, as `place_of` puts them."""
    known = [f"called at {line}"] if line else []
    known += [f"in scope {'/'.join(scope)}"] if scope else []
    return f" ({', '.join(known)})" if known else ""


class Recorder:
    """What a context of `record` does: it writes notes on nodes.

    rules: how many VJPs are running on tensors, so that calls are steps within a rule.
    """

    rules = 0

    stepwise = True
    of_batches = False  # whether it is told of passes of many cotangents at once, which have an axis more in front
    """Whether it is to be told of the steps of a sequence, which a VJP then takes one by one, on one thread."""

    def __init__(self, values: bool, gradients: bool, lines: bool) -> None:
        self.values, self.gradients, self.lines = values, gradients, lines
        self._node: Node | None = None  # whose VJP is running

    def around(self, inner: Recorder | None) -> Recorder | None:
        """Which recorder is told in a context that is opened inside this one's: here the inner one alone."""
        return inner

    def call(self, node: Node, inputs: Sequence[Array | Any], outputs: Sequence[Array]) -> None:
        """A primitive has been applied: note its inputs and outputs."""
        note = node.note = Note(user_line() if self.lines else "")
        note.inputs = tuple(None if x is None else (np.shape(x), np.asarray(x).dtype) for x in inputs)
        constants = [i for i, tracked in enumerate(node.edges[1]) if not tracked and inputs[i] is not None]
        note.numbers = {i: np.asarray(inputs[i]).item() for i in constants if not np.ndim(inputs[i])}
        if self.values:
            note.values = [Stats.of(array) for array in outputs]
            if node.primitive is not None and node.primitive.steps:
                note.value_steps = {index: _norms(array) for index, array in enumerate(outputs)}

    def untracked(
        self, primitive: Primitive, params: Mapping[str, Any], inputs: Sequence[Array | Any], outputs: Sequence[Array]
    ) -> None:
        """A primitive has been applied and has left no node, since no gradient can be wanted: nothing to note."""

    def start(self, seeds: Mapping[Any, Array]) -> None:
        """A reverse pass begins with these cotangents, by node, or by (node, index) for a later output."""

    def cotangent(self, node: Node, cotangent: Any) -> None:
        """A reverse pass is about to call the VJP of a node with this cotangent, or has summed it up for a leaf."""
        self._node = None if node.primitive is None else node
        if self.gradients:
            note = node.note = note_of(node) or Note()
            several = cotangent if type(cotangent) is tuple else (cotangent,)
            note.gradients = [None if g is None else Stats.of(g) for g in several]
            note.gradient_steps, note.flows, note.flow_steps = {}, {}, {}
            if node.primitive is not None and node.primitive.steps:
                note.direct_steps = {index: _norms(g) for index, g in enumerate(several) if g is not None}

    def flows(self, node: Node, flows: Mapping[int, Array]) -> None:
        """The VJP of a node has given the gradients of its arguments, here by the argument's number."""
        note, primitive = note_of(node), node.primitive
        if self.gradients and note is not None and primitive is not None:
            for argnum, g in flows.items():
                name = primitive.input_name(argnum)
                note.flows[name] = norm_of(g)
                if primitive.steps and np.ndim(g) == 3:
                    note.flow_steps[name] = _norms(g)

    def step(self, t: int, *cotangents: Array) -> None:
        """The VJP of a sequence primitive has summed the cotangents of the states at step t, from the last step on."""
        note = None if self._node is None else note_of(self._node)
        if self.gradients and note is not None:
            for index, g in enumerate(cotangents):
                note.gradient_steps.setdefault(index, [0.0] * (t + 1))[t] = norm_of(g)


def recorder() -> Recorder | None:
    """The recorder of the current context; None outside of `record`."""
    return _current.get() if active else None


class using(Context):  # noqa: N801  (used as a function)
    """Within this context your own recorder is told of every call and every backward pass; none is, if it is None."""

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
