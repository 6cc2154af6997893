"""The folder of a data set in the CS231n MS-COCO layout: what its files are called, and where it is.

| file | holds |
|---|---|
| `coco2014_captions.h5` | `{train,val}_captions` (N, T) word ids, `{train,val}_image_idxs` (N,) the image row of each |
| `coco2014_vocab.json` | `idx_to_word`, `word_to_idx` |
| `{train,val}2014_vgg16_fc7{,_pca}.h5` | `features` (M, D), a row an image; reduced in `_pca` |
| `{train,val}2014_regions.h5` | not always there: `regions` (M, h w, K) uint8, attributes `scale`, `offset` (K,) |
| `regions.safetensors` | not always there: how a map (h, w, D) becomes regions, `weight` (D, K) and `bias` (K,) |
| `{train,val}2014_urls.txt` | not always there: the address of each image, a line each |
| `{train,val}2014_images.txt` | not always there: the file name of each image, a line each |
| `test…` | not always there: a third split, of which no choice is made, with keys and files as those of `val` |
| `captions.csv` | not always there: `image,split,caption`, the raw captions |
| `photos/` | not always there: the pictures, by their file names |

Source: homework 1-1, "The captioning exercises".
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from captioning.data.errors import DataError

__all__ = ["ALL_SPLITS", "CAPTIONS_FILE", "PHOTOS_FOLDER", "PROJECTION_FILE", "RAW_CAPTIONS_FILE", "SPLITS",
           "VOCABULARY_FILE", "check_data_set", "check_split", "features_path", "find_folder",
           "has_reduced_features", "lines_path", "regions_path"]  # fmt: skip

SPLITS = ("train", "val")
"""The splits that every data set has: what a training reads."""
ALL_SPLITS = (*SPLITS, "test")
"""These, and the one that a data set may have besides."""
CAPTIONS_FILE, VOCABULARY_FILE = "coco2014_captions.h5", "coco2014_vocab.json"
RAW_CAPTIONS_FILE, PHOTOS_FOLDER = "captions.csv", "photos"
PROJECTION_FILE = "regions.safetensors"
"""The projection of regions: so it is called in the folder of a data set, and in that of a run."""


def features_path(folder: Path, split: str, pca: bool) -> Path:
    """The file of a split's features, reduced ones if `pca`."""
    return folder / f"{split}2014_vgg16_fc7{'_pca' if pca else ''}.h5"


def regions_path(folder: Path, split: str) -> Path:
    """The file of a split's regions, a map of features for each image."""
    return folder / f"{split}2014_regions.h5"


def has_reduced_features(folder: Path, splits: Iterable[str]) -> bool:
    """Whether one of these splits has reduced features, so that all need them; or something else in their place."""
    return any(os.path.lexists(features_path(folder, split, pca=True)) for split in splits)


def lines_path(folder: Path, split: str, what: str) -> Path:
    """The file with a line for each image of a split; what: 'urls' or 'images'."""
    return folder / f"{split}2014_{what}.txt"


def check_split(split: str) -> None:
    """Raise a DataError unless a data set may have such a split."""
    if split not in ALL_SPLITS:
        raise DataError(f"there is no split {split!r}; choose one of {', '.join(ALL_SPLITS)}")


def check_data_set(folder: Path) -> None:
    """Raise a DataError if a folder has neither captions nor a vocabulary, as one of mere photos."""
    if not any(os.path.lexists(folder / name) for name in (CAPTIONS_FILE, VOCABULARY_FILE)):
        raise DataError(
            f"{folder}: is no data set, there is neither {CAPTIONS_FILE} nor {VOCABULARY_FILE}: "
            "`captioning prepare` makes one of photos and captions"
        )


def find_folder(folder: str | os.PathLike[str] | None) -> Path:
    """The folder of the data set, checked to be there.

    folder: its path; None means the folder that the environment variable CAPTIONING_DATA names, or its one subfolder
    with a data set, and `datasets/coco_captioning` if the variable is unset.
    """
    named = os.environ.get("CAPTIONING_DATA")
    if folder is not None or not named:
        root = Path("datasets/coco_captioning" if folder is None else folder)
        hint = "" if folder is not None else "; pass the folder or set CAPTIONING_DATA"
        if not root.is_dir():
            raise DataError(f"{root}: there is no such folder (working folder {Path.cwd()}){hint}")
        return root
    candidates = [Path(named), *sorted(Path(named).glob("*/"))]
    found = [path for path in candidates if (path / CAPTIONS_FILE).is_file()]
    if not found or (found[0] != candidates[0] and len(found) > 1):
        which = ", ".join(path.name for path in found) or "none"
        raise DataError(f"CAPTIONING_DATA={named}: needs one folder with {CAPTIONS_FILE}; found {which}")
    return found[0]
