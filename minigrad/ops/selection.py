"""Choices and comparisons, entry by entry: which value, whether, and of which dtype.

What was not chosen gets an exact 0 as its cotangent, also where the cotangent is infinite or NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import plain
from ..primitives import ForwardResult, primitive
from ..spec import Array, as_array
from .elementwise import constant
from .kernels.numerics import taken


def _share(g: Any, lost: Any, tied_or_lost: Any) -> Any:
    """A rival's cotangent: one half unless it lost, another unless it tied; all of g if either is NaN."""
    half = 0.5 * g
    return taken(half, ~lost) + taken(half, ~tied_or_lost)


@primitive(broadcasts=True, entrywise=True, commutative=True, residuals=("a", "b"))
def maximum(a: Array, b: Array) -> ForwardResult:
    """The larger of a and b, entry by entry; the shapes broadcast. Ties share the gradient equally.

    Where one of them is NaN, so is the result, and both get its whole gradient.

    >>> maximum([1.0, 5.0], 3)
    tensor([3., 5.])
    """
    return np.maximum(a, b), (a, b)


@maximum.vjp
def _(g: Any, needs: Any, a: Any, b: Any) -> Any:
    return (
        _share(g, np.less(a, b), np.less_equal(a, b)) if needs[0] else None,
        _share(g, np.less(b, a), np.less_equal(b, a)) if needs[1] else None,
    )


@primitive(broadcasts=True, entrywise=True, commutative=True, residuals=("a", "b"))
def minimum(a: Array, b: Array) -> ForwardResult:
    """The smaller of a and b, entry by entry; the shapes broadcast. Ties share the gradient equally.

    Where one of them is NaN, so is the result, and both get its whole gradient.

    >>> minimum([1.0, 5.0], 3)
    tensor([1., 3.])
    """
    return np.minimum(a, b), (a, b)


@minimum.vjp
def _(g: Any, needs: Any, a: Any, b: Any) -> Any:
    return maximum.primitive.vjp(g, needs, b, a)  # type: ignore[no-any-return]


@primitive(broadcasts=True, entrywise=True, residuals=("x", "constant", "constant"))
def clip(x: Array, min: Any = None, max: Any = None) -> ForwardResult:
    """x, of any shape, limited to [min, max]; the shapes broadcast, and a bound that is None does not limit.

    The gradient of x is 1 on the closed interval, so also at its bounds, and 0 outside.

    Args:
        min, max: numbers, arrays or tensors; constants. Tracked bounds need :func:`minimum` and :func:`maximum`.

    Raises:
        TypeError: if a bound is not numeric, or a tracked tensor.
        ValueError: if min > max anywhere, a bound is NaN, or the shapes do not broadcast.

    >>> clip([1.0, 5.0], max=3), clip([1.0, 5.0], max=[0.5, 9.0])
    (tensor([1., 3.]), tensor([0.5, 5. ]))
    """
    x, low, high = as_array(x), _bound("min", min), _bound("max", max)
    if low is not None and high is not None and np.any(crossed := np.greater(low, high)):
        lowest, highest = (np.broadcast_to(bound, crossed.shape)[crossed][0] for bound in (low, high))
        raise ValueError(f"min {lowest} is above max {highest}. Swap them, or use maximum and then minimum")
    return np.clip(x, low, high), (x, low, high)


@clip.vjp
def _(g: Any, needs: Any, x: Array, low: Any, high: Any) -> Any:
    if low is not None:
        g = taken(g, x >= low)
    if high is not None:
        g = taken(g, x <= high)
    return (g,)


def _bound(name: str, value: Any) -> Any:
    """A bound as an array, or as a Python number, which is weakly typed."""
    bound = plain(value)
    if bound is not None and not isinstance(bound, (bool, int, float)):
        try:
            bound = as_array(bound)
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
    if isinstance(bound, (np.ndarray, np.generic)) and not bound.ndim:
        bound = bound.item()
    if np.any(bound != bound):
        raise ValueError(f"{name} is NaN")
    return bound


@primitive(broadcasts=True, entrywise=True, residuals=("condition",))
def where(condition: Array, x: Array, y: Array) -> ForwardResult:
    """x where the condition holds, y elsewhere, entry by entry; the three shapes broadcast.

    The branch not taken gets an exact 0 as its cotangent. If its own derivative there is infinite or
    NaN, the chain rule still makes NaN of it (0 times inf); then a second ``where`` inside keeps bad
    values out of that branch:

    >>> import minigrad as mg
    >>> x = mg.tensor([4.0, 0.0], requires_grad=True)
    >>> safe = where(x.data > 0, x, 1.0)  # without it: sqrt(x), and a NaN in x.grad
    >>> mg.ops.sum(where(x.data > 0, mg.ops.sqrt(safe), 0.0)).backward()
    >>> x.grad
    array([0.25, 0.  ], dtype=float32)

    Args:
        condition: booleans.

    Raises:
        TypeError: if the condition is not boolean.
    """
    kind = np.asarray(condition).dtype
    if kind != np.bool_:
        raise TypeError(f"the condition must be boolean, not {kind}: compare it with something")
    return np.where(condition, x, y), (condition,)


@where.vjp
def _(g: Any, needs: Any, condition: Array) -> Any:
    return (
        None,
        taken(g, condition) if needs[1] else None,
        taken(g, np.logical_not(condition)) if needs[2] else None,
    )


