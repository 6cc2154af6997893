"""The one-cycle policy: a rate that rises once and falls far, and a momentum that does the opposite."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from .base import Optimizer
from .options import as_number, as_option, as_whole
from .schedules import Schedule, as_factor, as_optimizer, of_each_group

__all__ = ["OneCycleLR"]


class _Phase(NamedTuple):
    """A stretch of the cycle: its last step, and from where to where the rate and the momentum go in it."""

    end: float
    rates: tuple[str, str]
    momenta: tuple[str, str]


class OneCycleLR(Schedule):
    """One cycle of ``total_steps`` (Smith and Topin, 2018): up to ``max_lr``, and down to almost nothing.

    The rate goes from max_lr / div_factor up to max_lr in the first ``pct_start`` of all steps, and down to
    max_lr / div_factor / final_div_factor in the rest; with ``three_phase`` down to max_lr / div_factor in as many
    steps as it rose, and to the last rate in what is left. Meanwhile the momentum (the first of ``betas``) goes from
    ``max_momentum`` to ``base_momentum`` and back, if ``cycle_momentum``. As PyTorch's, but from the last step on
    everything stays, where PyTorch's goes on for a step, and then raises. ``base_lr`` is ``max_lr``.

    Args:
        max_lr, base_momentum, max_momentum: a number, or one for each parameter group.
        total_steps: how many steps; or give ``epochs`` and ``steps_per_epoch``.
        anneal_strategy: along half a cosine (``"cos"``) or a line (``"linear"``).

    Raises:
        TypeError: if what should be a number, or the optimiser, is none.
        ValueError: if one is out of its range, or the optimiser has no momentum to cycle.

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
        as_optimizer(name, optimizer)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError(f"{name}: give total_steps, or both epochs and steps_per_epoch")
            total_steps = as_whole(name, "epochs", epochs) * as_whole(name, "steps_per_epoch", steps_per_epoch)
        self.total_steps = as_whole(name, "total_steps", total_steps)
        share = as_number(name, "pct_start", pct_start)
        if not 0 <= share <= 1:
            raise ValueError(f"{name}: pct_start must be in [0, 1], not {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"{name}: anneal_strategy must be 'cos' or 'linear', not {anneal_strategy!r}")
        self.anneal_strategy = anneal_strategy
        self.div_factor = _divisor("div_factor", div_factor)
        self.final_div_factor = _divisor("final_div_factor", final_div_factor)
        self._phases = _phases(share, self.total_steps, bool(three_phase))
        rates = of_each_group(name, "max_lr", max_lr, optimizer)
        self._momenta: list[dict[str, float]] = []
        if cycle_momentum:
            self._momenta = _momenta(optimizer, base_momentum, max_momentum)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate  # of which super makes the base rate
        super().__init__(optimizer)

    def _between(self, start: float, end: float, share: float) -> float:
        if self.anneal_strategy == "linear":
            return start + (end - start) * share
        return end + (start - end) / 2 * (1 + math.cos(math.pi * share))

    def _phase(self, count: int) -> tuple[_Phase, float]:
        """The phase of a step, and which part of it is over."""
        start, step = 0.0, min(count, self.total_steps - 1)
        for phase in self._phases:
            if step <= phase.end or phase is self._phases[-1]:
                break
            start = phase.end
        return phase, (step - start) / (phase.end - start) if phase.end > start else 1.0

    def rate(self, count: int, base_lr: float) -> float:
        first = base_lr / self.div_factor
        rates = {"first": first, "peak": base_lr, "last": first / self.final_div_factor}
        phase, share = self._phase(count)
        start, end = phase.rates
        return self._between(rates[start], rates[end], share)

    def factor(self, count: int) -> float:
        return self.rate(count, self.base_lr) / self.base_lr if self.base_lr else 0.0

    def _beside_rates(self, count: int) -> list[dict[str, Any]]:
        if not self._momenta:
            return super()._beside_rates(count)
        phase, share = self._phase(count)
        start, end = phase.momenta
        momenta = [self._between(ends[start], ends[end], share) for ends in self._momenta]
        return [
            {"betas": (momentum, group["betas"][1])} if "betas" in group else {"momentum": momentum}
            for group, momentum in zip(self.optimizer.param_groups, momenta, strict=True)
        ]


def _divisor(name: str, value: float) -> float:
    number = as_factor("OneCycleLR", name, value)
    if number == 0:
        raise ValueError(f"OneCycleLR: {name} must be above 0, not {value}")
    return number


def _phases(share: float, total: int, three: bool) -> list[_Phase]:
    """The phases; the ends of those within are as PyTorch's, no whole numbers."""
    up = _Phase(share * total - 1, ("first", "peak"), ("high", "low"))
    if not three:
        return [up, _Phase(total - 1, ("peak", "last"), ("low", "high"))]
    down = _Phase(2 * share * total - 2, ("peak", "first"), ("low", "high"))
    return [up, down, _Phase(total - 1, ("first", "last"), ("high", "high"))]


def _momenta(optimizer: Optimizer, low: Any, high: Any) -> list[dict[str, float]]:
    """The lowest and highest momentum of each group; an error if groups have none."""
    for k, group in enumerate(optimizer.param_groups):
        if "betas" not in group and not group.get("momentum"):
            raise ValueError(
                f"OneCycleLR: group {k} of {type(optimizer).__name__} has no momentum to cycle: make the optimiser "
                "with one, or pass cycle_momentum=False"
            )
    lows = of_each_group("OneCycleLR", "base_momentum", low, optimizer)
    highs = of_each_group("OneCycleLR", "max_momentum", high, optimizer)
    for momentum in (*lows, *highs):
        as_option("OneCycleLR", "momentum", momentum)
    return [{"low": a, "high": b} for a, b in zip(lows, highs, strict=True)]
