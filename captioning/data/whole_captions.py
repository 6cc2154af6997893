"""Captions to learn from as people wrote them, where the stored ones were cut to fit their columns."""

from __future__ import annotations

import numpy as np

from captioning.data.errors import DataError
from captioning.data.splits import Split

__all__ = ["CAPTIONS", "LONGEST_LEARNT", "with_whole_captions"]

CAPTIONS = ("stored", "raw")
"""Which captions a training learns from: those of the HDF5 file, or as people wrote them."""
LONGEST_LEARNT = 22
"""Words of a raw caption that is learnt from: 99 % of those of Flickr8k are no longer."""


def with_whole_captions(split: Split, max_words: int) -> Split:
    """The split with its raw captions instead of the stored ones, up to `max_words` words of each.

    One that is longer is cut, and has no `<END>`: nobody learns from it that a caption ends there. Words that the
    vocabulary has not are `<UNK>`. Captions chosen by `max_train` are not looked at: all of them are taken. A data set
    without raw captions is a DataError.
    """
    if not split.has_raw_captions:
        raise DataError(
            f"{split.folder}: has no raw captions, captions.csv and {split.image_names_path.name}, to train on; "
            "--captions stored takes those of the HDF5 file"
        )
    v = split.vocabulary
    rows, images = [], []
    for image, captions in enumerate(split.references_by_image()):
        for words in captions:
            ids = v.encode(words).tolist()
            said = [v.start, *ids[:max_words], *([v.end] if len(ids) <= max_words else [])]
            rows.append(said + [v.null] * (max_words + 2 - len(said)))
            images.append(image)
    return split.with_captions(np.array(rows, np.int32), np.array(images, np.int32))
