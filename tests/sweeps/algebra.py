"""Linear algebra of up to 300 rows, against NumPy in float64 and the rules as Giles (2008) has them.

Rounding is magnified by the condition of what is computed: that of the matrices, which is 4, and for vectors of
eigenvalues and singular values the largest one over the smallest gap. So magnitudes are the largest entry of what is
exact, times that.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from tests.checks import leaf, pull
from tests.sweeps.enumeration import levels
from tests.sweeps.runs import Array, Family, Results, numbers, run

__all__ = ["FAMILIES"]

_CONDITION = 4.0


def _turned(a: Array) -> Array:
    return np.swapaxes(a, -1, -2)


def _matrix(i: int, rows: int, columns: int, stack: tuple[int, ...] = (), kind: str = "general") -> Array:
    """With singular values (or eigenvalues, of both signs unless it is definite) from 1/2 to 2."""
    rng, k = np.random.default_rng(i), min(rows, columns)
    left, right = (np.linalg.qr(rng.standard_normal((*stack, n, n)))[0][..., :k] for n in (rows, columns))
    values = 2.0 ** np.linspace(1, -1, k)
    right = left if kind != "general" else right
    product = (left * (values * (-1.0) ** np.arange(k) if kind == "symmetric" else values)) @ _turned(right)
    even = (product + _turned(product)) / 2 if kind != "general" else product
    return np.asarray(even, np.float32)


def _largest(exact: Array, condition: float = _CONDITION) -> Array:
    return np.broadcast_to(condition * np.abs(exact).max(), exact.shape)


def equations(i: int) -> Results:
    case = levels(i, {"name": ("solve", "inv", "det", "slogdet", "cholesky"), "n": (8, 32, 100, 300),
                      "columns": (1, 10, 64), "stack": ((), (16,))})  # fmt: skip
    name, n = case["name"], case["n"]
    stack = case["stack"] if n <= 32 else ()
    a = _matrix(i, n, n, stack, "positive" if name == "cholesky" else "general")
    A, draw = a.astype(np.float64), numbers(i)
    inverse = np.linalg.inv(A)
    if name == "solve":
        b, g = draw(*stack, n, case["columns"]), draw(*stack, n, case["columns"])
        x, da, db = run(mg.linalg.solve, [a, b], g)
        exact, H = inverse @ b, _turned(inverse) @ g
        pairs = [(x, exact), (db, H), (da, -H @ _turned(exact))]
    elif name == "inv":
        g = draw(*stack, n, n)
        y, da = run(mg.linalg.inv, [a], g)
        pairs = [(y, inverse), (da, -_turned(inverse) @ g @ _turned(inverse))]
    elif name == "cholesky":
        g = draw(*stack, n, n)
        y, da = run(mg.linalg.cholesky, [a], g)
        L = np.linalg.cholesky(A)
        phi = np.tril(_turned(L) @ g) * (1 - np.eye(n) / 2)
        back = np.linalg.inv(L)
        whole = _turned(back) @ phi @ back
        pairs = [(y, L), (da, (whole + _turned(whole)) / 2)]
    else:
        g = np.asarray(draw(*stack))
        function = mg.linalg.det if name == "det" else lambda a: mg.linalg.slogdet(a).logabsdet
        y, da = run(function, [a], g)
        sign, size = np.linalg.slogdet(A)
        factor = sign * np.exp(size) if name == "det" else np.ones(stack)
        exact = np.asarray(factor if name == "det" else size)
        yield name, y, exact, np.full(exact.shape, n * _CONDITION)  # each of n pivots is rounded
        yield name, da, (g * factor)[..., None, None] * _turned(inverse), np.full(a.shape, n * np.abs(g).max())
        return
    for found, exact in pairs:
        yield name, found, exact, _largest(exact, _CONDITION**2)


def decompositions(i: int) -> Results:
    shapes = ((8, 8), (12, 5), (5, 12), (32, 32), (100, 20), (20, 100), (100, 100), (300, 50))
    case = levels(i, {"name": ("qr", "eigh", "svd", "svdvals"), "shape": shapes, "stack": ((), (16,))})
    name, (m, n) = case["name"], case["shape"]
    stack, draw = case["stack"] if m * n <= 1024 else (), numbers(i)
    if name == "eigh":
        n = m = min(m, n)
    a = _matrix(i, m, n, stack, "symmetric" if name == "eigh" else "general")
    function = {"svd": lambda a: mg.linalg.svd(a, full_matrices=False)}.get(name) or getattr(mg.linalg, name)
    outputs = function(a)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    gs = [draw(*y.shape) for y in outputs]
    found, (da,) = pull(function, [leaf(a)], gs)
    exact, slope, gap = _EXACT[name](a.astype(np.float64), found, gs)
    name = "svd" if name == "svdvals" else name  # whose vectors are not used
    for mine, theirs in zip(found, exact, strict=True):
        yield name, mine, theirs, _largest(theirs, _CONDITION * gap)
    yield name, da, slope, _largest(slope, _CONDITION * gap)


def _with_signs_of(found: Array, columns: Array) -> Array:
    """1 or -1 for each column, by which it becomes the one that was found."""
    return np.sign((found * columns).sum(-2, keepdims=True))


def _qr(A: Array, found: Any, gs: Any) -> Any:
    Q, R = np.linalg.qr(A)
    signs, k = _with_signs_of(found[0], Q), Q.shape[-1]
    Q, R = Q * signs, R * _turned(signs)
    gQ, gR = gs[0] + A[..., k:] @ _turned(gs[1][..., k:]), gs[1][..., :k]
    M = R[..., :k] @ _turned(gR) - _turned(gQ) @ Q
    lower = np.tril(M) + _turned(np.tril(M, -1))
    square = (gQ + Q @ lower) @ _turned(np.linalg.inv(R[..., :k]))
    leading = np.linalg.cond(R[..., :k]).max()  # of the first columns, by which is divided
    return [Q, R], np.concatenate([square, Q @ gs[1][..., k:]], -1), leading


def _eigh(A: Array, found: Any, gs: Any) -> Any:
    w, V = np.linalg.eigh(A)
    V = V * _with_signs_of(found[1], V)
    F = _over(w[..., None, :] - w[..., :, None])
    slope = V @ (_diagonal(gs[0]) + F * (_turned(V) @ gs[1])) @ _turned(V)
    return [w, V], (slope + _turned(slope)) / 2, 2 / np.abs(1 / F[F != 0]).min(initial=2)


def _svd(A: Array, found: Any, gs: Any) -> Any:
    U, s, Vh = np.linalg.svd(A, full_matrices=False)
    signs = _with_signs_of(found[0], U)
    U, V, gU, gV = U * signs, _turned(Vh) * signs, gs[0], _turned(gs[2])
    F = _over(s[..., None, :] ** 2 - s[..., :, None] ** 2)
    S, P, Q = _diagonal(s), _turned(U) @ gU, _turned(V) @ gV
    inner = _diagonal(gs[1]) + F * (P - _turned(P)) @ S + S @ (F * (Q - _turned(Q)))
    slope = U @ inner @ _turned(V)
    slope += (gU - U @ (_turned(U) @ gU)) / s[..., None, :] @ _turned(V)
    slope += U @ _turned((gV - V @ (_turned(V) @ gV)) / s[..., None, :])
    return [U, s, _turned(V)], slope, 4 / np.abs(1 / F[F != 0]).min(initial=4)


def _svdvals(A: Array, found: Any, gs: Any) -> Any:
    U, s, Vh = np.linalg.svd(A, full_matrices=False)
    # the vectors of near values turn into each other by rounding, over their gap
    return [s], (U * gs[0][..., None, :]) @ Vh, 2 / np.abs(np.diff(s)).min(initial=2)


def _over(gaps: Array) -> Array:
    """1 / gap, and 0 on the diagonal."""
    return np.where(gaps == 0, 0, 1 / np.where(gaps == 0, 1, gaps))


def _diagonal(values: Array) -> Array:
    return values[..., None] * np.eye(values.shape[-1])


_EXACT = {"eigh": _eigh, "qr": _qr, "svd": _svd, "svdvals": _svdvals}


# The function, how many cases, and the bound in units of rounding.
FAMILIES: dict[str, tuple[Family, int, float]] = {
    "equations": (equations, 120, 4.0),
    "decompositions": (decompositions, 64, 2.0),
}
