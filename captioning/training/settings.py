"""The settings of training, learning-rate schedules, and stopping on signals.

| schedule | the learning rate of iteration i, in epoch e, counted from 0 |
|---|---|
| `exponential` | lr decay^e |
| `cosine` | lr (1 + cos(pi i / I)) / 2, with I the iterations of `cosine_epochs`, or of all epochs |
| `plateau` | lr decay^k, k the number of epochs that ended with a validation no better than the best before |

The first `warmup` iterations use 1/warmup, 2/warmup, ... of it. Source of the cosine: I. Loshchilov and F. Hutter,
SGDR: stochastic gradient descent with warm restarts (2017).
"""

from __future__ import annotations

import math
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.errors import COUNT, NATURAL, NOT_NEGATIVE, POSITIVE, SHARE, Check, among, check_values, optional
from captioning.data.splits import PARTS

__all__ = ["KEEP", "SCHEDULES", "Clock", "Settings", "Stop", "epoch_order", "learning_rate", "parse_interval",
           "reductions", "stop_on_signals"]  # fmt: skip

SCHEDULES = ("exponential", "cosine", "plateau")
_UNITS = {"s": 1, "m": 60, "h": 3600}

KEEP = ("bleu", "cider", "exercise", "loss")
"""The scores that may decide which weights are the best."""


@dataclass(frozen=True)
class Settings:
    """The settings of a training run.

    epochs, batch_size: how often to use each caption, and the number of captions in a batch. learning_rate, schedule,
    lr_decay, cosine_epochs, warmup: see this module. beta2: Adam's decay rate of squared gradients. clip_norm: the
    largest norm of the gradient; None does not clip. weight_decay: decoupled, as in AdamW. label_smoothing: of the
    cross-entropy. scheduled_sampling: the share of input words in the last epoch that the captioner predicts itself,
    rising from 0. average: validate and keep an exponential average of the weights with this decay. buckets: the number
    of batches whose captions are sorted by length together. patience: stop after this number of epochs without a better
    validation; None never stops. keep: what makes a validation the best one: the highest corpus BLEU-4 ('bleu'),
    CIDEr-D ('cider') or mean exercise BLEU ('exercise') of greedy captions, or the lowest 'loss', which also breaks
    ties. val_part: the part of the validation images to use, 'all' or a half, to report scores of the other half.
    val_images: how many of them at most. validate_every: also validate after this number of iterations; None validates
    only at the end of epochs. seed: of all random numbers.

    >>> Settings(epochs=0)
    Traceback (most recent call last):
    ValueError: epochs must be an int of at least 1; got 0
    """

    epochs: int = 20
    batch_size: int = 25
    learning_rate: float = 1e-3
    lr_decay: float = 0.9
    schedule: str = "exponential"
    cosine_epochs: int | None = None
    warmup: int = 0
    beta2: float = 0.999
    clip_norm: float | None = 5.0
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    scheduled_sampling: float = 0.0
    average: float | None = None
    buckets: int = 1
    patience: int | None = None
    keep: str = "bleu"
    val_part: str = "first"
    val_images: int = 500
    validate_every: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_values(vars(self), _CHECKS)


_CHECKS: dict[str, Check] = {
    **dict.fromkeys(("epochs", "batch_size", "val_images", "buckets"), COUNT),
    **dict.fromkeys(("patience", "validate_every", "cosine_epochs"), optional(COUNT)),
    **dict.fromkeys(("learning_rate", "lr_decay"), POSITIVE),
    "clip_norm": optional(POSITIVE),
    "weight_decay": NOT_NEGATIVE,
    **dict.fromkeys(("beta2", "label_smoothing", "scheduled_sampling"), SHARE),
    "average": optional(SHARE),
    **dict.fromkeys(("seed", "warmup"), NATURAL),
    "keep": among(KEEP),
    "val_part": among(PARTS),
    "schedule": among(SCHEDULES),
}


