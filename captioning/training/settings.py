"""How to train: all that decides which weights a training arrives at, but the model and the data."""

from __future__ import annotations

from dataclasses import dataclass

from captioning.data.errors import COUNT, NATURAL, NOT_NEGATIVE, POSITIVE, SHARE, Check, among, check_values, optional
from captioning.data.splits import PARTS
from captioning.training.schedules import SCHEDULES

__all__ = ["KEEP", "Settings"]

KEEP = ("bleu", "cider", "exercise", "loss")
"""What may decide which weights are best."""


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
    "weight_decay": NOT_NEGATIVE,
    **dict.fromkeys(("beta2", "label_smoothing", "scheduled_sampling"), SHARE),
    "average": optional(SHARE),
    **dict.fromkeys(("seed", "warmup"), NATURAL),
    "keep": among(KEEP),
    "val_part": among(PARTS),
    "schedule": among(SCHEDULES),
}
