"""Compare VJPs with numerical derivatives, entry by entry or along random directions.

:mod:`.differences` computes numerical derivatives and their errors. This module decides whether a VJP is right, wrong
or unknown. It is unknown if the function jumps near the point, or is constant between jumps, and no step confirms the
VJP. An unknown VJP is an error, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from ..backward import graph_of, reverse_pass, seed_of
from ..core import Leaf, Tensor, enable_grad, no_grad
from ..higher_order import create_graph
from ..rng import generator
from ..spec import Array, as_array
from ..transforms import vjp
from .differences import RESOLUTION, STEP, Points, Slopes, entry_moves, precision_of, steps_of

__all__ = ["TOLERANCES", "GradcheckError", "gradcheck", "gradgradcheck"]

TOLERANCES = {np.dtype(np.float64): (1e-6, 0.0), np.dtype(np.float32): (2e-3, 2e-4),
              np.dtype(np.float16): (5e-2, 2e-2)}  # fmt: skip
"""(rtol, share) for each dtype. rtol is relative to the terms that add up to an entry; share is a fraction of the
gradient's largest entry.

In float32 and float16, rounding errors of a function's operations add up. The error of an operation like 1 - tanh^2 is
as large for small entries as for large ones.
"""


class GradcheckError(AssertionError):
    """A VJP disagrees with the numerical derivative, or could not be checked."""


def gradcheck(
    f: Callable[..., Any],
    inputs: Any,
    *,
    rtol: float | None = None,
    atol: float = 0.0,
    directions: int = 3,
    entries: bool = True,
    rng: np.random.Generator | int | None = 0,
) -> bool:
    """Check the reverse-mode gradients of a function, for every floating input, against numerical ones.

    For a random cotangent u, a reverse pass computes u'J in the inputs' own dtypes. The check compares u'J with the
    numerical gradient entry by entry. Without ``entries``, it first compares u'J v with the numerical derivative along
    random directions v of all inputs together, and checks entries only if these disagree. If there are several outputs,
    it repeats this for each output by itself, with None as the other cotangents. If there are several inputs, the
    gradient of each must not change when only that gradient is computed.

    Tolerances are relative to the terms that a derivative is a sum of. So they suit functions of size 1e-30, and
    derivatives of functions with a constant part of 1e10. If rounding of the outputs hides a derivative (of 1e-8 beside
    1e10), the check raises an error.

    Args:
        f: a deterministic function of tensors that returns a tensor or a tuple of tensors.
        inputs: a list or tuple of arrays or tensors (or a single one); integers and booleans are passed as constants.
        rtol: the tolerance relative to the terms; by default from :data:`TOLERANCES` for the coarsest dtype among the
            inputs.
        atol: an additional absolute tolerance for an entry of a gradient, such as 1e-9 if the derivative is 0 up to
            rounding.
        directions: the number of random directions without ``entries``.
        entries: check each entry, with four evaluations of ``f`` for each.
        rng: the random generator, or its seed, for cotangents and directions.

    Returns:
        True. Every gradient agrees to ``rtol``, or to 0.1 % if round-off hides smaller differences.

    Raises:
        GradcheckError: for a wrong gradient; names the primitives, the argument and the worst entry. Also if a VJP
            fails when the cotangent of an unused output is None. Also if nothing was checked, because no output depends
            on an input, rounding hides the derivative, or the function jumps or is random.
        TypeError: if no input is floating, or ``f`` returns anything but tensors.

    >>> import minigrad as mg
    >>> gradcheck(mg.ops.multiply, [np.ones(3), np.arange(3.0)])
    True
    """
    check = _Check(f, *_floating(inputs), generator(rng), rtol, atol)
    try:
        if entries or not check.agrees_along(directions):
            check.entries()
        check.each_alone()
    finally:  # a random function may fail although its VJP is right, or pass by chance
        check.refuse_random()
    return True


def gradgradcheck(f: Callable[..., Any], inputs: Any, **options: Any) -> bool:
    """Check a function's second derivatives: those of its gradients, against differences of gradients.

    With random cotangents u, the gradient u'J(x) is a function of x and u. A pass that leaves a graph computes its
    gradients with respect to both. :func:`gradcheck` compares them with numerical ones.

    Args:
        f, inputs, options: as for :func:`gradcheck`.

    Returns:
        True. Every second derivative agrees.

    Raises:
        GradcheckError, TypeError: as :func:`gradcheck`. TypeError also for a primitive without a second derivative.

    >>> import minigrad as mg
    >>> gradgradcheck(mg.ops.tanh, [np.arange(3.0)])
    True
    """
    arrays, chosen = _floating(inputs)

    def floats(*points: Any) -> tuple[Tensor, ...]:
        moved = dict(zip(chosen, points, strict=True))
        return tuple(_outputs(f(*(moved.get(i, Tensor(a)) for i, a in enumerate(arrays)))))

    with enable_grad():
        outputs = floats(*(Tensor(arrays[i], requires_grad=True) for i in chosen))
    random = generator(options.get("rng", 0))
    cotangents = [random.standard_normal(o.shape).astype(o.dtype) for o in outputs]

    def gradients(*args: Any) -> tuple[Tensor, ...]:
        with create_graph():
            _, pullback = vjp(floats, *args[: len(chosen)])
            return pullback(*args[len(chosen) :])  # type: ignore[no-any-return]

    try:
        return gradcheck(gradients, [*(arrays[i] for i in chosen), *cotangents], **options)
    except GradcheckError as error:
        error.add_note(
            f"gradgradcheck of {_names(f, outputs)}: the function that was checked is its gradient, which takes its "
            f"{len(chosen)} floating input(s) and then {len(cotangents)} cotangent(s) of its outputs"
        )
        raise


class _Check:
    """One run of :func:`gradcheck`."""

    def __init__(
        self, f: Callable[..., Any], arrays: list[Array], chosen: list[int], random: np.random.Generator,
        rtol: float | None, atol: float,
    ) -> None:  # fmt: skip
        self.f, self.arrays, self.chosen, self.random, self.atol = f, arrays, chosen, random, atol
        coarsest = min((arrays[i].dtype for i in chosen), key=lambda d: d.itemsize)
        # rtol is relative to the terms of an entry, share to the largest entry of the argument's gradient
        own, self.share = TOLERANCES.get(coarsest, TOLERANCES[np.dtype(np.float64)])
        self.rtol = own if rtol is None else rtol
        tensors, outputs = self._trace(chosen)
        self.names = _names(f, outputs)
        if all(o.node is None for o in outputs):
            raise self._error(
                "nothing was checked: no floating output depends on an input by differentiable operations"
            )
        self.cotangents = [random.standard_normal(o.shape).astype(o.dtype) for o in outputs]
        # The sets of outputs whose cotangents are not None: all of them, then each by itself.
        numbers = tuple(range(len(outputs)))
        self.sets = [numbers, *((k,) for k in numbers if len(numbers) > 1)]
        self.subjects = ["", *(f", of output {k} alone" for k in numbers)]
        self.gradients = [
            self._gradients_of(tensors, outputs, *pair) for pair in zip(self.sets, self.subjects, strict=False)
        ]
        weights = [np.concatenate([u.ravel() * (k in s) for k, u in enumerate(self.cotangents)]) for s in self.sets]
        point = {i: arrays[i].astype(np.float64) for i in chosen}
        # most functions of float64 points compute in float64, not in the inputs' own dtypes
        precision = np.concatenate([np.full(o.size, precision_of(o.dtype)) for o in self._outputs_at(point)])
        self.slopes = Slopes(
            lambda at: np.concatenate([o.data.reshape(-1).astype(np.float64) for o in self._outputs_at(at)]),
            point, np.array(weights, np.float64), precision,
        )  # fmt: skip

    def _trace(self, tracked: Sequence[int]) -> tuple[list[Tensor], list[Tensor]]:
        """Return the inputs, some of them tracked, and the outputs, in the inputs' own dtypes."""
        tensors = [Tensor(a, requires_grad=i in tracked) for i, a in enumerate(self.arrays)]
        with enable_grad(), create_graph():  # also for functions that are derivatives themselves
            return tensors, _outputs(self.f(*tensors))

    def _outputs_at(self, points: Points) -> list[Tensor]:
        with no_grad():
            return _outputs(self.f(*(Tensor(points.get(i, a)) for i, a in enumerate(self.arrays))))

    def _error(self, problem: str) -> GradcheckError:
        return GradcheckError(f"gradcheck of {self.names}: {problem}")

    def _gradients_of(
        self, tensors: list[Tensor], outputs: list[Tensor], these: tuple[int, ...], subject: str
    ) -> Points:
        """Return the gradient of each tracked input, given cotangents of some outputs."""
        seeds = [seed_of(outputs[k], self.cotangents[k]) for k in these if outputs[k].node is not None]
        try:
            found = reverse_pass(seeds, retain_graph=True) if seeds else {}
        except Exception as error:
            others = [f"output {k}" for k in self.sets[0] if k not in these]
            if not others and "NoneType" not in str(error):
                raise
            raise self._error(
                f"the VJP fails if the cotangent of {' and '.join(others) or 'an output in it'} is None, as it "
                f"is for every output that is not used: {type(error).__name__}: {error}"
            ) from error
        gradients = {}
        for i in self.chosen:
            if (node := tensors[i].node) is not None:
                grad = found.get(cast(Leaf, node), np.zeros_like(self.arrays[i]))
                if grad.dtype != self.arrays[i].dtype or grad.shape != self.arrays[i].shape:
                    raise self._error(f"argument {i} has a gradient with a wrong shape or dtype{subject}")
                gradients[i] = grad.astype(np.float64)
        return gradients

    def refuse_random(self) -> None:
        """Raise if the function returns different values when it is called again."""
        slopes = self.slopes
        allowed = slopes.rounding + 1e-13 * _largest(slopes.base)
        for _ in range(1 + 8 // max(1, slopes.base.size)):  # a single output may be the same by chance
            if not np.isclose(slopes.outputs(slopes.point), slopes.base, 0, allowed, equal_nan=True).all():
                raise self._error(
                    "nothing was checked: the function returns different values at the same point. "
                    "Pass a random seed to it, such as rng=0."
                )

    def _judge(
        self, move: Points, analytic: Array, claimed: Array, allowed: Array, largest: float
    ) -> tuple[Array, Array, Array]:
        """Compare the VJP with the numerical derivative along a displacement.

        All arrays have an entry for each set of outputs.

        Args:
            analytic: the derivative by the VJP.
            claimed: the size of the gradient by the VJP.
            allowed: an absolute tolerance.
            largest: the largest step to try, in units of the displacement.

        Returns:
            the numerical derivative; its difference from the VJP's, divided by the tolerance, so that more than 1 is
            wrong; and the doubt. The doubt is 0 for a derivative that is known well enough, infinite if the function
            jumps, and otherwise the error due to rounding.
        """
        slope, terms, noise, _ = self.slopes.along(move)
        missed = np.abs(analytic - slope)
        good = missed <= self.rtol * terms + allowed + noise
        good &= noise <= self.rtol * np.maximum(terms, claimed) + allowed
        nothing = (analytic == 0) & (terms == 0)
        if good.all() and (not nothing.any() or self.slopes.is_constant(move, 0.1 * largest)):
            return slope, np.zeros_like(missed), np.zeros_like(missed)
        slope, terms, error, jumps, constant = self.slopes.best(move, largest)
        missed = np.abs(analytic - slope)
        known = (error <= RESOLUTION * np.maximum(terms, claimed) + allowed) | ((analytic == 0) & (slope == 0))
        with np.errstate(all="ignore"):
            excess = np.where(missed == 0, 0.0, missed / (self.rtol * terms + allowed + error))
        # The usual step would have shown the slope of larger ones, so the derivative between jumps is 0.
        between = nothing & (self.slopes.sizes @ self.slopes.rounding <= RESOLUTION * terms)
        unknown = (excess > 1) & ~between & (jumps | (constant & (analytic == 0)))
        doubt = np.where(unknown, np.inf, np.where(known | between, 0.0, error))
        return slope, np.where(between | unknown, 0.0, np.where(np.isnan(excess), np.inf, excess)), doubt

    def agrees_along(self, number: int) -> bool:
        """Return whether the derivatives along some random directions are right and known.

        If not, the check of entries decides, since it chooses a step for each entry. The step along a direction may be
        too large for a small entry and cross a pole or a kink.
        """
        for k in range(number):
            drawn = {i: np.asarray(self.random.standard_normal(x.shape)) for i, x in self.slopes.point.items()}
            norm = max(1.0, math.sqrt(sum(float((v * v).sum()) for v in drawn.values())))
            move = {  # in every second direction, small entries have smaller steps
                i: drawn[i] / norm * (STEP * np.maximum(1.0, np.abs(x)) if k % 2 else steps_of(x))
                for i, x in self.slopes.point.items()
            }
            products = [[p[i] * v for i, v in move.items()] for p in self.gradients]
            analytic = np.array([sum(float(d.sum()) for d in several) for several in products])
            claimed = np.array([sum(float(np.abs(d).sum()) for d in several) for several in products])
            reach = np.array(
                [sum(float(np.abs(v).sum()) * _largest(p[i]) for i, v in move.items()) for p in self.gradients]
            )
            atol = self.atol * math.sqrt(sum(float((v * v).sum()) for v in move.values()))
            allowed = atol + (self.rtol + self.share) * claimed + self.share * reach
            _, excess, doubt = self._judge(move, analytic, claimed, allowed, 1e4)
            if (excess > 1).any() or (doubt > 0).any():
                return False
        return True

    def entries(self) -> None:
        """Compare all entries; raise for the worst one, or if rounding hides the entries of an argument."""
        worst, most = "", 1.0
        hidden = np.zeros((len(self.sets), len(self.arrays)))
        for i in self.chosen:
            sizes = np.array([_largest(gradients[i]) for gradients in self.gradients])
            for index, step, move, largest in entry_moves(self.slopes.point[i]):
                analytic = np.array([gradients[i][index] for gradients in self.gradients]) * step
                allowed = (self.atol + self.share * sizes) * step
                slope, excess, doubt = self._judge({i: move}, analytic, sizes * step, allowed, largest)
                hidden[:, i] = np.maximum(hidden[:, i], doubt / step)
                if excess.max() > most:
                    k, most = int(np.argmax(excess)), excess.max()
                    worst = (
                        f"{self._argument(i, index)}: the VJP gives {analytic[k] / step:.9g}, "
                        f"central differences {slope[k] / step:.9g}{self.subjects[k]}"
                    )
        if worst:
            raise self._error(worst)
        for k, i in np.argwhere(hidden):
            error = float(hidden[k, i])
            reason = (
                f"but differences are off by {error:.3g}, since rounding of the outputs hides the derivative. Leave "
                "out a large constant part of the outputs, or pass atol if this error is small enough"
            )
            if math.isinf(error):
                reason = "but the function jumps at the point, or within the usual step from it; check it elsewhere"
            raise self._error(
                f"nothing was checked of {self._argument(i)}{self.subjects[k]}: "
                f"the VJP gives up to {_largest(self.gradients[k][i]):.3g}, {reason}"
            )

    def each_alone(self) -> None:
        """Raise if the gradient of an input differs when only this gradient is computed."""
        for i in self.chosen if len(self.chosen) > 1 else ():
            alone = self._gradients_of(*self._trace([i]), self.sets[0], ", when only it is computed")[i]
            together = self.gradients[0][i]
            allowed = self.rtol * np.abs(together) + self.share * _largest(together) + self.atol
            for place in np.argwhere(~(np.abs(alone - together) <= allowed)):
                index = tuple(map(int, place))
                raise self._error(
                    f"{self._argument(i, index)}: the VJP gives {alone[index]:.9g} when only it is computed, "
                    f"but {together[index]:.9g} together with the others"
                )

    def _argument(self, number: int, index: tuple[int, ...] = ()) -> str:
        name = f" ({self.f.primitive.input_name(number)})" if hasattr(self.f, "primitive") else ""
        return f"argument {number}{name}{f' at entry {list(index)}' if index else ''}"


def _floating(inputs: Any) -> tuple[list[Array], list[int]]:
    """Copy a function's inputs; return the copies and the numbers of the floating ones."""
    given = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    arrays = [np.array(x.data if isinstance(x, Tensor) else as_array(x)) for x in given]
    chosen = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    if not chosen:
        raise TypeError("gradcheck: no input has a floating dtype")
    return arrays, chosen


def _largest(array: Array) -> float:
    """Return the largest finite magnitude."""
    return float(np.max(np.abs(array), where=np.isfinite(array), initial=0.0))


def _outputs(out: Any) -> list[Tensor]:
    """Return the floating outputs; integers have no derivative."""
    outputs = out if isinstance(out, tuple) else (out,)
    for o in outputs:
        if not isinstance(o, Tensor):
            raise TypeError(f"gradcheck: the function must return a tensor or tuple of tensors, not {type(o).__name__}")
    return [o for o in outputs if o.dtype.kind == "f"]


def _names(f: Callable[..., Any], outputs: Sequence[Tensor]) -> str:
    """Name the primitives in the graph, or the function itself if it is a primitive or there are many."""
    nodes = graph_of([o.node for o in outputs if o.node is not None]).nodes
    primitives = dict.fromkeys(n.primitive.name for n in nodes if n.primitive is not None)
    if hasattr(f, "primitive") or not 0 < len(primitives) <= 8:
        return getattr(f, "__name__", "a function")
    return "/".join(primitives)
