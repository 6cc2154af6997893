"""A small data set in the CS231n layout."""

import numpy as np
import pytest

from captioning.data.vocabulary import Vocabulary
from tests.captioning.data.small import M_TRAIN, M_VAL, WORDS, D, make_captions, make_features, write_hdf5


@pytest.fixture
def folder(tmp_path):
    """A whole small data set with addresses, but without image names and raw captions."""
    Vocabulary(WORDS).to_json(tmp_path / "coco2014_vocab.json")
    write_hdf5(tmp_path / "coco2014_captions.h5", **make_captions())
    for split, rows in (("train", M_TRAIN), ("val", M_VAL)):
        write_hdf5(tmp_path / f"{split}2014_vgg16_fc7_pca.h5", features=make_features(rows))
        write_hdf5(tmp_path / f"{split}2014_vgg16_fc7.h5", features=np.ones((rows, 2 * D), np.float32))
        lines = "".join(f"http://example.org/{split}{i}.jpg\n" for i in range(rows))
        (tmp_path / f"{split}2014_urls.txt").write_text(lines)
    return tmp_path


@pytest.fixture
def replace_captions(folder):
    """Write the caption file again with some of its arrays changed; None leaves one out."""

    def replace(**changes):
        arrays = make_captions() | changes
        kept = {key: value for key, value in arrays.items() if value is not None}
        write_hdf5(folder / "coco2014_captions.h5", **kept)
        return folder

    return replace
