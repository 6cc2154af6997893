"""NumPy's own functions on tensors: ``np.exp(x)`` is ``mg.exp(x)``, if minigrad has a primitive of that name.

NumPy dispatches to its arguments first (NEP 13 and 18). Functions that minigrad has return a tensor, with the options
that both support. All others treat constants as arrays, and raise for a tracked tensor, whose gradient would be lost.
(Code that asks a single tensor for its number gets it, as ``array[0] = x[0]`` does: that is ``float(x[0])``.)
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..core import Tensor, extend_tensor, needs_gradient, plain
from ..trees import leaves, unflatten
from ..writes import written
from .methods import LOGICAL

PRIMITIVE_OF: dict[Callable[..., Any], Callable[..., Any]] = {
    getattr(np, name): getattr(ops, name)
    for name in vars(ops)["__all__"]
    if hasattr(np, name) and name != "put"  # NumPy's put writes in place
}
"""Maps NumPy's functions to minigrad's."""
PRIMITIVE_OF |= {
    np.bitwise_and: LOGICAL["and"], np.bitwise_or: LOGICAL["or"], np.bitwise_xor: LOGICAL["xor"],
    np.invert: LOGICAL["invert"], np.around: ops.round,
    np.positive: Tensor.__pos__,
    np.isposinf: lambda x: ops.equal(x, np.inf), np.isneginf: lambda x: ops.equal(x, -np.inf),
}  # fmt: skip


# Functions that layers call often.
_OF_SHAPE: dict[Any, Callable[..., Any]] = {np.shape: lambda a: a.shape, np.ndim: lambda a: a.ndim}

# Functions whose results depend only on the shape and dtype, not on values.
_LIKE = {np.size, np.zeros_like, np.ones_like, np.empty_like, np.full_like, np.result_type, np.can_cast}

# Functions through which no gradient flows.
_CONSTANT = {"allclose", "argwhere", "array_equal", "count_nonzero", "isclose", "nonzero", "searchsorted"}

# Functions that write into their first argument.
_WRITERS = {np.copyto, np.put, np.place, np.putmask, np.fill_diagonal, np.put_along_axis}

_RENAMED = {"indices_or_sections": "sections", "a_min": "min", "a_max": "max"}
_ADVICE = {
    "add.reduce": "mg.sum", "multiply.reduce": "mg.prod", "maximum.reduce": "mg.max", "minimum.reduce": "mg.min",
    "add.accumulate": "mg.cumsum", "hstack": "mg.concatenate", "vstack": "mg.concatenate", "dstack": "mg.concatenate",
    "column_stack": "mg.stack or mg.concatenate", "append": "mg.concatenate", "block": "mg.concatenate",
    "linalg.eigvalsh": "mg.linalg.eigh(x).eigenvalues", "log2": "mg.log(x) / math.log(2)",
    "log10": "mg.log(x) / math.log(10)", "exp2": "2 ** x", "hypot": "mg.norm of a stack",
    "multiply.accumulate": "mg.cumprod", "partition": "mg.sort or mg.topk",
    "average": "mg.mean, or a sum of products", "inner": "mg.einsum", "vdot": "mg.einsum", "take": "x[indices]",
    "nansum": "mg.where and mg.sum", "ptp": "mg.max and mg.min", "array_split": "mg.split", "rollaxis": "mg.moveaxis",
    "fliplr": "mg.flip", "flipud": "mg.flip", "atleast_1d": "mg.reshape", "atleast_2d": "mg.reshape",
    "put": "mg.put", "copyto": "mg.put", "fmax": "mg.maximum", "fmin": "mg.minimum",
}  # fmt: skip


def _array_ufunc(self: Tensor, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
    called = method == "__call__"
    known = called and ufunc in PRIMITIVE_OF
    if known and not options:
        return _tried(PRIMITIVE_OF[ufunc], inputs, {}, lambda: ufunc(*_arrays(inputs)))
    name = ufunc.__name__ if called else f"{ufunc.__name__}.{method}"
    _refuse_tracked(name, (inputs, options), next(iter(options)) if known else "")
    _tell_of_writes(options.get("out"), inputs[0] if method == "at" else None)
    return getattr(ufunc, method)(*_arrays(inputs), **_arrays(options))


def _array_function(self: Tensor, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
    if not all(issubclass(kind, (Tensor, np.ndarray)) for kind in types):
        return NotImplemented

    if function in _OF_SHAPE:
        return _OF_SHAPE[function](*args, **kwargs)

    def of_arrays() -> Any:
        _tell_of_writes(_targets(function, args, kwargs))
        return function(*_arrays(args), **_arrays(kwargs))

    unknown = ""
    if function in PRIMITIVE_OF:
        positional, options, unknown = _translated(function, args, kwargs)
        if not unknown:
            return _tried(PRIMITIVE_OF[function], positional, options, of_arrays)
    if function not in _LIKE:
        _refuse_tracked(
            f"{function.__module__}.{function.__name__}".removeprefix("numpy."), (args, kwargs), unknown.strip("?")
        )
    return of_arrays()


def _tried(function: Callable[..., Any], args: Any, options: dict[str, Any], of_arrays: Callable[[], Any]) -> Any:
    """Call minigrad's function; if it raises for constants, fall back to NumPy's, which may support more."""
    try:
        return function(*args, **options)
    except (TypeError, ValueError, IndexError):
        if any(needs_gradient(tensor) for tensor in _tensors((args, options))):
            raise
        return of_arrays()


def _targets(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Return what a function of NumPy writes into: its option out, and perhaps its first argument."""
    try:
        given = _signature(function).bind(*args, **kwargs).arguments
    except ValueError:  # other functions in C have no signature before NumPy 2.4
        given = kwargs
    in_place = given.get("overwrite_input") or (function is np.nan_to_num and not given.get("copy", True))
    return given.get("out"), next(iter(given.values())) if in_place or function in _WRITERS else None


