"""Learning-rate schedules: closed forms in the number of steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core import plain
from ..spec import Array, describe
from .base import Optimizer
from .options import as_number, as_whole
from .states import validated

__all__ = ["CosineLR", "ExponentialLR", "Schedule", "StepLR", "WarmupLR"]


class Schedule:
    """A learning rate that depends on the number of steps only: lr = base_lr factor(count).

    Each parameter group has its own base rate, the optimiser's when the schedule is made (``base_lrs``; ``base_lr``, if
    groups share one). ``step()`` counts one on and sets the rate of each group. What a step is (a batch, an epoch) is
    the caller's choice. Where :class:`ReduceOnPlateau` has set rates since, a step would undo that, and raises: a
    schedule made anew goes on from the rates as they are. A subclass defines ``factor``, or ``rate`` if its rates are
    no multiples of the base rate.

    Raises:
        TypeError: if the optimiser is none.
        ValueError: if a rate would be negative or not finite, when the schedule is made or steps; or if a parameter
            group was added since it was made, or :class:`ReduceOnPlateau` has set rates since the last step.

    >>> import minigrad as mg
    >>> w, b = mg.tensor([1.0], requires_grad=True), mg.tensor([1.0], requires_grad=True)
    >>> sgd = mg.optim.SGD([{"params": [w]}, {"params": [b], "lr": 1.0}], lr=0.5)
    >>> mg.optim.ExponentialLR(sgd, 0.5).step()
    >>> [group["lr"] for group in sgd.param_groups]
    [0.25, 0.5]
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = as_optimizer(type(self).__name__, optimizer)
        self.base_lrs = [float(group["lr"]) for group in optimizer.param_groups]
        self.count = 0
        self._set(0)

    @property
    def base_lr(self) -> float:
        """The base rate that all groups share; a ValueError if they do not."""
        if len(set(self.base_lrs)) > 1:
            raise ValueError(f"{type(self).__name__}: base_lr is {self.base_lrs} in groups: ask for base_lrs")
        return self.base_lrs[0]

    def factor(self, count: int) -> float:
        """The rate after ``count`` steps, in units of ``base_lr``."""
        raise NotImplementedError

    def rate(self, count: int, base_lr: float) -> float:
        """The learning rate after ``count`` steps of a group with this base rate."""
        return base_lr * self.factor(count)

    def _beside_rates(self, count: int) -> list[dict[str, Any]]:
        """What each group's other options are after ``count`` steps, if the schedule sets any."""
        return [{} for _ in self.base_lrs]

    def _checked(self, count: int, base_lr: float) -> float:
        """A rate, or an error if no optimiser could use it."""
        try:
            rate = float(self.rate(count, base_lr))
        except OverflowError:
            rate = math.inf
        if not 0 <= rate < math.inf:
            raise ValueError(
                f"{type(self).__name__}: the learning rate after {count} steps would be {rate}; "
                "it must be finite and at least 0"
            )
        return rate

    def _set(self, count: int) -> None:
        """Set the optimiser's options to those after ``count`` steps."""
        groups = self.optimizer.param_groups
        if len(groups) != len(self.base_lrs):
            raise ValueError(
                f"{type(self).__name__}: the optimiser has {len(groups)} parameter groups, it had {len(self.base_lrs)} "
                "when the schedule was made: make another one"
            )
        rates = [self._checked(count, base_lr) for base_lr in self.base_lrs]
        for group, rate, others in zip(groups, rates, self._beside_rates(count), strict=True):
            group.update(others, lr=rate)
        self._reductions = self.optimizer._reductions

    def step(self) -> None:
        """Count one step and set the optimiser's learning rates.

        Raises:
            ValueError: if a rate would be negative or not finite, a parameter group was added, or
                :class:`ReduceOnPlateau` has set the rates since the last step. Nothing has been changed.
        """
        if self._reductions != self.optimizer._reductions:
            raise ValueError(
                f"{type(self).__name__}.step: ReduceOnPlateau has reduced the rates to "
                f"{', '.join(str(group['lr']) for group in self.optimizer.param_groups)} since the last step, which "
                "this one would undo: use one of the two at a time, or make another schedule from these rates"
            )
        self._set(self.count + 1)
        self.count += 1

    def _nested(self) -> dict[str, Schedule]:
        """The schedules that this one is made of, by name; their state is part of its own."""
        return {}

    def state_dict(self) -> dict[str, Array]:
        """Count and base rate as arrays, ready for :func:`minigrad.save`; those of a schedule within it under its name.

        Of several parameter groups the base rates are one array. ``kind`` is the name of the class, as bytes.

        What the schedule was made with (``gamma``, ``total``, ...) is not in it: make it anew with the same.

        >>> import minigrad as mg
        >>> sgd = mg.optim.SGD([mg.tensor([1.0], requires_grad=True)], lr=1.0)
        >>> list(WarmupLR(sgd, 2, after=ExponentialLR(sgd, 0.5)).state_dict())
        ['kind', 'base_lr', 'count', 'after.kind', 'after.base_lr', 'after.count']
        """
        bases = self.base_lrs if len(self.base_lrs) > 1 else self.base_lrs[0]
        state: dict[str, Array] = {
            "kind": np.array(list(type(self).__name__.encode()), np.uint8),
            "base_lr": np.array(bases, np.float64),
            "count": np.array(self.count, np.int64),
        }
        for name, schedule in self._nested().items():
            state.update({f"{name}.{key}": array for key, array in schedule.state_dict().items()})
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over count and base rate, and set the optimiser's learning rate: all of it, or nothing.

        A state without ``kind``, as earlier ones were saved, is taken for one of this kind.

        Raises:
            TypeError: if the state is no mapping.
            ValueError: if the state is of another kind of schedule; names every missing, unexpected or impossible
                entry. Nothing has been changed.
        """
        before = self.state_dict(), [dict(group) for group in self.optimizer.param_groups]
        arrays = validated(type(self).__name__, before[0], _with_kinds(type(self).__name__, before[0], state))
        try:
            self._take(arrays)
            self._set(self.count)
        except BaseException:
            self._take(before[0])
            for group, options in zip(self.optimizer.param_groups, before[1], strict=True):
                group.update(options)
            raise

    def _take(self, arrays: Mapping[str, Array]) -> None:
        bases = [float(base) for base in arrays["base_lr"].reshape(-1)]
        if not (all(0 <= base < math.inf for base in bases) and arrays["count"] >= 0):
            raise ValueError(f"{type(self).__name__}.load_state_dict: count and base_lr must be finite and at least 0")
        self.base_lrs, self.count = bases, int(arrays["count"])
        for name, schedule in self._nested().items():
            own = {key.removeprefix(f"{name}."): array for key, array in arrays.items() if key.startswith(f"{name}.")}
            schedule.load_state_dict(own)


def _with_kinds(caller: str, own: Mapping[str, Array], state: Any) -> Any:
    """A state with the kinds of schedules, also if it was saved without; an error if one is another than here."""
    if not isinstance(state, Mapping):
        return state
    kinds = {name: array for name, array in own.items() if name.rpartition(".")[2] == "kind"}
    for name, kind in kinds.items():
        found = np.asarray(plain(state.get(name, kind)))
        if not np.array_equal(found, kind):
            raise ValueError(f"{caller}.load_state_dict: {name} is {_text(found)} in the state, {_text(kind)} here")
    return {**kinds, **state}


def _text(kind: Array) -> str:
    return kind.tobytes().decode(errors="replace") if kind.dtype == np.uint8 else str(kind)


def as_optimizer(caller: str, value: Any) -> Optimizer:
    """What was given, if it is an optimiser."""
    if not isinstance(value, Optimizer):
        raise TypeError(f"{caller}: optimizer must be an optimiser, not {describe(value)}")
    return value


def as_factor(caller: str, name: str, value: float) -> float:
    """A factor or a rate: finite and not negative."""
    number = as_number(caller, name, value)
    if not 0 <= number < math.inf:
        raise ValueError(f"{caller}: {name} must be finite and at least 0, not {number}")
    return number


def of_each_group(caller: str, name: str, value: Any, optimizer: Optimizer) -> list[float]:
    """A number for each parameter group, of one for all or a list of them."""
    groups = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [as_factor(caller, name, value)] * groups
    if len(value) != groups:
        raise ValueError(f"{caller}: {name} has {len(value)} numbers, the optimiser {groups} parameter groups")
    return [as_factor(caller, name, number) for number in value]


class StepLR(Schedule):
    """The rate times ``gamma`` after every ``step_size`` steps.

    Raises:
        TypeError: if ``gamma`` is no number.
        ValueError: if ``step_size`` is no positive integer, or ``gamma`` negative or not finite.

    >>> import minigrad as mg
    >>> sgd = mg.optim.SGD([mg.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = StepLR(sgd, 2, gamma=0.5)
    >>> [schedule.factor(count) for count in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size, self.gamma = as_whole("StepLR", "step_size", step_size), as_factor("StepLR", "gamma", gamma)
        super().__init__(optimizer)

    def factor(self, count: int) -> float:
        return float(self.gamma ** (count // self.step_size))


class ExponentialLR(Schedule):
    """The rate times ``gamma`` after every step (usually an epoch).

    Raises:
        TypeError: if ``gamma`` is no number.
        ValueError: if ``gamma`` is negative or not finite.

    >>> import minigrad as mg
    >>> sgd = mg.optim.SGD([mg.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> ExponentialLR(sgd, 0.5).step()
    >>> sgd.lr
    0.5
    """

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = as_factor("ExponentialLR", "gamma", gamma)
        super().__init__(optimizer)

    def factor(self, count: int) -> float:
        return float(self.gamma**count)


class CosineLR(Schedule):
    """Half a cosine from the base rate to ``min_lr`` over ``total`` steps, and ``min_lr`` from then on.

    (Loshchilov and Hutter, 2017; PyTorch's CosineAnnealingLR, which would rise again.)

    Raises:
        TypeError: if ``min_lr`` is no number.
        ValueError: if ``total`` is no positive integer, or ``min_lr`` negative or not finite.

    >>> import minigrad as mg
    >>> sgd = mg.optim.SGD([mg.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = CosineLR(sgd, 2, min_lr=0.2)
    >>> [round(schedule.factor(count), 6) for count in range(4)]
    [1.0, 0.6, 0.2, 0.2]
    """

    def __init__(self, optimizer: Optimizer, total: int, min_lr: float = 0.0) -> None:
        self.total, self.min_lr = as_whole("CosineLR", "total", total), as_factor("CosineLR", "min_lr", min_lr)
        super().__init__(optimizer)

    def rate(self, count: int, base_lr: float) -> float:
        share = (1 + math.cos(math.pi * min(count / self.total, 1.0))) / 2  # of the base rate
        return base_lr * share + self.min_lr * (1 - share)

    def factor(self, count: int) -> float:
        return self.rate(count, self.base_lr) / self.base_lr if self.base_lr else 0.0


class WarmupLR(Schedule):
    """A linear rise, 1/steps, 2/steps, ..., 1 times the base rate, and then the schedule ``after`` from its start.

    Without ``after`` the rate stays at its base. ``after`` must be made for the same optimiser, and its base rate is
    this schedule's too; only this schedule's ``step`` is to be called.

    Raises:
        TypeError: if ``after`` is no schedule.
        ValueError: if it is another optimiser's, or ``steps`` no positive integer.

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
            raise ValueError("WarmupLR: the schedule after it must be made for the same optimiser")
        self.steps, self.after = as_whole("WarmupLR", "steps", steps), after
        if after is not None:  # which may have set the optimiser's rates to other ones, its first
            for group, base_lr in zip(optimizer.param_groups, after.base_lrs, strict=True):
                group["lr"] = base_lr
        super().__init__(optimizer)

    def _nested(self) -> dict[str, Schedule]:
        return {} if self.after is None else {"after": self.after}

    def _beside_rates(self, count: int) -> list[dict[str, Any]]:
        if self.after is None or count < self.steps:
            return super()._beside_rates(count)
        return self.after._beside_rates(count - self.steps)

    def rate(self, count: int, base_lr: float) -> float:
        if count < self.steps:
            return base_lr * ((count + 1) / self.steps)
        return base_lr if self.after is None else self.after.rate(count - self.steps, base_lr)

    def factor(self, count: int) -> float:
        return self.rate(count, self.base_lr) / self.base_lr if self.base_lr else 0.0
