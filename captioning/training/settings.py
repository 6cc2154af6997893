"""How to train: all that decides which weights a training arrives at, but the model and the data."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from captioning.data.parts import PARTS
from captioning.training.schedules import SCHEDULES

__all__ = ["COUNT", "FINITE", "KEEP", "NATURAL", "POSITIVE", "SHARE", "Check", "Settings", "among", "check_values",
           "optional"]  # fmt: skip

KEEP = ("bleu", "cider", "exercise", "loss")
"""What may decide which weights are best."""

Check = tuple[Callable[[Any], bool], str]
"""Whether a value fits, and what it must be."""


def _is_finite(value: Any) -> bool:
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an int that float64 does not hold
        return False


COUNT: Check = (lambda value: type(value) is int and value >= 1, "an int of at least 1")
NATURAL: Check = (lambda value: type(value) is int and value >= 0, "an int of at least 0")
FINITE: Check = (_is_finite, "a finite number")
POSITIVE: Check = (lambda value: _is_finite(value) and value > 0, "above 0 and finite")
SHARE: Check = (lambda value: _is_finite(value) and 0 <= value < 1, "at least 0 and below 1")


def among(choices: Collection[str]) -> Check:
    """Return the check that a value is one of some texts."""
    return lambda value: isinstance(value, str) and value in choices, f"one of {', '.join(map(repr, choices))}"


def optional(check: Check) -> Check:
    """Return the check that a value is None or fits."""
    return lambda value: value is None or check[0](value), f"{check[1]}, or null"


def check_values(values: Mapping[str, Any], checks: Mapping[str, Check]) -> None:
    """Raise a ValueError that names the first value that does not fit; missing ones do.

    >>> check_values({"epochs": 0}, {"epochs": COUNT})
    Traceback (most recent call last):
    ValueError: epochs must be an int of at least 1; got 0
    """
    for name, (fits, wanted) in checks.items():
        if name in values and not fits(values[name]):
            raise ValueError(f"{name} must be {wanted}; got {repr(values[name])[:80]}")


@dataclass(frozen=True)
class Settings:
    """How to train.

    epochs, batch_size: how often each caption is seen, and how many at once. learning_rate: Adam's, as `schedule` and
    `warmup` change it (`captioning.training.schedules`), with lr_decay and cosine_epochs. beta2: Adam's memory of
    squared gradients. clip_norm: the largest norm of all gradients together; None is no limit. weight_decay: decoupled,
    as in AdamW. label_smoothing: of the cross-entropy. scheduled_sampling: the share of the captioner's own words among
    the input words in the last epoch, rising from 0. average: validate and keep an exponential average of the weights
    with this decay. buckets: over how many batches captions are sorted by length.
    patience: stop after so many epochs without a better validation; None never does. keep: the best validation has the
    highest 'bleu' (corpus BLEU-4 of greedy captions; of equal ones the lower loss), the highest 'cider' (CIDEr-D of
    these), the highest 'exercise' BLEU (the mean over all stored references), or the lowest 'loss'. val_part: the part
    of the validation images that decides ('all' or a half, so that the other half can be reported). val_images: how
    many of them at most. validate_every: validate after so many iterations too; None validates at the end of each epoch
    only. seed: of everything random.

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
    "weight_decay": (lambda value: _is_finite(value) and value >= 0, "at least 0 and finite"),
    **dict.fromkeys(("beta2", "label_smoothing", "scheduled_sampling"), SHARE),
    "average": optional(SHARE),
    **dict.fromkeys(("seed", "warmup"), NATURAL),
    "keep": among(KEEP),
    "val_part": among(PARTS),
    "schedule": among(SCHEDULES),
}
