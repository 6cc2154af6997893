"""Learning-rate schedules: closed forms in the number of steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..spec import Array
from .base import Optimizer
from .options import as_number
from .states import validated

__all__ = ["CosineLR", "ExponentialLR", "Schedule", "StepLR", "WarmupLR"]


class Schedule:
    """A learning rate that depends on the number of steps only: lr = base_lr factor(count).

    ``base_lr`` is the optimiser's rate when the schedule is made; ``step()`` counts one on and sets
    ``optimizer.lr``. What a step is (a batch, an epoch) is the caller's choice. A subclass defines ``factor``, or
    ``rate`` if its rates are no multiples of the base rate.

    Raises:
        ValueError: if a rate would be negative or not finite, when the schedule is made or steps.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.base_lr = float(optimizer.lr)
        self.count = 0
        optimizer.lr = self._rate(0)

    def factor(self, count: int) -> float:
        """The rate after ``count`` steps, in units of ``base_lr``."""
        raise NotImplementedError

    def rate(self, count: int) -> float:
        """The learning rate after ``count`` steps."""
        return self.base_lr * self.factor(count)

    def _rate(self, count: int) -> float:
        """The same, or an error if no optimiser could use it."""
        try:
            rate = float(self.rate(count))
        except OverflowError:
            rate = math.inf
        if not 0 <= rate < math.inf:
            raise ValueError(
                f"{type(self).__name__}: the learning rate after {count} steps would be {rate}; "
                "it must be finite and at least 0"
            )
        return rate

    def step(self) -> None:
        """Count one step and set the optimiser's learning rate."""
        self.optimizer.lr = self._rate(self.count + 1)
        self.count += 1

    def _nested(self) -> dict[str, Schedule]:
        """The schedules that this one is made of, by name; their state is part of its own."""
        return {}

    def state_dict(self) -> dict[str, Array]:
        """Count and base rate as arrays, ready for :func:`minigrad.save`; those of a schedule within it under its name.

        What the schedule was made with (``gamma``, ``total``, ...) is not in it: make it anew with the same.

        >>> import minigrad as mg
        >>> sgd = mg.optim.SGD([mg.tensor([1.0], requires_grad=True)], lr=1.0)
        >>> list(WarmupLR(sgd, 2, after=ExponentialLR(sgd, 0.5)).state_dict())
        ['base_lr', 'count', 'after.base_lr', 'after.count']
        """
        state = {"base_lr": np.array(self.base_lr, np.float64), "count": np.array(self.count, np.int64)}
        for name, schedule in self._nested().items():
            state.update({f"{name}.{key}": array for key, array in schedule.state_dict().items()})
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over count and base rate, and set the optimiser's learning rate: all of it, or nothing.

        Raises:
            TypeError: if the state is no mapping.
            ValueError: names every missing, unexpected or impossible entry; nothing has been changed.
        """
        before = self.state_dict(), self.optimizer.lr
        arrays = validated(type(self).__name__, before[0], state)
        try:
            self._take(arrays)
            self.optimizer.lr = self._rate(self.count)
        except BaseException:
            self._take(before[0])
            self.optimizer.lr = before[1]
            raise

    def _take(self, arrays: Mapping[str, Array]) -> None:
        if not (0 <= arrays["base_lr"] < math.inf and arrays["count"] >= 0):
            raise ValueError(f"{type(self).__name__}.load_state_dict: count and base_lr must be finite and at least 0")
        self.base_lr, self.count = float(arrays["base_lr"]), int(arrays["count"])
        for name, schedule in self._nested().items():
            own = {key.removeprefix(f"{name}."): array for key, array in arrays.items() if key.startswith(f"{name}.")}
            schedule.load_state_dict(own)


def _whole(caller: str, name: str, value: int) -> int:
    if isinstance(value, bool) or not (isinstance(value, (int, np.integer)) and value >= 1):
        raise ValueError(f"{caller}: {name} must be a positive integer, not {value!r}")
    return int(value)


def _number(caller: str, name: str, value: float) -> float:
    """A factor or a rate: finite and not negative."""
    number = as_number(caller, name, value)
    if not 0 <= number < math.inf:
        raise ValueError(f"{caller}: {name} must be finite and at least 0, not {number}")
    return number


class StepLR(Schedule):
    """The rate times ``gamma`` after every ``step_size`` steps.

    >>> import minigrad as mg
    >>> sgd = mg.optim.SGD([mg.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = StepLR(sgd, 2, gamma=0.5)
    >>> [schedule.factor(count) for count in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size, self.gamma = _whole("StepLR", "step_size", step_size), _number("StepLR", "gamma", gamma)
        super().__init__(optimizer)

    def factor(self, count: int) -> float:
        return float(self.gamma ** (count // self.step_size))


class ExponentialLR(Schedule):
    """The rate times ``gamma`` after every step (usually an epoch).

    >>> import minigrad as mg
    >>> sgd = mg.optim.SGD([mg.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> ExponentialLR(sgd, 0.5).step()
    >>> sgd.lr
    0.5
    """

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = _number("ExponentialLR", "gamma", gamma)
        super().__init__(optimizer)

    def factor(self, count: int) -> float:
        return float(self.gamma**count)


class CosineLR(Schedule):
    """Half a cosine from the base rate to ``min_lr`` over ``total`` steps, and ``min_lr`` from then on.

    (Loshchilov and Hutter, 2017; PyTorch's CosineAnnealingLR, which would rise again.)

    >>> import minigrad as mg
    >>> sgd = mg.optim.SGD([mg.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = CosineLR(sgd, 2, min_lr=0.2)
    >>> [round(schedule.factor(count), 6) for count in range(4)]
    [1.0, 0.6, 0.2, 0.2]
    """

    def __init__(self, optimizer: Optimizer, total: int, min_lr: float = 0.0) -> None:
        self.total, self.min_lr = _whole("CosineLR", "total", total), _number("CosineLR", "min_lr", min_lr)
        super().__init__(optimizer)

    def rate(self, count: int) -> float:
        share = (1 + math.cos(math.pi * min(count / self.total, 1.0))) / 2  # of the base rate
        return self.base_lr * share + self.min_lr * (1 - share)

    def factor(self, count: int) -> float:
        return self.rate(count) / self.base_lr if self.base_lr else 0.0


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
        self.steps, self.after = _whole("WarmupLR", "steps", steps), after
        if after is not None:  # which may have set the optimiser's rate to another one, its first
            optimizer.lr = after.base_lr
        super().__init__(optimizer)

    def _nested(self) -> dict[str, Schedule]:
        return {} if self.after is None else {"after": self.after}

    def rate(self, count: int) -> float:
        if count < self.steps:
            return self.base_lr * ((count + 1) / self.steps)
        return self.base_lr if self.after is None else self.after.rate(count - self.steps)

    def factor(self, count: int) -> float:
        return self.rate(count) / self.base_lr if self.base_lr else 0.0
