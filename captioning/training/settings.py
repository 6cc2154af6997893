"""How to train: all that decides which weights a training arrives at, but the model and the data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

from captioning.data.splits import PARTS
from captioning.training.rates import SCHEDULES

__all__ = ["KEEP", "Settings", "is_finite"]

KEEP = ("bleu", "cider", "exercise", "loss")
"""What may decide which weights are best."""


def is_finite(value: Any) -> bool:
    """Whether it is a number, and float64 holds it.

    >>> is_finite(1), is_finite(True), is_finite("1"), is_finite(10**400)
    (True, False, False, False)
    """
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


@dataclass(frozen=True)
class Settings:
    """How to train.

    epochs, batch_size: how often each caption is seen, and how many at once. learning_rate: Adam's, as `schedule` and
    `warmup` have it (`captioning.training.rates`), with lr_decay and cosine_epochs. beta2: Adam's memory of squared
    gradients. clip_norm: the largest norm of all gradients together; None is no limit.
    weight_decay: decoupled, as in AdamW. label_smoothing: of the cross-entropy. scheduled_sampling: the share of words
    read in the last epoch that are the captioner's own, rising from 0 (`captioning.training.scheduled_sampling`).
    average: validate and keep an exponential average of the weights with this decay instead of the weights themselves;
    None is not. buckets: over how many batches captions are sorted by length (`captioning.training.order`).
    patience: stop after so many epochs without a better validation; None
    is never. keep: which validation is best, that of the highest 'bleu' (corpus BLEU-4 of greedy
    captions; of two alike the one with the lower loss), of the highest 'cider' (CIDEr-D of these), of the highest
    'exercise' BLEU (the mean over all stored references), or of the lowest 'loss'. val_part: the
    part of the validation images that decides it ('all', or a half, so that the other half can be
    reported), and val_images, how many of them at most. validate_every: validate after so many iterations too, counted
    from the first one of the training; None is at the end of each epoch alone. seed: of everything random.

    Patience counts epochs however often is validated: a better validation in the middle of an epoch counts for it.

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
        optional = ("patience", "validate_every", "cosine_epochs")
        for name in ("epochs", "batch_size", "val_images", "buckets", *optional):
            value = getattr(self, name)
            if (value is not None or name not in optional) and (type(value) is not int or value < 1):
                raise ValueError(f"{name} must be an int of at least 1; got {value!r}")
        for name in ("learning_rate", "lr_decay", "clip_norm"):
            value = getattr(self, name)
            if (value is not None or name != "clip_norm") and not (is_finite(value) and value > 0):
                raise ValueError(f"{name} must be above 0 and finite; got {value!r}")
        if not (is_finite(self.weight_decay) and self.weight_decay >= 0):
            raise ValueError(f"weight_decay must be at least 0 and finite; got {self.weight_decay!r}")
        for name in ("beta2", "label_smoothing", "scheduled_sampling", "average"):
            value = getattr(self, name)
            if (value is not None or name != "average") and not (is_finite(value) and 0 <= value < 1):
                raise ValueError(f"{name} must be at least 0 and below 1; got {value!r}")
        for name in ("seed", "warmup"):
            value = getattr(self, name)
            if type(value) is not int or value < 0:
                raise ValueError(f"{name} must be an int of at least 0; got {value!r}")
        for name, choices in (("keep", KEEP), ("val_part", PARTS), ("schedule", SCHEDULES)):
            value = getattr(self, name)
            if value not in choices:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; got {value!r}")
