"""L-BFGS: steps along an estimate of Newton's direction, from the last changes of parameters and gradients.

Here all parameters are one vector, in their common dtype (float32 for half precision).

Along a direction d the loss is a function f of the step length t, with slope f'(t) = g . d. A length satisfies the
strong Wolfe conditions if the loss has decreased enough, f(t) <= f(0) + C1 t f'(0), and the slope is nearly zero,
|f'(t)| <= C2 |f'(0)|. The line search is algorithms 3.5 and 3.6 of Nocedal and Wright (2006).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..core import Tensor, plain
from ..nn.module import matching_arrays
from ..spec import Array, as_whole
from ..writes import written
from .optimizer import Optimizer, Params, as_number

__all__ = ["LBFGS"]

_CURVATURE = 1e-10  # pairs with less are dropped, so that the estimate stays positive definite
_C1, _C2 = 1e-4, 0.9  # of the Wolfe conditions; their choice for quasi-Newton methods
_MARGIN = 0.1  # fraction of a bracket; a second successive trial closer to an end moves to this distance from it


_Pair = tuple[Array, Array, float]  # the changes of parameters (s) and gradient (y) in a step, and 1 / (y . s)


class Trial(NamedTuple):
    """A trial step length: the loss there, its gradient, and the slope along the direction."""

    t: float
    f: float
    g: Array
    slope: float

    def satisfies_armijo(self, start: Trial) -> bool:
        return self.f <= start.f + _C1 * self.t * start.slope

    def satisfies_curvature(self, start: Trial) -> bool:
        return abs(self.slope) <= -_C2 * start.slope


class LBFGS(Optimizer):
    """Limited-memory BFGS (Nocedal and Wright, 2006, section 7.2), with PyTorch's names, defaults and steps.

    One ``step(closure)`` is up to ``max_iter`` iterations. The closure clears the gradients, recomputes them and
    returns the loss. It is called up to ``max_eval`` + 1 times, as in PyTorch; ``max_eval`` defaults to 5/4
    ``max_iter``. The step length is ``lr`` (less in the very first step if gradients are large). With
    ``line_search_fn="strong_wolfe"``, it satisfies the strong Wolfe conditions. A step ends early if no gradient is
    above ``tolerance_grad``, or if parameters or the loss change by less than ``tolerance_change``. The optimiser
    stores ``history_size`` pairs of vectors as long as all parameters together. A missing gradient counts as 0. Only
    one parameter group is supported.

    :func:`minimize` minimises functions with SciPy's methods, in float64.

    Raises:
        TypeError: if the parameters are not an iterable of tensors, or an option is not a number.
        ValueError: if an option is negative, a count is below 1, or there are several groups.

    >>> import minigrad as mg
    >>> p = mg.tensor([-1.2, 1.0], dtype="float64", requires_grad=True)
    >>> lbfgs = LBFGS([p], max_iter=50, line_search_fn="strong_wolfe")
    >>> def closure():
    ...     lbfgs.zero_grad()
    ...     loss = (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2  # Rosenbrock's valley
    ...     loss.backward()
    ...     return loss
    >>> _ = lbfgs.step(closure)
    >>> p.data.round(6)
    array([1., 1.])
    """

    _options = ("lr", "max_iter", "max_eval", "tolerance_grad", "tolerance_change", "history_size", "line_search_fn")

    def __init__(
        self,
        params: Params,
        lr: float = 1.0,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        if max_eval is None:
            max_eval = as_whole("LBFGS", "max_iter", max_iter) * 5 // 4
        super().__init__(
            params,
            lr=lr,
            max_iter=max_iter,
            max_eval=max_eval,
            tolerance_grad=tolerance_grad,
            tolerance_change=tolerance_change,
            history_size=history_size,
            line_search_fn=line_search_fn,
        )
        dtype = np.result_type(np.float32, *(p.dtype for p in self.params))
        self._ends = list(np.cumsum([p.size for p in self.params]))
        self.n_iter = self.func_evals = 0
        self._pairs: list[_Pair] = []
        self._scale = 1.0  # of the identity that the estimate starts from
        self._t = 0.0  # the length of the last step
        self._direction = np.zeros(self._ends[-1], dtype)
        self._gradient = np.zeros(self._ends[-1], dtype)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        if self.param_groups:
            raise ValueError("LBFGS: only one parameter group is supported, because each step involves all parameters")
        super().add_param_group(group)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Run up to ``max_iter`` iterations.

        If the closure raises, parameters and estimate return to their state at the start of that iteration.

        Args:
            closure: clears the gradients, computes them, and returns the loss: a tensor of one entry, or a number.

        Returns:
            the first result of the closure.

        Raises:
            TypeError: if there is no closure.
            ValueError: if an option is now out of range, or a parameter is read-only.
        """
        if not callable(closure):
            raise TypeError("LBFGS.step: pass a closure that clears and computes the gradients and returns the loss")
        options = self._options_of(self.param_groups[0], {})
        tolerance, most = options["tolerance_change"], options["max_eval"]
        first = closure()
        loss, g, evals = _as_float(first), self._flat_gradient(), 1
        self.func_evals += 1
        if np.abs(g).max(initial=0) <= options["tolerance_grad"]:
            return first
        for iteration in range(1, options["max_iter"] + 1):
            pairs, scale = self._next_estimate(g, options["history_size"])
            d = _direction(g, pairs, scale)
            t = options["lr"] * (1.0 if self.n_iter else min(1.0, 1.0 / float(np.abs(g).sum())))
            start = Trial(0.0, loss, g, float(g @ d))
            ends = start.slope > -tolerance
            found, tried, last = start._replace(t=t), 0, ends or iteration == options["max_iter"]
            if not ends:
                search = options["line_search_fn"] is not None
                found, tried = self._move(closure, found, d, search, last, tolerance, most - evals)
            self.n_iter += 1  # not before: the closure may raise
            self._pairs, self._scale = pairs, scale
            self._direction, self._gradient, self._t = d, g, found.t
            evals += tried
            self.func_evals += tried
            if last or evals >= most or np.abs(found.g).max() <= options["tolerance_grad"]:
                break
            if np.abs(found.t * d).max() <= tolerance or abs(found.f - loss) < tolerance:
                break
            loss, g = found.f, found.g
        return first

    def _move(
        self, closure: Callable[[], Any], first: Trial, d: Array, search: bool, last: bool, tolerance: float, limit: int
    ) -> tuple[Trial, int]:
        """Step along d, by default as far as ``first``; return the final trial and the number of closure calls.

        Without a line search, the last step is not evaluated, because the next call of `step` starts there.
        """
        x = np.concatenate([p.data.reshape(-1) for p in self.params]).astype(self._gradient.dtype, copy=False)

        def evaluate(t: float) -> Trial:
            self._write(x + d * d.dtype.type(t))
            loss, g = _as_float(closure()), self._flat_gradient()
            return Trial(t, loss, g, float(g @ d))

        try:
            if search:
                longest = float(np.abs(d).max())
                found, tried = strong_wolfe(evaluate, first._replace(t=0.0), first.t, longest, tolerance, limit)
            else:
                found, tried = (first, 0) if last else (evaluate(first.t), 1)
        except BaseException:
            self._write(x)
            raise
        self._write(x + d * d.dtype.type(found.t))
        return found, tried

    def _next_estimate(self, g: Array, history: int) -> tuple[list[_Pair], float]:
        """Return the pairs and the scale of the estimate after the last step."""
        if not self.n_iter:
            return [], 1.0
        y, s = g - self._gradient, self._direction * g.dtype.type(self._t)
        curvature = float(y @ s)
        if not curvature > _CURVATURE:  # NaN neither
            return self._pairs, self._scale
        return [*self._pairs, (s, y, 1 / curvature)][-history:], curvature / float(y @ y)

    def _flat_gradient(self) -> Array:
        """Return all gradients as one vector; missing ones are 0."""
        for i, p in enumerate(self.params):
            self._check_parameter(i, p.data)
        return np.concatenate(
            [np.zeros(p.shape, p.dtype) if p.grad is None else plain(p.grad) for p in self.params],
            axis=None,
            dtype=self._gradient.dtype,
        )

    def _write(self, x: Array) -> None:
        for p, values in zip(self.params, np.split(x, self._ends[:-1]), strict=True):
            written(p.data)
            p.data[...] = values.reshape(p.shape)

    def state_dict(self) -> dict[str, Array]:
        """Return copies of options, counts, the last step and the pairs, for :func:`minigrad.save`.

        The pairs are three arrays, ``s`` and ``y`` (pairs, entries) and ``rho`` (pairs,).
        """
        shape, dtype = (len(self._pairs), len(self._gradient)), self._gradient.dtype
        return {
            **self._saved_options(),
            "n_iter": np.array(self.n_iter, np.int64),
            "func_evals": np.array(self.func_evals, np.int64),
            "t": np.array(self._t, np.float64),
            "scale": np.array(self._scale, np.float64),
            "direction": self._direction.copy(),
            "gradient": self._gradient.copy(),
            "s": np.array([s for s, _, _ in self._pairs], dtype).reshape(shape),
            "y": np.array([y for _, y, _ in self._pairs], dtype).reshape(shape),
            "rho": np.array([rho for _, _, rho in self._pairs], np.float64),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load options, counts, the last step and the pairs; on an error, nothing changes.

        Raises:
            TypeError: if the state is not a mapping.
            ValueError: if entries are missing, unexpected, misshaped or invalid.
        """
        caller, expected = "LBFGS.load_state_dict", self.state_dict()
        pairs = np.size(state["rho"]) if isinstance(state, Mapping) and "rho" in state else 0
        for name in ("s", "y", "rho"):  # the state may have more or fewer pairs
            expected[name] = np.zeros((pairs, *expected[name].shape[1:]), expected[name].dtype)
        arrays = matching_arrays(caller, expected, state)
        (options,) = self._loaded_options(caller, arrays)
        for name, array in arrays.items():
            if not np.isfinite(array).all() or (name in ("n_iter", "func_evals") and array < 0):
                raise ValueError(f"{caller}: {name} must be finite, and a count must not be negative")
        self.param_groups[0].update(options)
        self.n_iter, self.func_evals = int(arrays["n_iter"]), int(arrays["func_evals"])
        self._t, self._scale = float(arrays["t"]), float(arrays["scale"])
        self._direction, self._gradient = arrays["direction"], arrays["gradient"]
        self._pairs = list(zip(arrays["s"], arrays["y"], arrays["rho"].tolist(), strict=True))


def _direction(g: Array, pairs: list[_Pair], scale: float) -> Array:
    """Return -H g, with H the estimate of the inverse Hessian (their algorithm 7.4)."""
    d, shares = -g, []
    for s, y, rho in reversed(pairs):
        shares.append(float(s @ d) * rho)
        d -= g.dtype.type(shares[-1]) * y
    d *= g.dtype.type(scale)
    for (s, y, rho), share in zip(pairs, reversed(shares), strict=True):
        d += g.dtype.type(share - float(y @ d) * rho) * s
    return d


def _as_float(loss: Any) -> float:
    return as_number("LBFGS.step", "what the closure returns", loss.item() if isinstance(loss, Tensor) else loss)


def strong_wolfe(
    evaluate: Callable[[float], Trial], start: Trial, t: float, longest: float, tolerance: float, limit: int
) -> tuple[Trial, int]:
    """Return the best step length found, and the number of lengths tried.

    First the length grows until a bracket contains a good one (algorithm 3.5), then the bracket shrinks (3.6). The next
    length is the minimum of a cubic through both ends. Choices that the book leaves open follow PyTorch. A loss of NaN
    counts as too high.

    Args:
        start: length 0.
        t: the first step length to try; 0 skips the search.
        longest: the largest entry of the direction; the search stops at a bracket in which no entry would move by
            ``tolerance``.
        limit: the most lengths to try after the first.
    """
    if t == 0:
        return start, 0
    before, now = start, evaluate(t)
    for tried in range(limit):
        too_high = not now.satisfies_armijo(start) or (tried > 1 and now.f >= before.f)
        if now.satisfies_curvature(start) and not too_high:
            return now, tried + 1
        if too_high or now.slope >= 0:
            return _zoom(evaluate, start, [before, now], longest, tolerance, tried, limit)
        t = _minimum(before, now, now.t + 0.01 * (now.t - before.t), 10 * now.t)
        before, now = now, evaluate(t)
    return (now if now.f < start.f else start), limit + 1


def _zoom(
    evaluate: Callable[[float], Trial],
    start: Trial,
    bracket: list[Trial],
    longest: float,
    tolerance: float,
    tried: int,
    limit: int,
) -> tuple[Trial, int]:
    """Shrink a bracket to a good length; ``tried`` lengths were tried before, not counting the first."""
    low = 1 if bracket[1].f < bracket[0].f else 0
    near_an_end = False
    while tried < limit:
        left, right = sorted(trial.t for trial in bracket)
        if (right - left) * longest < tolerance:
            break
        t = _minimum(bracket[0], bracket[1], left, right)
        margin = _MARGIN * (right - left)
        was_near, near_an_end = near_an_end, not min(right - t, t - left) >= margin
        if near_an_end and (was_near or t >= right or t <= left):
            t = right - margin if abs(t - right) < abs(t - left) else left + margin
            near_an_end = False
        new = evaluate(t)
        tried += 1
        if not new.satisfies_armijo(start) or new.f >= bracket[low].f:
            bracket[1 - low] = new
            low = 1 if bracket[1].f < bracket[0].f else 0
            continue
        if new.satisfies_curvature(start):
            return new, tried + 1
        if new.slope * (bracket[1 - low].t - bracket[low].t) >= 0:
            bracket[1 - low] = bracket[low]
        bracket[low] = new
    return bracket[low], tried + 1


def _minimum(a: Trial, b: Trial, lowest: float, highest: float) -> float:
    """Return the minimum of the cubic through the values and slopes of two trials (their equation 3.59), within bounds.

    Return the middle if there is none, a trial is not finite, or rounding made both lengths equal.
    """
    a, b = sorted((a, b), key=lambda trial: trial.t)
    try:
        d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
        d2 = math.sqrt(d1 * d1 - a.slope * b.slope)
        t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
    except (ValueError, ZeroDivisionError):
        t = math.nan
    return (lowest + highest) / 2 if math.isnan(t) else min(max(t, lowest), highest)
