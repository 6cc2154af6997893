"""Shapes, indices and look-ups. All shapes are those of the example inputs; see `dynamic_axes`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....core import Tensor, plain
from ....spec import Array
from ..graphs import GraphWriter
from ..tracing import Call
from .table import refuse, writes

_END = np.iinfo(np.int64)


@writes("reshape", "ravel", "squeeze", "expand_dims", promoted=False)
def _(graph: GraphWriter, call: Call, x: str) -> str:
    return graph.reshape(x, call.outputs[0].shape)


@writes("transpose", "swapaxes", "moveaxis", promoted=False)
def _(graph: GraphWriter, call: Call, x: str) -> str:
    """The axes' new order is read off an array whose axes have lengths 0, 1, 2 …, which takes no memory."""
    assert call.primitive is not None
    if not np.ndim(call.inputs[0]):
        return graph.op("Identity", x)
    numbered = np.broadcast_to(0, tuple(range(np.ndim(call.inputs[0]))))
    return graph.op("Transpose", x, perm=list(call.primitive.forward(numbered, **call.options)[0].shape))


@writes("roll", "repeat", "tile", "flip", "diagonal", promoted=False)
def _(graph: GraphWriter, call: Call, x: str) -> str:
    return _rearranged(graph, call, x)


def _rearranged(graph: GraphWriter, call: Call, x: str) -> str:
    """What puts entries in other places: the primitive itself says where each comes from."""
    assert call.primitive is not None
    if any(isinstance(option, Tensor) or graph.known(option) for option in call.options.values()):
        raise refuse(f"{call.name} by what is computed")
    shape = np.shape(call.inputs[0])
    places = np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)
    return graph.pick(x, call.primitive.forward(places, **call.options)[0])


@writes("broadcast_to", promoted=False)
def _(graph: GraphWriter, call: Call, x: str) -> str:
    return graph.op("Expand", x, graph.ints(*call.outputs[0].shape))


@writes("concatenate")
def _(graph: GraphWriter, call: Call, *arrays: str) -> str:
    return graph.op("Concat", *arrays, axis=int(call.option("axis")))


@writes("stack")
def _(graph: GraphWriter, call: Call, *arrays: str) -> str:
    axis = int(call.option("axis"))
    return graph.op("Concat", *(graph.op("Unsqueeze", x, graph.ints(axis)) for x in arrays), axis=axis)


@writes("split", promoted=False)
def _(graph: GraphWriter, call: Call, x: str) -> tuple[str, ...]:
    axis = int(call.option("axis"))
    sizes = graph.ints(*(part.shape[axis] for part in call.outputs))
    return tuple(graph.ops("Split", len(call.outputs), x, sizes, axis=axis))


@writes("pad")
def _(graph: GraphWriter, call: Call, x: str) -> str:
    """Constants, edges, and reflections of which none is reflected again; what else repeats entries picks them."""
    shape, mode = np.shape(call.inputs[0]), call.option("mode")
    if not shape:
        return graph.op("Identity", x)
    widths = np.broadcast_to(np.asarray(call.option("pad_width")), (len(shape), 2))
    if mode in ("wrap", "symmetric") or (mode == "reflect" and (widths.max(axis=1) >= np.array(shape)).any()):
        return _rearranged(graph, call, x)
    value = graph.constant(call.option("constant_values"), call.outputs[0].dtype)
    return graph.op("Pad", x, graph.ints(*widths.T.ravel().tolist()), value, mode=mode)


@writes("tril", "triu", promoted=False)
def _(graph: GraphWriter, call: Call, x: str) -> str:
    return graph.op("Trilu", x, graph.constant(call.option("k"), np.int64), upper=int(call.name == "triu"))


# --- indices ------------------------------------------------------------------------------------------


@writes("getitem", promoted=False)
def _(graph: GraphWriter, call: Call, x: str) -> str:
    """Slices and numbers are Slice and a new shape, one array of integers is Gather; all else picks entries."""
    shape = np.shape(call.inputs[0])
    index = call.option("index")
    items = [item.data if isinstance(item, Tensor) else item for item in (index if type(index) is tuple else (index,))]
    arrays = [i for i, item in enumerate(items) if isinstance(item, (np.ndarray, list)) and np.ndim(item)]
    arrays += [i for i, item in enumerate(items) if graph.known(item) and i not in arrays]
    if not arrays and not any(isinstance(item, (bool, np.bool_, np.ndarray)) for item in items):
        return _sliced(graph, x, _explicit(items, len(shape)), shape, call.outputs[0].shape)
    if len(arrays) == 1 and np.asarray(items[arrays[0]]).dtype.kind in "iu" and None not in items[: arrays[0]]:
        others = [slice(None) if i in arrays else item for i, item in enumerate(items)]
        if all(isinstance(item, slice) and item == slice(None) for item in others if item is not Ellipsis):
            return graph.op("Gather", x, _as_index(graph, items[arrays[0]]), axis=_axis(others, arrays[0], len(shape)))
    if any(graph.known(item) for item in items):
        raise refuse("an index of several arrays, or of booleans, that are computed")
    return _rearranged(graph, call._replace(options={"index": tuple(items) if type(index) is tuple else items[0]}), x)


