"""Shapes and dtypes, and error messages that show them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = "np.ndarray[Any, Any]"
DType: TypeAlias = "np.dtype[Any]"
Spec: TypeAlias = "tuple[tuple[int, ...], DType]"

_default_dtype: DType = np.dtype(np.float32)


def get_default_dtype() -> DType:
    """Return the dtype that Python floats take when they become a tensor.

    >>> get_default_dtype()
    dtype('float32')
    """
    return _default_dtype


def set_default_dtype(dtype: Any) -> None:
    """Choose the dtype that Python floats take when they become a tensor.

    Raises:
        TypeError: if ``dtype`` is not a real floating dtype.

    >>> set_default_dtype("float32")
    """
    global _default_dtype
    chosen = np.dtype(dtype)
    if chosen.kind != "f":
        raise TypeError(f"set_default_dtype: expected a floating dtype, not {chosen}")
    _default_dtype = chosen


def as_array(value: Any, rounded: bool = True) -> Array:
    """Convert data to an ndarray of real numbers: arrays keep their dtype, Python floats take the default.

    Args:
        rounded: if true, Python floats take the default dtype; if false, they stay float64.

    Raises:
        TypeError: if the data are not booleans, integers or real floats, or are masked.
        ValueError: if nested lists are ragged.

    >>> as_array([1.0, 2.0]).dtype, as_array(np.ones(2)).dtype
    (dtype('float32'), dtype('float64'))
    """
    refuse_masked(value)
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"expected numbers (bool, integer or real float), not {array.dtype} data of type {type(value).__name__}"
        )
    if rounded and array.dtype == np.float64 and not holds_numpy(value):
        array = array.astype(_default_dtype)
    elif array.dtype == np.int32 == np.dtype(int) and not holds_numpy(value):  # in WebAssembly, which has 32 bits
        array = array.astype(np.int64)
    return array


def refuse_masked(value: Any) -> None:
    """Raise for NumPy's masked arrays."""
    if isinstance(value, np.ndarray) and hasattr(value, "mask"):
        raise TypeError("a masked array would lose its mask: pass .filled(...), or pass the mask as a separate array")


def holds_numpy(value: Any) -> bool:
    """Return whether the data, or any entry of nested lists, already has a NumPy dtype."""
    stack = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, (list, tuple)):
            stack += value
        elif hasattr(value, "dtype"):
            return True
    return False


def as_whole(caller: str, name: str, value: Any, least: int = 1) -> int:
    """Return an integer; raise unless it is at least ``least``."""
    if isinstance(value, bool) or not (isinstance(value, (int, np.integer)) and value >= least):
        raise ValueError(f"{caller}: {name} must be an integer of at least {least}, not {value!r}")
    return int(value)


def describe(value: Any) -> str:
    """Describe dtype and shape, for error messages and drawings.

    >>> describe(np.zeros((2, 3)))
    'float64 (2, 3)'
    >>> describe(0.5)
    'float'
    """
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype} {tuple(value.shape)}"
    return "None" if value is None else type(value).__name__


def explain(name: str, arguments: Iterable[tuple[str, Any]], error: Exception) -> Exception:
    """Prefix an error with the operation and the shapes and dtypes of its arguments; keep the usual kinds of errors.

    >>> explain("add", [("a", np.zeros(2)), ("b", np.zeros(3))], ValueError("cannot broadcast"))
    ValueError('add(a: float64 (2,), b: float64 (3,)): cannot broadcast')
    """
    shown = ", ".join(f"{argument}: {describe(value)}" for argument, value in arguments)
    message = f"{name}({shown}): {error}" + (". Use NumPy's names: axis, keepdims." if "dim'" in str(error) else "")
    for kind in (np.exceptions.AxisError, np.linalg.LinAlgError, IndexError, TypeError):
        if isinstance(error, kind):
            return kind(message)
    return ValueError(message)
