"""Arithmetic, elementary functions, choices and comparisons, entry by entry.

Inputs may have any shape; two of them broadcast as in NumPy, and so do their dtypes: float32 stays
float32, Python numbers are weak, integers become float64 if results need not be integers.
An infinite gradient (sqrt at 0) is returned without a warning. Entries that were not chosen get an exact 0 as their
cotangent, even if the cotangent is infinite or NaN. In float16, derivatives of several operations are computed in
float32.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

import numpy as np

from ..core import plain
from ..primitives import ForwardResult, PrimitiveFunction, primitive
from ..spec import Array, as_array
from .kernels.numerics import masked, refuse_axis_of_scalar, single, widened


def elementary(
    function: Callable[[Any], Any], vjp: Callable[..., Any] | None = None, keeps: str = "x"
) -> Callable[[Callable[..., Any]], PrimitiveFunction]:
    """Declare one of NumPy's functions of one array as a primitive, with the name and docstring of a stub.

    Args:
        vjp: the VJP, ``(g, needs, residual)``; it may follow as a decorator instead.
        keeps: the only residual, "x" or "output".
    """

    def declare(stub: Callable[..., Any]) -> PrimitiveFunction:
        def forward(x: Array) -> ForwardResult:
            y = function(x)
            return y, (x if keeps == "x" else y,)

        declared = primitive(broadcasts=True, entrywise=True, residuals=(keeps,))(update_wrapper(forward, stub))
        if vjp is not None:
            declared.vjp(vjp)
        return declared

    return declare


def constant(function: Callable[..., Any]) -> Callable[[Callable[..., Any]], PrimitiveFunction]:
    """Declare one of NumPy's functions, without a gradient, as a primitive named and documented by a stub."""

    def declare(stub: Callable[..., Any]) -> PrimitiveFunction:
        def forward(*arrays: Array, **options: Any) -> ForwardResult:
            if options:
                refuse_axis_of_scalar(arrays[0], options.get("axis"))
            return function(*arrays, **options), ()

        return primitive(broadcasts=True, differentiable=False)(update_wrapper(forward, stub))

    return declare


# --- arithmetic ------------------------------------------------------------------------------------


@primitive(broadcasts=True, entrywise=True, commutative=True)
def add(a: Array, b: Array) -> ForwardResult:
    """a + b, entry by entry; the shapes broadcast.

    >>> add([1.0, 2.0], 3)
    tensor([4., 5.])
    """
    return a + b, ()  # a tenth faster than np.add


add.vjp(lambda g, needs: (g, g))


@primitive(broadcasts=True, entrywise=True)
def subtract(a: Array, b: Array) -> ForwardResult:
    """a - b, entry by entry; the shapes broadcast.

    >>> subtract([1.0, 2.0], 3)
    tensor([-2., -1.])
    """
    return a - b, ()


subtract.vjp(lambda g, needs: (g, -g if needs[1] else None))


@primitive(broadcasts=True, entrywise=True, commutative=True, residuals=("a", "b"))
def multiply(a: Array, b: Array) -> ForwardResult:
    """a b, entry by entry; the shapes broadcast.

    >>> multiply([1.0, 2.0], [[3.0], [4.0]])
    tensor([[3., 6.],
            [4., 8.]])
    """
    return a * b, (a, b)


multiply.vjp(lambda g, needs, a, b: (g * b if needs[0] else None, g * a if needs[1] else None))


@primitive(broadcasts=True, entrywise=True, residuals=("b", "output"))
def divide(a: Array, b: Array) -> ForwardResult:
    """a / b, entry by entry; the shapes broadcast, and integers give float64.

    >>> divide([1.0, 2.0], 4)
    tensor([0.25, 0.5 ])
    """
    y = np.divide(a, b)
    return y, (b, y)


@divide.vjp
def _(g: Any, needs: Any, b: Array, y: Array) -> Any:
    da = single(g) / b  # d/db (a/b) = -a / b^2 = -y / b: without b^2, which over- and underflows early
    return da, -da * y if needs[1] else None


