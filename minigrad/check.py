"""Gradient checks: compare VJPs with numerical derivatives, along random directions and entry by entry.

Numerical derivatives are taken in float64 by the fourth-order central difference along a displacement v of the inputs,

    D(t) = (8 (f(x + tv) - f(x - tv)) - (f(x + 2tv) - f(x - 2tv))) / 12t,

of every output by itself, so that a constant part of an output vanishes before the outputs are weighted and summed.
Its error is of order t^4 + eps |f| / t. A displacement is 1e-4 of an entry's size, or of 1 if that is larger, but not
more than 1e-2 of the entry, whose function may have a pole at 0. Where that disagrees with the VJP, D is taken at
steps of all sizes; two steps that agree best tell the derivative and how well it is known (Ridders, 1982).

Large steps may agree with one another and yet tell nothing: behind a pole, a kink or several periods. A derivative is a
limit, so where three steps in a row agree, they overrule what larger steps tell otherwise. Where the smallest steps
show a jump, or a function that is constant between jumps, and no step tells what the VJP does, nothing is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import numpy as np

from .backward import graph_of, reverse_pass, seed_of
from .core import Leaf, Tensor, no_grad, recording
from .rng import generator
from .runtime.contexts import errstate
from .spec import Array, as_array

__all__ = ["TOLERANCES", "GradcheckError", "gradcheck", "numerical_gradient"]

# By the dtype in which the VJP is computed: what an entry may differ by, in units of the terms that it is a sum of, and
# in units of the largest entry of its argument's gradient. In float32 and float16 rounding adds up over the operations
# of a function, and what an operation like 1 - tanh^2 loses is as large in small entries as in large ones.
TOLERANCES = {np.dtype(np.float64): (1e-6, 0.0), np.dtype(np.float32): (2e-3, 2e-4),
              np.dtype(np.float16): (5e-2, 2e-2)}  # fmt: skip
_STEP = 1e-4
_SMALLEST = -6  # the power of 10 of the smallest step that is tried, in units of the usual one
_RESOLUTION = 1e-3  # a derivative that differences tell less well, in units of its size, counts as not checked
_AGREE = 1e-3  # by how much of their size the derivatives of two steps may differ and be taken for the limit
_REPEATS = 8  # times that a function of one output is called again at the same point, to see whether it is random
_ROUNDING = 8  # units in the last place of each output, in the twelve differences' worst case

Points = dict[int, Array]


class GradcheckError(AssertionError):
    """A VJP disagrees with the numerical derivative, or nothing could be checked."""


class _Estimate(NamedTuple):
    """Derivatives of weighted sums of the outputs, an entry for each set of weights."""

    slope: Array
    terms: Array  # the sum of magnitudes of what the slope is a sum of
    noise: Array  # what rounding of the outputs that moved may contribute
    moved: Array  # which outputs did


class _Best(NamedTuple):
    """The best known derivatives of weighted sums of the outputs, an entry for each set of weights."""

    slope: Array
    terms: Array
    error: Array
    jumps: Array  # whether the smallest steps tell derivatives that grow without bound
    constant: Array  # whether nothing moves by the smallest steps, although it would by the slope


@dataclass
class _Slopes:
    """Numerical derivatives, at a point, of the outputs' sums with some sets of weights (a row each)."""

    outputs: Callable[[Points], Array]  # all in one float64 vector
    point: Points
    weights: Array
    precision: Array  # of each output, as its dtype has it

    def __post_init__(self) -> None:
        self.sizes = np.abs(self.weights)
        base = self.outputs(self.point)
        with errstate(all="ignore"):
            self.rounding = np.where(np.isfinite(base), _ROUNDING * self.precision * np.abs(base), 0)
        self.base = base

    def _at(self, move: Points, t: float) -> Array:
        """The outputs at the point moved by t; NaN where the function is not defined."""
        moved = {**self.point, **{i: self.point[i] + t * v for i, v in move.items()}}
        try:
            return self.outputs(moved)
        except (ValueError, ArithmeticError):
            return np.full_like(self.base, np.nan)

    def _change(self, move: Points, t: float) -> Array:
        ahead, behind = self._at(move, t), self._at(move, -t)
        return np.where(ahead == behind, 0.0, ahead - behind)  # infinities that stay do not count

    def along(self, move: Points, t: float = 1.0) -> _Estimate:
        """The derivative with respect to t, by differences of steps t and 2t."""
        with errstate(all="ignore"):
            near, far = self._change(move, t), self._change(move, 2 * t)
            each = (8 * near - far) / (12 * t)
            moved = (near != 0) | (far != 0)
            noise = self.sizes @ np.where(moved, self.rounding, 0) / t
            return _Estimate(self.weights @ each, self.sizes @ np.abs(each), noise, moved)

    def stays(self, move: Points, t: float) -> bool:
        """Whether not a bit of the outputs changes even by a large step."""
        with errstate(all="ignore"):
            return all(np.array_equal(self._at(move, s), self.base, equal_nan=True) for s in (t, -t))

    def best(self, move: Points, largest: float) -> _Best:
        """The derivatives of the steps that agree best among powers of 10, for each set of weights."""
        steps = [10.0**k for k in range(_SMALLEST, round(math.log10(largest)) + 1)]
        found = [self.along(move, t) for t in steps]
        moved = np.any([f.moved for f in found], axis=0)
        # Where nothing moves at all, it may move by less than rounding.
        rounding = self.sizes @ np.where(moved, self.rounding, 0) if moved.any() else self.sizes @ self.rounding
        blur = _blur(self.point, move)
        with errstate(all="ignore"):
            doubts = [
                np.abs(here.slope - there.slope) + rounding / t
                for here, there, t in zip(found, found[1:], steps[1:], strict=False)
            ]
            overruled = _overruled(found, doubts, steps, blur)
            slope, terms = np.full_like(rounding, np.nan), np.zeros_like(rounding)
            error = np.full_like(rounding, np.inf)
            for i, doubt in enumerate(doubts):
                here, there = found[i], found[i + 1]
                truncated = rounding / steps[i] <= np.abs(here.slope - there.slope)  # else rounding sets them apart
                better = (doubt < error) & ~overruled[i]
                slope = np.where(better, np.where(truncated, here.slope, there.slope), slope)
                terms = np.where(better, np.where(truncated, here.terms, there.terms), terms)
                error = np.where(better, doubt, error)
            small = [(f.terms, rounding / t) for f, t in zip(found, steps, strict=True) if blur <= 0.01 * t][:3]
            return _Best(slope, terms, error, *_breaks(small, terms))


