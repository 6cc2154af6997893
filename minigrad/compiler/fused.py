"""``@fused``: compile a function of NumPy arrays to loops, if llvmlite is installed."""

from __future__ import annotations

import ctypes
import functools
import math
import sys
from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec
from types import FunctionType
from typing import Any

import numpy as np

from ..runtime.settings import environment_setting
from ..runtime.threads import get_num_threads
from ..spec import Array
from .codegen import print_kernel
from .machine_code import address_of
from .tracing import Graph, Node, Traced, Untraceable
from .workers import awake

__all__ = ["FUSED", "Kernel", "fused", "worth_compiling"]

_INSTALLED = find_spec("llvmlite") is not None
_WORTH_A_PIECE = 2**16  # entries: below this, sharing a kernel takes longer than it saves

FUSED: dict[Callable[..., Any], dict[Any, Kernel | None]] = {}
"""The kernels of each fused function, by the layout of their arguments; None where NumPy runs it."""


@cache
def _worth_a_call() -> float:
    """Return the fewest entries for which to call a kernel. By default, NumPy takes no longer for fewer."""
    setting = environment_setting("MINIGRAD_FUSE", "auto", "never", "always")
    return {"auto": 2048, "never": math.inf, "always": 1}[setting]


def worth_compiling(entries: int) -> bool:
    """Return whether llvmlite is there, and machine code is faster for arrays of this many entries."""
    return _INSTALLED and entries >= _worth_a_call()


def fused(function: Callable[..., Any] | None = None, /, *, writes: tuple[int, ...] = ()) -> Callable[..., Any]:
    """Compile a function of arrays to a few loops; without llvmlite, return the function itself.

    The results have NumPy's dtypes at every size, and NumPy's values up to rounding. If the compiler cannot guarantee
    this, the first call raises.

    Call the compiled function with positional arguments only. The first is an array of M rows and K columns; all axes
    but the last count as rows. Other arrays have its shape, one number for each row (…, 1) or column (K,), or no axes.
    The floats of all arrays share one dtype, float32 or float64. Masks, and indices of int64, may come with them.

    A float may differ from call to call. None, a bool, a string, an int, or a tuple of these is a constant of the
    machine code: each value compiles anew. So is whatever else the function reads, such as global variables, which
    it must never change. The result is an array, or a nested tuple of arrays and arguments.

    The function may use operators, comparisons, ``np.where``, sums, means and maxima over the last axis, sums and means
    over all other axes or all, and the functions that :mod:`.tracing` lists. It cannot look at entries or lengths.

    NumPy runs the function for arrays that are not contiguous, have fewer than 2,048 entries, or have other dtypes or
    shapes. It also does so for indices that are not between 0 and K - 1, for keyword arguments and for other objects.

    Args:
        writes: the positions of arguments that the function updates in place, with ``+=`` and the like. The result is
            then None.

    Raises:
        Untraceable: at the first call that could be compiled, whatever its size. If only a later call's dtypes or
            constants cannot be compiled, NumPy runs that call.

    >>> @fused
    ... def standardised(x):
    ...     d = x - x.mean(-1, keepdims=True)
    ...     return d / np.sqrt((d * d).mean(-1, keepdims=True))
    >>> standardised(np.array([[1.0, 3.0]]))
    array([[-1.,  1.]])
    """
    if function is None:
        return partial(fused, writes=writes)
    if not isinstance(function, FunctionType):
        raise TypeError(f"fused: {function!r} is no function written with def or lambda. Pass one that calls it.")
    if not _INSTALLED:
        return function
    kernels = FUSED[function] = {}

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        x, least = args[0] if args and not options else None, _worth_a_call()
        if type(x) is not np.ndarray or (x.size < least and (kernels or least == math.inf)):
            return function(*args, **options)
        layout = _layout(args, x.shape)
        if layout is None:
            return function(*args)
        if layout not in kernels:
            try:
                kernels[layout] = Kernel(function, layout, writes)
            except Exception:  # traced, a function may raise anything
                if not kernels:
                    raise
                kernels[layout] = None  # a later layout: NumPy runs the function
        kernel = kernels[layout]
        if (
            kernel is None
            or x.size < least
            or (writes and not _separate(args, writes))
            # A negative index is large as an unsigned number.
            or any(args[i].view(np.uint64).max(initial=0) >= x.shape[-1] for i in kernel.indices)
        ):
            return function(*args)
        return kernel(args, x.shape)

    return call


