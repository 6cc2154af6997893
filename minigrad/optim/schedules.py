"""Learning-rate schedules: functions of the number of steps, and one that reacts when a metric stops improving."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core import plain
from ..nn.module import matching_arrays
from ..spec import Array, as_whole, describe
from .optimizer import Optimizer, as_choice, as_number

__all__ = ["CosineLR", "ExponentialLR", "OneCycleLR", "ReduceOnPlateau", "Schedule", "StepLR", "WarmupLR"]

_RATE = "finite and at least 0"
_COUNTS = ("count", "num_bad_epochs", "cooldown_counter")  # of ReduceOnPlateau, in its state


def _as_optimizer(caller: str, value: Any) -> Optimizer:
    if not isinstance(value, Optimizer):
        raise TypeError(f"{caller}: optimizer must be an optimiser, not {describe(value)}")
    return value


def _check_groups(caller: str, optimizer: Optimizer, number: int) -> None:
    """Raise if parameter groups were added since the schedule was created with ``number`` of them."""
    if (now := len(optimizer.param_groups)) != number:
        raise ValueError(
            f"{caller}: the optimiser has {now} parameter groups, but had {number} when the schedule was created. "
            "Create another schedule."
        )


def _of_each_group(caller: str, name: str, value: Any, optimizer: Optimizer, wanted: str = _RATE) -> list[float]:
    """Return a number for each parameter group, from a number for all groups or a list."""
    groups = len(optimizer.param_groups)
    values = value if isinstance(value, (list, tuple)) else [value] * groups
    if len(values) != groups:
        raise ValueError(f"{caller}: {name} has {len(values)} numbers for {groups} parameter groups")
    return [as_number(caller, name, number, wanted) for number in values]


class Schedule:
    """A learning rate that depends only on the number of steps: lr = base_lr factor(count).

    Each parameter group has its own base rate, the optimiser's rate when the schedule is created (``base_lrs``;
    ``base_lr`` if all groups share one). ``step()`` adds 1 to the count and sets the rate of each group. You choose
    what a step is: a batch or an epoch. If a :class:`ReduceOnPlateau` has set rates since the last step, ``step()``
    raises instead of undoing that; a new schedule continues from the current rates. A subclass defines ``factor``, or
    ``rate`` if its rates are not multiples of the base rate.

    Raises:
        TypeError: if ``optimizer`` is not an optimiser.
        ValueError: if a rate would be negative or not finite; in a step, also if a parameter group was added since the
            schedule was created, or a :class:`ReduceOnPlateau` has set rates.

    >>> import minigrad as mg
    >>> w, b = mg.tensor([1.0], requires_grad=True), mg.tensor([1.0], requires_grad=True)
    >>> sgd = mg.optim.SGD([{"params": [w]}, {"params": [b], "lr": 1.0}], lr=0.5)
    >>> mg.optim.ExponentialLR(sgd, 0.5).step()
    >>> [group["lr"] for group in sgd.param_groups]
    [0.25, 0.5]
    """

    after: Schedule | None = None  # the schedule that takes over at some step

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = _as_optimizer(type(self).__name__, optimizer)
        self.base_lrs = [float(group["lr"]) for group in optimizer.param_groups]
        self.count = 0
        self._set(0, self.base_lrs)

    @property
    def base_lr(self) -> float:
        """The base rate that all groups share; raises a ValueError if they differ."""
        if len(set(self.base_lrs)) > 1:
            raise ValueError(f"{type(self).__name__}: base_lr is {self.base_lrs} in groups. Use base_lrs.")
        return self.base_lrs[0]

    def factor(self, count: int) -> float:
        """Return the rate after ``count`` steps, in units of ``base_lr``."""
        if type(self).rate is Schedule.rate:
            raise NotImplementedError(f"{type(self).__name__} defines neither factor nor rate")
        return self.rate(count, self.base_lr) / self.base_lr if self.base_lr else 0.0

    def rate(self, count: int, base_lr: float) -> float:
        """Return the learning rate after ``count`` steps of a group with this base rate."""
        return base_lr * self.factor(count)

    def _other_options(self, count: int) -> list[dict[str, Any]]:
        """Return each group's options after ``count`` steps, other than the rate, if the schedule sets any."""
        return [{} for _ in self.base_lrs]

    def _set(self, count: int, base_lrs: list[float]) -> None:
        """Set the optimiser's options to those after ``count`` steps from these base rates."""
        name, rates = type(self).__name__, []
        _check_groups(name, self.optimizer, len(self.base_lrs))
        for base_lr in base_lrs:
            try:
                rate = self.rate(count, base_lr)
            except OverflowError:
                rate = math.inf
            rates.append(as_number(name, f"the learning rate after {count} steps", rate, _RATE))
        for group, rate, others in zip(self.optimizer.param_groups, rates, self._other_options(count), strict=True):
            group.update(others, lr=rate)
        self._reductions = self.optimizer._reductions

    def step(self) -> None:
        """Count one step and set the optimiser's learning rates.

        Raises:
            ValueError: if a rate would be negative or not finite, a parameter group was added, or a
                :class:`ReduceOnPlateau` has set the rates since the last step. Nothing is changed.
        """
        if self._reductions != self.optimizer._reductions:
            raise ValueError(
                f"{type(self).__name__}.step: ReduceOnPlateau has reduced the rates to "
                f"{', '.join(str(group['lr']) for group in self.optimizer.param_groups)} since the last step, which "
                "this step would undo. Use one of the two at a time, or create another schedule from these rates."
            )
        self._set(self.count + 1, self.base_lrs)
        self.count += 1

    def __repr__(self) -> str:
        rates = ", ".join(f"{group['lr']:.4g}" for group in self.optimizer.param_groups)
        after = "" if self.after is None else f", then {type(self.after).__name__}"
        return f"{type(self).__name__}(step {self.count:,}, lr={rates}{after})"

    def state_dict(self) -> dict[str, Array]:
        """Return count and base rate as arrays, for :func:`minigrad.save`; also those of the schedule ``after``.

        The base rates of several parameter groups are one array. ``kind`` is the name of the class, as bytes. Arguments
        of the schedule (``gamma``, ``total``, ...) are not in the state: create the new schedule with the same
        arguments.

        >>> import minigrad as mg
        >>> sgd = mg.optim.SGD([mg.tensor([1.0], requires_grad=True)], lr=1.0)
        >>> list(WarmupLR(sgd, 2, after=ExponentialLR(sgd, 0.5)).state_dict())
        ['kind', 'base_lr', 'count', 'after.kind', 'after.base_lr', 'after.count']
        """
        after = {} if self.after is None else self.after.state_dict()
        return {
            "kind": np.array(list(type(self).__name__.encode()), np.uint8),
            "base_lr": np.array(self.base_lrs if len(self.base_lrs) > 1 else self.base_lrs[0], np.float64),
            "count": np.array(self.count, np.int64),
            **{f"after.{name}": array for name, array in after.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load count and base rate, and set the learning rates; on an error, nothing changes.

        A state without ``kind``, as old versions saved it, is accepted.

        Raises:
            TypeError: if the state is not a mapping.
            ValueError: if the state is of another kind of schedule, or entries are missing, unexpected or invalid.
        """
        caller, own = f"{type(self).__name__}.load_state_dict", self.state_dict()
        kinds = {name: kind for name, kind in own.items() if name.endswith("kind")}
        for name, kind in kinds.items() if isinstance(state, Mapping) else ():
            found = np.asarray(plain(state.get(name, kind)))
            if not np.array_equal(found, kind):
                raise ValueError(f"{caller}: {name} is {found.tobytes()!r} in the state and {kind.tobytes()!r} here")
            state = {name: kind, **state}
        arrays = matching_arrays(caller, own, state)
        for name, array in arrays.items():
            if not ((array >= 0) & (array < math.inf)).all():
                raise ValueError(f"{caller}: {name} must be finite and at least 0, not {array}")
        self._set(int(arrays["count"]), arrays["base_lr"].reshape(-1).tolist())
        schedule: Schedule | None = self
        prefix = ""
        while schedule is not None:
            schedule.base_lrs = arrays[f"{prefix}base_lr"].reshape(-1).tolist()
            schedule.count = int(arrays[f"{prefix}count"])
            schedule, prefix = schedule.after, f"{prefix}after."


class StepLR(Schedule):
    """Multiply the rate by ``gamma`` after every ``step_size`` steps.

    Raises:
        TypeError: if ``gamma`` is not a number.
        ValueError: if ``step_size`` is not a positive integer, or ``gamma`` is negative or not finite.

    >>> import minigrad as mg
    >>> sgd = mg.optim.SGD([mg.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = StepLR(sgd, 2, gamma=0.5)
    >>> [schedule.factor(count) for count in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size, self.gamma = (
            as_whole("StepLR", "step_size", step_size),
            as_number("StepLR", "gamma", gamma, _RATE),
        )
        super().__init__(optimizer)

    def factor(self, count: int) -> float:
        return float(self.gamma ** (count // self.step_size))


class ExponentialLR(Schedule):
    """Multiply the rate by ``gamma`` after every step (usually an epoch).

    Raises:
        TypeError: if ``gamma`` is not a number.
        ValueError: if ``gamma`` is negative or not finite.

    >>> import minigrad as mg
    >>> sgd = mg.optim.SGD([mg.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> ExponentialLR(sgd, 0.5).step()
    >>> sgd.lr
    0.5
    """

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = as_number("ExponentialLR", "gamma", gamma, _RATE)
        super().__init__(optimizer)

    def factor(self, count: int) -> float:
        return float(self.gamma**count)


class CosineLR(Schedule):
    """Half a cosine from the base rate to ``min_lr`` over ``total`` steps, and ``min_lr`` from then on.

    (Loshchilov and Hutter, 2017; PyTorch's CosineAnnealingLR, which would rise again.)

    Raises:
        TypeError: if ``min_lr`` is not a number.
        ValueError: if ``total`` is not a positive integer, or ``min_lr`` is negative or not finite.

    >>> import minigrad as mg
    >>> sgd = mg.optim.SGD([mg.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = CosineLR(sgd, 2, min_lr=0.2)
    >>> [round(schedule.factor(count), 6) for count in range(4)]
    [1.0, 0.6, 0.2, 0.2]
    """

    def __init__(self, optimizer: Optimizer, total: int, min_lr: float = 0.0) -> None:
        self.total = as_whole("CosineLR", "total", total)
        self.min_lr = as_number("CosineLR", "min_lr", min_lr, _RATE)
        super().__init__(optimizer)

    def rate(self, count: int, base_lr: float) -> float:
        share = (1 + math.cos(math.pi * min(count / self.total, 1.0))) / 2  # of the base rate
        return base_lr * share + self.min_lr * (1 - share)


class WarmupLR(Schedule):
    """A linear rise, 1/steps, 2/steps, ..., 1 times the base rate, and then the schedule ``after`` from its start.

    Without ``after`` the rate stays at its base. ``after`` must be a schedule of the same optimiser, whose base rate
    this schedule uses. Call only the ``step`` of this schedule.

    Raises:
        TypeError: if ``after`` is not a schedule.
        ValueError: if ``after`` belongs to another optimiser, or ``steps`` is not a positive integer.

    >>> import minigrad as mg
    >>> sgd = mg.optim.SGD([mg.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = WarmupLR(sgd, 2, after=ExponentialLR(sgd, 0.5))
    >>> for _ in range(4):
    ...     print(sgd.lr)
    ...     schedule.step()
    0.5
    1.0
    1.0
    0.5
    """

    def __init__(self, optimizer: Optimizer, steps: int, after: Schedule | None = None) -> None:
        if after is not None and not isinstance(after, Schedule):
            raise TypeError(f"WarmupLR: after must be a schedule, not {type(after).__name__}")
        if after is not None and after.optimizer is not optimizer:
            raise ValueError("WarmupLR: after must be a schedule of the same optimiser")
        self.steps, self.after = as_whole("WarmupLR", "steps", steps), after
        if after is not None:  # which may have set other rates for its own start
            for group, base_lr in zip(optimizer.param_groups, after.base_lrs, strict=True):
                group["lr"] = base_lr
        super().__init__(optimizer)

    def _other_options(self, count: int) -> list[dict[str, Any]]:
        if self.after is None or count < self.steps:
            return super()._other_options(count)
        return self.after._other_options(count - self.steps)

    def rate(self, count: int, base_lr: float) -> float:
        if count < self.steps:
            return base_lr * ((count + 1) / self.steps)
        return base_lr if self.after is None else self.after.rate(count - self.steps, base_lr)


class OneCycleLR(Schedule):
    """One cycle of ``total_steps`` (Smith and Topin, 2018): up to ``max_lr``, and down to almost 0.

    The rate rises from max_lr / div_factor to max_lr in the first ``pct_start`` of all steps, and falls to
    max_lr / div_factor / final_div_factor in the rest. With ``three_phase``, it falls to max_lr / div_factor in as many
    steps as it rose, and to the last rate in the rest. With ``cycle_momentum``, the momentum (the first of ``betas``)
    meanwhile goes from ``max_momentum`` to ``base_momentum`` and back. As in PyTorch, except that the values stay
    constant after the last step, where PyTorch continues for one step and then raises. ``base_lr`` is ``max_lr``.

    Args:
        max_lr, base_momentum, max_momentum: a number, or one for each parameter group.
        total_steps: the number of steps; alternatively, pass ``epochs`` and ``steps_per_epoch``.
        anneal_strategy: along half a cosine (``"cos"``) or a line (``"linear"``).

    Raises:
        TypeError: if an argument is not a number, or ``optimizer`` is not an optimiser.
        ValueError: if a number is out of its range, or the optimiser has no momentum to cycle.

    >>> import minigrad as mg
    >>> adam = mg.optim.Adam([mg.tensor([1.0], requires_grad=True)])
    >>> schedule = OneCycleLR(adam, max_lr=1.0, total_steps=5, pct_start=0.6, anneal_strategy="linear")
    >>> for _ in range(5):
    ...     print(round(adam.lr, 6), round(adam.betas[0], 6))
    ...     schedule.step()
    0.04 0.95
    0.52 0.9
    1.0 0.85
    0.500002 0.9
    4e-06 0.95
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ) -> None:
        name = "OneCycleLR"
        groups = _as_optimizer(name, optimizer).param_groups
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError(f"{name}: pass total_steps, or both epochs and steps_per_epoch")
            total_steps = as_whole(name, "epochs", epochs) * as_whole(name, "steps_per_epoch", steps_per_epoch)
        self.total_steps = as_whole(name, "total_steps", total_steps)
        self.anneal_strategy = as_choice(name, "anneal_strategy", anneal_strategy, ("cos", "linear"))
        self.div_factor = as_number(name, "div_factor", div_factor, "finite and above 0")
        self.final_div_factor = as_number(name, "final_div_factor", final_div_factor, "finite and above 0")
        self.three_phase = three_phase
        rise = as_number(name, "pct_start", pct_start, "in [0, 1]") * self.total_steps
        # The last step of each phase. As in PyTorch, those before the last phase need not be integers.
        self._ends = [rise - 1, *([2 * rise - 2] if three_phase else []), self.total_steps - 1]
        rates = _of_each_group(name, "max_lr", max_lr, optimizer)
        self._momenta: list[tuple[float, float]] = []  # the lowest and highest of each group
        if cycle_momentum:
            lows = _of_each_group(name, "base_momentum", base_momentum, optimizer, "in [0, 1)")
            highs = _of_each_group(name, "max_momentum", max_momentum, optimizer, "in [0, 1)")
            self._momenta = list(zip(lows, highs, strict=True))
        for k, group in enumerate(groups):
            if cycle_momentum and "betas" not in group and not group.get("momentum"):
                raise ValueError(
                    f"{name}: group {k} of {type(optimizer).__name__} has no momentum to cycle. "
                    "Create the optimiser with a momentum, or pass cycle_momentum=False."
                )
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate  # super() uses it as the base rate
        super().__init__(optimizer)

    def _between(self, count: int, values: list[float]) -> float:
        """Return the value at a step, between the values at the ends of its phase (one more than there are phases)."""
        step = min(count, self.total_steps - 1)
        phase = next(k for k, end in enumerate(self._ends) if step <= end or k == len(self._ends) - 1)
        start, end = self._ends[phase - 1] if phase else 0.0, self._ends[phase]
        share = (step - start) / (end - start) if end > start else 1.0
        first, last = values[phase : phase + 2]
        if self.anneal_strategy == "linear":
            return first + (last - first) * share
        return last + (first - last) / 2 * (1 + math.cos(math.pi * share))

    def rate(self, count: int, base_lr: float) -> float:
        first = base_lr / self.div_factor
        back = [first] if self.three_phase else []
        return self._between(count, [first, base_lr, *back, first / self.final_div_factor])

    def _other_options(self, count: int) -> list[dict[str, Any]]:
        if not self._momenta:
            return super()._other_options(count)
        momenta = [self._between(count, [high, low, high, high]) for low, high in self._momenta]
        return [
            {"betas": (momentum, group["betas"][1])} if "betas" in group else {"momentum": momentum}
            for group, momentum in zip(self.optimizer.param_groups, momenta, strict=True)
        ]


class ReduceOnPlateau:
    """Multiply the rates by ``factor`` when a metric has not improved for more than ``patience`` steps.

    A metric improves if it is below best (1 - threshold), or best - threshold with ``threshold_mode="abs"``; with
    ``mode="max"``, if it is above best (1 + threshold), or best + threshold. NaN is not an improvement. For
    ``cooldown`` steps after a reduction, no step counts as bad. This is PyTorch's ReduceLROnPlateau.

    A :class:`Schedule` of the same optimiser, such as a warm-up, may run first. Once rates have been reduced, a step of
    the schedule raises instead of undoing that.

    Args:
        mode: whether the metric should become small (``"min"``) or large (``"max"``).
        factor: below 1.
        min_lr: the lower bound of the rates: a number, or one for each parameter group.
        eps: the smallest change; a rate that would change by no more than this stays.

    Raises:
        TypeError: if an argument is not a number, or ``optimizer`` is not an optimiser.
        ValueError: if a number is out of its range, or a mode is unknown.

    >>> import minigrad as mg
    >>> sgd = mg.optim.SGD([mg.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = ReduceOnPlateau(sgd, factor=0.5, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.5, 1.0):
    ...     schedule.step(loss)
    ...     print(sgd.lr)
    1.0
    1.0
    1.0
    0.5
    0.5
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        name = "ReduceOnPlateau"
        self.optimizer = _as_optimizer(name, optimizer)
        self.mode = as_choice(name, "mode", mode, ("min", "max"))
        self.threshold_mode = as_choice(name, "threshold_mode", threshold_mode, ("rel", "abs"))
        self.factor = as_number(name, "factor", factor, "in [0, 1)")
        self.patience = as_whole(name, "patience", patience, 0)
        self.cooldown = as_whole(name, "cooldown", cooldown, 0)
        self.threshold = as_number(name, "threshold", threshold, _RATE)
        self.eps = as_number(name, "eps", eps, _RATE)
        self.min_lrs = _of_each_group(name, "min_lr", min_lr, optimizer)
        self.best = math.inf if mode == "min" else -math.inf
        self.count = self.num_bad_epochs = self.cooldown_counter = 0

    def step(self, metric: Any) -> None:
        """Compare the metric, a number or a 0-d tensor, and reduce the rates if it has stopped improving.

        Raises:
            TypeError: if the metric is not a number.
            ValueError: if a parameter group was added since the schedule was created.
        """
        value = as_number("ReduceOnPlateau.step", "metric", metric)
        _check_groups("ReduceOnPlateau", self.optimizer, len(self.min_lrs))
        self.count += 1
        self.num_bad_epochs += 1
        if self._improves(value):
            self.best, self.num_bad_epochs = value, 0
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            before = [group["lr"] for group in self.optimizer.param_groups]
            lower = [max(rate * self.factor, lowest) for rate, lowest in zip(before, self.min_lrs, strict=True)]
            self._set([new if old - new > self.eps else old for old, new in zip(before, lower, strict=True)])
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def __repr__(self) -> str:
        rates = ", ".join(f"{group['lr']:.4g}" for group in self.optimizer.param_groups)
        return (
            f"ReduceOnPlateau(step {self.count:,}, lr={rates}, best={self.best:.4g}, "
            f"{self.num_bad_epochs} of {self.patience} allowed bad steps)"
        )

    def _improves(self, value: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "abs":
            bar = self.best + sign * self.threshold
        else:
            bar = self.best * (1 + sign * self.threshold) if self.threshold != 1 else self.best  # no 0 times infinity
        return sign * value > sign * bar

    def _set(self, rates: list[float]) -> None:
        """Set the rate of each group, and notify schedules of changes."""
        groups = self.optimizer.param_groups
        self.optimizer._reductions += rates != [group["lr"] for group in groups]
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate

    def state_dict(self) -> dict[str, Array]:
        """Return the best metric, the counts and the rates as arrays, for :func:`minigrad.save`.

        Arguments of the schedule (``factor``, ``patience``, …) are not in the state: create the new schedule with the
        same arguments.
        """
        return {
            "best": np.array(self.best, np.float64),
            **{name: np.array(getattr(self, name), np.int64) for name in _COUNTS},
            "lr": np.array([group["lr"] for group in self.optimizer.param_groups], np.float64),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load the best metric, the counts and the rates; on an error, nothing changes.

        Loading the state of a :class:`Schedule` also sets the rates, so load that first.

        Raises:
            TypeError: if the state is not a mapping.
            ValueError: if entries are missing, unexpected or invalid.
        """
        caller = "ReduceOnPlateau.load_state_dict"
        arrays = matching_arrays(caller, self.state_dict(), state)
        counts = {name: int(as_number(caller, name, arrays[name], "at least 0")) for name in _COUNTS}
        rates = [as_number(caller, "lr", rate, _RATE) for rate in arrays["lr"].tolist()]
        if np.isnan(arrays["best"]):
            raise ValueError(f"{caller}: best is NaN")
        vars(self).update(counts, best=float(arrays["best"]))
        self._set(rates)
