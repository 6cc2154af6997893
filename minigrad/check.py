"""Gradient checks: compare VJPs with numerical derivatives, along random directions and entry by entry.

Numerical derivatives are taken in float64 by the fourth-order central difference
(8 (f(x+h) - f(x-h)) - (f(x+2h) - f(x-2h))) / 12h, whose error is of order h^4 + eps/h: with h = 1e-4
about 1e-12 of the function's size, so that tolerances can be tight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from .backward import graph_of, reverse_pass, seed_of
from .core import Leaf, Tensor, no_grad, recording
from .rng import generator
from .spec import Array, as_array

__all__ = ["TOLERANCES", "GradcheckError", "gradcheck", "numerical_gradient"]

# (rtol, atol) by the dtype in which the VJP is computed: about the square root of what the dtype
# resolves for float32 and float16, where rounding adds up over the operations of a function.
TOLERANCES = {np.dtype(np.float64): (1e-6, 1e-8), np.dtype(np.float32): (2e-3, 2e-4),
              np.dtype(np.float16): (5e-2, 2e-2)}  # fmt: skip
_STEP = 1e-4


class GradcheckError(AssertionError):
    """A VJP disagrees with the numerical derivative."""


def _difference(f: Callable[[float], float], h: float) -> float:
    """df/dt at 0 by the fourth-order central difference."""
    return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h)


def numerical_gradient(f: Callable[..., Any], x: Any, cotangent: Any = None, h: float = _STEP) -> Array:
    """The gradient of <cotangent, f(x)> by central differences in float64, entry by entry.

    Args:
        f: a function of one tensor that returns a tensor.
        x: floats of any shape; not changed.
        cotangent: of the output's shape; may be left out if the output is a single number.
        h: the step, in units of the entry's size or 1, whichever is larger.

    Returns:
        float64 of x's shape.

    Raises:
        ValueError: if the output has several entries and no cotangent of its shape is given.

    >>> numerical_gradient(lambda x: (x * x).sum(), [1.0, 2.0]).round(6)
    array([2., 4.])
    """
    point = np.array(x.data if isinstance(x, Tensor) else x, dtype=np.float64)
    weight = None if cotangent is None else np.asarray(cotangent, dtype=np.float64)

    def value() -> float:
        with no_grad():
            out = np.asarray(f(Tensor(point)).data, dtype=np.float64)
        if weight is None and out.size != 1:
            raise ValueError(f"numerical_gradient: an output of shape {out.shape} needs a cotangent of that shape")
        if weight is not None and weight.shape != out.shape:
            raise ValueError(f"numerical_gradient: cotangent {weight.shape} does not fit the output {out.shape}")
        return float(out.sum() if weight is None else np.vdot(weight, out))

    gradient = np.zeros_like(point)
    for index in np.ndindex(point.shape):
        kept = point[index]

        def moved(t: float, index: Any = index, kept: Any = kept) -> float:
            point[index] = kept + t
            return value()

        gradient[index] = _difference(moved, h * max(1.0, float(abs(kept))))
        point[index] = kept
    return gradient


def gradcheck(
    f: Callable[..., Any],
    inputs: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    directions: int = 3,
    entries: bool = True,
    rng: np.random.Generator | int | None = 0,
) -> bool:
    """Check a function's reverse-mode gradients in every floating input against numerical ones.

    A random cotangent u is pulled back once, in the inputs' own dtypes, to u'J. Then u'J v is compared
    with the numerical derivative along random directions v of all inputs together, and, if ``entries``,
    u'J with the numerical gradient entry by entry.

    Args:
        f: a function of tensors that returns a tensor or a tuple of tensors.
        inputs: a list or tuple of arrays or tensors (or a single one); integers and booleans are passed as constants.
        rtol, atol: tolerances; by default from :data:`TOLERANCES` for the coarsest dtype among the inputs.
        directions: how many random directions.
        entries: also check each entry (two times two evaluations of ``f`` for each).
        rng: where cotangents and directions come from.

    Returns:
        True; a wrong gradient raises.

    Raises:
        GradcheckError: names the primitives, the argument and the worst entry.
        TypeError: if no input is floating, or ``f`` returns anything but tensors.

    >>> import minigrad as mg
    >>> gradcheck(mg.ops.multiply, [np.ones(3), np.arange(3.0)])
    True
    """
    random = generator(rng)
    given = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    arrays = [np.array(x.data if isinstance(x, Tensor) else as_array(x)) for x in given]
    chosen = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    if not chosen:
        raise TypeError("gradcheck: no input is of a floating dtype")
    tensors = [Tensor(a, requires_grad=i in chosen) for i, a in enumerate(arrays)]
    with recording():
        outputs = _outputs(f(*tensors))
    cotangents = [random.standard_normal(o.shape) for o in outputs]
    names = _names(f, outputs)
    seeds = [seed_of(o, u) for o, u in zip(outputs, cotangents, strict=True) if o.node is not None]
    found: dict[Leaf, Array] = reverse_pass(seeds) if seeds else {}
    pulled = {i: found.get(cast(Leaf, tensors[i].node), np.zeros_like(arrays[i])) for i in chosen}
    for i in chosen:
        if pulled[i].dtype != arrays[i].dtype or pulled[i].shape != arrays[i].shape:
            raise GradcheckError(f"gradcheck of {names}: argument {i} has a gradient of another shape or dtype")

    coarsest = min((arrays[i].dtype for i in chosen), key=lambda d: d.itemsize)
    defaults = TOLERANCES.get(coarsest, TOLERANCES[np.dtype(np.float64)])
    rtol, atol = defaults[0] if rtol is None else rtol, defaults[1] if atol is None else atol

    def value(points: dict[int, Array]) -> float:
        with no_grad():
            outs = _outputs(f(*(Tensor(points.get(i, a)) for i, a in enumerate(arrays))))
        return sum(float(np.vdot(u, o.data.astype(np.float64))) for u, o in zip(cotangents, outs, strict=True))

    wide = {i: arrays[i].astype(np.float64) for i in chosen}
    noise = 50 * np.finfo(np.float64).eps * abs(value(wide)) / _STEP  # rounding in the differences
    wrong = False
    for _ in range(directions):
        vs = {i: random.standard_normal(wide[i].shape) for i in chosen}
        norm = max(1.0, float(np.sqrt(sum((v * v).sum() for v in vs.values()))))
        numeric = _along(value, wide, {i: v / norm for i, v in vs.items()})
        terms = [pulled[i].astype(np.float64) * vs[i] / norm for i in chosen]
        analytic = sum(float(t.sum()) for t in terms)
        size = sum(float(np.abs(t).sum()) for t in terms)
        wrong |= not abs(analytic - numeric) <= atol + rtol * size + noise
    if entries or wrong:
        worst = _worst_entry(value, wide, pulled, rtol, atol + noise)
        if worst is not None:
            raise GradcheckError(_complaint(f, names, *worst))
    if wrong:
        raise GradcheckError(f"gradcheck of {names}: the derivative along a random direction is wrong")
    return True


def _along(value: Callable[[dict[int, Array]], float], point: dict[int, Array], direction: dict[int, Array]) -> float:
    """The derivative of ``value`` at ``point`` along a direction of some of its inputs."""
    return _difference(lambda t: value({**point, **{i: point[i] + t * v for i, v in direction.items()}}), _STEP)


def _outputs(out: Any) -> list[Tensor]:
    outputs = out if isinstance(out, tuple) else (out,)
    for o in outputs:
        if not isinstance(o, Tensor):
            raise TypeError(f"gradcheck: the function must return a tensor or a tuple of them, not {type(o).__name__}")
    return [o for o in outputs if o.dtype.kind == "f"]


def _names(f: Callable[..., Any], outputs: Sequence[Tensor]) -> str:
    """The primitives in the graph, or the function's own name if it is a primitive or there are many."""
    order = graph_of([o.node for o in outputs if o.node is not None])
    primitives = dict.fromkeys(n.primitive.name for n in order.nodes if n.primitive is not None)
    if hasattr(f, "primitive") or not 0 < len(primitives) <= 8:
        return getattr(f, "__name__", "a function")
    return "/".join(primitives)


