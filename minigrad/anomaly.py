"""Detect the first NaN or infinity, and writes into arrays that a gradient needs.

The *badness* of a number is 0 if it is finite, 1 if it is infinite and 2 if it is NaN. The badness of an array is that
of its worst entry. A result that is worse than all its inputs is an anomaly. So an infinity that is passed on, such as
in a mask, is not an anomaly, but the NaN from inf - inf is.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .core import Node, Tensor, current_scope, grad_enabled, needs_gradient, plain
from .higher_order import in_rule
from .observers import Observer, active, current, global_observers, location, location_text, observing
from .primitives import Primitive
from .recording import badness, ensure_note, user_line
from .spec import Array, describe
from .writes import arrays_in, checksum, clock, saved_by

__all__ = ["detect_anomaly"]


class detect_anomaly(observing):  # noqa: N801  (used as a function)
    """Check every array within a ``with`` block for NaNs, infinities and writes into saved arrays.

    - A call raises if it produces the first NaN or infinity, even if nothing is tracked. A backward pass raises if a
      VJP or a sum of gradients produces the first one. The message names the primitive, the line that called it, the
      scope, the shapes, the first bad entry and the inputs there.
    - A backward pass warns if entries of tracked tensors became plain numbers before its output was computed, by
      ``float()``, ``.item()``, ``.numpy()`` or ``.data``, and lists the lines. If the output depends on these numbers,
      its gradient lacks a part. Lines within :func:`no_grad` do not count.
    - Each call takes a checksum of what its gradient needs. A backward pass, even outside the block, raises if the data
      have changed: something wrote through ``.data`` or ``.numpy()``, whose memory the tensor shares.
      :mod:`minigrad.writes` always detects the other writes.

    A result is reported if it is worse than every input: an infinity from finite numbers, or a NaN from numbers. Bad
    values in the data pass: NaNs, or the -inf of a mask, as an input or an option. Documented infinities are reported:
    log(0), or the gradient of sqrt at 0. Primitives that work entry by entry are checked entry by entry. In others,
    such as a sum, any bad input suppresses the report. A NaN that a forward pass outside the block saved does not.

    It applies to the thread or task that enters it, and you can combine it with :func:`minigrad.record`.

    Raises:
        FloatingPointError: for a NaN or an infinity.
        ValueError: in the backward pass, for a write.

    >>> import minigrad as mg
    >>> w, x = mg.tensor([2.0], requires_grad=True), mg.tensor([3.0])
    >>> with mg.detect_anomaly(), np.errstate(divide="ignore"):
    ...     y = w / (x - 3)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    FloatingPointError: divide (called at ...:2) gave an infinity (inf): the
    output, float32 (1,), 1 of 1 entries NaN or infinite, first at [0]; there a = 2.0, b = 0.0

    >>> with mg.detect_anomaly():
    ...     y = w * x
    >>> x.data += 1
    >>> y.backward()  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: backward: multiply (called at ...:2) saved float32 (1,) for ...
    """

    def __init__(self) -> None:
        super().__init__(_Watch())

    def __enter__(self) -> None:
        super().__enter__()
        Tensor.data = _watched_data

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        Tensor.data = _watched_data if any(isinstance(key, detect_anomaly) for key in active) else _plain_data


_plain_data: Any = Tensor.data


def _replace_data(x: Tensor, array: Array) -> None:
    for observer in current():
        if isinstance(observer, _Watch):  # x.data -= … has read it before
            observer.numbers.pop(f"{_line_of_use()} by .data", None)
    _plain_data.__set__(x, array)


_watched_data: Any = property(lambda x: x._read(".data"), _replace_data)


def _line_of_use() -> str:
    """Return the line outside of this package that reads a tensor's entries; empty if the package does."""
    return user_line(through=("core.py", "anomaly.py"))