@primitive(broadcasts=True, entrywise=True, residuals=("a", "b"))
def remainder(a: Array, b: Array) -> ForwardResult:
    """a - b floor(a / b), entry by entry, which has b's sign; the shapes broadcast. Also written ``a % b``.

    The gradient is 1 with respect to a and -floor(a / b) with respect to b, even if a is a multiple of b and the
    remainder jumps.

    >>> remainder([-7.0, 7.0], 4)
    tensor([1., 3.])
    """
    return np.remainder(a, b), (a, b)


remainder.vjp(lambda g, needs, a, b: (g, -g * np.floor_divide(a, b) if needs[1] else None))


@primitive(broadcasts=True, entrywise=True, residuals=("a", "b"))
def power(a: Array, b: Array) -> ForwardResult:
    """a to the power b, entry by entry; the shapes broadcast. A square costs one multiplication.

    The derivative with respect to a is b a^(b-1), which is 0 for b = 0 and any a. With respect to b it is a^b log(a),
    which is 0 for a = 0 and b >= 0, and NaN for a < 0, where the power is not a function of a real b.

    Raises:
        ValueError: for integers to a negative integer power.

    >>> power([1.0, 2.0, 3.0], 2)
    tensor([1., 4., 9.])
    """
    return _power(a, b), (a, b)


