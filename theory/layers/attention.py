"""Dot-product self-attention: permutations that preserve a mask, and bounds and intervals of its Jacobian.

With tokens x_0, x_1, … as rows, attention has the weights p_ij = softmax_j <x_i, x_j A> and the outputs
y_i = sum_j p_ij x_j V. For one feature, A = V = 1 and the means m_i = sum_k p_ik x_k,

    dy_i/dx_j = p_ij (1 + x_i (x_j - m_i)),    plus the variance sum_k p_ik (x_k - m_i)^2 if i = j.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import minigrad as mg
from theory.checker import exp_range

__all__ = ["Range", "attend", "encoder_layer", "jacobian", "jacobian_ranges", "mean_layer", "orders",
           "preserved", "product", "steep_tokens"]  # fmt: skip

Range = tuple[Fraction, Fraction]
"""The interval from the first number to the second."""


# Order ------------------------------------------------------------------------------------------------


def orders(n: int) -> NDArray[np.int64]:
    """Return all permutations of n tokens, (n!, n), the identity first."""
    return np.array(list(permutations(range(n))))


def preserved(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which permutations p of `orders` preserve a mask M (n, n): M[p[i], p[j]] = M[i, j] for all i, j; (n!,).

    >>> preserved(np.tri(3, dtype=bool)).tolist()
    [True, False, False, False, False, False]
    """
    several = orders(len(mask))
    return np.asarray((mask[several[:, :, None], several[:, None, :]] == mask).all(axis=(1, 2)))


@functools.cache
def encoder_layer() -> mg.nn.Module:
    """Return a transformer encoder layer of 4 features and 2 heads, float64, with random weights."""
    return mg.nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, dtype="float64", rng=0)


@functools.cache
def mean_layer() -> mg.nn.Module:
    """Return an attention layer of one feature whose output is the mean of the tokens that a token may attend to.

    >>> mean_layer()([[1.0], [3.0]]).numpy().ravel()
    array([2., 2.])
    """
    made = mg.nn.MultiHeadAttention(1, num_heads=1, bias=False, dtype="float64")
    made.in_proj_weight.data[...] = [[0.0, 0.0, 1.0]]  # type: ignore[union-attr] # queries and keys are 0
    made.out_proj.weight.data[...] = 1.0
    return made


# Lipschitz constants ------------------------------------------------------------------------------------


def attend(x: Any, A: Any = None, V: Any = None) -> Any:
    """Return the attention of tokens x (n, D) with the scores <x_i, x_j A>, applied to x V; A and V default to I.

    >>> attend([[0.0], [2.0], [-2.0]]).numpy()[0]
    array([0.], dtype=float32)
    """
    return mg.attention(x, x if A is None else mg.matmul(x, A), x if V is None else mg.matmul(x, V), scale=1.0)


def jacobian(x: ArrayLike, *weights: Any) -> NDArray[np.float64]:
    """Return the Jacobian of `attend` at tokens x (n, D), (n D, n D).

    >>> jacobian([[0.0], [1.0], [-1.0]])[0, 0].round(9)  # 1/3 + 2/3
    np.float64(1.0)
    """
    x = np.asarray(x, dtype=np.float64)
    return np.array(mg.jacobian(lambda x: attend(x, *weights))(mg.tensor(x)).numpy()).reshape(x.size, x.size)


def steep_tokens(constant: float) -> NDArray[np.float64]:
    """Return the tokens (0, t, -t) with t² = 3/2 constant, (3, 1), where dy_0/dx_0 is the constant plus 1/3.

    >>> steep_tokens(6.0).ravel()
    array([ 0.,  3., -3.])
    """
    return np.asarray(math.sqrt(1.5 * constant) * np.array([[0.0], [1.0], [-1.0]]))


# Intervals ------------------------------------------------------------------------------------------------


def product(a: Range, b: Range) -> Range:
    """Return the range of p q for p and q in two ranges.

    >>> product((Fraction(-1), Fraction(2)), (Fraction(-3), Fraction(1)))
    (Fraction(-6, 1), Fraction(3, 1))
    """
    products = [p * q for p in a for q in b]
    return min(products), max(products)


def _total(several: Iterable[Sequence[Any]]) -> Range:
    lows, highs = zip(*several, strict=True)
    return sum(map(Fraction, lows), Fraction(0)), sum(map(Fraction, highs), Fraction(0))


def jacobian_ranges(tokens: Sequence[Range]) -> list[list[Range]]:
    """Return ranges of all entries of the Jacobian of `attend` for tokens of one feature in these ranges.

    It uses 1 / p_ij = sum_k exp(x_i (x_k - x_j)) and x_j - m_i = sum_k p_ik (x_j - x_k).

    >>> low, high = jacobian_ranges([(Fraction(2), Fraction(2))])[0][0]
    >>> low <= 1 <= high, float(high - low) < 1e-40
    (True, True)
    """
    n, rows = range(len(tokens)), []
    apart = [[(a - d, b - c) for c, d in tokens] for a, b in tokens]  # x_j - x_k
    for i, x in enumerate(tokens):
        scores = [[product(x, apart[k][j]) for k in n] for j in n]
        sums = [_total((exp_range(low)[0], exp_range(high)[1]) for low, high in row) for row in scores]
        p = [(1 / high, 1 / low) for low, high in sums]
        from_mean = [_total(product(p[k], apart[j][k]) for k in n) for j in n]
        row = [_total([p[j], product(p[j], product(x, from_mean[j]))]) for j in n]
        row[i] = _total([row[i], *(product(p[k], product(from_mean[k], from_mean[k])) for k in n)])
        rows.append(row)
    return rows