def _layout(args: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[Any, ...] | None:
    """Return the dtype, the number of axes, and each argument's kind and type; None if NumPy must run the function."""
    common = args[0].dtype
    # With one column, entries and numbers of rows have the same shape.
    if shape[-1:] in ((), (1,)) or common.char not in "fd" or not common.isnative:
        return None
    kinds: list[Any] = [common, len(shape)]
    for a in args:
        if type(a) is np.ndarray:
            dtype, pitched = a.dtype, not a.flags.c_contiguous
            kind = ("E" if a.shape == shape else "R" if a.shape == (*shape[:-1], 1) else
                    "C" if a.shape == shape[-1:] else "S" if not a.shape and dtype == common else None)  # fmt: skip
            if (
                kind is None
                or not a.flags.aligned
                or (pitched and (kind != "E" or a.ndim != 2 or a.strides[1] != a.itemsize))
                or not (dtype == common or (dtype.kind in "bi" and dtype.char in _TYPES and dtype.isnative))
            ):
                return None
            kinds.append((kind, _TYPES[dtype.char], pitched))
        elif type(a) is float or (isinstance(a, np.generic) and a.dtype == common):
            kinds.append(("S", "weak" if type(a) is float else "float", False))
        elif not _CONSTANTS.issuperset(map(type, a) if type(a) is tuple else (type(a),)):  # other objects may change
            return None
        else:  # True is not 1, nor 0.0 -0.0
            kinds.append((a, repr(a) if type(a) is tuple else type(a)))
    return tuple(kinds)


def _separate(args: tuple[Any, ...], writes: tuple[int, ...]) -> bool:
    """Return whether the arguments to update are writable, and their entries share memory with no others."""
    for i in writes:
        a = args[i]
        if a is None:
            continue
        if not a.flags.writeable or (a.ndim == 2 and abs(a.strides[0]) < a.shape[1] * a.itemsize):
            return False
        own = a.flags.owndata  # arrays that own their memory share it with views only
        for j, b in enumerate(args):
            others = type(b) is np.ndarray and j != i and not (own and b is not a and b.flags.owndata)
            if others and np.may_share_memory(a, b):
                return False
    return True


_CONSTANTS = {type(None), bool, int, float, str}
_TYPES = {"f": "float", "d": "float", "?": "bool", np.dtype(np.int64).char: "int"}


@cache
def _address_offset() -> int | None:
    """Return the offset in an array object at which it holds the address of its entries, or None.

    Today it follows the header that all objects of CPython have, and kernels read it there. What may break: another
    NumPy may keep it elsewhere, or another Python may not use addresses as ids. Then ctypes asks each array for the
    address, which takes 1 µs.
    """
    array, offset, cpython = np.empty(1), object.__basicsize__, sys.implementation.name == "cpython"
    found = cpython and ctypes.c_void_p.from_address(id(array) + offset).value == array.ctypes.data
    return offset if found else None


class Kernel:
    """The machine code of a function for one layout of its arguments.

    Attributes:
        text: the LLVM text.
    """

    def __init__(self, function: Callable[..., Any], layout: tuple[Any, ...], writes: tuple[int, ...] = ()) -> None:
        self.name, self.dtype, ndim = function.__qualname__, layout[0], layout[1]
        graph = Graph(self.dtype)
        axes = {"E": ndim, "R": ndim, "C": 1, "S": 0}
        given = [a[0] if len(a) == 2 else graph.argument(a[0], axes[a[0]], a[1], a[2]) for a in layout[2:]]
        self.places = [i for i, a in enumerate(given) if isinstance(a, Traced)]
        try:
            old = {i: a.node for i, a in enumerate(given) if isinstance(a, Traced)}
            self.template = function(*given)
            changed = [i for i, node in old.items() if given[i].node is not node]
            into = {given[i].node: old[i] for i in changed}
            if not set(changed) <= set(writes) or len(into) < len(changed):
                raise Untraceable(
                    f"it updates the arguments {changed}, but may update only {list(writes)}, each to its own value"
                )
            computed = [a for a in _leaves(self.template) if isinstance(a, Traced) and not any(a is b for b in given)]
            if any(a.node.op == "argument" or a.node.type == "weak" for a in computed):
                raise Untraceable("it returns a view of an argument, or a Python float that it computes")
            found = [*into, *(a.node for a in computed)]
            self.printed = print_kernel(found, "float" if self.dtype == np.float32 else "double", into)
            if len(given) + len(self.printed.outputs) > 250:  # each takes time to compile, and ctypes passes 1,024
                raise Untraceable("it takes and returns more than 250 arrays")
        except RecursionError:
            raise Untraceable(f"{function.__qualname__}: too long a chain of operations. Split the function.") from None
        except Untraceable as error:
            error.add_note(f"in {function.__module__}.{self.name}, which is compiled because it is @fused")
            raise
        self.text = self.printed.text_of_pieces("kernel", _address_offset())
        self.used = [(self.places[a.args[0]], a.kind == "S", len(a.args) > 1) for a in self.printed.arguments]
        self.indices = [self.places[node.args[0]] for node in graph.indices]
        self.kinds = [a[0] for a in layout[2:]]
        types = {"float": self.dtype, "bool": np.dtype(bool), "int": np.dtype(np.int64)}
        self.made = [(v, types[v.type]) for v in self.printed.outputs if v not in into]
        self.repeated = len(found) > len(self.printed.outputs)
        self.numbers = {v: i for i, (v, _) in enumerate(self.made)}
        self.flat, self.splits, self.scratch = self.printed.flat, self.printed.splits, self.printed.scratch
        self.writes = bool(writes)

    @functools.cached_property
    def call(self) -> Any:
        """The machine code, which is compiled when it is first needed."""
        array: Any = ctypes.py_object if _address_offset() else np.ctypeslib.ndpointer()
        passed: list[Any] = [ctypes.c_int64] * 2
        for _, scalar, pitched in self.used:
            passed += [ctypes.c_double if scalar else array] + [ctypes.c_int64] * pitched
        passed += [*[array] * (len(self.made) + 1), ctypes.c_int64, ctypes.c_void_p]
        call = ctypes.CFUNCTYPE(None, *passed)
        return call(address_of("kernel", self.text))

    def __call__(self, args: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
        """Compute the results for arguments of the layout. ``shape`` is that of the first."""
        M, K = (1, math.prod(shape)) if self.flat else (math.prod(shape[:-1]), shape[-1])
        pieces = self._pieces(K if self.flat else M, M * K)
        sums = (pieces,) if pieces > 1 else ()  # one row for each piece
        arrays = [np.empty((*sums, *self._shape(v, shape)) if v.kind in "CS" else self._shape(v, shape), dtype)
                  for v, dtype in self.made]  # fmt: skip
        numbers: list[Any] = [M, K]
        for i, scalar, pitched in self.used:
            a = args[i]
            numbers.append(float(a) if scalar else a)
            if pitched:
                numbers.append(a.strides[0] // a.itemsize)
        columns, rows = self.scratch
        self.call(*numbers, *arrays, np.empty(columns * K * pieces + rows * M), pieces, awake(pieces))
        if sums:
            arrays = [np.asarray(a.sum(0)) if v.kind in "CS" else a
                      for (v, _), a in zip(self.made, arrays, strict=True)]  # fmt: skip
        return None if self.writes else self._result(self.template, args, arrays, shape)

    def _pieces(self, rows: int, entries: int) -> int:
        """Return how many pieces of so many rows to share."""
        if not self.splits or entries < 2 * _WORTH_A_PIECE or (threads := get_num_threads()) == 1:
            return 1
        return min(threads, rows, entries // _WORTH_A_PIECE)

    @staticmethod
    def _shape(v: Node, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape if v.kind == "E" else (*shape[:-1], 1) if v.kind == "R" else shape[-1:] if v.kind == "C" else ()

    def _result(self, template: Any, args: tuple[Any, ...], arrays: list[Array], shape: tuple[int, ...]) -> Any:
        if type(template) is tuple:
            return tuple(self._result(t, args, arrays, shape) for t in template)
        if not isinstance(template, Traced):
            return template
        node = template.node
        if node.op == "argument":
            return args[self.places[node.args[0]]]
        array = arrays[self.numbers[node]].copy() if self.repeated else arrays[self.numbers[node]]
        if node.kind == "C" and template.ndim > 1:
            return array.reshape((1,) * (template.ndim - 1) + array.shape)
        if node.kind == "R" and template.ndim < len(shape):
            return array.reshape(shape[:-1])[()]  # NumPy's sum of all axes is a scalar
        return array[()] if node.kind == "S" else array


def _leaves(tree: Any) -> Any:
    if type(tree) is tuple:
        for part in tree:
            yield from _leaves(part)
    elif isinstance(tree, (Traced, bool, int, float, str, np.generic, type(None))):
        yield tree
    else:
        raise Untraceable(f"it returns a {type(tree).__name__}, but may return an array or a tuple of arrays")
