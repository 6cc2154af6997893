"""A learning rate that falls when a measure, such as the loss on other data, stops getting better."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..spec import Array
from .base import Optimizer
from .options import as_number, as_whole
from .schedules import as_factor, as_optimizer, of_each_group
from .states import validated

__all__ = ["ReduceOnPlateau"]


class ReduceOnPlateau:
    """The rates times ``factor`` when a metric has not improved for more than ``patience`` steps.

    A metric improves if it is below best (1 - threshold), or best - threshold with ``threshold_mode="abs"``; with
    ``mode="max"`` if it is above best (1 + threshold), or best + threshold. NaN is no improvement. For
    ``cooldown`` steps after a reduction nothing is held against the metric. As PyTorch's ReduceLROnPlateau.

    A :class:`Schedule` of the same optimiser, such as a warm-up, may go before it: once rates have been reduced, a step
    of the schedule would undo that, and raises.

    Args:
        mode: whether the metric should become small (``"min"``) or large (``"max"``).
        factor: below 1.
        min_lr: what rates do not fall below: a number, or one for each parameter group.
        eps: a rate that would change by no more than this stays.

    Raises:
        TypeError: if what should be a number, or the optimiser, is none.
        ValueError: if one is out of its range, or a mode is unknown.

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
        if mode not in ("min", "max"):
            raise ValueError(f"{name}: mode must be 'min' or 'max', not {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"{name}: threshold_mode must be 'rel' or 'abs', not {threshold_mode!r}")
        self.optimizer, self.mode, self.threshold_mode = as_optimizer(name, optimizer), mode, threshold_mode
        self.factor = as_factor(name, "factor", factor)
        if self.factor >= 1:
            raise ValueError(f"{name}: factor must be below 1, not {factor}")
        self.patience = as_whole(name, "patience", patience, 0)
        self.cooldown = as_whole(name, "cooldown", cooldown, 0)
        self.threshold = as_factor(name, "threshold", threshold)
        self.eps = as_factor(name, "eps", eps)
        self.min_lrs = of_each_group(name, "min_lr", min_lr, optimizer)
        self.best = math.inf if mode == "min" else -math.inf
        self.count = self.num_bad_epochs = self.cooldown_counter = 0

    def step(self, metric: Any) -> None:
        """Look at the metric, a number or a tensor of no axes, and reduce the rates if it is time to.

        Raises:
            TypeError: if the metric is no number.
            ValueError: if a parameter group was added since the schedule was made.
        """
        value = as_number("ReduceOnPlateau.step", "metric", metric)
        if len(self.optimizer.param_groups) != len(self.min_lrs):
            raise ValueError(
                f"ReduceOnPlateau: the optimiser has {len(self.optimizer.param_groups)} parameter groups, it had "
                f"{len(self.min_lrs)} when the schedule was made: make another one"
            )
        self.count += 1
        if self._improves(value):
            self.best, self.num_bad_epochs = value, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0

    def _improves(self, value: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "rel":
            bar = self.best * (1 + sign * self.threshold) if self.threshold != 1 else self.best  # no 0 times infinity
        else:
            bar = self.best + sign * self.threshold
        return sign * value > sign * bar

    def _reduce(self) -> None:
        before = [group["lr"] for group in self.optimizer.param_groups]
        lower = [max(rate * self.factor, lowest) for rate, lowest in zip(before, self.min_lrs, strict=True)]
        self._set([new if old - new > self.eps else old for old, new in zip(before, lower, strict=True)])

    def _set(self, rates: list[float]) -> None:
        """Set the rate of each group, and have the optimiser know if that changes any."""
        groups = self.optimizer.param_groups
        self.optimizer._reductions += rates != [group["lr"] for group in groups]
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate

    def state_dict(self) -> dict[str, Array]:
        """The best metric, the counts and the rates as arrays, ready for :func:`minigrad.save`.

        What the schedule was made with (``factor``, ``patience``, …) is not in it: make it anew with the same.
        """
        counts = {"count": self.count, "num_bad_epochs": self.num_bad_epochs, "cooldown_counter": self.cooldown_counter}
        return {
            "best": np.array(self.best, np.float64),
            **{name: np.array(count, np.int64) for name, count in counts.items()},
            "lr": np.array([group["lr"] for group in self.optimizer.param_groups], np.float64),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over the best metric and the counts, and set the optimiser's rates: all of it, or nothing.

        A :class:`Schedule` sets the rates too when its state is loaded, so that its turn is before this.

        Raises:
            TypeError: if the state is no mapping.
            ValueError: names every missing, unexpected or impossible entry; nothing has been changed.
        """
        arrays = validated("ReduceOnPlateau", self.state_dict(), state)
        counts = {name: int(arrays[name]) for name in ("count", "num_bad_epochs", "cooldown_counter")}
        for name, count in counts.items():
            if count < 0:
                raise ValueError(f"ReduceOnPlateau.load_state_dict: {name} must not be negative, it is {count}")
        if np.isnan(arrays["best"]):
            raise ValueError("ReduceOnPlateau.load_state_dict: best is NaN")
        if not ((arrays["lr"] >= 0) & (arrays["lr"] < math.inf)).all():
            raise ValueError(f"ReduceOnPlateau.load_state_dict: rates must be finite and at least 0: {arrays['lr']}")
        self.best = float(arrays["best"])
        self.count, self.num_bad_epochs, self.cooldown_counter = counts.values()
        self._set(arrays["lr"].tolist())
