"""Share the memory of tensors with arrays of other libraries, by DLPack (https://dmlc.github.io/dlpack/latest/).

Each side sees what the other writes. A backward pass detects writes through the tensor that it needs
(:mod:`minigrad.writes`). Only :func:`minigrad.detect_anomaly` detects writes of another library, or through a
second tensor that shares the memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .core import Tensor, extend_tensor, needs_gradient, untracked
from .spec import describe

__all__ = ["from_dlpack"]


def from_dlpack(x: Any) -> Tensor:
    """Return a constant of any shape that shares its memory with an array or tensor of another library.

    Args:
        x: an object with ``__dlpack__`` and ``__dlpack_device__`` in the memory of the CPU, of booleans, integers or
            real floats that NumPy has. If it is read-only, or not marked as writable, ``data`` is read-only too.

    Raises:
        TypeError: if x has no such methods, or its entries are complex.
        BufferError: if its memory cannot be shared, with the reason of its library or NumPy. Examples are another
            device, bfloat16, and a tensor that requires a gradient, which would be lost.

    >>> array = np.array([1.0, 2.0])
    >>> x = from_dlpack(array)
    >>> array[0] = 5
    >>> x
    tensor([5., 2.], dtype=float64)
    """
    if not (hasattr(x, "__dlpack__") and hasattr(x, "__dlpack_device__")):
        raise TypeError(f"from_dlpack: expected an array or tensor with __dlpack__, not {describe(x)}; see mg.tensor")
    try:
        array = np.from_dlpack(x)
    except Exception as error:  # libraries and NumPy raise BufferError, RuntimeError, ValueError, TypeError …
        raise BufferError(f"from_dlpack: {describe(x)} cannot be shared: {error}") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"from_dlpack: expected bool, integer or real float entries, not {array.dtype}")
    return untracked(array)


def _dlpack(self: Tensor, *, copy: bool | None = None, **request: Any) -> Any:
    """Give the memory of this tensor to another library, by DLPack, as in ``torch.from_dlpack(tensor)``.

    Raises:
        BufferError: if the tensor requires a gradient, which would be lost. Without a copy, also if its memory is
            read-only, which not every library respects, or has negative strides (after a flip), which crash PyTorch.
    """
    if needs_gradient(self):
        raise BufferError("sharing a tensor that requires a gradient would lose the gradient: share tensor.detach()")
    wanted = request if copy is None else {**request, "copy": copy}
    if not copy and (not self.data.flags.writeable or min(self.data.strides, default=0) < 0):
        raise BufferError("read-only memory and negative strides cannot be shared safely: share tensor.copy()")
    return self.data.__dlpack__(**wanted)


def _dlpack_device(self: Tensor) -> tuple[int, int]:
    """Return the CPU, in DLPack's numbers."""
    return self.data.__dlpack_device__()


extend_tensor({"__dlpack__": _dlpack, "__dlpack_device__": _dlpack_device})
