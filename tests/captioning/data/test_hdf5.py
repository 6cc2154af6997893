"""HDF5 files that are missing, damaged or not what they should be."""

import h5py
import pytest

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError


@pytest.mark.parametrize("name", ["coco2014_captions.h5", "train2014_vgg16_fc7_pca.h5"])
def test_a_truncated_or_foreign_file_is_named(folder, name):
    content = (folder / name).read_bytes()
    for part in (content[: len(content) - 40], content[:200], b"", b"no HDF5 at all" * 100):
        (folder / name).write_bytes(part)
        with pytest.raises(DataError, match=f"{name}: not a whole HDF5 file"):
            open_captions(folder)


@pytest.mark.parametrize("key", ["train_captions", "val_image_idxs"])
def test_a_missing_key_is_named_with_the_keys_there_are(replace_captions, key):
    with pytest.raises(DataError, match=rf"coco2014_captions\.h5: the key {key} is missing; the file has \['"):
        open_captions(replace_captions(**{key: None}))


def test_a_group_in_the_place_of_a_data_set_is_refused(folder):
    with h5py.File(folder / "train2014_vgg16_fc7_pca.h5", "w") as file:
        file.create_group("features")
    with pytest.raises(DataError, match="features: must be a data set; got a Group"):
        open_captions(folder)
