"""Parts of a split, so that what is chosen on some images is reported on others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from captioning.data.errors import check_count
from captioning.data.splits import Split

__all__ = ["PARTS", "images_of_part"]

PARTS = ("all", "first", "second")
"""Parts of a split's images: all, or one half of the rows. Choose on one half and report on the other."""


def images_of_part(split: Split, part: str = "all", most: int | None = None, seed: int = 0) -> NDArray[np.int64]:
    """The image rows of a part that have captions, rising; if there are more than `most`, that many drawn by seed."""
    if part not in PARTS:
        raise ValueError(f"part must be one of {', '.join(PARTS)}; got {part!r}")
    middle, end = (len(split.features) + 1) // 2, len(split.features)
    start, stop = {"all": (0, end), "first": (0, middle), "second": (middle, end)}[part]
    if most is not None:
        check_count("max_images", most)
    rows = np.unique(split.image_idxs).astype(np.int64)
    rows = rows[(rows >= start) & (rows < stop)]
    if not rows.size:
        raise ValueError(f"part {part!r} of the split {split.name} has no image with captions")
    if most is not None and most < rows.size:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    return rows
