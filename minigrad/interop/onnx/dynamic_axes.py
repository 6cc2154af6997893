"""Merge graphs that were traced at several sizes into one with dynamic axes.

A trace has only one size. A module with dynamic axes is therefore traced at three sizes, and its graphs may differ only
in constants. The file computes such a constant from the shape of an input. It may hold integers that are affine in the
size, as in ``x.reshape(N * T, -1)``, repeated rows, such as initial states of zeros, or an arithmetic progression, such
as ``np.arange(N)``. The third size confirms the pattern of the first two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np

from ...spec import Array
from .graph_writer import GraphWriter

__all__ = ["DynamicAxes", "merge"]


class DynamicAxes(NamedTuple):
    """The axes of each input that share a variable size, and the sizes to trace: a single size if there are no axes."""

    names: tuple[str, ...]
    axes: dict[str, tuple[int, ...]]
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, wanted: Mapping[str, Sequence[int]], inputs: Mapping[str, Array]) -> DynamicAxes:
        """Check the argument ``dynamic_axes`` against the examples."""
        lengths: set[int] = set()
        if not isinstance(wanted, Mapping):
            raise TypeError(f'export_onnx: dynamic_axes must map inputs to axes, {{"x": [0]}}, not {wanted!r}')
        for name, axes in wanted.items():
            if name not in inputs:
                raise ValueError(f"dynamic_axes: there is no input {name!r}. The inputs are {', '.join(inputs)}")
            if not isinstance(axes, (list, tuple)) or not all(type(axis) is int for axis in axes):
                raise TypeError(f"export_onnx: dynamic_axes: {name!r} needs a list of axes such as [0], not {axes!r}")
            shape = inputs[name].shape
            if wrong := [axis for axis in axes if not -len(shape) <= axis < len(shape)]:
                raise ValueError(f"dynamic_axes: {name} has no axis {wrong[0]}. The example has the shape {shape}")
            lengths.update(shape[axis] for axis in axes)
        if len(lengths) > 1 or 0 in lengths:
            raise ValueError(
                f"dynamic_axes: these axes of the examples have the sizes {sorted(lengths)}, but must share one. "
                "Pass examples in which they are equal and not 0"
            )
        found = {name: tuple(axis % inputs[name].ndim for axis in axes) for name, axes in wanted.items() if axes}
        n = max(2, *lengths) if lengths else 0
        return cls(tuple(inputs), found, (n, n + 1, max(2 * n + 1, 17)) if found else (n,))

    def resized(self, size: int, number: int, array: Array) -> Array:
        """Return an example of another size, whose entries repeat, from its number and the given example."""
        for axis in self.axes.get(self.names[number], ()):
            array = np.take(array, np.arange(size) % array.shape[axis], axis)
        return np.array(array)

    def declared_length(self, *lengths: int) -> int | str | None:
        """Return how a file declares an axis with these lengths at the sizes: by a number, a name, or as unknown."""
        if len(set(lengths)) == 1:
            return lengths[0]
        return "n" if lengths == self.sizes else None

    def __str__(self) -> str:
        return " and ".join(f"axis {axis} of {name}" for name, axes in self.axes.items() for axis in axes)


def merge(graphs: Sequence[GraphWriter], dynamic: DynamicAxes) -> GraphWriter:
    """Merge the graphs of all sizes into the first of them; equal constants become one.

    Raises NotImplementedError if they differ in more than constants that depend on the size.
    """
    graph, columns = graphs[0], [graph.nodes for graph in graphs]
    graph.nodes = []
    follower, written, renamed = (
        _SizeDependentConstants(graph, dynamic),
        dict[tuple[bytes, ...], str](),
        dict[str, str](),
    )
    for nodes in zip_longest(*columns):
        where = next(one.origins.get(node.name) or "an output" for one, node in zip(graphs, nodes, strict=True) if node)
        if len(set(map(_must_be_equal, nodes))) > 1:
            raise NotImplementedError(
                f"export_onnx: dynamic_axes: {where} needs other operators or attributes at another size of {dynamic}, "
                "but a file has the same operators for all sizes. Leave this axis out of dynamic_axes"
            )
        node = nodes[0]
        if node.op_type != "Constant":
            node.input[:] = [renamed.get(name, name) for name in node.input]
            graph.nodes.append(node)
            continue
        tensors = [node.attribute[0].t for node in nodes]
        key = tuple(tensor.SerializeToString() for tensor in tensors)
        if len(set(key)) == 1 and key not in written:
            graph.nodes.append(node)
            written[key] = node.output[0]
        elif key not in written:
            written[key] = follower.constant([graph.numpy_helper.to_array(tensor) for tensor in tensors])
        if not written[key]:
            raise NotImplementedError(
                f"export_onnx: dynamic_axes: {where} has a constant that depends on the size of {dynamic}, but is not "
                "an affine integer, repeated rows or an arithmetic progression. Make it an input, or leave this axis "
                "out of dynamic_axes"
            )
        renamed[node.output[0]] = written[key]
    return graph


def _must_be_equal(node: Any) -> bytes | str:
    """Return the part of a node that must be equal in all graphs."""
    if node is None:
        return ""
    return node.output[0] if node.op_type == "Constant" else node.SerializeToString()  # type: ignore[no-any-return]


class _SizeDependentConstants:
    """Writes constants that depend on the size. Methods return an empty name if one follows no known pattern."""

    def __init__(self, graph: GraphWriter, dynamic: DynamicAxes) -> None:
        self.graph, self.dynamic = graph, dynamic

    @cached_property
    def size(self) -> str:
        name, (axis, *_) = next(iter(self.dynamic.axes.items()))
        return self.graph.op("Gather", self.graph.op("Shape", name), self.graph.constant(axis, np.int64))

    def constant(self, arrays: list[Array]) -> str:
        graph, first = self.graph, arrays[0]
        if len({(array.ndim, array.dtype) for array in arrays}) > 1:
            return ""
        shapes = [np.array(array.shape, np.int64) for array in arrays]
        grown = np.flatnonzero((np.array(shapes) != shapes[0]).any(axis=0)).tolist()
        if not grown:
            return self._affine(arrays)
        shape = self._affine(shapes)
        row = first[tuple(slice(1) if axis in grown else slice(None) for axis in range(first.ndim))]
        if shape and all((array == row).all() for array in arrays):
            return graph.op("Expand", graph.constant(row), shape)
        return self._progression(arrays, row.astype(np.int64), *grown) if shape and len(grown) == 1 else ""

    def _affine(self, arrays: Sequence[Array]) -> str:
        """base + slope * size, entry by entry, of integers, also as floats."""
        graph, n = self.graph, self.dynamic.sizes[0]
        with np.errstate(invalid="ignore"):
            one, other = (array.astype(np.int64) for array in arrays[:2])
        slope = other - one
        base = one - slope * n
        if any((base + slope * size != array).any() for size, array in zip(self.dynamic.sizes, arrays, strict=True)):
            return ""
        numbers = graph.op("Add", graph.constant(base), graph.op("Mul", graph.constant(slope), self.size))
        return graph.cast(numbers, np.int64, arrays[0].dtype)

    def _progression(self, arrays: Sequence[Array], row: Array, axis: int) -> str:
        """row + step * (0, 1, 2 …) along an axis."""
        graph, longest = self.graph, max(arrays, key=np.size)
        step = longest.take([1], axis).astype(np.int64) - row
        trailing = (1,) * (row.ndim - 1 - axis)
        counts = [np.arange(array.shape[axis]).reshape(-1, *trailing) for array in arrays]
        if any((row + step * count != array).any() for count, array in zip(counts, arrays, strict=True)):
            return ""
        count = self._affine([np.array(len(count)) for count in counts])
        zero, one = graph.constant(0, np.int64), graph.constant(1, np.int64)
        places = graph.reshape(graph.op("Range", zero, count, one), (-1, *trailing))
        numbers = graph.op("Add", graph.constant(row), graph.op("Mul", graph.constant(step), places))
        return graph.cast(numbers, np.int64, longest.dtype)