class _Watch(Observer):
    """Take checksums of residuals, look for NaNs and infinities, and record lines for the messages.

    The state of a pass is keyed by the ids of nodes. So it keeps no graph alive, even if the pass fails, and another
    pass may run within a VJP.
    """

    stepwise = True

    def __init__(self) -> None:
        self.arrived: dict[tuple[int, int], int] = {}  # the badness so far of the terms for an output of a node
        self.got: dict[int, int] = {}  # the badness of the cotangent that a node's VJP takes
        self.last: tuple[int, tuple[Any, ...]] = 0, ()  # the node whose VJP was called last, and its cotangents
        self.bad_step: int | None = None  # the first step of the backward pass with a bad cotangent
        self.numbers: dict[str, int] = {}  # the line at which entries became numbers, and when

    def call(
        self,
        primitive: Primitive,
        params: Mapping[str, Any],
        inputs: Sequence[Any],
        outputs: Sequence[Array],
        node: Node | None,
    ) -> None:
        place = ""
        params = {name: option for name, option in params.items() if option is not primitive.defaults.get(name, params)}
        if node is not None:
            ensure_note(node).line = ensure_note(node).line or user_line()
            place = location(node)
            node.checksums = _Checksums(arrays_in((node.residuals, getattr(node, "inputs", ()), params)))
        if badness(outputs) and not in_rule():  # a rule may discard a bad intermediate result by `where`
            place = place or location_text(user_line(), current_scope())
            _check_forward(primitive, params, inputs, outputs, place)

    def number(self, tensor: Tensor, how: str) -> None:
        if needs_gradient(tensor) and grad_enabled() and (line := _line_of_use()):
            self.numbers[f"{line} by {how}"] = next(clock)

    def start(self, seeds: Mapping[Any, Array]) -> None:
        made = max((node.born for node, _ in seeds), default=0)
        before = [line for line, time in self.numbers.items() if time < made]
        if before:
            warnings.warn(
                f"backward: entries of tracked tensors became plain numbers at {', '.join(before)}. If the loss "
                "depends on these numbers, its gradient lacks a part: compute with the tensors instead. If it does "
                "not, take them within mg.no_grad().",
                stacklevel=4,  # the line that calls backward
            )
        self.numbers = {}
        for (node, index), g in seeds.items():
            self.arrived[id(node), index] = badness(g)

    def cotangent(self, node: Node, g: Any, batched: bool = False) -> Any:
        several = tuple(map(plain, g if type(g) is tuple else (g,)))
        if node.primitive is None:
            with np.errstate(over="ignore"):  # the pass sums float16 in float32
                several = (np.asarray(several[0]).astype(node.dtype, copy=False),)
        for index, part in enumerate(several):
            arrived = self.arrived.pop((id(node), index), 2)
            if part is not None and badness(part) > arrived:
                raise FloatingPointError(_bad_sum(node, index, part))
        if node.primitive is not None:
            self.got[id(node)] = badness(several)
        self.last, self.bad_step = (id(node), several), None
        return g

    def after_vjp(self, node: Node, grads: Mapping[int, Array], batched: bool = False) -> None:
        known = self.got.pop(id(node), 2)
        if hasattr(node, "checksums"):
            # The call was checked, so bad values in its residuals came from its inputs.
            known = max(known, badness(node.residuals))
        elif known == 0:
            known = min(badness(node.residuals), 1)
        cotangents = self.last[1] if self.last[0] == id(node) else ()
        argnums, _, indices = node.edges
        for argnum, parent, index in zip(argnums, node.parents, indices, strict=True):
            if argnum in grads:
                bad = badness(grads[argnum])
                if bad > known:
                    raise FloatingPointError(_bad_flow(node, argnum, grads[argnum], cotangents, self.bad_step))
                self.arrived[id(parent), index] = max(bad, self.arrived.get((id(parent), index), 0))
        self.last = 0, ()

    def step(self, t: int, *cotangents: Array) -> None:
        if self.bad_step is None and badness(cotangents):
            self.bad_step = t