def _as_index(graph: GraphWriter, item: Any) -> str:
    array = np.asarray(item) if not graph.known(item) else item
    return graph.value(array, np.int64)


def _axis(items: list[Any], place: int, ndim: int) -> int:
    """The axis that an item of an index is about."""
    before = items[:place]
    return place if Ellipsis not in before else ndim - (len(items) - place)


def _explicit(items: list[Any], ndim: int) -> list[Any]:
    """An index of numbers and slices with one item an axis; Ellipsis is written out, new axes are left out."""
    items = [item for item in items if item is not None]
    if not any(item is Ellipsis for item in items):
        items = [*items, Ellipsis]
    at = next(i for i, item in enumerate(items) if item is Ellipsis)
    return [*items[:at], *[slice(None)] * (ndim - len(items) + 1), *items[at + 1 :]]


def _sliced(graph: GraphWriter, x: str, items: list[Any], shape: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Keep slices as given, so that they hold for any length."""
    rows = []  # axis, start, end, step
    reached = list(shape)
    for axis, (item, n) in enumerate(zip(items, shape, strict=True)):
        picked = item if isinstance(item, slice) else slice(i := int(item), i + 1 or None)
        step = 1 if picked.step is None else int(picked.step)
        first, last = (0, _END.max) if step > 0 else (_END.max, _END.min)
        start = first if picked.start is None else int(picked.start)
        stop = last if picked.stop is None else int(picked.stop)
        if (start, stop, step) != (0, _END.max, 1):
            rows.append((axis, start, stop, step))
            reached[axis] = len(range(n)[picked])
    if rows:
        axes, starts, ends, steps = (graph.ints(*column) for column in zip(*rows, strict=True))
        x = graph.op("Slice", x, starts, ends, axes, steps)
    return x if tuple(reached) == wanted else graph.reshape(x, wanted)


@writes("take_along_axis", promoted=False)
def _(graph: GraphWriter, call: Call, x: str, indices: str) -> str:
    axis, shape = call.option("axis"), np.shape(call.inputs[0])
    if axis is None:
        return graph.op("GatherElements", graph.reshape(x, (-1,)), indices, axis=0)
    axis = int(axis) % len(shape)
    wanted = call.outputs[0].shape
    own = (*wanted[:axis], shape[axis], *wanted[axis + 1 :])
    x = x if own == shape else graph.op("Expand", x, graph.ints(*own))
    indices = indices if np.shape(call.inputs[1]) == wanted else graph.op("Expand", indices, graph.ints(*wanted))
    return graph.op("GatherElements", x, graph.cast(indices, call.inputs[1].dtype, np.int64), axis=axis)


@writes("put", promoted=False)
def _(graph: GraphWriter, call: Call, *names: str) -> str:
    """The flattened array with other entries at places that are known."""
    x, value = call.inputs
    index = call.option("index")
    if any(graph.known(item) for item in (index if type(index) is tuple else (index,))):
        raise refuse("put at an index that is computed")
    places: Array = np.arange(x.size).reshape(x.shape)[plain(index)]
    if np.unique(places).size < places.size:
        raise refuse("put at places that repeat")
    dtype = call.outputs[0].dtype
    spread = graph.op("Expand", graph.value(value, dtype), graph.ints(*places.shape))
    flat = graph.reshape(graph.value(x, dtype), (-1,))
    where = graph.reshape(graph.constant(places.astype(np.int64)), (-1,))
    y = graph.op("ScatterElements", flat, where, graph.reshape(spread, (-1,)), axis=0)
    return graph.reshape(y, x.shape)


@writes("embedding", promoted=False)
def _(graph: GraphWriter, call: Call, indices: str, W: str) -> str:
    return graph.op("Gather", W, graph.value(call.inputs[0], np.int64), axis=0)


@writes("one_hot", promoted=False)
def _(graph: GraphWriter, call: Call, indices: str) -> str:
    both = graph.constant(np.array([0, 1], call.outputs[0].dtype))
    depth = graph.constant(call.option("size"), np.int64)
    return graph.op("OneHot", graph.value(call.inputs[0], np.int64), depth, both, axis=-1)
