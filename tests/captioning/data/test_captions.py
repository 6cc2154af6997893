"""Captions as they are stored, and what is said of those that do not fit."""

import numpy as np
import pytest

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from tests.captioning.data.small import M_TRAIN, N_TRAIN, N_VAL, T, make_captions

CAPTIONS = make_captions()["train_captions"]

FAULTS = {
    "rank": ({"train_captions": CAPTIONS[0]}, r"train_captions: must have 2 dimensions; got shape \(6,\)"),
    "rank of rows": ({"val_image_idxs": np.zeros((N_VAL, 1), int)}, "val_image_idxs: must have 1 dimensions"),
    "dtype": (
        {"train_captions": CAPTIONS.astype(float)},
        "train_captions: must hold integer numbers; got dtype",
    ),
    "bool": ({"val_image_idxs": np.zeros(N_VAL, bool)}, "val_image_idxs: must hold integer numbers"),
    "length": (
        {"train_image_idxs": np.zeros(5, int)},
        "train_captions has 23 rows, but train_image_idxs has 5",
    ),
    "empty": (
        {"val_captions": np.zeros((0, T), int), "val_image_idxs": np.zeros(0, int)},
        "val_captions: the val split is empty",
    ),
    "narrow": ({"train_captions": CAPTIONS[:, :2]}, "train_captions: needs 3 columns"),
    "image row": (
        {"train_image_idxs": np.arange(N_TRAIN) % (M_TRAIN + 1)},
        r"train_image_idxs: 7 at \[7\] is outside the 7 images of train2014_vgg16_fc7_pca\.h5: a caption",
    ),
    "negative row": ({"val_image_idxs": np.full(N_VAL, -1)}, r"val_image_idxs: -1 at \[0\] is outside"),
    "word": (
        {"train_captions": np.where(np.arange(T) == 2, 9, CAPTIONS)},
        r"train_captions: 9 at \[0, 2\] is outside the vocabulary of 9 words",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_captions_that_do_not_fit_are_refused(replace_captions, fault):
    changes, message = FAULTS[fault]
    with pytest.raises(DataError, match=rf"coco2014_captions\.h5: {message}"):
        open_captions(replace_captions(**changes))