_existing: weakref.WeakSet[_Checksums] = weakref.WeakSet()
"""The checksums of all nodes that exist. While there are none, passes skip the comparison."""


class _Checksums:
    """Checksums of the arrays that a node's gradient needs."""

    def __init__(self, arrays: Sequence[Array]) -> None:
        self.of_arrays = [(array, checksum(array)) for array in arrays]
        _existing.add(self)


class _Unchanged(Observer):
    """Raise if an array that a node's gradient needs no longer has its checksum."""

    def around(
        self, primitive: Primitive, function: Callable[..., Any], node: Node | None = None
    ) -> Callable[..., Any]:
        if node is None or not hasattr(node, "checksums"):
            return function
        for array, expected in node.checksums.of_arrays:
            if checksum(array) != expected:
                raise ValueError(
                    f"backward: {saved_by(node, array)} was overwritten since then through an ndarray that shares its "
                    "memory, such as .data or .numpy(). Call backward before you overwrite it, or pass a copy."
                )
        return function


global_observers[_Unchanged()] = lambda: len(_existing) > 0


def _check_forward(
    primitive: Primitive, params: Mapping[str, Any], inputs: Sequence[Any], outputs: Sequence[Array], place: str
) -> None:
    """Raise if a primitive produced a NaN or an infinity that was not in its inputs."""
    options = badness([plain(option) for option in params.values()])
    shape = _entrywise_shape(primitive, params, inputs, outputs)
    by_entries = shape is not None and primitive.entrywise  # a user's primitive may broadcast as matmul does
    known = max(options, 0 if by_entries else badness(inputs))
    for number, output in enumerate(outputs):
        bad = badness_of_entries(output)
        if by_entries:
            given = [np.broadcast_to(badness_of_entries(x), output.shape) for x in inputs if x is not None]
            bad[bad <= np.max(given, axis=0)] = 0
        if bad.max(initial=0) > known:
            stepwise = primitive.steps is not None and bad.ndim == 3
            index = first_worst(bad, axis=1 if stepwise else None)
            which = f"output {number}" if len(outputs) > 1 else "the output"
            named = [(primitive.input_name(i), x) for i, x in enumerate(inputs)]
            raise FloatingPointError(
                f"{primitive.name}{place} gave {_what(output, index)}: {which}, {summary(output)}, "
                f"first at {list(index)}{f', time step {index[1]}' if stepwise else ''}; "
                f"{'there ' if shape is not None else ''}{inputs_there(named, output.shape, shape and index)}"
            )


def _entrywise_shape(
    primitive: Primitive, params: Mapping[str, Any], inputs: Sequence[Any], outputs: Sequence[Array]
) -> tuple[int, ...] | None:
    """The shape to which the inputs broadcast, if the primitive works entry by entry; else None."""
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


def _bad_flow(node: Node, argnum: int, flow: Array, cotangents: Sequence[Any], step: int | None) -> str:
    """Return the message that a VJP returned a NaN or an infinity, with its inputs."""
    assert node.primitive is not None
    index = first_worst(badness_of_entries(flow))
    name = node.primitive.input_name(argnum)
    given = [(f"cotangent {i}" if len(cotangents) > 1 else "cotangent", g) for i, g in enumerate(cotangents)]
    given += [("saved", array) for array in arrays_in(tuple(node.residuals or ()))]
    there = [(word, g) for word, g in given if g is not None and np.shape(g) == flow.shape]
    elsewhere = [(word, g) for word, g in given if g is not None and np.shape(g) != flow.shape]
    words = ["there " + inputs_there(there, flow.shape, index)] if there else []
    words += [inputs_there(elsewhere, flow.shape, None)] if elsewhere else []
    remedy = (
        ". The cotangent there is 0, as behind mg.where, but 0 times infinity or NaN is NaN. Use mg.where inside, too, "
        "as in mg.sqrt(mg.where(mask, x, 1.0))."
        if node.primitive.entrywise and ("cotangent", 0) in [(word, np.asarray(g)[index]) for word, g in there]
        else ""
    )
    time = f"; first at time step {step} of the backward pass" if step is not None else ""
    return (
        f"backward: the VJP of {node.primitive.name}{location(node)} gave {_what(flow, index)} for {name}: "
        f"{summary(flow)}, first at {list(index)}; {'; '.join(words)}{time}{remedy}"
    )