def _power(a: Any, b: Any) -> Any:
    """Compute a^b, with squaring for small integer b: for a million negative float32 a, NumPy takes 30 ms, this 0.5."""
    if not isinstance(a, np.ndarray):
        return np.power(a, b)
    if not (type(b) is int and 2 < b <= 16 and a.dtype.kind == "f" and a.dtype.itemsize > 2):
        return a**b  # the operator has other fast exponents
    half = _power(a, b // 2)
    return half * half * a if b % 2 else half * half


@power.vjp
def _(g: Any, needs: Any, a: Any, b: Any) -> Any:
    if type(b) in (int, float) and b >= 1:  # the usual case, in which nothing is divided
        a = widened(a)
        return g * (b * (a if b == 2 else _power(a, b - 1))), None
    da = db = None
    a, b = widened(a), widened(b) * 1  # booleans become integers, which can be subtracted
    x, exponent = plain(a), plain(b)
    with np.errstate(divide="ignore"):
        if needs[0]:
            # The exponent is b - 1, but stays 0 where b = 0: 0 a^0 = 0. If b is differentiated too, it stays only where
            # a is 0 as well: elsewhere the derivative of b a^(b-1) with respect to b is 1/a.
            less = exponent != 0 if exponent is b else (exponent != 0) | (x != 0)
            da = g * (b * _power(a, b - less))
        if needs[1]:
            y = _power(a, b)
            base = np.where((x == 0) & (exponent >= 0), 1, a)
            db = g * (y * np.log(base.astype(y.dtype)))
    return da, db


@primitive(broadcasts=True, entrywise=True)
def negative(x: Array) -> ForwardResult:
    """-x, entry by entry, for x of any shape.

    >>> negative([1.0, -2.0])
    tensor([-1.,  2.])
    """
    return np.negative(x), ()


negative.vjp(lambda g, needs: (-g,))


@elementary(np.absolute, lambda g, needs, x: (signed(g, x),))
def absolute(x: Array) -> Any:
    """The absolute value of each entry of x, of any shape; its gradient at 0 is 0. Also called ``abs``.

    >>> absolute([1.0, -2.0])
    tensor([1., 2.])
    """


def signed(g: Any, x: Array) -> Any:
    """Return g times the sign of x, an exact 0 where x is 0, even if g is infinite or NaN; the shapes broadcast."""
    return masked(g, x != 0) * np.sign(x)


@elementary(np.square, lambda g, needs, x: (2 * (g * x),))
def square(x: Array) -> Any:
    """x^2, entry by entry, for x of any shape.

    >>> square([1.0, -2.0])
    tensor([1., 4.])
    """


@elementary(np.sqrt, keeps="output")
def sqrt(x: Array) -> Any:
    """The square root, entry by entry, for x of any shape; the gradient at 0 is infinite.

    >>> sqrt([1.0, 4.0])
    tensor([1., 2.])
    """


@sqrt.vjp
def _(g: Any, needs: Any, y: Array) -> Any:
    with np.errstate(divide="ignore"):
        return (0.5 * g / y,)


@elementary(np.reciprocal, lambda g, needs, y: (-g * single(y) * single(y),), "output")
def reciprocal(x: Array) -> Any:
    """1 / x, entry by entry, for x of any shape. Integers stay integers, as in NumPy.

    >>> reciprocal([1.0, 4.0])
    tensor([1.  , 0.25])
    """


# --- exponentials and logarithms -------------------------------------------------------------------


@elementary(np.exp, lambda g, needs, y: (g * y,), "output")
def exp(x: Array) -> Any:
    """e^x, entry by entry, for x of any shape.

    >>> exp([0.0, 1.0]).numpy().round(4)
    array([1.    , 2.7183], dtype=float32)
    """


@elementary(np.expm1, lambda g, needs, x: (g * np.exp(x),))
def expm1(x: Array) -> Any:
    """e^x - 1, entry by entry, accurate for small x; x of any shape.

    >>> expm1([0.0, 1e-20])
    tensor([0.e+00, 1.e-20])
    """


@elementary(np.log, lambda g, needs, x: (g / x,))
def log(x: Array) -> Any:
    """The natural logarithm, entry by entry, for x of any shape.

    >>> log([1.0, 4.0]).numpy().round(4)
    array([0.    , 1.3863], dtype=float32)
    """


@elementary(np.log1p, lambda g, needs, x: (g / (1 + x),))
def log1p(x: Array) -> Any:
    """log(1 + x), entry by entry, accurate for small x; x of any shape.

    >>> log1p([0.0, 1e-20])
    tensor([0.e+00, 1.e-20])
    """


@primitive(broadcasts=True, entrywise=True, commutative=True, residuals=("a", "b"))
def logaddexp(a: Array, b: Array) -> ForwardResult:
    """log(e^a + e^b), entry by entry, without overflow; the shapes broadcast.

    The gradient is e^a / (e^a + e^b) with respect to a, and 1 minus that with respect to b. So it is 1 and 0 if only a
    is inf, one half each if both are inf, and 0 for both if both are -inf.

    >>> logaddexp([0.0, -1000.0], [1000.0, -1000.0]).numpy().round(2)
    array([1000.  , -999.31], dtype=float32)
    """
    return np.logaddexp(a, b), (a, b)


@logaddexp.vjp
def _(g: Any, needs: Any, a: Any, b: Any) -> Any:
    from .activations import sigmoid_of

    # Use the difference of a and b, because a - logaddexp(a, b) would round.
    x, y = plain(a), plain(b)
    with np.errstate(invalid="ignore", over="ignore"):
        d = np.where(np.isinf(x) & np.equal(x, y), 0, single(np.subtract(a, b)))  # inf - inf is NaN, and 0 here
    g = masked(g, np.maximum(x, y) != -np.inf)
    return g * sigmoid_of(d) if needs[0] else None, g * sigmoid_of(-d) if needs[1] else None


# --- trigonometric and hyperbolic functions ----------------------------------------------------------


@elementary(np.sin, lambda g, needs, x: (g * np.cos(x),))
def sin(x: Array) -> Any:
    """The sine of x in radians, entry by entry, for x of any shape.

    >>> sin([0.0, 1.0]).numpy().round(4)
    array([0.    , 0.8415], dtype=float32)
    """


@elementary(np.cos, lambda g, needs, x: (-g * np.sin(x),))
def cos(x: Array) -> Any:
    """The cosine of x in radians, entry by entry, for x of any shape.

    >>> cos([0.0, 1.0]).numpy().round(4)
    array([1.    , 0.5403], dtype=float32)
    """


@elementary(np.tan, lambda g, needs, y: (g * (1 + np.square(single(y))),), "output")
def tan(x: Array) -> Any:
    """The tangent of x in radians, entry by entry, for x of any shape.

    >>> tan([0.0, 1.0]).numpy().round(4)
    array([0.    , 1.5574], dtype=float32)
    """


def _over_root(g: Any, x: Any) -> Any:
    """g / sqrt(1 - x^2), without cancellation."""
    x = single(x)
    with np.errstate(divide="ignore"):
        return g / np.sqrt((1 - x) * (1 + x))


@elementary(np.arcsin, lambda g, needs, x: (_over_root(g, x),))
def arcsin(x: Array) -> Any:
    """The angle in [-pi/2, pi/2] with sine x, entry by entry; the gradient at -1 and 1 is infinite.

    >>> arcsin([0.0, 1.0]).numpy().round(4)
    array([0.    , 1.5708], dtype=float32)
    """


@elementary(np.arccos, lambda g, needs, x: (_over_root(-g, x),))
def arccos(x: Array) -> Any:
    """The angle in [0, pi] with cosine x, entry by entry; the gradient at -1 and 1 is -inf.

    >>> arccos([1.0, 0.0]).numpy().round(4)
    array([0.    , 1.5708], dtype=float32)
    """


@elementary(np.arctan)
def arctan(x: Array) -> Any:
    """The angle in [-pi/2, pi/2] with tangent x, entry by entry, for x of any shape.

    >>> arctan([0.0, 1.0]).numpy().round(4)
    array([0.    , 0.7854], dtype=float32)
    """


@arctan.vjp
def _(g: Any, needs: Any, x: Array) -> Any:
    with np.errstate(over="ignore"):  # x^2 may overflow: the derivative is then 0
        return (g / (1 + np.square(single(x))),)


@primitive(broadcasts=True, entrywise=True, residuals=("y", "x"))
def arctan2(y: Array, x: Array) -> ForwardResult:
    """The angle of the point (x, y) in [-pi, pi], entry by entry; the shapes broadcast.

    The gradient is (x, -y) / (x^2 + y^2), and 0 at the origin.

    >>> arctan2([0.0, 1.0], [1.0, 1.0]).numpy().round(4)
    array([0.    , 0.7854], dtype=float32)
    """
    return np.arctan2(y, x), (y, x)


@arctan2.vjp
def _(g: Any, needs: Any, y: Any, x: Any) -> Any:
    # Compute x / (x^2 + y^2) in units of the larger of x and y, a constant, which neither over- nor underflows.
    unit = single(np.maximum(np.abs(plain(y)), np.abs(plain(x))))
    origin = unit == 0
    unit = np.where(origin, 1, unit)
    y, x = np.where(origin, 1, y / unit), x / unit
    g = masked(g, ~origin) / ((x * x + y * y) * unit)
    return g * x if needs[0] else None, -g * y if needs[1] else None


@elementary(np.sinh, lambda g, needs, x: (g * np.cosh(x),))
def sinh(x: Array) -> Any:
    """The hyperbolic sine, entry by entry, for x of any shape.

    >>> sinh([0.0, 1.0]).numpy().round(4)
    array([0.    , 1.1752], dtype=float32)
    """


@elementary(np.cosh, lambda g, needs, x: (g * np.sinh(x),))
def cosh(x: Array) -> Any:
    """The hyperbolic cosine, entry by entry, for x of any shape.

    >>> cosh([0.0, 1.0]).numpy().round(4)
    array([1.    , 1.5431], dtype=float32)
    """


@elementary(np.tanh, lambda g, needs, y: (g * (1 - y * y),), "output")
def tanh(x: Array) -> Any:
    """The hyperbolic tangent, entry by entry, for x of any shape.

    >>> tanh([0.0, 1.0]).numpy().round(4)
    array([0.    , 0.7616], dtype=float32)
    """


# --- choices -----------------------------------------------------------------------------------------


def _share(g: Any, lost: Any, tied_or_lost: Any) -> Any:
    """Return a share of the cotangent: all of g if it won or either is NaN, half if it tied, 0 if it lost."""
    half = 0.5 * g
    return masked(half, ~lost) + masked(half, ~tied_or_lost)


@primitive(broadcasts=True, entrywise=True, commutative=True, residuals=("a", "b"))
def maximum(a: Array, b: Array) -> ForwardResult:
    """The larger of a and b, entry by entry; the shapes broadcast. Ties share the gradient equally.

    If one of them is NaN, so is the result, and both get its whole gradient.

    >>> maximum([1.0, 5.0], 3)
    tensor([3., 5.])
    """
    return np.maximum(a, b), (a, b)


maximum.vjp(
    lambda g, needs, a, b: (
        _share(g, np.less(a, b), np.less_equal(a, b)) if needs[0] else None,
        _share(g, np.less(b, a), np.less_equal(b, a)) if needs[1] else None,
    )
)


@primitive(broadcasts=True, entrywise=True, commutative=True, residuals=("a", "b"))
def minimum(a: Array, b: Array) -> ForwardResult:
    """The smaller of a and b, entry by entry; the shapes broadcast. Ties share the gradient equally.

    If one of them is NaN, so is the result, and both get its whole gradient.

    >>> minimum([1.0, 5.0], 3)
    tensor([1., 3.])
    """
    return np.minimum(a, b), (a, b)


minimum.vjp(lambda g, needs, a, b: maximum.primitive.vjp(g, needs, b, a))


@primitive(broadcasts=True, entrywise=True, residuals=("x", "constant", "constant"))
def clip(x: Array, min: Any = None, max: Any = None) -> ForwardResult:
    """x, of any shape, limited to [min, max]; the shapes broadcast, and None means no bound.

    The gradient of x is 1 on the closed interval, including its bounds, and 0 outside.

    Args:
        min, max: numbers, arrays or tensors; constants. Tracked bounds need :func:`minimum` and :func:`maximum`.

    Raises:
        TypeError: if a bound is not numeric, or a tracked tensor.
        ValueError: if min > max anywhere, a bound is NaN, or the shapes do not broadcast.

    >>> clip([1.0, 5.0], max=3), clip([1.0, 5.0], max=[0.5, 9.0])
    (tensor([1., 3.]), tensor([0.5, 5. ]))
    """
    low, high = _bound("min", min), _bound("max", max)
    if low is not None and high is not None and (crossed := np.asarray(low > high)).any():
        lowest, highest = (np.broadcast_to(bound, crossed.shape)[crossed][0] for bound in (low, high))
        raise ValueError(f"min {lowest} is above max {highest}. Swap them, or use maximum and then minimum")
    return x.clip(low, high), (x, low, high)


@clip.vjp
def _(g: Any, needs: Any, x: Array, low: Any, high: Any) -> Any:
    if low is not None:
        g = masked(g, x >= low)
    if high is not None:
        g = masked(g, x <= high)
    return (g,)


def _bound(name: str, value: Any) -> Any:
    """Return a bound as an array, or as a Python number, which is weakly typed."""
    bound = plain(value)
    if bound is not None and not isinstance(bound, (bool, int, float)):
        try:
            bound = as_array(bound)
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
    if isinstance(bound, (np.ndarray, np.generic)) and not bound.ndim:
        bound = bound.item()
    if (wrong := bound != bound) is not False and np.any(wrong):
        raise ValueError(f"{name} is NaN")
    return bound


@primitive(broadcasts=True, entrywise=True, residuals=("condition",))
def where(condition: Array, x: Array, y: Array) -> ForwardResult:
    """x where the condition holds, y elsewhere, entry by entry; the three shapes broadcast.

    The branch not taken gets an exact 0 as its cotangent. If its own derivative there is infinite or
    NaN, the chain rule still gives NaN (0 times inf). Then use a second ``where`` inside to keep bad values out of that
    branch:

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


where.vjp(
    lambda g, needs, condition: (
        None,
        masked(g, condition) if needs[1] else None,
        masked(g, np.logical_not(condition)) if needs[2] else None,
    )
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


astype.vjp(lambda g, needs: (g,))  # the engine casts


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
    """Round x entry by entry to a number of decimals, halves to the even neighbour. The result is a constant.

    Args:
        decimals: negative to round to tens, hundreds …

    >>> round([0.5, 1.5, 2.37]), round([2.37], 1)
    (tensor([0., 2., 2.]), tensor([2.4]))
    """


@constant(np.isfinite)
def isfinite(x: Array) -> Any:
    """Return whether x is neither infinite nor NaN, entry by entry: booleans of x's shape.

    >>> isfinite([1.0, float("inf"), float("nan")])
    tensor([ True, False, False])
    """


@constant(np.isinf)
def isinf(x: Array) -> Any:
    """Return whether x is infinite, entry by entry: booleans of x's shape.

    >>> isinf([1.0, -float("inf"), float("nan")])
    tensor([False,  True, False])
    """


@constant(np.isnan)
def isnan(x: Array) -> Any:
    """Return whether x is NaN, entry by entry: booleans of x's shape.

    >>> isnan([1.0, float("nan")])
    tensor([False,  True])
    """


@constant(np.equal)
def equal(a: Array, b: Array) -> Any:
    """Return whether a = b, entry by entry: booleans; the shapes broadcast.

    >>> equal([1.0, 2.0], 2)
    tensor([False,  True])
    """


@constant(np.not_equal)
def not_equal(a: Array, b: Array) -> Any:
    """Return whether a differs from b, entry by entry: booleans; the shapes broadcast. NaN differs from itself.

    >>> not_equal([1.0, 2.0], 2)
    tensor([ True, False])
    """


@constant(np.less)
def less(a: Array, b: Array) -> Any:
    """Return whether a < b, entry by entry: booleans; the shapes broadcast.

    >>> less([1.0, 2.0], 2)
    tensor([ True, False])
    """


@constant(np.less_equal)
def less_equal(a: Array, b: Array) -> Any:
    """Return whether a <= b, entry by entry: booleans; the shapes broadcast.

    >>> less_equal([1.0, 2.0], 1)
    tensor([ True, False])
    """


@constant(np.greater)
def greater(a: Array, b: Array) -> Any:
    """Return whether a > b, entry by entry: booleans; the shapes broadcast.

    >>> greater([1.0, 2.0], 1)
    tensor([False,  True])
    """


@constant(np.greater_equal)
def greater_equal(a: Array, b: Array) -> Any:
    """Return whether a >= b, entry by entry: booleans; the shapes broadcast.

    >>> greater_equal([1.0, 2.0], 2)
    tensor([False,  True])
    """


@constant(np.logical_and)
def logical_and(a: Array, b: Array) -> Any:
    """Return whether a and b are both true (not 0), entry by entry: booleans; the shapes broadcast.

    >>> logical_and([True, False], True)
    tensor([ True, False])
    """


@constant(np.logical_or)
def logical_or(a: Array, b: Array) -> Any:
    """Return whether a or b is true (not 0), entry by entry: booleans; the shapes broadcast.

    >>> logical_or([True, False], False)
    tensor([ True, False])
    """


@constant(np.logical_xor)
def logical_xor(a: Array, b: Array) -> Any:
    """Return whether exactly one of a and b is true (not 0), entry by entry: booleans; the shapes broadcast.

    >>> logical_xor([True, False], True)
    tensor([False,  True])
    """


@constant(np.logical_not)
def logical_not(x: Array) -> Any:
    """Return whether x is false (0), entry by entry: booleans of x's shape.

    >>> logical_not([True, False])
    tensor([False,  True])
    """