def _tell_of_writes(*targets: Any) -> None:
    """Announce that NumPy writes into tensors, so that gradients that need the old values raise."""
    for tensor in _tensors(targets):
        written(tensor.data)


extend_tensor({"__array_ufunc__": _array_ufunc, "__array_function__": _array_function})


# Functions in C, whose signatures NumPy tells only from 2.4 on.
_IN_C: dict[Callable[..., Any], Callable[..., Any]] = {
    np.where: lambda condition, x=None, y=None, /: None,
    np.concatenate: lambda arrays, /, axis=0, out=None, *, dtype=None, casting="same_kind": None,
    np.dot: lambda a, b, out=None: None,
    np.copyto: lambda dst, src, casting="same_kind", where=True: None,
    np.putmask: lambda a, mask, values: None,
}


@functools.cache
def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(_IN_C.get(function, function))


@functools.cache
def _parameters(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the defaults of a function's parameters by name, with a star before that of variadic ones."""
    return {"*" * (p.kind is p.VAR_POSITIONAL) + p.name: p.default for p in _signature(function).parameters.values()}


def _translated(function: Callable[..., Any], args: Any, kwargs: Any) -> tuple[Any, dict[str, Any], str]:
    """Convert arguments of NumPy's function, which it has checked, to minigrad's; also return an unknown option.

    That is "?" if there are too few arguments.
    """
    theirs, ours = _parameters(function), _parameters(PRIMITIVE_OF[function])
    given = {name: value for name, value in kwargs.items() if value is not theirs.get(name, theirs)}
    first, *others = theirs
    if first.startswith("*"):  # einsum: operands, and options that plan the work
        return args, {}, next(iter(given), "")
    given |= {name: value for name, value in zip(others, args[1:], strict=False) if value is not theirs[name]}
    options = {_RENAMED.get(name, name): value for name, value in given.items() if name != first}
    unknown = "?" if function is np.where and len(options) < 2 else next((n for n in options if n not in ours), "")
    return args[:1] or [kwargs[first]], options, unknown


def _refuse_tracked(name: str, values: Any, option: str) -> None:
    """Raise if a result depends on the values of a tracked tensor, or of an input of an ONNX file."""
    for tensor in _tensors(values):
        if needs_gradient(tensor):
            break
        tensor.entries("NumPy")
    else:
        return
    what = f"np.{name} of a tracked tensor would lose its gradient, and minigrad has no primitive of this name"
    if name in _CONSTANT:
        what = f"np.{name} has no gradient, so it does not accept tracked tensors"
    if option:
        what = f"np.{name} of a tracked tensor does not support the option {option}"
    if option == "out":
        what += " (an ndarray, as in array += tensor, cannot hold a tracked tensor)"
    advice = f"use {_ADVICE[name]}, or" if name in _ADVICE else "compose it from mg.ops, or"
    raise TypeError(f"{what}: {advice} call .detach() for a constant")


def _tensors(values: Any) -> list[Tensor]:
    """Return the tensors in nested tuples, lists and dicts."""
    return [leaf for _, leaf in leaves(values) if isinstance(leaf, Tensor)]


def _arrays(values: Any) -> Any:
    """Return the same structure with arrays instead of tensors."""
    return unflatten(values, [plain(leaf) for _, leaf in leaves(values)])
