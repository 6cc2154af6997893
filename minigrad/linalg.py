"""Linear algebra under NumPy's names: ``mg.linalg.solve(a, b)`` is ``np.linalg.solve(a, b)`` with a gradient.

Signatures, stacks of matrices and named results are NumPy's, so NumPy's own functions dispatch to these when you call
them on tensors. Errors about matrices are ``np.linalg.LinAlgError``, which is a ValueError.

>>> import minigrad as mg
>>> a = mg.tensor([[2.0, 1.0], [1.0, 4.0]], requires_grad=True)
>>> mg.linalg.slogdet(a).logabsdet.backward()  # whose gradient is the inverse, transposed
>>> a.grad.round(3)
array([[ 0.571, -0.143],
       [-0.143,  0.286]], dtype=float32)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .core import Tensor
from .ops import linear_algebra
from .ops.linear_algebra import (
    EighResult,
    QRResult,
    SlogdetResult,
    SVDResult,
    cholesky,
    det,
    eigh,
    inv,
    kron,
    norm,
    qr,
    slogdet,
    solve,
    svd,
    svdvals,
)  # fmt: skip
from .ops.numpy_protocols import PRIMITIVE_OF

__all__ = [
    "EighResult", "QRResult", "SVDResult", "SlogdetResult", "cholesky", "det", "eigh", "inv", "kron", "norm", "qr",
    "slogdet", "solve", "svd", "svdvals", "trace",
]  # fmt: skip


def trace(x: Any, *, offset: int = 0) -> Tensor:
    """Sum over the diagonal of each matrix of x (…, M, N): (…). Use `minigrad.ops.trace` for other axes.

    Args:
        offset: 0 for the main diagonal, above it if positive, below it if negative.

    Raises:
        ValueError: if x has fewer than two axes.

    >>> trace([[[1.0, 2.0], [3.0, 4.0]]], offset=1)
    tensor([2.])
    """
    return linear_algebra.trace(x, offset, -2, -1)


PRIMITIVE_OF |= {getattr(np.linalg, name): globals()[name] for name in __all__ if hasattr(np.linalg, name)}