def learning_rate(settings: Settings, iteration: int, epoch_length: int, reduced: int = 0) -> float:
    """Return the rate of an iteration, counted from 0. epoch_length: in iterations. reduced: k of `plateau`.

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
    """Count the validation scores that were no better than the best one before; higher is better.

    >>> reductions([(0.1, 0.0), (0.3, 0.0), (0.2, 0.0), (0.3, 0.0), (0.4, 0.0)])
    2
    """
    return sum(score <= max(scores[:k]) for k, score in enumerate(scores) if k)


def epoch_order(
    lengths: NDArray[np.integer], batch_size: int, buckets: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the rows of all captions in a random order, for consecutive batches; the last batch may be short.

    lengths: (N,), in words. buckets: sort the captions of this number of batches by length, divide them into batches,
    and shuffle these, so that batches need little padding; 1 does not sort.

    >>> order = epoch_order(np.array([3, 9, 8, 2]), 2, 2, np.random.default_rng(0))
    >>> sorted(sorted(pair) for pair in order.reshape(2, 2).tolist())
    [[0, 3], [1, 2]]
    """
    order = rng.permutation(len(lengths))
    if buckets == 1:
        return order
    whole = len(order) // batch_size * batch_size
    batches: list[NDArray[np.int64]] = []
    for start in range(0, whole, buckets * batch_size):
        near = order[start : min(start + buckets * batch_size, whole)]
        near = near[np.argsort(lengths[near], kind="stable")]
        batches += np.split(near, len(near) // batch_size)
    shuffled = [batches[k] for k in rng.permutation(len(batches))]
    return np.concatenate([*shuffled, order[whole:]])


def parse_interval(text: str) -> tuple[float, float]:
    """Return the seconds and the iterations of '30s', '5m', '2h', of a number of iterations, or of 'never'.

    Raises:
        ValueError: for any other text.

    >>> parse_interval("5m"), parse_interval("1000"), parse_interval("never")
    ((300.0, inf), (inf, 1000.0), (inf, inf))
    """
    if text == "never":
        return math.inf, math.inf
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smh]?)", text.strip(), re.ASCII)
    number = float(found[1]) if found else 0.0
    if found and found[2] and 0 < number < math.inf:
        return number * _UNITS[found[2]], math.inf
    if found and not found[2] and 1 <= number < math.inf and number == int(number):
        return math.inf, number
    raise ValueError(
        f"must be a time such as 30s, 5m or 2h, a number of iterations such as 1000, or never; got {text!r}"
    )


class Clock:
    """Measures whether an interval, as `parse_interval` reads it, has passed since the last `restart`.

    >>> now = 0.0
    >>> clock = Clock("30s", lambda: now)
    >>> now = 29.0
    >>> clock.is_due(iteration=7)
    False
    >>> now = 30.0
    >>> clock.is_due(iteration=8)
    True
    """

    def __init__(self, every: str, seconds: Callable[[], float] = time.monotonic) -> None:
        self._every, self.seconds = parse_interval(every), seconds
        self.restart(0)

    def restart(self, iteration: int) -> None:
        """Start an interval at the end of an iteration."""
        self._start = self.seconds(), iteration

    def is_due(self, iteration: int) -> bool:
        """Return whether the interval has passed at the end of an iteration."""
        time, done = self._start
        return self.seconds() - time >= self._every[0] or iteration - done >= self._every[1]


class Stop(threading.Event):
    """An event that is set when training should stop. signal: the number of the signal, or None."""

    signal: int | None = None


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """Turn the first Ctrl-C or SIGTERM into a `Stop`; a second one acts as usual. Ignored signals stay ignored.

    Only the main thread can handle signals; in another thread nothing sets the `Stop`.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    previous = {number: handler for number, handler in previous.items() if handler != signal.SIG_IGN}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def handle(number: int, frame: Any) -> None:
        stop.signal = number
        stop.set()
        restore()

    try:
        for number in previous:
            signal.signal(number, handle)
        yield stop
    finally:
        restore()
