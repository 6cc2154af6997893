"""Images of a source without splits are divided: each is in one split, with all of its captions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from captioning.data.errors import DataError
from captioning.preparing.table import CaptionedImage

__all__ = ["check_shares", "divide"]


def check_shares(val: float, test: float) -> None:
    """Raise a DataError unless the shares leave a part of the images for training."""
    for name, share in (("val", val), ("test", test)):
        if not (math.isfinite(share) and 0 <= share < 1):
            raise DataError(f"{name} must be a share of the images, at least 0 and below 1; got {share}")
    if val == 0:
        raise DataError("val must be above 0: a training is validated on images that it has not seen")
    if val + test >= 1:
        raise DataError(f"val and test must leave images for training; got {val} and {test}")


def divide(images: Sequence[CaptionedImage], val: float, test: float, seed: int) -> None:
    """Give each image its split: shares val and test of the images, at least one each if above 0, the rest trains.

    The same images in the same order with the same seed are divided in the same way on every machine. Too few
    images are a DataError.

    >>> images = [CaptionedImage(f"{n}.jpg") for n in range(5)]
    >>> divide(images, val=0.2, test=0.2, seed=0)
    >>> sorted(image.split for image in images)
    ['test', 'train', 'train', 'train', 'val']
    """
    check_shares(val, test)
    counts = {"val": max(1, round(val * len(images))), "test": max(1, round(test * len(images))) if test else 0}
    if sum(counts.values()) >= len(images):
        raise DataError(f"{len(images)} images are too few for {counts['val']} to validate, {counts['test']} to test "
                        "and one to train with")  # fmt: skip
    order = np.random.default_rng(seed).permutation(len(images))
    for image in images:
        image.split = "train"
    for place, n in enumerate(order[: sum(counts.values())].tolist()):
        images[n].split = "val" if place < counts["val"] else "test"
