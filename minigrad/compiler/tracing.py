"""Trace a function of arrays without any array: record the graph that :mod:`.codegen` turns into loops.

The compiler calls the function with :class:`Traced` values, which have a dtype and a kind but no entries. So the graph
holds for arrays of any size and contents. An operation that needs an entry, a length or memory raises
:class:`Untraceable`: ``if x.max() > 0``, ``x.shape``, ``x[0] = 1``, ``np.asarray(x)``.

A value has one of four kinds. Arrays have M rows and K columns; all axes but the last count as rows.

    E   an entry for each row and column         x, np.exp(x)
    R   a number for each row                    x.sum(-1), x.max(-1, keepdims=True)
    C   a number for each column                 a weight (K,), x.sum(0)
    S   one number                               a rate, x.sum()

Values have the dtypes that NumPy gives them. Python floats are *weak*: they take the dtype of the arrays beside them.
The compiler refuses operations that give any other dtype, such as float64 for ``np.sqrt(rate)`` beside float32 arrays.

>>> def softmax(x):
...     e = np.exp(x - x.max(-1, keepdims=True))
...     return e / e.sum(-1, keepdims=True)
>>> graph = Graph(np.dtype(np.float32))
>>> softmax(graph.argument("E", ndim=2))
E divide
>>> for node in graph.nodes.values():
...     print(node, *node.inputs)
E argument
R rmax E argument
E subtract E argument R rmax
E exp E subtract
R rsum E exp
E divide E exp R rsum
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partialmethod
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.lib.mixins import NDArrayOperatorsMixin

__all__ = ["BOOLEAN", "REDUCTIONS", "Graph", "Node", "Traced", "Untraceable"]

_ENTRYWISE = {
    "add", "subtract", "multiply", "divide", "negative", "absolute", "sqrt", "exp", "expm1", "log", "log1p", "tanh",
    "maximum", "minimum", "copysign", "floor", "rint",
}  # fmt: skip
_COMPARISONS = {"less", "less_equal", "greater", "greater_equal", "equal", "not_equal"}
_LOGIC = {"logical_and", "logical_or", "logical_not"}
_BITWISE = {"bitwise_and": "logical_and", "bitwise_or": "logical_or", "invert": "logical_not"}
BOOLEAN = _COMPARISONS | _LOGIC
REDUCTIONS = {"rsum", "rmax", "csum"}  # the sum and the maximum of each row, and the sum over all rows


class Untraceable(TypeError):  # noqa: N818  (says what the function is)
    """A function of arrays that the compiler cannot trace."""


class Node:
    """A value of the graph: an operation, its arguments (nodes, or a number), its kind and its type.

    The type is ``float`` for the graph's dtype, ``weak`` for a Python float, ``bool`` or ``int``.
    """

    __slots__ = ("args", "kind", "op", "type")

    def __init__(self, op: str, args: tuple[Any, ...], kind: str, type: str) -> None:
        self.op, self.args, self.kind, self.type = op, args, kind, type

    @property
    def inputs(self) -> tuple[Node, ...]:
        return tuple(a for a in self.args if isinstance(a, Node))

    def __repr__(self) -> str:
        return f"{self.kind} {self.op}"


class Graph:
    """Nodes in the order of creation, without duplicates.

    Attributes:
        float: the dtype of entries.
        indices: the integers that choose an entry of each row, and must be numbers of columns.
    """

    def __init__(self, float: np.dtype[Any]) -> None:
        self.float = float
        self.nodes: dict[tuple[Any, ...], Node] = {}
        self.indices: set[Node] = set()
        # The number of arguments; the most axes; whether a Python operator is being traced.
        self.arguments, self.ndim, self.operator = 0, 0, False

    def node(self, op: str, *args: Any, kind: str, type: str = "float") -> Node:
        """Return the node of an operation, a new one if there is none yet."""
        key = (op, kind, *(id(a) if isinstance(a, Node) else repr(a) for a in args))
        return self.nodes.setdefault(key, Node(op, args, kind, type))

    def argument(self, kind: str, ndim: int, type: str = "float", pitched: bool = False) -> Traced:
        """Return the next argument. The rows of a ``pitched`` one may lie apart in memory."""
        self.arguments, self.ndim = self.arguments + 1, max(self.ndim, ndim)
        args = (self.arguments - 1, "pitched") if pitched else (self.arguments - 1,)
        return Traced(self, self.node("argument", *args, kind=kind, type=type), ndim)

    def constant(self, number: float) -> Node:
        return self.node("constant", number, kind="S", type="weak")

    def entrywise(self, op: str, *args: Any) -> Traced:
        """Return an operation on values and numbers that broadcast."""
        values = [a for a in args if isinstance(a, Traced)]
        ndim = max(v.ndim for v in values)
        kinds = {v.node.kind for v in values}
        kind = "E" if "E" in kinds or {"R", "C"} <= kinds else (kinds - {"S"} or {"S"}).pop()
        if any(v.node.kind == "R" and v.ndim < (self.ndim if kind == "E" else ndim) for v in values):
            raise Untraceable("numbers of rows broadcast only with keepdims=True or [..., None]")
        nodes = [a.node if isinstance(a, Traced) else self.constant(_number(a)) for a in args]
        operator, self.operator = self.operator, False
        dtype = np.result_type(*(a.dtype if hasattr(a, "dtype") else type(a)(1) for a in args[op == "where" :]))
        only_weak = all(n.type == "weak" for n in nodes)
        # Python's operators give Python floats. NumPy's functions of Python floats give float64.
        python = only_weak and (
            op in BOOLEAN or (operator and all(type(a) in (Traced, bool, int, float) for a in args))
        )
        whole = [
            n.type == "int" or (n.op == "constant" and abs(n.args[0]) < 2**53 and n.args[0] == n.args[0] // 1)
            for n in nodes
        ]
        integers = op in _COMPARISONS and any(n.type == "int" for n in nodes)
        if integers and not all(whole):
            raise Untraceable("integers can only be compared with integers; constants must be below 2**53")
        if (op in _LOGIC and any(n.type == "weak" and n.args not in ((0,), (1,)) for n in nodes)) or (
            op == "divide" and only_weak and (nodes[1].op != "constant" or not nodes[1].args[0])
        ):
            raise Untraceable(f"{op} of Python floats: compute it outside the function")
        if (
            not integers
            and dtype != (np.float64 if python else self.float)
            and not (op in BOOLEAN and dtype.kind in "biu")
        ):
            raise Untraceable(f"{op} computes in {dtype}, but the arrays are of {self.float}: convert its arguments, "
                              "as in mask.astype(x.dtype), or compute it outside the function")  # fmt: skip
        if op in _LOGIC:
            nodes = [n if n.type == "bool" else self.node("not_equal", n, self.constant(0), kind=n.kind, type="bool")
                     for n in nodes]  # fmt: skip
        elif not integers:
            nodes = [n if op == "where" and i == 0 else self._float(n) for i, n in enumerate(nodes)]
        node = self.node(op, *nodes, kind=kind, type="bool" if op in BOOLEAN else "weak" if python else "float")
        return Traced(self, node, ndim)

    def _float(self, node: Node) -> Node:
        if node.type == "int":
            raise Untraceable("integers can only be compared or used as indices")
        return node if node.type != "bool" else self.node("where", node, self.constant(1), self.constant(0),
                                                          kind=node.kind)  # fmt: skip

    def reduce(self, op: str, x: Traced, axis: Any, keepdims: bool = False, **options: Any) -> Traced:
        """Return a sum or maximum over the last axis, or a sum over all others or all axes."""
        if options or x.node.type != "float":
            raise Untraceable(f"{op} with {', '.join(options)}" if options else
                              f"{op} of {x.node.type}: convert it first, as in mask.astype(x.dtype)")  # fmt: skip
        node, axes = x.node, x.axes(axis)
        if node.kind == "E" and axes == {x.ndim - 1}:
            return Traced(self, self.node("r" + op, node, kind="R"), x.ndim if keepdims else x.ndim - 1)
        if op == "sum" and node.kind == "E" and axes == set(range(x.ndim - 1)):
            return Traced(self, self.node("csum", node, kind="C"), x.ndim if keepdims else 1)
        if op == "sum" and len(axes) == x.ndim and not keepdims and node.kind in "ER":
            rows = self.node("rsum", node, kind="R") if node.kind == "E" else node
            return Traced(self, self.node("csum", rows, kind="S"), 0)
        raise Untraceable(f"{op} over axis {axis} of {x.node.kind} with {x.ndim} axes: sums and maxima run over "
                          "the last axis, and sums of entries also over all others or all")  # fmt: skip


def _number(value: Any) -> float:
    if np.ndim(value) == 0 and (kind := np.asarray(value).dtype.kind) in "?biuf":
        return float(value) if kind == "f" else int(value)
    raise Untraceable(f"{type(value).__name__} {getattr(value, 'shape', '')}: not an argument of the function")


class Traced(NDArrayOperatorsMixin):
    """A value of a :class:`Graph`, to which NumPy's functions apply as to an array."""

    def __init__(self, graph: Graph, node: Node, ndim: int) -> None:
        self.graph, self.node, self.ndim = graph, node, ndim

    @property
    def dtype(self) -> Any:  # a float for a Python float, as np.result_type takes it
        return {"float": self.graph.float, "weak": 1.0}.get(self.node.type) or np.dtype(self.node.type)

    def __repr__(self) -> str:
        return repr(self.node)

    def astype(self, dtype: Any, copy: bool = True) -> Traced:
        if dtype == self.dtype:
            copying = "logical_or" if self.node.type == "bool" else "copysign"  # x or x, and copysign(x, x), equal x
            return self.graph.entrywise(copying, self, self) if copy else self
        if dtype == self.graph.float and self.node.type == "bool":
            return Traced(self.graph, self.graph._float(self.node), self.ndim)
        raise Untraceable(f"astype({dtype}) of {self.dtype}")

    def axes(self, axis: Any) -> set[int]:
        return set(normalize_axis_tuple(range(self.ndim) if axis is None else axis, self.ndim))

    def sum(self, axis: Any = None, **options: Any) -> Traced:
        return self.graph.reduce("sum", self, axis, **options)

    def max(self, axis: Any = None, *, initial: float = -math.inf, **options: Any) -> Traced:
        return self.graph.reduce("max", self, axis, **options | ({} if initial == -math.inf else {"initial": initial}))

    def clip(self, min: Any, max: Any) -> Any:
        return np.minimum(np.maximum(self, min), max)

    def mean(self, axis: Any = None, **options: Any) -> Any:
        total, axes = self.sum(axis, **options), self.axes(axis)
        over_columns = self.node.kind == "E" and self.ndim - 1 in axes
        counts = [Traced(self.graph, self.graph.node(name, kind="S", type="weak"), 0) for name in
                  ["columns"] * over_columns + ["rows"] * (not over_columns or len(axes) > 1)]  # fmt: skip
        return total / math.prod(counts[1:], start=counts[0])

    def __getitem__(self, index: Any) -> Traced:
        kept = self.ndim == self.graph.ndim  # the axis of the columns
        if self.node.kind == "R" and not kept and index in ((..., None), (*(slice(None),) * self.ndim, None)):
            return Traced(self.graph, self.node, self.ndim + 1)
        if self.node.kind == "R" and kept and index == (..., 0):
            return Traced(self.graph, self.node, self.ndim - 1)
        raise Untraceable(f"x[{index}]: only numbers of rows have an index, [..., None] or [..., 0]")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        name = _BITWISE.get(ufunc.__name__, ufunc.__name__)
        if list(options) == ["out"] and isinstance(options["out"][0], Traced):  # x += y and the like
            return options["out"][0]._become(self.__array_ufunc__(ufunc, method, *inputs))
        if method != "__call__" or options:
            raise Untraceable(f"np.{name} with {', '.join(options) or method}")
        numbers = any(getattr(a, "dtype", None) != np.dtype(bool) for a in inputs)
        if name != ufunc.__name__ and (numbers or (ufunc is np.invert and self.node.kind == "S")):  # ~True is -2
            raise Untraceable(f"np.{ufunc.__name__} of numbers: only of arrays of booleans")
        make = self.graph.entrywise
        if name in _ENTRYWISE or name in BOOLEAN:
            return make(name, *inputs)
        if name == "reciprocal":
            return make("divide", 1, self)
        if name == "sign":
            return np.where(self > 0, 1, np.where(self < 0, -1, self + 0))  # 0 for -0
        if name == "vecdot":
            return make("multiply", *inputs).sum(-1)
        if name == "vecmat":
            return make("multiply", inputs[0][..., None], inputs[1]).sum(0)
        if name == "square":
            return make("multiply", self, self)
        if name == "power" and type(inputs[1]) in (int, float) and inputs[1] in (2, 3):
            square = make("multiply", self, self)
            return square if inputs[1] == 2 else make("multiply", square, self)
        raise Untraceable(f"np.{name} cannot be compiled")

    def _operate(self, method: Callable[..., Any], *others: Any) -> Any:
        """Trace a Python operator, whose results of Python floats are Python floats."""
        self.graph.operator = True
        return method(self, *others)

    def _become(self, new: Traced) -> Traced:
        """Take the value of another, as an update in place does."""
        if (self.node.kind, self.node.type, self.ndim) != ("E", new.node.type, new.ndim) or new.node.kind not in "ES":
            raise Untraceable(f"{new} cannot be written into {self}: only entries can, and only by entries")
        self.node = new.node
        return self

    def __array_function__(self, function: Callable[..., Any], _: Any, args: Any, options: Any) -> Any:
        if function in _FUNCTIONS:
            return _FUNCTIONS[function](*args, **options)
        raise Untraceable(f"np.{function.__name__} cannot be compiled")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what Python and NumPy look for
            raise AttributeError(name)
        raise Untraceable(f"x.{name} cannot be compiled")

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise Untraceable("a traced value has no entries, length or memory: avoid if, float(x), len(x), loops over x, "
                          "np.asarray(x) and x[i] = y")  # fmt: skip

    __bool__ = __float__ = __int__ = __index__ = __len__ = __iter__ = __array__ = __setitem__ = _refuse