def _bad_sum(node: Node, index: int, g: Any) -> str:
    """Return the message that the cotangent of an output is bad, but none of its terms is."""
    place = first_worst(badness_of_entries(g))
    name = f"{node.primitive.name}{location(node)}" if node.primitive is not None else f"{node!r}"
    which = f"output {index} of " if node.later_outputs else ""
    return (
        f"backward: the gradient of {which}{name} has {_what(g, place)}, but none of its terms has one: "
        f"{summary(np.asarray(g))}, first at {list(place)}; the sum overflowed, or a hook returned it"
    )


def badness_of_entries(value: Any) -> Array:
    """Return the badness of each entry of an array or number.

    >>> badness_of_entries(np.array([1.0, -np.inf, np.nan]))
    array([0, 1, 2], dtype=int8)
    """
    x = np.asarray(value)
    if x.dtype.kind != "f":
        return np.zeros(x.shape, np.int8)
    return np.asarray(np.where(np.isnan(x), 2, np.isinf(x)), np.int8)


def first_worst(bad: Array, axis: int | None = None) -> tuple[int, ...]:
    """Return the index of the first entry with the worst badness; with ``axis``, the first along this axis.

    >>> first_worst(np.array([[0, 0, 2], [2, 1, 0]])), first_worst(np.array([[0, 0, 2], [2, 1, 0]]), axis=1)
    ((0, 2), (1, 0))
    """
    places = np.argwhere(bad == bad.max())
    place = places[0 if axis is None else np.argmin(places[:, axis])]
    return tuple(int(i) for i in place)


def summary(value: Any) -> str:
    """Describe an array: dtype, shape, range of its finite entries, and the number of others.

    >>> summary(np.array([0.5, np.nan, 2.0]))
    'float64 (3,), 1 of 3 entries NaN or infinite, the others from 0.5 to 2.0'
    >>> summary(np.arange(3.0))
    'float64 (3,) from 0.0 to 2.0'
    """
    if not isinstance(value, np.ndarray) or not value.size or value.dtype.kind not in "fiub":
        return describe(value) if isinstance(value, np.ndarray) else str(value)
    finite = value[np.isfinite(value)]
    unusual = value.size - finite.size
    span = f"from {finite.min()} to {finite.max()}" if finite.size else ""
    if not unusual:
        return f"{describe(value)} {span}"
    entries = f"{unusual} of {value.size} entries NaN or infinite"
    return f"{describe(value)}, {entries}{f', the others {span}' if span else ''}"


def inputs_there(named: Sequence[tuple[str, Any]], shape: tuple[int, ...], index: tuple[int, ...] | None) -> str:
    """Describe named inputs: their values at an index of the shape to which they broadcast, or else summaries.

    >>> inputs_there([("a", np.array([1.0, 0.0])), ("b", 2.0)], (2,), (1,))
    'a = 0.0, b = 2.0'
    >>> inputs_there([("x", np.array([[1.0, 0.0]])), ("mask", None)], (2,), None)
    'x: float64 (1, 2) from 0.0 to 1.0'
    """
    given = [(name, value) for name, value in named if value is not None]
    if index is not None:
        return ", ".join(f"{name} = {np.broadcast_to(np.asarray(value), shape)[index]}" for name, value in given)
    return "; ".join(f"{name}: {summary(value)}" for name, value in given)
