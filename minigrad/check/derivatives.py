"""Gradient checks: compare VJPs with numerical derivatives, along random directions and entry by entry.

How numerical derivatives are taken, and how well they are known, is in :mod:`.differences`. Here a verdict is made of
them: right, wrong, or unknown. Where the smallest steps show a jump, or a function that is constant between jumps, and
no step tells what the VJP does, nothing is known, and that is an error too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from ..backward import graph_of, reverse_pass, seed_of
from ..core import Leaf, Tensor, no_grad, recording
from ..higher_order import create_graph
from ..rng import generator
from ..runtime.contexts import errstate
from ..spec import Array, as_array
from ..transforms import vjp
from .differences import RESOLUTION, STEP, Points, Slopes, entry_moves, precision_of, steps_of

__all__ = ["TOLERANCES", "GradcheckError", "gradcheck", "gradgradcheck"]

# By the dtype in which the VJP is computed: what an entry may differ by, in units of the terms that it is a sum of, and
# in units of the largest entry of its argument's gradient. In float32 and float16 rounding adds up over the operations
# of a function, and what an operation like 1 - tanh^2 loses is as large in small entries as in large ones.
TOLERANCES = {np.dtype(np.float64): (1e-6, 0.0), np.dtype(np.float32): (2e-3, 2e-4),
              np.dtype(np.float16): (5e-2, 2e-2)}  # fmt: skip
_REPEATS = 8  # times that a function of one output is called again at the same point, to see whether it is random


class GradcheckError(AssertionError):
    """A VJP disagrees with the numerical derivative, or nothing could be checked."""


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


def gradgradcheck(f: Callable[..., Any], inputs: Any, **options: Any) -> bool:
    """Check a function's second derivatives: those of its gradients, against differences of these.

    With random cotangents u, the pulled back u'J(x) is a function of x and of u. Its gradients in both, by the pass
    that leaves a graph, are checked by :func:`gradcheck` against numerical ones of the usual pass.

    Args:
        f, inputs, options: as for :func:`gradcheck`.

    Returns:
        True, if every second derivative was compared.

    Raises:
        GradcheckError, TypeError: as :func:`gradcheck`; and TypeError names a primitive without second derivative.

    >>> import minigrad as mg
    >>> gradgradcheck(mg.ops.tanh, [np.arange(3.0)])
    True
    """
    given = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    arrays = [np.array(x.data if isinstance(x, Tensor) else as_array(x)) for x in given]
    chosen = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]

    def floats(*points: Any) -> tuple[Tensor, ...]:
        moved = dict(zip(chosen, points, strict=True))
        return tuple(_outputs(f(*(moved.get(i, Tensor(a)) for i, a in enumerate(arrays)))))

    with recording():
        outputs = floats(*(Tensor(arrays[i], requires_grad=True) for i in chosen))
    random = generator(options.get("rng", 0))
    cotangents = [random.standard_normal(o.shape).astype(o.dtype) for o in outputs]

    def pulled(*args: Any) -> tuple[Tensor, ...]:
        with create_graph():
            _, pullback = vjp(floats, *args[: len(chosen)])
            return pullback(*args[len(chosen) :])  # type: ignore[no-any-return]

    try:
        return gradcheck(pulled, [*(arrays[i] for i in chosen), *cotangents], **options)
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
        self.f, self.arrays, self.chosen, self.random = f, arrays, chosen, random
        coarsest = min((arrays[i].dtype for i in chosen), key=lambda d: d.itemsize)
        # rtol is relative to the terms of an entry, share to the largest entry of the argument's gradient
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
        precision = np.concatenate([np.full(o.size, precision_of(o.dtype)) for o in at_point])
        self.slopes = Slopes(self._outputs_at, point, np.array(weights), precision)

    def _trace(self, tracked: Sequence[int]) -> tuple[list[Tensor], list[Tensor]]:
        """The inputs, of which some are tracked, and the outputs in the inputs' own dtypes."""
        tensors = [Tensor(a, requires_grad=i in tracked) for i, a in enumerate(self.arrays)]
        with recording(), create_graph():  # also of functions that are derivatives themselves
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
        used |= {(parent, index) for n in nodes for parent, index in zip(n.parents, n.edges[2], strict=True)}
        several = [n for n in nodes if n.primitive is not None and n.later_outputs]
        return " and ".join(
            f"output {index} of {n.primitive.name}"  # type: ignore[union-attr]
            for n in several for index in range(len(n.outputs)) if (n, index) not in used
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
        known = (error <= RESOLUTION * np.maximum(terms, claimed) + allowed) | ((analytic == 0) & (slope == 0))
        with errstate(all="ignore"):
            excess = missed / (self.rtol * terms + allowed + error)
        excess, doubt = np.where(missed == 0, 0.0, excess), np.where(known, 0.0, error)
        # The usual step would have shown the slope that larger ones tell: between jumps the derivative is 0.
        between = nothing & (self.slopes.sizes @ self.slopes.rounding <= RESOLUTION * terms)
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
                move[i] = drawn[i] / norm * (STEP * np.maximum(1.0, np.abs(x)) if k % 2 else steps_of(x))
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
            for index, step, move, largest in entry_moves(self.slopes.point[i]):
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
