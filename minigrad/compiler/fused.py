"""``@fused``: a function of arrays, written with NumPy, that LLVM compiles to loops if llvmlite is installed."""

from __future__ import annotations

import ctypes
import functools
import math
import os
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any, cast

import numpy as np

from ..runtime.threads import get_num_threads, run_in_parallel, split
from ..spec import Array
from .loops import print_kernel
from .machine_code import address_of
from .tracing import Graph, Node, Traced, Untraceable

__all__ = ["FUSED", "Kernel", "fused"]

_MODE = os.environ.get("MINIGRAD_FUSE", "auto")  # "never", or "always", also for small arrays
_AVAILABLE = find_spec("llvmlite") is not None and _MODE != "never"
_WORTH_A_CALL = 1 if _MODE == "always" else 4096  # entries: NumPy handles fewer while a kernel is found and called
_WORTH_A_THREAD = 2**18  # entries

FUSED: dict[Callable[..., Any], dict[Any, Kernel]] = {}
"""The kernels of each fused function, by the layout of the arguments."""


def fused(function: Callable[..., Any] | None = None, /, *, writes: tuple[int, ...] = ()) -> Any:
    """Compile a function of arrays to loops that read and write each entry once; without llvmlite, return it as it is.

    The function receives its arguments by position. The first is an array of M rows and K columns; its leading axes
    together are the rows. Others may have its shape, a number for each row (…, 1) or column (K,), or be a float. All
    floats of arrays have one dtype, float32 or float64. What else is passed (None, a bool, a string, an int) is part of
    the compiled text. The result is an array, or a nested tuple of arrays and arguments.

    The function may use operators, comparisons, ``np.where``, sums, means and maxima over the last axis, sums over all
    other axes, and the functions that :mod:`.tracing` lists. It cannot look at entries or lengths, or write.

    Arrays that are small, not contiguous, or of other dtypes go to the function itself.

    Args:
        writes: the function returns new values of these arguments, which are written into them; the result is None.

    Raises:
        Untraceable: at the first large call, if the function does what cannot be compiled.

    >>> @fused
    ... def standardised(x):
    ...     d = x - x.mean(-1, keepdims=True)
    ...     return d / np.sqrt((d * d).mean(-1, keepdims=True))
    >>> standardised(np.array([[1.0, 3.0]]))
    array([[-1.,  1.]])
    """
    if function is None:
        return partial(fused, writes=writes)
    plain = _writing(function, writes) if writes else function
    if not _AVAILABLE:
        return plain
    kernels = FUSED[function] = {}

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        x = args[0]
        if type(x) is not np.ndarray or x.size < _WORTH_A_CALL:
            return plain(*args)
        layout = _layout(args, x.shape)
        if layout is None:
            return plain(*args)
        kernel = kernels.get(layout)
        if kernel is None:
            kernel = kernels[layout] = Kernel(function, layout, writes)
        return kernel(args, x.shape)

    return call


def _writing(function: Callable[..., Any], writes: tuple[int, ...]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any) -> None:
        new = function(*args)
        for i, value in zip(writes, new if len(writes) > 1 else (new,), strict=True):
            args[i][...] = value

    return call