def _breaks(small: list[tuple[Array, Array]], terms: Array) -> tuple[Array, Array]:
    """Whether a function jumps at the point, or is constant near it though not further off, by the smallest steps.

    Of those: the derivative's terms and what rounding may contribute, for each set of weights.
    """
    if len(small) < 3:
        return np.zeros(terms.shape, bool), np.zeros(terms.shape, bool)
    (first, noise), (second, _), (third, _) = small
    jumps = (first > 5 * second) & (second > 5 * third) & (first > 10 * noise)  # a jump's change over ever less
    constant = (first + second + third == 0) & (noise <= _RESOLUTION * terms)
    return jumps, constant


def _blur(point: Points, move: Points) -> float:
    """Units in the last place of the inputs that move, in units of their displacement."""
    size = sum(float(np.abs(point[i]).sum(where=v != 0)) for i, v in move.items())
    length = sum(float(np.abs(v).sum()) for v in move.values())
    return 4 * float(np.finfo(np.float64).eps) * size / length if length else 0.0


def _overruled(found: list[_Estimate], doubts: list[Array], steps: list[float], blur: float) -> list[Array]:
    """For each two steps in a row, and each set of weights, whether smaller ones agree on another derivative."""
    overruled = [np.zeros(doubt.shape, bool) for doubt in doubts]
    for j in range(len(found) - 2):
        near, far = found[j], found[j + 2]
        agreed = (near.terms > 0) & (doubts[j] <= _AGREE * near.terms)
        agreed &= np.abs(near.slope - far.slope) <= 10 * _AGREE * near.terms
        if agreed.any() and blur <= 1e-5 * steps[j]:  # not by chance, where steps are as small as rounding
            for i in range(j + 1, len(doubts)):
                overruled[i] |= agreed & ~(np.abs(found[i].slope - near.slope) <= doubts[i] + doubts[j])
    return overruled


def _steps(x: Array) -> Array:
    """How far to move each entry."""
    size = np.abs(x)
    step = np.minimum(_STEP * np.maximum(1.0, size), size / 100)
    return np.where(step > 1e-290, step, _STEP)


