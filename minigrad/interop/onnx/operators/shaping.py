"""Shapes, indices and lookups. Shapes are written as those of the example inputs; see `dynamic_axes`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .... import ops
from ....core import plain
from ....spec import Array
from ..graph_writer import Call, GraphWriter
from .registry import READERS, integers, refuse, write

_END = np.iinfo(np.int64)

# --- writing ------------------------------------------------------------------------------------------


def _transpose(graph: GraphWriter, call: Call, x: str) -> str:
    """Read the new order of the axes off an array with axes of lengths 0, 1, 2 …, which takes no memory."""
    if not call.shape:
        return graph.op("Identity", x)
    numbered = np.broadcast_to(0, tuple(range(len(call.shape))))
    return graph.op("Transpose", x, perm=list(call.primitive.forward(numbered, **call.options)[0].shape))


def _picked(graph: GraphWriter, call: Call, x: str) -> Any:
    """Look entries up in the flattened array: the primitive itself, applied to indices, returns their sources."""
    if any(graph.known(option) for option in call.options.values()):
        raise refuse(f"{call.name} at a computed index")
    numbers = np.arange(math.prod(call.shape)).reshape(call.shape)
    places = call.primitive.forward(numbers, **{key: plain(option) for key, option in call.options.items()})[0]
    return graph.op("Gather", graph.reshape(x, (-1,)), graph.constant(places, np.int64))


def _pad(graph: GraphWriter, call: Call, x: str) -> Any:
    """Write constants, edges, and single reflections as Pad; other modes look the repeated entries up."""
    shape, mode = call.shape, call.option("mode")
    if not shape:  # onnxruntime cannot pad a scalar
        return graph.op("Identity", x)
    widths = np.broadcast_to(np.asarray(call.option("pad_width")), (len(shape), 2))
    if mode in ("wrap", "symmetric") or (mode == "reflect" and (widths.max(axis=1) >= np.array(shape)).any()):
        return _picked(graph, call, x)
    value = graph.constant(call.option("constant_values"), call.dtype)
    return graph.op("Pad", x, graph.ints(*widths.T.ravel().tolist()), value, mode=mode)


def _concatenate(graph: GraphWriter, call: Call, *arrays: str) -> str:
    axis = int(call.option("axis"))
    if call.name == "stack":
        arrays = tuple(graph.op("Unsqueeze", x, graph.ints(axis)) for x in arrays)
    return graph.op("Concat", *arrays, axis=axis)


def _split(graph: GraphWriter, call: Call, x: str) -> tuple[str, ...]:
    axis = int(call.option("axis"))
    sizes = [part.shape[axis] for part in call.outputs]
    return graph.ops("Split", len(sizes), x, graph.ints(*sizes), axis=axis)


def _getitem(graph: GraphWriter, call: Call, x: str) -> Any:
    """Slices and numbers are Slice and a new shape, one array of integers is Gather; all else picks entries."""
    index = plain(call.option("index"))
    items = list(index) if type(index) is tuple else [index]
    if x in graph.cells and _takes_last(items, graph.cells[x][1]):
        return graph.cells[x][0]
    arrays = [i for i, item in enumerate(items) if np.ndim(item) or graph.known(item)]
    if not arrays and not any(isinstance(item, (bool, np.bool_, np.ndarray)) for item in items):
        return _sliced(graph, call, x, [item for item in items if item is not None])
    if len(arrays) == 1 and np.asarray(items[arrays[0]]).dtype.kind in "iu" and None not in items[: arrays[0]]:
        (place,) = arrays
        if all(item is Ellipsis or item == slice(None) for item in items[:place] + items[place + 1 :]):
            array = items[place] if graph.known(items[place]) else np.asarray(items[place])
            axis = place if Ellipsis not in items[:place] else len(call.shape) - (len(items) - place)
            return graph.op("Gather", x, graph.value(array, np.int64), axis=axis)
    if any(graph.known(item) for item in items):
        raise refuse("an index of several arrays, or of booleans, that are computed")
    return _picked(graph, call, x)


def _sliced(graph: GraphWriter, call: Call, x: str, items: list[Any]) -> str:
    """Keep slices as given, so that they apply to any length; items are slices, numbers and perhaps an Ellipsis."""
    at = items.index(Ellipsis) if Ellipsis in items else len(items)
    whole = [slice(None)] * (len(call.shape) - len(items) + (Ellipsis in items))
    items = [*items[:at], *whole, *items[at + 1 :]]
    slices = [item if isinstance(item, slice) else slice(int(item), int(item) + 1 or None) for item in items]
    if rows := [(axis, *_ends(item)) for axis, item in enumerate(slices) if item != slice(None)]:
        axes, starts, ends, steps = (graph.ints(*column) for column in zip(*rows, strict=True))
        x = graph.op("Slice", x, starts, ends, axes, steps)
    reached, wanted = np.broadcast_to(0, call.shape)[tuple(slices)].shape, call.outputs[0].shape
    return x if reached == wanted else graph.reshape(x, wanted)


def _takes_last(items: list[Any], layer: Call) -> bool:
    """Return whether an index takes the end of each sequence from the states (N, T, H) of a recurrent layer."""
    lengths, (N, T) = plain(layer.option("lengths")), layer.outputs[0].shape[:2]
    if len(items) != 2 or lengths is None:
        return lengths is None and any(items == [slice(None), last] for last in (-1, T - 1) if len(items) == 2)
    ends = np.maximum(lengths, 1) - 1  # the state of an empty sequence is replaced later
    return all(isinstance(item, np.ndarray) for item in items) and all(map(np.array_equal, items, (np.arange(N), ends)))


def _ends(item: slice) -> tuple[int, int, int]:
    step = 1 if item.step is None else int(item.step)
    first, last = (0, _END.max) if step > 0 else (_END.max, _END.min)
    return first if item.start is None else int(item.start), last if item.stop is None else int(item.stop), step


def _take_along_axis(graph: GraphWriter, call: Call, x: str, indices: str) -> Any:
    axis, wanted = call.option("axis"), call.outputs[0].shape
    indices = graph.cast(indices, call.inputs[1].dtype, np.int64)
    if axis is None:
        return graph.op("GatherElements", graph.reshape(x, (-1,)), indices, axis=0)
    axis = int(axis) % len(call.shape)
    own = (*wanted[:axis], call.shape[axis], *wanted[axis + 1 :])
    x = x if own == call.shape else graph.op("Expand", x, graph.ints(*own))
    indices = indices if np.shape(call.inputs[1]) == wanted else graph.op("Expand", indices, graph.ints(*wanted))
    return graph.op("GatherElements", x, indices, axis=axis)


def _put(graph: GraphWriter, call: Call, *names: str) -> str:
    """Replace entries of the flattened array at known places."""
    x, value = call.inputs
    index = call.option("index")
    if any(graph.known(item) for item in (index if type(index) is tuple else (index,))):
        raise refuse("put at an index that is computed")
    places: Array = np.arange(x.size).reshape(x.shape)[plain(index)]
    if np.unique(places).size < places.size:
        raise refuse("put at places that repeat")
    spread = graph.op("Expand", graph.value(value, call.dtype), graph.ints(*places.shape))
    columns = graph.value(x, call.dtype), graph.constant(places, np.int64), spread
    flat = graph.op("ScatterElements", *(graph.reshape(column, (-1,)) for column in columns), axis=0)
    return graph.reshape(flat, x.shape)


def _one_hot(graph: GraphWriter, call: Call, _: str) -> str:
    depth, both = graph.constant(call.option("size"), np.int64), graph.constant([0, 1], call.dtype)
    return graph.op("OneHot", graph.value(call.inputs[0], np.int64), depth, both, axis=-1)


write({"concatenate": _concatenate, "stack": _concatenate, "pad": _pad})
write({
    **dict.fromkeys(("reshape", "ravel", "squeeze", "expand_dims"),
                    lambda graph, call, x: graph.reshape(x, call.outputs[0].shape)),
    **dict.fromkeys(("transpose", "swapaxes", "moveaxis"), _transpose),
    **dict.fromkeys(("roll", "repeat", "tile", "flip", "diagonal"), _picked),
    "broadcast_to": lambda graph, call, x: graph.op("Expand", x, graph.ints(*call.outputs[0].shape)),
    "embedding": lambda graph, call, _, W: graph.op("Gather", W, graph.value(call.inputs[0], np.int64), axis=0),
    "getitem": _getitem,
    "one_hot": _one_hot,
    "put": _put,
    "split": _split,
    "take_along_axis": _take_along_axis,
    **dict.fromkeys(("tril", "triu"), lambda graph, call, x: graph.op(
        "Trilu", x, graph.constant(call.option("k"), np.int64), upper=int(call.name == "triu")
    )),
}, cast="")  # fmt: skip

# --- reading ------------------------------------------------------------------------------------------


def _constant(
    *, value: Array | None = None, value_float: float | None = None, value_floats: Any = None,
    value_int: int | None = None, value_ints: Any = None,
) -> Any:  # fmt: skip
    floats = value_floats if value_float is None else value_float
    if value is None and floats is None:
        return np.array(value_ints if value_int is None else value_int, np.int64)
    return np.array(floats, np.float32) if value is None else value


def _range(start: Any, limit: Any, delta: Any) -> Any:
    count = max(math.ceil((limit.item() - start.item()) / delta.item()), 0)
    return (start.data + delta.data * np.arange(count)).astype(start.dtype)


def _reshaped(x: Any, shape: Any, *, allowzero: int = 0) -> Any:
    sizes = enumerate(integers(shape))
    return ops.reshape(x, tuple(x.shape[i] if n == 0 and not allowzero else n for i, n in sizes))


def _parts(x: Any, sizes: Any = None, *, axis: int = 0, num_outputs: int | None = None, count: int) -> Any:
    """Split into parts of given sizes, or into a number of equal parts, the last of which may be smaller."""
    n, parts = x.shape[axis], num_outputs or count
    size = -(n // -parts)
    lengths = [min(size, n - i * size) for i in range(parts)] if sizes is None else integers(sizes)
    if sum(lengths) != n or min(lengths) < 0:
        raise ValueError(f"axis {axis} has {n} entries, but the parts have {lengths}")
    return tuple(ops.split(x, np.cumsum(lengths)[:-1].tolist(), axis)) if len(lengths) > 1 else x


def _padded(x: Any, pads: Any, value: Any = None, axes: Any = None, *, mode: str = "constant") -> Any:
    numbers = integers(pads)
    widths = [(0, 0)] * x.ndim
    for i, axis in enumerate(range(x.ndim) if axes is None else integers(axes)):
        widths[axis] = numbers[i], numbers[i + len(numbers) // 2]
    return padded(x, widths, 0 if value is None or mode != "constant" else value.item(), mode)


def padded(x: Any, widths: list[tuple[int, int]], number: float = 0, mode: str = "constant") -> Any:
    """Pad x with entries before and after each axis; negative widths remove entries."""
    cut = tuple(slice(max(-a, 0), n - max(-b, 0)) for (a, b), n in zip(widths, x.shape, strict=True))
    x = x[cut] if min(map(min, widths), default=0) < 0 else x
    wanted = [(max(a, 0), max(b, 0)) for a, b in widths]
    return ops.pad(x, wanted, mode, number) if any(map(any, wanted)) else x


def _slice(x: Any, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Any:
    """Bounds are clipped to the axis as in Python, except for an end before the first entry with a negative step."""
    first, last = integers(starts), integers(ends)
    along = range(len(first)) if axes is None else integers(axes)
    strides = [1] * len(first) if steps is None else integers(steps)
    index = [slice(None)] * x.ndim
    for axis, start, end, step in zip(along, first, last, strides, strict=True):
        index[axis] = slice(start, None if step < 0 and end < -x.shape[axis] else end, step)
    return x[tuple(index)]


def _gather(x: Any, indices: Any, *, axis: int = 0) -> Any:
    places = _counted(indices.data, x.shape[axis])
    if x.ndim == 2 and axis in (0, -2):
        return ops.embedding(places, x)
    return x[(slice(None),) * (axis % x.ndim) + (places,)]


def _counted(indices: Array, n: int) -> Array:
    """Make negative indices non-negative; return the same array if there are none."""
    if indices.size and not -n <= indices.min() <= indices.max() < n:
        raise IndexError(f"indices must be from {-n} to {n - 1}, but range from {indices.min()} to {indices.max()}")
    return np.where(indices < 0, indices + n, indices) if indices.size and indices.min() < 0 else indices


def _gather_elements(x: Any, indices: Any, *, axis: int = 0) -> Any:
    cut = tuple(slice(None) if i == axis % x.ndim else slice(n) for i, n in enumerate(indices.shape))
    return ops.take_along_axis(x[cut], _counted(indices.data, x.shape[axis]), axis)


def _gather_nd(x: Any, indices: Any, *, batch_dims: int = 0) -> Any:
    """The last axis of the indices has an index into x, after the leading axes that both share."""
    batch = np.indices(indices.shape[:batch_dims])
    front = [grid.reshape(grid.shape + (1,) * (indices.ndim - 1 - batch_dims)) for grid in batch]
    return x[(*front, *np.moveaxis(indices.data, -1, 0))]


def _scatter_elements(x: Any, indices: Any, updates: Any, *, axis: int = 0, reduction: str = "none") -> Any:
    if reduction != "none":
        raise NotImplementedError(f"reduction={reduction}")
    grid: list[Any] = list(np.indices(indices.shape))
    grid[axis] = _counted(indices.data, x.shape[axis])
    return ops.put(x, tuple(grid), updates)


def _unit_vectors(indices: Any, depth: Any, values: Any, *, axis: int = -1) -> Any:
    """Return the second value at each index, which may count from the end, and the first elsewhere."""
    size = int(depth.item())
    places = np.where(indices.data < 0, indices.data + size, indices.data)
    found = np.moveaxis(places[..., None] == np.arange(size), -1, axis)
    return ops.where(found, values[1], values[0])


READERS.update({
    "Concat": lambda *x, axis: ops.concatenate(x, axis),
    "Constant": _constant,
    "ConstantOfShape": lambda shape, *, value=None: np.full(
        integers(shape), np.float32(0) if value is None else value.ravel()[0]
    ),
    "Expand": lambda x, shape: ops.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(integers(shape)))),
    "Flatten": lambda x, *, axis=1: ops.reshape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))),
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "OneHot": _unit_vectors,
    "Pad": _padded,
    "Range": _range,
    "Reshape": _reshaped,
    "ScatterElements": _scatter_elements,
    "Shape": lambda x, *, start=0, end=None: np.array(x.shape[start:end], np.int64),
    "Size": lambda x: np.array(x.size, np.int64),
    "Slice": _slice,
    "Split": _parts,
    "Squeeze": lambda x, axes=None: ops.squeeze(x, None if axes is None else tuple(integers(axes))),
    "Tile": lambda x, repeats: ops.tile(x, tuple(integers(repeats))),
    "Transpose": lambda x, *, perm=None: ops.transpose(x, perm),
    "Trilu": lambda x, k=None, *, upper=1: (ops.triu if upper else ops.tril)(x, 0 if k is None else int(k.item())),
    "Unsqueeze": lambda x, axes: ops.expand_dims(x, tuple(integers(axes))),
})  # fmt: skip
