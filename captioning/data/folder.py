"""The files of a data set in the CS231n MS-COCO layout, and how to find its folder.

| file | holds |
|---|---|
| `coco2014_captions.h5` | `{train,val}_captions` (N, T) word ids, `{train,val}_image_idxs` (N,) the image row of each |
| `coco2014_vocab.json` | `idx_to_word`, `word_to_idx` |
| `{train,val}2014_vgg16_fc7{,_pca}.h5` | `features` (M, D), a row per image; reduced in `_pca` |
| `{train,val}2014_regions.h5` | optional: `regions` (M, h w, K) uint8, attributes `scale`, `offset` (K,) |
| `regions.safetensors` | optional: the projection of a map (h, w, D) to regions, `weight` (D, K) and `bias` (K,) |
| `{train,val}2014_urls.txt` | optional: the address of each image, one per line |
| `{train,val}2014_images.txt` | optional: the file name of each image, one per line |
| `test…` | optional: a third split, with the keys and files of `val` |
| `captions.csv` | optional: `image,split,caption`, the raw captions |
| `photos/` | optional: the photos, by their file names |

Only training needs the splits train and val.

Source: homework 1-1, "The captioning exercises".
"""

from __future__ import annotations

import os
from pathlib import Path

from captioning.data.errors import DataError
from minigrad.runtime.files import irregular

__all__ = ["ALL_SPLITS", "CAPTIONS_FILE", "PHOTOS_FOLDER", "PROJECTION_FILE", "RAW_CAPTIONS_FILE", "SPLITS",
           "VOCABULARY_FILE", "check_split", "features_path", "find_folder", "lines_path", "read_bytes", "read_text",
           "regions_path"]  # fmt: skip

SPLITS = ("train", "val")  # of every data set to train with
ALL_SPLITS = (*SPLITS, "test")
CAPTIONS_FILE, VOCABULARY_FILE = "coco2014_captions.h5", "coco2014_vocab.json"
RAW_CAPTIONS_FILE, PHOTOS_FOLDER = "captions.csv", "photos"
PROJECTION_FILE = "regions.safetensors"  # in the folder of a data set and in that of a run


def features_path(folder: Path, split: str, pca: bool) -> Path:
    """Return the file of the features of a split, or of the reduced ones if `pca`."""
    return folder / f"{split}2014_vgg16_fc7{'_pca' if pca else ''}.h5"


def regions_path(folder: Path, split: str) -> Path:
    """Return the file of a split's regions."""
    return folder / f"{split}2014_regions.h5"


def lines_path(folder: Path, split: str, what: str) -> Path:
    """Return the file with one line for each image of a split; what: 'urls' or 'images'."""
    return folder / f"{split}2014_{what}.txt"


def check_split(split: str) -> None:
    """Raise a DataError unless `split` is the name of a split."""
    if split not in ALL_SPLITS:
        raise DataError(f"there is no split {split!r}; choose one of {', '.join(ALL_SPLITS)}")


def find_folder(folder: str | os.PathLike[str] | None) -> Path:
    """Return the folder of the data set, or raise a DataError if there is none.

    folder: its path. None means the folder that the environment variable CAPTIONING_DATA names, or the only subfolder
    of it that holds a data set; if the variable is unset, `datasets/coco_captioning`.
    """
    named = os.environ.get("CAPTIONING_DATA")
    if folder is not None or not named:
        root = Path("datasets/coco_captioning" if folder is None else folder)
        if not root.is_dir():
            if folder is None:
                raise DataError("no data set is named, and the default folder datasets/coco_captioning does not exist. "
                                "Name the folder of the data set with --data, or set CAPTIONING_DATA.")  # fmt: skip
            raise DataError(f"{root}: there is no such folder (working folder {Path.cwd()})")
        return root
    candidates = [Path(named), *sorted(Path(named).glob("*/"))]
    found = [path for path in candidates if (path / CAPTIONS_FILE).is_file()]
    if not found or (found[0] != candidates[0] and len(found) > 1):
        which = ", ".join(path.name for path in found) or "none"
        raise DataError(f"CAPTIONING_DATA={named}: needs one folder with {CAPTIONS_FILE}; found {which}")
    return found[0]


def read_bytes(path: Path) -> bytes:
    """Return the content of a regular file; raise a DataError if it cannot be read."""
    if found := irregular(path):  # reading a pipe would wait for a writer
        raise DataError(f"{path}: is {found}, not a regular file")
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file, without a byte order mark; raise a DataError if it is not UTF-8."""
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 at byte {error.start}: save it as UTF-8") from error