def _worst_entry(
    value: Callable[[dict[int, Array]], float],
    wide: dict[int, Array],
    pulled: dict[int, Array],
    rtol: float,
    atol: float,
) -> tuple[int, tuple[int, ...], float, float] | None:
    """The entry whose gradient is farthest beyond its tolerance, or None."""
    worst, excess = None, 1.0
    for i, point in wide.items():
        for index in np.ndindex(point.shape):
            step = np.zeros_like(point)
            step[index] = 1.0
            numeric = _along(value, wide, {i: step})
            analytic = float(pulled[i][index])
            ratio = abs(analytic - numeric) / (atol + rtol * max(abs(numeric), abs(analytic)))
            if not ratio <= excess:  # so that NaN counts as wrong
                worst, excess = (i, index, analytic, numeric), float(ratio) if ratio == ratio else np.inf
    return worst


def _complaint(
    f: Callable[..., Any], names: str, number: int, index: tuple[int, ...], analytic: float, numeric: float
) -> str:
    record = getattr(f, "primitive", None)
    argument = f"argument {number}" + (f" ({record.input_name(number)})" if record is not None else "")
    where = f" at entry {list(index)}" if index else ""
    return f"gradcheck of {names}: {argument}{where}: the VJP gives {analytic:.9g}, central differences {numeric:.9g}"
