"""Looking for what goes wrong: the first NaN or infinity, and writes that the engine does not see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..core import Node, current_scope, plain
from ..graph_levels import Kept
from ..overwrites import arrays_in
from ..recording import Recorder, in_words, note_of, place_of, recorder, user_line, using
from ..rules import Primitive
from ..runtime.contexts import errstate
from ..spec import Array
from .fingerprints import Fingerprinted
from .nonfinite import at, badness, badness_of_entries, first_worst, met_there, summary

__all__ = ["detect_anomaly"]


class _Watch(Recorder):
    """Takes fingerprints of residuals, looks for NaNs and infinities, and notes lines for its messages.

    It tells another recorder, if there is one, of all it hears. What it keeps of a pass goes by the ids of nodes, so
    that it keeps no graph alive, also if the pass fails, and another pass may run within a VJP.
    """

    def __init__(self, other: Recorder | None) -> None:
        super().__init__(values=False, gradients=False, lines=True)
        self.other = other
        self.arrived: dict[tuple[int, int], int] = {}  # how bad what was sent to an output of a node is so far
        self.got: dict[int, int] = {}  # how bad the cotangent was that a node's VJP has been called with
        self.last: tuple[int, tuple[Any, ...]] = 0, ()  # whose VJP has been called last, and these cotangents
        self.bad_step: int | None = None  # the first one, on the way back, at which it met a bad cotangent

    of_batches = True

    def around(self, inner: Recorder | None) -> Recorder | None:
        return _Watch(inner)

    def call(self, node: Node, inputs: Sequence[Any], outputs: Sequence[Array]) -> None:
        assert node.primitive is not None
        if self.other is not None:
            self.other.call(node, inputs, outputs)
        note = note_of(node)
        if note is None:
            super().call(node, inputs, outputs)
        elif not note.line:
            note.line = user_line()
        if not self.rules:  # which may pass over what comes out in between, with a `where`
            _look_forward(node.primitive, node.params, inputs, outputs, place_of(node))
        residuals: Any = node.residuals
        if type(residuals) in (tuple, Kept):
            arrays = arrays_in((residuals, getattr(residuals, "inputs", ())))
            Fingerprinted.attach(node, arrays, sampled=False)

    def untracked(
        self, primitive: Primitive, params: Mapping[str, Any], inputs: Sequence[Any], outputs: Sequence[Array]
    ) -> None:
        if self.other is not None:
            self.other.untracked(primitive, params, inputs, outputs)
        if badness(outputs) and not self.rules:
            _look_forward(primitive, params, inputs, outputs, in_words(user_line(), current_scope() or ()))

    def start(self, seeds: Mapping[Any, Array]) -> None:
        if self.other is not None:
            self.other.start(seeds)
        for key, g in seeds.items():
            node, index = key if type(key) is tuple else (key, 0)
            self.arrived[id(node), index] = badness(g)

    def cotangent(self, node: Node, cotangent: Any) -> None:
        if self.other is not None:
            self.other.cotangent(node, cotangent)
        several = cotangent if type(cotangent) is tuple else (cotangent,)
        if node.primitive is None:
            with errstate(over="ignore"):  # sums of half precision come in single
                several = (np.asarray(cotangent).astype(node.dtype, copy=False),)
        for index, g in enumerate(several):
            arrived = self.arrived.pop((id(node), index), 2)
            if g is not None and badness(g) > arrived:
                raise FloatingPointError(_bad_sum(node, index, g))
        if node.primitive is not None:
            self.got[id(node)] = badness(several)
        self.last, self.bad_step = (id(node), several), None

    def flows(self, node: Node, flows: Mapping[int, Array]) -> None:
        if self.other is not None:
            self.other.flows(node, flows)
        known = self.got.pop(id(node), 2)
        residuals = node.residuals
        if isinstance(residuals, Fingerprinted) and not residuals.sampled:
            # The call was watched, so what is bad in its residuals came from its inputs.
            known = max(known, badness(residuals))
        elif known == 0:
            known = min(badness(residuals), 1)
        cotangents = self.last[1] if self.last[0] == id(node) else ()
        argnums, _, indices = node.edges
        for argnum, parent, index in zip(argnums, node.parents, indices, strict=True):
            if argnum in flows:
                bad = badness(flows[argnum])
                if bad > known:
                    raise FloatingPointError(_bad_flow(node, argnum, flows[argnum], cotangents, self.bad_step))
                self.arrived[id(parent), index] = max(bad, self.arrived.get((id(parent), index), 0))
        self.last = 0, ()

    def step(self, t: int, *cotangents: Array) -> None:
        if self.other is not None:
            self.other.step(t, *cotangents)
        if self.bad_step is None and badness(cotangents):
            self.bad_step = t


def _look_forward(
    primitive: Primitive, params: Mapping[str, Any], inputs: Sequence[Any], outputs: Sequence[Array], place: str
) -> None:
    """Raise if a primitive made a NaN or an infinity that it did not get."""
    if not badness(outputs):
        return
    options = badness([plain(option) for option in params.values()])
    shape = _meeting(primitive, params, inputs, outputs)
    by_entries = shape is not None and primitive.entrywise  # a user's primitive may broadcast as matmul does
    known = max(options, 0 if by_entries else badness(inputs))
    for number, output in enumerate(outputs):
        bad = badness_of_entries(output)
        if by_entries:
            met = [np.broadcast_to(badness_of_entries(x), output.shape) for x in inputs if x is not None]
            bad[bad <= np.max(met, axis=0)] = 0
        if bad.max(initial=0) > known:
            index = first_worst(bad, axis=1 if primitive.steps is not None and bad.ndim == 3 else None)
            which = f"output {number}" if len(outputs) > 1 else "the output"
            named = [(primitive.input_name(i), x) for i, x in enumerate(inputs)]
            raise FloatingPointError(
                f"{primitive.name}{place} gave {_what(output, index)}: {which}, {summary(output)}, "
                f"first at {at(index)}{_time(primitive, output, index)}; "
                f"{'there ' if shape is not None else ''}{met_there(named, output.shape, shape and index)}"
            )


def _meeting(
    primitive: Primitive, params: Mapping[str, Any], inputs: Sequence[Any], outputs: Sequence[Array]
) -> tuple[int, ...] | None:
    """The shape to which the inputs broadcast, if an entry is computed of those entries that meet there; else None."""
    simple = primitive.broadcasts and primitive.cost is None and not params
    if len(outputs) > 1 or not (primitive.entrywise or simple):
        return None
    try:
        shape = np.broadcast_shapes(*(np.shape(x) for x in inputs if x is not None))
    except ValueError:
        return None
    return shape if shape == outputs[0].shape else None


def _what(array: Any, index: tuple[int, ...]) -> str:
    value = np.asarray(array)[index]
    return "a NaN" if np.isnan(value) else f"an infinity ({value})"


def _time(primitive: Primitive, array: Array, index: tuple[int, ...]) -> str:
    return f", time step {index[1]}" if primitive.steps is not None and array.ndim == 3 else ""


def _bad_flow(node: Node, argnum: int, flow: Array, cotangents: Sequence[Any], step: int | None) -> str:
    """That a VJP gave something bad, and what it was given."""
    assert node.primitive is not None
    index = first_worst(badness_of_entries(flow))
    name = node.primitive.input_name(argnum)
    given = [(f"cotangent {i}" if len(cotangents) > 1 else "cotangent", g) for i, g in enumerate(cotangents)]
    given += [("saved", array) for array in arrays_in(tuple(node.residuals or ()))]
    there = [(word, g) for word, g in given if g is not None and np.shape(g) == flow.shape]
    elsewhere = [(word, g) for word, g in given if g is not None and np.shape(g) != flow.shape]
    words = ["there " + met_there(there, flow.shape, index)] if there else []
    words += [met_there(elsewhere, flow.shape, None)] if elsewhere else []
    time = f"; on the way back first at time step {step}" if step is not None else ""
    return (
        f"backward: the VJP of {node.primitive.name}{place_of(node)} gave {_what(flow, index)} for {name}: "
        f"{summary(flow)}, first at {at(index)}; {'; '.join(words)}{time}"
    )


def _bad_sum(node: Node, index: int, g: Any) -> str:
    """That the cotangent of an output is bad, while none that was sent to it is."""
    place = first_worst(badness_of_entries(g))
    name = f"{node.primitive.name}{place_of(node)}" if node.primitive is not None else f"{node!r}"
    which = f"output {index} of " if node.later_outputs else ""
    return (
        f"backward: the gradient of {which}{name} has {_what(g, place)}, which none had that was sent there: "
        f"{summary(np.asarray(g))}, first at {at(place)}; the sum overflowed, or a hook returned it"
    )


class detect_anomaly(using):  # noqa: N801  (used as a function)
    """Within this context what goes wrong is looked for, at the price of a look at every array.

    - A call that makes the first NaN or infinity raises, also where nothing is tracked, and so does a backward pass
      where a VJP, or a sum of gradients, first has one. The message says which primitive, the line that called it, the
      scope, the shapes, the first bad entry and what met there.
    - Each call takes a fingerprint of what its gradient needs, and the backward pass (also outside) raises if that is
      no longer the same: something wrote into it through ``.data``, ``.numpy()`` or an array that a tensor shares.
      (Writes that go through the engine raise always, see :mod:`minigrad.overwrites`.)

    First is what is worse than all that it was made of: an infinity of finite numbers, a NaN of what holds none. So
    what is passed on is no anomaly: the -inf of a mask, as an input or an option, or data with NaNs. An infinity that
    is documented is one: log(0), the gradient of sqrt at 0. In primitives that mix entries, such as a sum, one bad
    input excuses all outputs; those that work entry by entry are looked at entry by entry. If the forward pass ran
    outside, the NaNs that it saved excuse none of its gradient.

    It holds for the thread or task that enters it, and goes together with :func:`minigrad.record`.

    Raises:
        FloatingPointError: for a NaN or an infinity. ValueError: in the backward pass, for a write.

    >>> import minigrad as mg
    >>> w, x = mg.tensor([2.0], requires_grad=True), np.array([3.0])
    >>> with mg.detect_anomaly(), np.errstate(divide="ignore"):
    ...     y = w / (x - 3)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    FloatingPointError: divide (called at ...:2) gave an infinity (inf): the
    output, float64 (1,), 1 of 1 entries NaN or infinite, first at [0]; there a = 2.0, b = 0.0

    >>> with mg.detect_anomaly():
    ...     y = w * x
    >>> x += 1
    >>> y.backward()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: backward: multiply (called at ...:2) saved float64 (1,) for ...
    """

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(None)

    def again(self) -> detect_anomaly:
        return detect_anomaly()

    def begin(self) -> Callable[[], Any]:
        self.own = _Watch(recorder())
        return super().begin()
