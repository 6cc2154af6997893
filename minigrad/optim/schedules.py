"""Learning-rate schedules: closed forms in the number of steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..spec import Array
from .base import Optimizer, validated

__all__ = ["CosineLR", "ExponentialLR", "Schedule", "StepLR", "WarmupLR"]


class Schedule:
    """A learning rate that depends on the number of steps only: lr = base_lr factor(count).

    ``base_lr`` is the optimiser's rate when the schedule is made; ``step()`` counts one on and sets
    ``optimizer.lr``. What a step is (a batch, an epoch) is the caller's choice.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.base_lr = optimizer.lr
        self.count = 0
        self._apply()

    def factor(self, count: int) -> float:
        """The rate after ``count`` steps, in units of ``base_lr``."""
        raise NotImplementedError

    def _apply(self) -> None:
        self.optimizer.lr = self.base_lr * self.factor(self.count)

    def step(self) -> None:
        """Count one step and set the optimiser's learning rate."""
        self.count += 1
        self._apply()

    def state_dict(self) -> dict[str, Array]:
        """The count and the base rate as arrays, ready for :func:`minigrad.save`."""
        return {"base_lr": np.array(self.base_lr, np.float64), "count": np.array(self.count, np.int64)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over count and base rate, and set the optimiser's learning rate.

        Raises:
            ValueError: names every missing, unexpected or impossible entry; nothing has been changed.
        """
        arrays = validated(type(self).__name__, self.state_dict(), state)
        if not (0 <= arrays["base_lr"] < math.inf and arrays["count"] >= 0):
            raise ValueError(f"{type(self).__name__}.load_state_dict: count and base_lr must be finite and at least 0")
        self.base_lr, self.count = float(arrays["base_lr"]), int(arrays["count"])
        self._apply()


def _whole(caller: str, name: str, value: int) -> int:
    if not (isinstance(value, (int, np.integer)) and value >= 1):
        raise ValueError(f"{caller}: {name} must be a positive integer, not {value!r}")
    return int(value)


class StepLR(Schedule):
    """The rate times ``gamma`` after every ``step_size`` steps.

    >>> import minigrad as mg
    >>> sgd = mg.optim.SGD([mg.tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = StepLR(sgd, 2, gamma=0.5)
    >>> [schedule.factor(count) for count in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size, self.gamma = _whole("StepLR", "step_size", step_size), gamma
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
        self.gamma = gamma
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
        self.total, self.min_lr = _whole("CosineLR", "total", total), min_lr
        super().__init__(optimizer)

    def factor(self, count: int) -> float:
        low = self.min_lr / self.base_lr if self.base_lr else 0.0
        return low + (1 - low) * (1 + math.cos(math.pi * min(count / self.total, 1.0))) / 2


class WarmupLR(Schedule):
    """A linear rise, 1/steps, 2/steps, ..., 1 times the base rate, and then the schedule ``after`` from its start.

    Without ``after`` the rate stays at its base. ``after`` must be made for the same optimiser; only this
    schedule's ``step`` is to be called.

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
        if after is not None and after.optimizer is not optimizer:
            raise ValueError("WarmupLR: the schedule after it must be made for the same optimiser")
        self.steps, self.after = _whole("WarmupLR", "steps", steps), after
        super().__init__(optimizer)

    def factor(self, count: int) -> float:
        if count < self.steps:
            return (count + 1) / self.steps
        return 1.0 if self.after is None else self.after.factor(count - self.steps)