@primitive(entrywise=True)
def astype(x: Array, dtype: Any) -> ForwardResult:
    """A copy of x, of any shape, in another dtype. The gradient comes back in x's dtype.

    Args:
        dtype: bool, integer or real floating; results in the former two are constants.

    Raises:
        TypeError: for another dtype.

    >>> astype([1.0, 2.5], int)
    tensor([1, 2])
    """
    chosen = np.dtype(dtype)
    if chosen.kind not in "biuf":
        raise TypeError(f"dtype must be bool, integer or a real float, not {chosen}")
    return x.astype(chosen), ()


@astype.vjp
def _(g: Any, needs: Any) -> Any:
    return (g,)  # the engine casts


# --- constants: no gradient flows through these ------------------------------------------------------


@constant(np.sign)
def sign(x: Array) -> Any:
    """-1, 0 or 1, entry by entry, for x of any shape; a constant.

    >>> sign([-2.0, 0.0, 5.0])
    tensor([-1.,  0.,  1.])
    """


@constant(np.floor)
def floor(x: Array) -> Any:
    """The largest integer at most x, in x's dtype, entry by entry, for x of any shape; a constant.

    >>> floor([-1.5, 1.5])
    tensor([-2.,  1.])
    """


@constant(np.ceil)
def ceil(x: Array) -> Any:
    """The smallest integer at least x, in x's dtype, entry by entry, for x of any shape; a constant.

    >>> ceil([-1.5, 1.5])
    tensor([-1.,  2.])
    """


@constant(np.floor_divide)
def floor_divide(a: Array, b: Array) -> Any:
    """The largest integer at most a / b, entry by entry; the shapes broadcast; a constant. Also written ``a // b``.

    >>> floor_divide([-7.0, 7.0], 2)
    tensor([-4.,  3.])
    """


@constant(np.round)
def round(x: Array, decimals: int = 0) -> Any:
    """x with so many decimals, entry by entry, for x of any shape, halves to the even neighbour; a constant.

    Args:
        decimals: negative to round to tens, hundreds …

    >>> round([0.5, 1.5, 2.37]), round([2.37], 1)
    (tensor([0., 2., 2.]), tensor([2.4]))
    """


@constant(np.isfinite)
def isfinite(x: Array) -> Any:
    """Whether x is neither infinite nor NaN, entry by entry: booleans of x's shape.

    >>> isfinite([1.0, float("inf"), float("nan")])
    tensor([ True, False, False])
    """


@constant(np.isinf)
def isinf(x: Array) -> Any:
    """Whether x is infinite, entry by entry: booleans of x's shape.

    >>> isinf([1.0, -float("inf"), float("nan")])
    tensor([False,  True, False])
    """


@constant(np.isnan)
def isnan(x: Array) -> Any:
    """Whether x is NaN, entry by entry: booleans of x's shape.

    >>> isnan([1.0, float("nan")])
    tensor([False,  True])
    """


@constant(np.equal)
def equal(a: Array, b: Array) -> Any:
    """Whether a = b, entry by entry: booleans; the shapes broadcast.

    >>> equal([1.0, 2.0], 2)
    tensor([False,  True])
    """


@constant(np.not_equal)
def not_equal(a: Array, b: Array) -> Any:
    """Whether a differs from b, entry by entry: booleans; the shapes broadcast. NaN differs from itself.

    >>> not_equal([1.0, 2.0], 2)
    tensor([ True, False])
    """


@constant(np.less)
def less(a: Array, b: Array) -> Any:
    """Whether a < b, entry by entry: booleans; the shapes broadcast.

    >>> less([1.0, 2.0], 2)
    tensor([ True, False])
    """


@constant(np.less_equal)
def less_equal(a: Array, b: Array) -> Any:
    """Whether a <= b, entry by entry: booleans; the shapes broadcast.

    >>> less_equal([1.0, 2.0], 1)
    tensor([ True, False])
    """


@constant(np.greater)
def greater(a: Array, b: Array) -> Any:
    """Whether a > b, entry by entry: booleans; the shapes broadcast.

    >>> greater([1.0, 2.0], 1)
    tensor([False,  True])
    """


@constant(np.greater_equal)
def greater_equal(a: Array, b: Array) -> Any:
    """Whether a >= b, entry by entry: booleans; the shapes broadcast.

    >>> greater_equal([1.0, 2.0], 2)
    tensor([False,  True])
    """


@constant(np.logical_and)
def logical_and(a: Array, b: Array) -> Any:
    """Whether a and b are both true (not 0), entry by entry: booleans; the shapes broadcast.

    >>> logical_and([True, False], True)
    tensor([ True, False])
    """


@constant(np.logical_or)
def logical_or(a: Array, b: Array) -> Any:
    """Whether a or b is true (not 0), entry by entry: booleans; the shapes broadcast.

    >>> logical_or([True, False], False)
    tensor([ True, False])
    """


@constant(np.logical_xor)
def logical_xor(a: Array, b: Array) -> Any:
    """Whether one of a and b is true (not 0) and the other is not, entry by entry: booleans; the shapes broadcast.

    >>> logical_xor([True, False], True)
    tensor([False,  True])
    """


@constant(np.logical_not)
def logical_not(x: Array) -> Any:
    """Whether x is false (0), entry by entry: booleans of x's shape.

    >>> logical_not([True, False])
    tensor([False,  True])
    """