def _entry_moves(x: Array) -> Iterator[tuple[tuple[int, ...], float, Array, float]]:
    """For each entry its index, its step, the displacement of the array, and the largest step in units of that."""
    steps = _steps(x)
    for index in np.ndindex(x.shape):
        move = np.zeros_like(x)
        move[index] = step = float(steps[index])
        yield index, step, move, max(1.0, abs(float(x[index]))) / step


def numerical_gradient(f: Callable[..., Any], x: Any, cotangent: Any = None, h: float | None = None) -> Array:
    """The gradient of <cotangent, f(x)> by central differences in float64, entry by entry.

    Args:
        f: a function of one tensor that returns a tensor.
        x: floats of any shape; not changed.
        cotangent: of the output's shape; may be left out if the output is a single number.
        h: a fixed step, in units of the entry's size or 1, whichever is larger. By default it suits the entry, and
            other steps are tried where the first two do not agree to about 1e-8.

    Returns:
        float64 of x's shape. An entry that rounding hides is as good as differences can tell; see :func:`gradcheck`
        for a verdict.

    Raises:
        ValueError: if the output has several entries and no cotangent of its shape is given.

    >>> numerical_gradient(lambda x: (x * x).sum(), [1.0, 2.0]).round(6)
    array([2., 4.])
    """
    point = np.array(x.data if isinstance(x, Tensor) else x, dtype=np.float64)
    weight = None if cotangent is None else np.asarray(cotangent, dtype=np.float64)

    def compute(points: Points) -> Tensor:
        with no_grad():
            return f(Tensor(points[0]))  # type: ignore[no-any-return]

    out = compute({0: point})
    if weight is None and out.size != 1:
        raise ValueError(f"numerical_gradient: an output of shape {out.shape} needs a cotangent of that shape")
    if weight is not None and weight.shape != out.shape:
        raise ValueError(f"numerical_gradient: cotangent {weight.shape} does not fit the output {out.shape}")
    weights = (np.ones(1) if weight is None else weight).reshape(1, -1)
    slopes = _Slopes(
        lambda points: np.asarray(compute(points).data, np.float64).reshape(-1),
        {0: point}, weights, np.full(out.size, _precision(out.dtype))
    )  # fmt: skip
    gradient = np.zeros_like(point)
    for index, step, move, largest in _entry_moves(point):
        if h is not None:
            move[index] = step = h * max(1.0, float(abs(point[index])))
        first = slopes.along({0: move})
        slope, apart = first.slope[0], 0.0
        if h is None:
            apart = abs(slope - slopes.along({0: move}, 0.5).slope[0])
            if not apart + first.noise[0] <= 1e-8 * first.terms[0]:
                slope = slopes.best({0: move}, largest).slope[0]
        gradient[index] = slope / step
    return gradient


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
    """Check a function's reverse-mode gradients in every floating input against numerical ones.

    A random cotangent u is pulled back, in the inputs' own dtypes, to u'J. Then u'J v is compared with the numerical
    derivative along random directions v of all inputs together, and, if ``entries``, u'J with the numerical
    gradient entry by entry. Of several outputs each is also pulled back alone, the others' cotangents being None, and
    for several inputs the gradient of each must be the same when no other is asked for.

    Nothing is compared with a fixed size: tolerances are relative to the terms that a derivative is a sum of, so that
    functions of 1e-30 and derivatives beside a constant of 1e10 are checked alike. Where rounding of the outputs
    themselves hides a derivative (one of 1e-8 beside 1e10), that is an error, too.

    Args:
        f: a function of tensors that returns a tensor or a tuple of tensors, the same each time.
        inputs: a list or tuple of arrays or tensors (or a single one); integers and booleans are passed as constants.
        rtol: the tolerance relative to the terms; by default from :data:`TOLERANCES` for the coarsest dtype among the
            inputs.
        atol: an absolute error of a gradient's entry to accept besides, such as 1e-9 for a function whose
            derivative is 0 up to rounding.
        directions: how many random directions.
        entries: also check each entry (two times two evaluations of ``f`` for each).
        rng: where cotangents and directions come from.

    Returns:
        True: every gradient was compared, to ``rtol`` or to a thousandth where rounding allows no more. A wrong
        gradient raises, and so does one that cannot be checked.

    Raises:
        GradcheckError: names the primitives, the argument and the worst entry; or says that nothing was checked,
            because no output depends on an input by operations that are tracked, rounding hides the derivative, or the
            function jumps or is random; or that a VJP fails where the cotangent of an unused output is None.
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
    check = _Check(f, arrays, chosen, random, rtol, atol)
    try:
        if not check.agrees_along(directions) or entries:
            check.entries()
        check.each_alone()
    except GradcheckError:
        check.refuse_random(_REPEATS)
        raise
    check.refuse_random(max(1, _REPEATS // max(1, check.slopes.base.size)))  # which passes now and then
    return True


class _Check:
    """One run of :func:`gradcheck`."""

    def __init__(
        self, f: Callable[..., Any], arrays: list[Array], chosen: list[int], random: np.random.Generator,
        rtol: float | None, atol: float,
    ) -> None:  # fmt: skip
        self.f, self.arrays, self.chosen, self.random = f, arrays, chosen, random
        coarsest = min((arrays[i].dtype for i in chosen), key=lambda d: d.itemsize)
        own, self.share = TOLERANCES.get(coarsest, TOLERANCES[np.dtype(np.float64)])
        self.rtol, self.atol = own if rtol is None else rtol, atol
        tensors, outputs = self._trace(chosen)
        self.names = _names(f, outputs)
        if all(o.node is None for o in outputs):
            raise GradcheckError(
                f"gradcheck of {self.names}: nothing was checked, as no output is a float that depends on an input by "
                "operations with a derivative"
            )
        self.cotangents = [random.standard_normal(o.shape).astype(o.dtype) for o in outputs]
        # The sets of outputs whose cotangents are not None: all of them, then each alone.
        several = range(len(outputs)) if len(outputs) > 1 else ()
        self.sets = [tuple(range(len(outputs))), *((k,) for k in several)]
        self.pulled = [self._pull(tensors, outputs, these, self._subject(these)) for these in self.sets]
        flat = [u.astype(np.float64).reshape(-1) for u in self.cotangents]
        weights = [np.concatenate([u * (k in these) for k, u in enumerate(flat)]) for these in self.sets]
        point = {i: arrays[i].astype(np.float64) for i in chosen}
        with no_grad():  # at points in float64 most functions are not rounded to the inputs' own dtypes
            at_point = self._outputs_of(point)
        precision = np.concatenate([np.full(o.size, _precision(o.dtype)) for o in at_point])
        self.slopes = _Slopes(self._outputs_at, point, np.array(weights), precision)

    def _trace(self, tracked: Sequence[int]) -> tuple[list[Tensor], list[Tensor]]:
        """The inputs, of which some are tracked, and the outputs in the inputs' own dtypes."""
        tensors = [Tensor(a, requires_grad=i in tracked) for i, a in enumerate(self.arrays)]
        with recording():
            return tensors, _outputs(self.f(*tensors))

    def _outputs_at(self, points: Points) -> Array:
        with no_grad():
            return np.concatenate([o.data.reshape(-1).astype(np.float64) for o in self._outputs_of(points)])

    def _outputs_of(self, points: Points) -> list[Tensor]:
        return _outputs(self.f(*(Tensor(points.get(i, a)) for i, a in enumerate(self.arrays))))

    def _subject(self, these: tuple[int, ...]) -> str:
        return "" if these == self.sets[0] else f", of output {these[0]} alone"

    def _pull(self, tensors: list[Tensor], outputs: list[Tensor], these: tuple[int, ...], subject: str) -> Points:
        """The gradient of each tracked input, given cotangents of some outputs."""
        seeds = [seed_of(outputs[k], self.cotangents[k]) for k in these if outputs[k].node is not None]
        try:
            found = reverse_pass(seeds, retain_graph=True) if seeds else {}
        except Exception as error:
            unused = self._unused(outputs, these)
            if not unused or (these == self.sets[0] and "NoneType" not in str(error)):
                raise
            raise GradcheckError(
                f"gradcheck of {self.names}: the VJP fails where the cotangent of {unused} is None, as that of every "
                f"output is which nothing depends on: {type(error).__name__}: {error}"
            ) from error
        pulled = {}
        for i in self.chosen:
            node = tensors[i].node
            if node is None:
                continue
            pulled[i] = grad = found.get(cast(Leaf, node), np.zeros_like(self.arrays[i]))
            if grad.dtype != self.arrays[i].dtype or grad.shape != self.arrays[i].shape:
                raise GradcheckError(
                    f"gradcheck of {self.names}: argument {i} has a gradient of another shape or dtype{subject}"
                )
        return {i: g.astype(np.float64) for i, g in pulled.items()}

    def _unused(self, outputs: list[Tensor], these: tuple[int, ...]) -> str:
        """The outputs without a cotangent: of the function, or else of primitives within it."""
        others = [f"output {k}" for k in range(len(outputs)) if k not in these]
        if others:
            return " and ".join(others)
        used = {(o.node, o.index) for o in outputs}
        nodes = graph_of([o.node for o in outputs if o.node is not None]).nodes
        used |= {(parent, slot) for n in nodes for parent, slot in zip(n.parents, n.edges[2], strict=True)}
        several = [n for n in nodes if n.primitive is not None and n.later_outputs]
        return " and ".join(
            f"output {slot} of {n.primitive.name}"  # type: ignore[union-attr]
            for n in several for slot in range(len(n.outputs)) if (n, slot) not in used
        )  # fmt: skip

    def refuse_random(self, times: int) -> None:
        """Raise if the function, called again, gives other values, by more than rounding."""
        base, rounding = self.slopes.base, self.slopes.rounding
        for _ in range(times):
            again = self.slopes.outputs(self.slopes.point)
            with errstate(all="ignore"):
                same = np.abs(again - base) <= rounding + 1e-13 * _largest(base)
            if not (same | (again == base) | (np.isnan(again) & np.isnan(base))).all():
                raise GradcheckError(
                    f"gradcheck of {self.names}: nothing was checked: the function gives other values each time it is "
                    "called at the same point; give what is random in it a seed, such as rng=0"
                )

    def _judge(
        self, move: Points, analytic: Array, claimed: Array, allowed: Array, largest: float
    ) -> tuple[Array, Array, Array]:
        """The numerical derivative along a displacement; by how much it is missed; and how little it tells.

        For each set of outputs ``analytic`` is what the VJP says, ``claimed`` the size of the gradient as the VJP
        says, and ``allowed`` an absolute tolerance. What is missed is in units of what would be accepted; above 1 (or
        NaN) is wrong. The last is 0, unless it was accepted only because rounding hides more; infinite, if only because
        the function jumps.
        """
        first = self.slopes.along(move)
        missed = np.abs(analytic - first.slope)
        seen = first.noise <= self.rtol * np.maximum(first.terms, claimed) + allowed
        good = (missed <= self.rtol * first.terms + allowed + first.noise) & seen
        nothing = (analytic == 0) & (first.terms == 0)
        if good.all() and (not nothing.any() or self.slopes.stays(move, 0.1 * largest)):
            return first.slope, np.zeros_like(missed), np.zeros_like(missed)
        slope, terms, error, jumps, constant = self.slopes.best(move, largest)
        missed = np.abs(analytic - slope)
        known = (error <= _RESOLUTION * np.maximum(terms, claimed) + allowed) | ((analytic == 0) & (slope == 0))
        with errstate(all="ignore"):
            excess = missed / (self.rtol * terms + allowed + error)
        excess, doubt = np.where(missed == 0, 0.0, excess), np.where(known, 0.0, error)
        # The usual step would have shown the slope that larger ones tell: between jumps the derivative is 0.
        between = nothing & (self.slopes.sizes @ self.slopes.rounding <= _RESOLUTION * terms)
        unknown = (excess > 1) & ~between & (jumps | (constant & (analytic == 0)))
        return slope, np.where(between | unknown, 0.0, excess), np.where(between, 0.0, np.where(unknown, np.inf, doubt))

    def agrees_along(self, number: int) -> bool:
        """Whether the derivatives along some random directions are right, and rounding hides none.

        If not, entries decide, whose steps suit each: one along a direction may be too large for a small entry, and
        cross a pole or a kink there.
        """
        for k in range(number):
            drawn: Points = {i: np.array(self.random.standard_normal(x.shape)) for i, x in self.slopes.point.items()}
            norm = max(1.0, math.sqrt(sum(float((v * v).sum()) for v in drawn.values())))
            move: Points = {}
            for i, x in self.slopes.point.items():  # in turns small entries move as far as others, or only as they can
                move[i] = drawn[i] / norm * (_STEP * np.maximum(1.0, np.abs(x)) if k % 2 else _steps(x))
            analytic = np.array([sum(float((p[i] * move[i]).sum()) for i in self.chosen) for p in self.pulled])
            claimed = np.array([sum(float(np.abs(p[i] * move[i]).sum()) for i in self.chosen) for p in self.pulled])
            reach = {i: float(np.abs(v).sum()) for i, v in move.items()}
            length = math.sqrt(sum(float((v * v).sum()) for v in move.values()))
            allowed = self.atol * length + (self.rtol + self.share) * claimed
            allowed = allowed + [self.share * sum(reach[i] * _largest(p[i]) for i in self.chosen) for p in self.pulled]
            _, excess, doubt = self._judge(move, analytic, claimed, allowed, 1e4)
            if not (excess <= 1).all() or (doubt > 0).any():
                return False
        return True

    def entries(self) -> None:
        """Compare all entries; raise for the worst, or if rounding hides those of an argument."""
        worst, most = "", 1.0
        hidden = np.zeros((len(self.sets), len(self.arrays)))
        for i in self.chosen:
            sizes = np.array([_largest(pulled[i]) for pulled in self.pulled])
            for index, step, move, largest in _entry_moves(self.slopes.point[i]):
                analytic = np.array([pulled[i][index] for pulled in self.pulled]) * step
                allowed = (self.atol + self.share * sizes) * step
                slope, excess, doubt = self._judge({i: move}, analytic, sizes * step, allowed, largest)
                hidden[:, i] = np.maximum(hidden[:, i], doubt / step)
                for k in range(len(self.sets)):
                    if not excess[k] <= most:  # so that NaN counts as wrong
                        most = float(excess[k]) if excess[k] == excess[k] else np.inf
                        worst = self._complaint(k, i, index, analytic[k] / step, slope[k] / step)
        if worst:
            raise GradcheckError(worst)
        for k, i in np.argwhere(hidden):
            largest, error = _largest(self.pulled[k][i]), float(hidden[k, i])
            reason = f"the error of differences is {error:.3g}: {_HIDDEN}" if math.isfinite(error) else _JUMPS
            raise GradcheckError(
                f"gradcheck of {self.names}: nothing was checked of {self._argument(i)}"
                f"{self._subject(self.sets[k])}: the VJP gives up to {largest:.3g}, {reason}"
            )

    def each_alone(self) -> None:
        """The gradient of an input is the same when no other is asked for."""
        for i in self.chosen if len(self.chosen) > 1 else ():
            tensors, outputs = self._trace([i])
            alone = self._pull(tensors, outputs, self.sets[0], ", when it alone is asked for")[i]
            together = self.pulled[0][i]
            apart = np.abs(alone - together)
            good = apart <= self.rtol * np.abs(together) + self.share * _largest(together) + self.atol
            if not good.all():
                index = tuple(int(n) for n in np.argwhere(~good)[0])
                raise GradcheckError(
                    f"gradcheck of {self.names}: {self._argument(i)}{_where(index)}: the VJP gives {alone[index]:.9g} "
                    f"when it alone is asked for, {together[index]:.9g} together with the others"
                )

    def _argument(self, number: int) -> str:
        record = getattr(self.f, "primitive", None)
        return f"argument {number}" + (f" ({record.input_name(number)})" if record is not None else "")

    def _complaint(self, k: int, number: int, index: tuple[int, ...], analytic: float, numeric: float) -> str:
        return (
            f"gradcheck of {self.names}: {self._argument(number)}{_where(index)}: the VJP gives {analytic:.9g}, "
            f"central differences {numeric:.9g}{self._subject(self.sets[k])}"
        )


_HIDDEN = (
    "rounding of the outputs hides the derivative; leave out a large constant part of them, or pass atol "
    "if this error is small enough"
)
_JUMPS = (
    "the function jumps at the point, or is constant between jumps that are too close for the usual step; "
    "check it elsewhere"
)


def _where(index: tuple[int, ...]) -> str:
    return f" at entry {list(index)}" if index else ""


def _largest(array: Array) -> float:
    """The largest finite magnitude."""
    return float(np.max(np.abs(array), where=np.isfinite(array), initial=0.0))


def _precision(dtype: Any) -> float:
    return float(np.finfo(dtype).eps) if np.dtype(dtype).kind == "f" else 0.0


def _outputs(out: Any) -> list[Tensor]:
    """The floating outputs; integers have no derivative."""
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