def _layout(args: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[Any, ...] | None:
    """Return dtype, and kind and type of each argument; None if there is no kernel for these arguments."""
    if shape[-1:] == (1,):  # an entry cannot be told from a number of its row
        return None
    float = args[0].dtype
    kinds: list[Any] = [float, len(shape)]
    of_rows = (*shape[:-1], 1)
    for a in args:
        if type(a) is np.ndarray:
            dtype = a.dtype
            kind = ("E" if a.shape == shape else "R" if a.shape == of_rows else "C" if a.shape == shape[-1:] else
                    "S" if not a.shape else None)  # fmt: skip
            if kind is None or not (dtype == float or dtype.char in "?l"):
                return None
            if not (a.flags.c_contiguous and a.flags.aligned):
                return None
            kinds.append(kind + dtype.char)
        elif isinstance(a, (np.floating, _Float)):
            kinds.append("Sd")
        else:
            kinds.append((a,))
    if (
        float.char not in "fd" or not float.isnative or shape[-1:] == (1,)
    ):  # with one column, an entry cannot be told from a number of its row
        return None
    return tuple(kinds)


_Float = float
_TYPES = {"f": "float", "d": "float", "?": "bool", "l": "int"}


class Kernel:
    """The machine code for arguments of one layout.

    Attributes:
        text: the LLVM text.
        outputs: the nodes that it computes.
    """

    def __init__(self, function: Callable[..., Any], layout: tuple[Any, ...], writes: tuple[int, ...] = ()) -> None:
        self.name, self.dtype, ndim = function.__qualname__, layout[0], layout[1]
        graph = Graph(self.dtype)
        axes = {"E": ndim, "R": ndim, "C": 1, "S": 0}
        given = [a[0] if isinstance(a, tuple) else graph.argument(a[0], axes[a[0]], _TYPES[a[1]]) for a in layout[2:]]
        self.places = [i for i, a in enumerate(given) if isinstance(a, Traced)]
        try:
            self.template = function(*given)
            leaves = list(_leaves(self.template))
            into = {}
            if writes:
                into = {leaf.node: given[i].node for leaf, i in zip(leaves, writes, strict=True)}
            found = [a.node for a in leaves if isinstance(a, Traced) and a.node.op not in ("argument", "constant")]
            self.printed = print_kernel(found, "float" if self.dtype == np.float32 else "double", into)
        except Untraceable as error:
            error.add_note(f"in {function.__module__}.{self.name}, which is compiled because it is @fused")
            raise
        self.outputs = self.printed.outputs
        self.text = self.printed.text("kernel")
        self.used = [(self.places[a.args[0]], a.kind) for a in self.printed.arguments]
        self.made = [v for v in self.outputs if v not in into]
        self.writes = bool(writes)
        types = [ctypes.c_double if kind == "S" else ctypes.c_void_p for _, kind in self.used]
        types += [ctypes.c_void_p] * (len(self.made) + 1)
        call = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, *types)
        self.call = call(address_of("kernel", self.text))

    def __call__(self, args: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
        """Compute the outputs for arguments of the layout, the first of this shape."""
        M, K = math.prod(shape[:-1]), shape[-1] if shape else 1
        if self.printed.flat:
            M, K = M * K, 1  # for now; a part is one long row
        parts = 1
        if M * K >= _WORTH_A_THREAD and self.printed.splits:
            parts = min(M, get_num_threads())
        arrays = {v: np.empty(self._shape(v, shape, parts), self._dtype(v)) for v in self.made}
        if parts == 1:
            self._run(slice(0, M), 0, K, args, arrays)
        else:
            run_in_parallel([partial(self._run, rows, i, K, args, arrays) for i, rows in enumerate(split(M, parts))])
            for v in self.made:
                if v.kind in "CS":
                    arrays[v] = np.asarray(arrays[v].sum(0))
        return None if self.writes else self._result(self.template, args, arrays, shape)

    def _shape(self, v: Node, shape: tuple[int, ...], parts: int) -> tuple[int, ...]:
        if v.kind in "CS" and parts > 1:  # a partial sum each
            return (parts, *shape[-1:]) if v.kind == "C" else (parts,)
        return {"E": shape, "R": (*shape[:-1], 1), "C": shape[-1:], "S": ()}[v.kind]

    def _dtype(self, v: Node) -> Any:
        return self.dtype if v.type == "float" else np.dtype(v.type)

    def _run(self, rows: slice, part: int, K: int, args: tuple[Any, ...], arrays: dict[Node, Array]) -> None:
        """Call the machine code for some rows."""
        M, first = rows.stop - rows.start, rows.start

        def address(array: Array, kind: str) -> int:
            step = {"E": K, "R": 1, "C": 0, "S": 0}[kind]
            return cast(int, array.__array_interface__["data"][0] + first * step * array.itemsize)

        numbers: list[Any] = [float(args[i]) if kind == "S" else address(args[i], kind) for i, kind in self.used]
        for v in self.made:
            array = arrays[v]
            own = array if v.kind in "ER" or array.ndim == (v.kind == "C") else array[part]
            numbers.append(address(own, v.kind))
        columns, of_rows = self.printed.scratch
        scratch = np.empty(columns * K + of_rows * M)
        self.call(*((1, M) if self.printed.flat else (M, K)), *numbers, scratch.ctypes.data)

    def _result(self, template: Any, args: tuple[Any, ...], arrays: dict[Node, Array], shape: tuple[int, ...]) -> Any:
        if isinstance(template, tuple):
            return tuple(self._result(t, args, arrays, shape) for t in template)
        if not isinstance(template, Traced):
            return template
        node = template.node
        if node.op == "argument":
            return args[self.places[node.args[0]]]
        if node.op == "constant":
            return node.args[0]
        array = arrays[node]
        if node.kind == "C" and template.ndim > 1:
            return array.reshape((1,) * (template.ndim - 1) + array.shape)
        return array.reshape(shape[:-1]) if node.kind == "R" and template.ndim < len(shape) else array


def _leaves(tree: Any) -> Any:
    if isinstance(tree, tuple):
        for part in tree:
            yield from _leaves(part)
    else:
        yield tree
