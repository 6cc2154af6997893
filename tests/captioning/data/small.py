"""A small data set in the CS231n layout: its arrays, and how its files are written."""

import h5py
import numpy as np

from captioning.data.vocabulary import Vocabulary

WORDS = ["<NULL>", "<START>", "<END>", "<UNK>", "a", "dog", "cat", "runs", "sits"]

N_TRAIN, N_VAL, T, M_TRAIN, M_VAL, D = 23, 9, 6, 7, 4, 5


def write_hdf5(path, **datasets):
    with h5py.File(path, "w") as file:
        for key, value in datasets.items():
            file[key] = value


def caption_arrays(rng, number):
    """Captions of random words, each row in the layout."""
    vocabulary = Vocabulary(WORDS)
    rows = [vocabulary.encode_caption(rng.choice(WORDS[3:], rng.integers(1, T - 1)), T) for _ in range(number)]
    return np.array(rows, dtype=np.int32)


def make_captions():
    """The four arrays of the caption file; every image has a caption."""
    rng = np.random.default_rng(0)
    return {
        "train_captions": caption_arrays(rng, N_TRAIN),
        "train_image_idxs": (np.arange(N_TRAIN)[::-1] % M_TRAIN).astype(np.int32),
        "val_captions": caption_arrays(rng, N_VAL),
        "val_image_idxs": (np.arange(N_VAL)[::-1] % M_VAL).astype(np.int32),
    }


def make_features(rows):
    """Row i is i, i + 0.1, …: a row tells its number."""
    return (np.arange(rows)[:, None] + np.arange(D) / 10).astype(np.float32)


def add_raw_captions(folder):
    """Image names and two raw captions an image, one of them longer than T."""
    table = ["image,split,caption"]
    for split, rows in (("train", M_TRAIN), ("val", M_VAL)):
        names = [f"{split}_{i}.jpg" for i in range(rows)]
        (folder / f"{split}2014_images.txt").write_text("".join(f"images/{name}\n" for name in names))
        for name in reversed(names):  # the order of the table is not the order of the rows
            table += [
                f'{name},{split},"A dog , a cat and the very long {name[:-4]} ."',
                f"{name},{split},A cat sits",
            ]
    (folder / "captions.csv").write_text("\n".join(table) + "\n")
