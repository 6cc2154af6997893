"""What `theory show 3-2` prints: the two forms on one matrix, a Jordan block's powers, and forget gates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from theory.eigenvalues.diagonalisation import eigenform, power_jacobian, printed_eigenform
from theory.eigenvalues.gradient_flow import cell_jacobians
from theory.eigenvalues.powers import jordan_block, jordan_power, power_norms

__all__ = ["show"]

P, EIGENVALUES, STEPS = np.array([[1, 1], [0, 1]]), np.array([1, 2]), 3


def show() -> str:
    """The claim's matrices as text."""
    W = P @ np.diag(EIGENVALUES) @ np.rint(np.linalg.inv(P)).astype(int)
    block = jordan_block(1, 2)
    norms = power_norms(block, 100)
    parts = [
        "W = P D P^-1, and the Jacobian of h_t = W' h_{t-1} after 3 steps, by mg.jacobian:",
        _beside({"W =": W, "P =": P, "D =": np.diag(EIGENVALUES), "dh_3/dh_0 =": power_jacobian(W, STEPS)}),
        "The form as printed is not it; the last factor must be P':",
        _beside({
            "(P')^-1 D^3 P^-1 =": printed_eigenform(P, EIGENVALUES, STEPS),
            "(P')^-1 D^3 P' =": eigenform(P, EIGENVALUES, STEPS),
        }),
        "J has no eigendecomposition: its eigenvalue 1 counts twice and has one eigenvector. With radius 1 it grows:",
        _beside({"J =": block, **{f"J^{k} =": jordan_power(1, 2, k) for k in (2, 3, 10, 100)}}),
        "norms: " + ", ".join(f"‖J^{k}‖ = {norms[k]:.2f}" for k in (1, 10, 100)),
        "",
        "An LSTM's cell path without recurrent weights and input: dc_k/dc_0 = f^k, by mg.jacobian:",
        *_forget_gates(),
    ]  # fmt: skip
    return "\n".join(parts)


def _forget_gates() -> list[str]:
    lines = ["  forget bias   forget gate   half is left after   dc_100/dc_0"]
    for bias in (0, 1, 5):
        b = np.array([0.0, bias, 0.0, 0.0])
        path = cell_jacobians(np.zeros((100, 1)), [0.0], [0.0], np.zeros((1, 4)), np.zeros((1, 4)), b).ravel()
        half = math.log(0.5) / math.log(path[0])
        lines.append(f"  {bias:>11}   {path[0]:>11.3f}   {half:>12.1f} steps   {path[-1]:>11.2g}")
    return lines


def _beside(named: Mapping[str, ArrayLike]) -> str:
    """Matrices of whole numbers side by side, each behind its name."""
    columns = [_block(name, np.asarray(matrix)) for name, matrix in named.items()]
    return "\n".join("  " + "    ".join(row).rstrip() for row in zip(*columns, strict=True)) + "\n"


def _block(name: str, matrix: Any) -> list[str]:
    entries = [[str(round(float(x))) for x in row] for row in matrix]
    width = max(len(x) for row in entries for x in row)
    lines = ["[" + " ".join(x.rjust(width) for x in row) + "]" for row in entries]
    return [(name if i == 0 else " " * len(name)) + " " + line for i, line in enumerate(lines)]
