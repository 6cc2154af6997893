"""Tensors that share memory with arrays of other libraries, by DLPack (https://dmlc.github.io/dlpack/latest/).

What one side writes the other sees. A backward pass knows of writes through the tensor that it needs
(:mod:`minigrad.writes`); what another library writes into this memory, or a second tensor that shares it, is found
by :func:`minigrad.detect_anomaly` alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .core import Tensor, untracked
from .spec import describe

__all__ = ["from_dlpack"]


def from_dlpack(x: Any) -> Tensor:
    """A constant that shares its memory with an array or tensor of another library, of any shape; nothing is copied.

    Args:
        x: what has ``__dlpack__`` and ``__dlpack_device__`` and lies in the memory of the CPU: booleans, integers or
            real floats that NumPy has. What may only be read, or does not say that it may be written into, gives a
            tensor whose ``data`` are read-only.

    Raises:
        TypeError: if x has no such methods, or its entries are complex.
        BufferError: if its memory cannot be shared, as that of another device, of bfloat16, or of a tensor that
            requires a gradient, which would be lost; the message says what its library or NumPy say.

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
    """The memory of this tensor for another library, by DLPack; for ``torch.from_dlpack(tensor)`` and its like.

    Raises:
        BufferError: if it requires a gradient, which would be lost; if its memory may only be read, which not every
            library heeds, or runs backwards (after a flip), at which PyTorch ends the process. A copy has neither.
    """
    if self.node is not None:
        raise BufferError("a tensor that requires a gradient cannot be shared, it would be lost: share tensor.detach()")
    wanted = request if copy is None else {**request, "copy": copy}
    if not copy and (not self.data.flags.writeable or min(self.data.strides, default=0) < 0):
        raise BufferError(
            "memory that may only be read, or runs backwards, cannot be shared safely: share tensor.copy()"
        )
    return self.data.__dlpack__(**wanted)


def _dlpack_device(self: Tensor) -> tuple[int, int]:
    """The CPU, in DLPack's numbers."""
    return self.data.__dlpack_device__()


Tensor.__dlpack__ = _dlpack  # type: ignore[attr-defined]
Tensor.__dlpack_device__ = _dlpack_device  # type: ignore[attr-defined]
