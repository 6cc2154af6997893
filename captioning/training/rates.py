"""The learning rate of an iteration: it follows from the settings, and from validations that have been.

| schedule | the rate of iteration i, in epoch e, counted from 0 |
|---|---|
| `exponential` | lr decay^e |
| `cosine` | lr (1 + cos(pi i / I)) / 2, with I the iterations of `cosine_epochs`, or of all epochs |
| `plateau` | lr decay^k, k the validations at the end of an epoch so far that were no better than the best before |

The first `warmup` iterations take 1/warmup, 2/warmup, … of it. Source of the cosine: I. Loshchilov and F. Hutter, SGDR:
stochastic gradient descent with warm restarts (2017).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from captioning.training.settings import Settings

__all__ = ["SCHEDULES", "learning_rate", "reductions"]

SCHEDULES = ("exponential", "cosine", "plateau")


def learning_rate(settings: Settings, iteration: int, epoch_length: int, reduced: int = 0) -> float:
    """The rate of an iteration, counted from 0. epoch_length: iterations of an epoch. reduced: k above.

    >>> from captioning.training.settings import Settings
    >>> settings = Settings(epochs=2, learning_rate=1.0, schedule="cosine", warmup=4)
    >>> [round(learning_rate(settings, i, epoch_length=4), 3) for i in range(8)]
    [0.25, 0.481, 0.64, 0.691, 0.5, 0.309, 0.146, 0.038]
    """
    rate, decay = settings.learning_rate, settings.lr_decay
    if settings.schedule == "exponential":
        rate *= decay ** (iteration // epoch_length)
    elif settings.schedule == "plateau":
        rate *= decay**reduced
    else:
        horizon = (settings.cosine_epochs or settings.epochs) * epoch_length
        rate *= (1 + math.cos(math.pi * min(1.0, iteration / horizon))) / 2
    return rate * min(1.0, (iteration + 1) / settings.warmup) if settings.warmup else rate


def reductions(scores: Sequence[tuple[float, float]]) -> int:
    """How many of the validations, each a score that should be high, were no better than the best before them.

    >>> reductions([(0.1, 0.0), (0.3, 0.0), (0.2, 0.0), (0.3, 0.0), (0.4, 0.0)])
    2
    """
    best, count = None, 0
    for score in scores:
        if best is not None and score <= best:
            count += 1
        best = score if best is None else max(best, score)
    return count
