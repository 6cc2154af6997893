"""The reference: one matrix product in NumPy, timed in every round with the rivals.

Its spread shows how noisy the machine was. The best rate of a run is the bound relative to which a job's share is
computed: no job of matrix products takes less time than its operations at this rate.
"""

from __future__ import annotations

from benchmarks.job import Case, Rival, Work

__all__ = ["FLOP", "cases"]

_M, _N, _K = 512, 512, 2048
FLOP = 2.0 * _M * _N * _K
"""Floating-point operations of the product, float32."""


def product() -> Work:
    """Return the product (512, 2048) @ (2048, 512)."""
    import numpy as np

    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((_M, _K), np.float32), rng.standard_normal((_K, _N), np.float32)
    out = np.empty((_M, _N), np.float32)
    return Work(lambda: np.matmul(a, b, out=out))


def cases(quick: bool = False) -> list[Case]:
    """The one product."""
    return [Case("product", [Rival("NumPy", "NumPy", product)], flop=FLOP)]
