"""L-BFGS: a step along an estimate of Newton's direction, made of the last changes of parameters and gradients.

All parameters are one vector here, of their dtype (of float32 if they are halves, of float64 if they differ).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..core import Tensor, plain
from ..spec import Array
from ..writes import written
from .base import Group, Optimizer
from .line_search import Trial, strong_wolfe
from .options import as_whole
from .pieces import precise
from .states import validated

__all__ = ["LBFGS"]

_CURVATURE = 1e-10  # a pair with less of it is not kept: the estimate would not stay positive definite


class _Pair(NamedTuple):
    """How the parameters changed in a step (s), how the gradient did (y), and 1 / (y . s)."""

    s: Array
    y: Array
    rho: float


class LBFGS(Optimizer):
    """Limited-memory BFGS (Nocedal and Wright, 2006, section 7.2), with the names, defaults and steps of PyTorch's.

    One ``step(closure)`` is up to ``max_iter`` iterations; the closure clears the gradients, computes them anew and
    returns the loss, and is called up to ``max_eval`` + 1 times, as by PyTorch's; ``max_eval`` is by default 5/4
    ``max_iter``. Steps are of length ``lr`` (the very first shorter where gradients are large), or with
    ``line_search_fn="strong_wolfe"`` such that the strong Wolfe conditions hold. It ends early if no gradient is above
    ``tolerance_grad``, or if parameters or the loss change by less than ``tolerance_change``. It keeps
    ``history_size`` pairs of vectors as long as all parameters together. A parameter without a gradient has one of 0.
    There is one group of parameters only.

    :func:`minimize` minimises functions by SciPy's methods, in float64.

    Raises:
        TypeError: if the parameters are no iterable of tensors, or an option no number.
        ValueError: if an option is negative, a count below 1, or there are several groups.

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
    max_iter: int
    max_eval: int
    tolerance_grad: float
    tolerance_change: float
    history_size: int
    line_search_fn: str | None

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Mapping[str, Any]],
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
        dtype = np.result_type(*(precise(p.dtype) for p in self.params))
        self._ends = list(np.cumsum([p.size for p in self.params]))
        self.n_iter = self.func_evals = 0
        self._pairs: list[_Pair] = []
        self._scale = 1.0  # of the identity that the estimate starts from
        self._t = 0.0  # the last step, and its direction and gradient
        self._direction = np.zeros(self._ends[-1], dtype)
        self._gradient = np.zeros(self._ends[-1], dtype)

    def _add(self, group: Mapping[str, Any], caller: str) -> None:
        if self.param_groups:
            raise ValueError("LBFGS: there is one group of parameters only: its steps are of all of them together")
        super()._add(group, caller)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Up to ``max_iter`` iterations. If the closure raises, parameters and estimate are where this iteration began.

        Args:
            closure: clears the gradients, computes them, and returns the loss: a tensor of one entry, or a number.

        Returns:
            what the closure returned first.

        Raises:
            TypeError: if there is no closure.
            ValueError: if an option has become impossible, or a parameter cannot be written into.
        """
        if not callable(closure):
            raise TypeError("LBFGS.step: pass a closure that clears and computes the gradients and returns the loss")
        options = self._options_of(0)
        first = closure()
        loss, g, evals = _as_float(first), self._flat_gradient(), 1
        self.func_evals += 1
        if np.abs(g).max(initial=0) <= options["tolerance_grad"]:
            return first
        for iteration in range(1, options["max_iter"] + 1):
            pairs, scale = self._next_estimate(g, options["history_size"])
            d = _direction(g, pairs, scale)
            t = options["lr"]
            if not self.n_iter:
                t *= min(1.0, 1.0 / float(np.abs(g).sum()))
            slope = float(g @ d)
            if slope > -options["tolerance_change"]:
                self._remember(pairs, scale, d, g, t)
                break
            start, x = Trial(0.0, loss, g, slope), self._flat_parameters()
            last = iteration == options["max_iter"]
            found, tried = self._moved(closure, start, x, d, t, options, options["max_eval"] - evals, last)
            self._remember(pairs, scale, d, g, found.t)  # not before: the closure may raise
            loss, g = found.f, found.g
            evals += tried
            self.func_evals += tried
            if last or evals >= options["max_eval"] or np.abs(g).max() <= options["tolerance_grad"]:
                break
            if np.abs(found.t * d).max() <= options["tolerance_change"]:
                break
            if abs(loss - start.f) < options["tolerance_change"]:
                break
        return first

    def _moved(
        self,
        closure: Callable[[], Any],
        start: Trial,
        x: Array,
        d: Array,
        t: float,
        options: Group,
        limit: int,
        last: bool,
    ) -> tuple[Trial, int]:
        """Where the parameters are after one step along d, and how often the closure was called.

        Without a line search the last step is not evaluated: the next call of `step` begins there.
        """

        def evaluate(t: float) -> Trial:
            self._write(x + d * d.dtype.type(t))
            loss = _as_float(closure())
            g = self._flat_gradient()
            return Trial(t, loss, g, float(g @ d))

        try:
            if options["line_search_fn"] is not None:
                longest = float(np.abs(d).max())
                found, tried = strong_wolfe(evaluate, start, t, longest, options["tolerance_change"], limit)
            elif last:
                found, tried = start._replace(t=t), 0
            else:
                found, tried = evaluate(t), 1
        except BaseException:
            self._write(x)
            raise
        self._write(x + d * d.dtype.type(found.t))
        return found, tried

    def _next_estimate(self, g: Array, history: int) -> tuple[list[_Pair], float]:
        """The pairs and the scale of the estimate when the last step has been taken in."""
        if not self.n_iter:
            return [], 1.0
        y, s = g - self._gradient, self._direction * g.dtype.type(self._t)
        curvature = float(y @ s)
        if not curvature > _CURVATURE:  # NaN neither
            return self._pairs, self._scale
        return [*self._pairs, _Pair(s, y, 1 / curvature)][-history:], curvature / float(y @ y)

    def _remember(self, pairs: list[_Pair], scale: float, d: Array, g: Array, t: float) -> None:
        """One iteration more, whose step was t d from where the gradient was g."""
        self.n_iter += 1
        self._pairs, self._scale = pairs, scale
        self._direction, self._gradient, self._t = d, g, t

    def _flat_gradient(self) -> Array:
        pieces = [np.zeros(p.size) if p.grad is None else self._checked(i, p) for i, p in enumerate(self.params)]
        return np.concatenate(pieces).astype(self._gradient.dtype, copy=False)

    def _checked(self, i: int, p: Tensor) -> Array:
        g = plain(p.grad)
        self._check_parameter(i, p, g)
        flat: Array = g.reshape(-1)
        return flat

    def _flat_parameters(self) -> Array:
        return np.concatenate([p.data.reshape(-1) for p in self.params]).astype(self._gradient.dtype, copy=False)

    def _write(self, x: Array) -> None:
        for p, piece in zip(self.params, np.split(x, self._ends[:-1]), strict=True):
            written(p.data)
            p.data[...] = piece.reshape(p.shape)

    def state_dict(self) -> dict[str, Array]:
        """Copies of options, counts, the last step and the pairs, ready for :func:`minigrad.save`.

        The pairs are three arrays, ``s`` and ``y`` (pairs, entries) and ``rho`` (pairs,).
        """
        shape, dtype = (len(self._pairs), len(self._gradient)), self._gradient.dtype
        return {
            **self._state_of_options(),
            "n_iter": np.array(self.n_iter, np.int64),
            "func_evals": np.array(self.func_evals, np.int64),
            "t": np.array(self._t, np.float64),
            "scale": np.array(self._scale, np.float64),
            "direction": self._direction.copy(),
            "gradient": self._gradient.copy(),
            "s": np.array([pair.s for pair in self._pairs], dtype).reshape(shape),
            "y": np.array([pair.y for pair in self._pairs], dtype).reshape(shape),
            "rho": np.array([pair.rho for pair in self._pairs], np.float64),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over options, counts, the last step and the pairs: all of them, or nothing.

        Raises:
            TypeError: if the state is no mapping.
            ValueError: names every missing, unexpected, misshaped or impossible entry.
        """
        expected = self.state_dict()
        pairs = np.size(state["rho"]) if isinstance(state, Mapping) and "rho" in state else 0
        for name in ("s", "y", "rho"):  # of which there may be more or fewer than here
            expected[name] = np.broadcast_to(expected[name].dtype.type(0), (pairs, *expected[name].shape[1:]))
        arrays = validated("LBFGS", expected, state)
        (options,) = self._read_options(arrays)
        for name, array in arrays.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ValueError(f"LBFGS.load_state_dict: {name} has entries that are not finite")
        for name in ("n_iter", "func_evals"):
            if arrays[name] < 0:
                raise ValueError(f"LBFGS.load_state_dict: {name} must not be negative, it is {arrays[name]}")
        self.param_groups[0].update(options)
        self.n_iter, self.func_evals = int(arrays["n_iter"]), int(arrays["func_evals"])
        self._t, self._scale = float(arrays["t"]), float(arrays["scale"])
        self._direction, self._gradient = arrays["direction"], arrays["gradient"]
        rows = zip(arrays["s"], arrays["y"], arrays["rho"].tolist(), strict=True)
        self._pairs = [_Pair(s, y, rho) for s, y, rho in rows]


def _direction(g: Array, pairs: list[_Pair], scale: float) -> Array:
    """-H g, H the estimate of the inverse Hessian (their algorithm 7.4)."""
    d = -g
    shares = []
    for pair in reversed(pairs):
        shares.append(float(pair.s @ d) * pair.rho)
        d -= g.dtype.type(shares[-1]) * pair.y
    d *= g.dtype.type(scale)
    for pair, share in zip(pairs, reversed(shares), strict=True):
        d += g.dtype.type(share - float(pair.y @ d) * pair.rho) * pair.s
    return d


def _as_float(loss: Any) -> float:
    """The number that a closure returned."""
    value = loss.item() if isinstance(loss, Tensor) else loss
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number, np.ndarray)) or np.size(value) != 1:
        raise TypeError(f"LBFGS.step: the closure must return the loss, one number, not {type(loss).__name__}")
    return float(value)