for _name in ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "neg"):
    setattr(Traced, f"__{_name}__", partialmethod(Traced._operate, getattr(NDArrayOperatorsMixin, f"__{_name}__")))


def _where(condition: Any, x: Any, y: Any) -> Any:
    graph = next(a.graph for a in (condition, x, y) if isinstance(a, Traced))
    if not isinstance(condition, Traced) or condition.node.type != "bool":
        raise Untraceable("np.where needs a condition computed from arguments")
    return graph.entrywise("where", condition, x, y)


def _selects_one(x: Traced, indices: Traced, axis: int) -> bool:
    """Return whether indices select one entry of each row; a call then checks that they are numbers of columns."""
    x.graph.indices.add(indices.node)
    kinds = x.node.kind, indices.node.kind, indices.node.type
    return x.axes(axis) == {x.ndim - 1} and kinds == ("E", "R", "int")


def _take(x: Traced, indices: Traced, axis: int) -> Traced:
    """Return one entry of each row."""
    if not _selects_one(x, indices, axis) or x.node.op != "argument":
        raise Untraceable("np.take_along_axis can only take one entry of each row of an argument")
    return Traced(x.graph, x.graph.node("pick", x.node, indices.node, kind="R"), x.ndim)


def _put(x: Traced, indices: Traced, values: Any, axis: int) -> None:
    """Replace one entry of each row of a computed value."""
    if not _selects_one(x, indices, axis) or x.node.op == "argument":
        raise Untraceable("np.put_along_axis can only replace one entry of each row of a computed value")
    x.node = _where(column_numbers(x) == indices, values, x).node


def column_numbers(x: Traced) -> Traced:
    """Return the number of each column, as :func:`np.arange` does for arrays."""
    return Traced(x.graph, x.graph.node("column", kind="C", type="int"), 1)


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.where: _where, np.clip: Traced.clip,
    np.take_along_axis: _take, np.put_along_axis: _put, np.sum: Traced.sum,
    np.max: Traced.max, np.mean: Traced.mean,
    np.expand_dims: lambda x, axis: x[(..., None) if axis in (-1, x.ndim) else axis],
}  # fmt: skip
