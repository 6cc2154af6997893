"""Caption data sets in the CS231n MS-COCO layout, read by rows.

A folder holds `coco2014_captions.h5` (captions and the image row of each), `coco2014_vocab.json`,
`{train,val}2014_vgg16_fc7{,_pca}.h5` (data set `features`) and, optionally,
`{train,val}2014_urls.txt`, `{train,val}2014_images.txt` (a line each image) and `captions.csv`
(`image,split,caption`: raw captions). Source: homework 1-1, "The captioning exercises".

**What is in memory.** Captions and image rows always are (27 MB for MS-COCO); features are read by rows, see
`captioning.data.features`.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captioning.data.features import CACHE_BYTES, FeatureRows, checked_dataset, open_hdf5, reading, repack_features
from captioning.data.vocabulary import DataError, Vocabulary, tokenise
from minigrad.runtime.files import irregular

__all__ = [
    "CACHE_BYTES",
    "Batch",
    "CaptionData",
    "DataError",
    "FeatureRows",
    "Split",
    "load_coco_data",
    "open_captions",
    "repack_features",
    "sample_coco_minibatch",
]

SPLITS = ("train", "val")
CAPTIONS_FILE, VOCABULARY_FILE = "coco2014_captions.h5", "coco2014_vocab.json"

Rng = np.random.Generator | int


class Batch(NamedTuple):
    """N captions, each with the features and the row of its image."""

    captions: NDArray[np.int32]  # (N,T)
    features: NDArray[np.float32]  # (N,D)
    image_idxs: NDArray[np.int32]  # (N,)


class Split:
    """One of the splits 'train' and 'val' of an open `CaptionData`; `len` is its number of captions.

    name: str. captions: int32 (N,T), ids of `vocabulary`. image_idxs: int32 (N,), the image row of each
    caption. features: `FeatureRows` (M,D) of the M images. stored: captions and image_idxs as they are in the
    file. With `max_train`, captions and image_idxs are the chosen ones; images, features, references and `stored`
    are always all.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        vocabulary: Vocabulary,
        features: FeatureRows,
        captions: NDArray[np.int32],
        image_idxs: NDArray[np.int32],
        chosen: NDArray[np.int64] | None = None,
    ) -> None:
        self.folder, self.name, self.vocabulary, self.features = folder, name, vocabulary, features
        self.stored = captions, image_idxs
        self.captions = captions if chosen is None else captions[chosen]
        self.image_idxs = image_idxs if chosen is None else image_idxs[chosen]

    def with_captions(self, captions: NDArray[np.int32], image_idxs: NDArray[np.int32]) -> Split:
        """The same images with other captions (N,T), rows `image_idxs` (N,); the references stay the human ones."""
        split = Split(self.folder, self.name, self.vocabulary, self.features, *self.stored)
        split.captions, split.image_idxs = captions, image_idxs
        return split

    def __len__(self) -> int:
        return len(self.captions)

    def __repr__(self) -> str:
        return f"<Split {self.name}: {len(self)} captions, {len(self.features)} images>"

    def batch(self, rows: ArrayLike) -> Batch:
        """The captions of the given rows (N,), integers, with their features."""
        chosen = np.asarray(rows)
        image_idxs = self.image_idxs[chosen]
        return Batch(self.captions[chosen], self.features[image_idxs], image_idxs)

    def batches(self, batch_size: int, rng: Rng) -> Iterator[Batch]:
        """One epoch: every caption once, in an order drawn from `rng` (a Generator or a seed).

        The last batch is shorter if `batch_size` does not divide the number of captions.
        """
        _check_count("batch_size", batch_size)
        order = np.random.default_rng(rng).permutation(len(self))
        return (self.batch(order[start : start + batch_size]) for start in range(0, len(self), batch_size))

    def sample(self, batch_size: int, rng: Rng) -> Batch:
        """`batch_size` captions drawn with replacement, as CS231n draws its minibatches."""
        _check_count("batch_size", batch_size)
        return self.batch(np.random.default_rng(rng).integers(len(self), size=batch_size))

    @cached_property
    def urls(self) -> NDArray[np.bytes_]:
        """The address of each image, byte strings (M,), from `{name}2014_urls.txt`, read when first asked."""
        return np.array(self._lines("urls"), dtype=np.bytes_)

    @property
    def captions_path(self) -> Path:
        """The file of the captions."""
        return self.folder / CAPTIONS_FILE

    @property
    def image_names_path(self) -> Path:
        """The file of `image_names`, which need not be there."""
        return self._file("images")

    @property
    def has_urls(self) -> bool:
        """Whether there is a file of addresses; without it `urls` is a DataError."""
        return self._file("urls").is_file()

    @cached_property
    def image_names(self) -> list[str]:
        """The file name of each image without its folder, M of them, from `{name}2014_images.txt`."""
        names = [line.decode("utf-8", errors="replace") for line in self._lines("images")]
        return [name.rpartition("/")[2] for name in names]

    def photo(self, i: int) -> Path | None:
        """The picture file of image row `i` in the folder `photos`, or None if there is none."""
        self._check_row(i)
        if not self._file("images").is_file():
            return None
        path = self.folder / "photos" / self.image_names[i]
        return path if path.is_file() else None

    def references(self, i: int) -> list[list[str]]:
        """All human captions of image row `i`, each a list of words; see `references_by_image`."""
        self._check_row(i)
        return self._references[i]

    def references_by_image(self) -> list[list[list[str]]]:
        """All human captions of every image: M lists of captions, each a list of words.

        They are the raw captions of `captions.csv`, whole and with rare words, split by `tokenise`. If
        that file or `{name}2014_images.txt` is not there, they are the stored captions, cut as they
        are, where `<UNK>` stands for a rare word. An image without captions has an empty list.
        """
        return list(self._references)

    @cached_property
    def _references(self) -> list[list[list[str]]]:
        table = self.folder / "captions.csv"
        if not (table.is_file() and self._file("images").is_file()):
            return self._stored_references()
        found = _read_captions_csv(table, self.name)
        missing = [name for name in self.image_names if name not in found]
        if missing:
            raise DataError(
                f"{table}: has no {self.name} captions for {len(missing)} of the {len(self.features)} images "
                f"of {self._file('images').name}, the first {missing[0]!r}"
            )
        return [found[name] for name in self.image_names]

    def _stored_references(self) -> list[list[list[str]]]:
        captions, image_idxs = self.stored
        references: list[list[list[str]]] = [[] for _ in range(len(self.features))]
        for row, i in zip(captions, image_idxs.tolist(), strict=True):
            references[i].append(self.vocabulary.tokens(row, keep_unknown=True))
        return references

    def _file(self, what: str) -> Path:
        return self.folder / f"{self.name}2014_{what}.txt"

    def _lines(self, what: str) -> list[bytes]:
        """The stripped lines of a text file with a line each image."""
        path = self._file(what)
        if found := irregular(path):
            raise DataError(f"{path}: is {found}, not a regular file")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
        lines = [line.strip() for line in content.removesuffix(b"\n").split(b"\n")]
        if len(lines) != len(self.features):
            images = f"the {len(self.features)} images of {self.features.path.name}"
            raise DataError(f"{path}: has {len(lines)} lines; needs one for each of {images}")
        return lines

    def _check_row(self, i: int) -> None:
        if not 0 <= i < len(self.features):
            raise IndexError(f"the {self.name} split has image rows 0 to {len(self.features) - 1}; got {i}")


def _read_captions_csv(path: Path, split: str) -> dict[str, list[list[str]]]:
    """The tokenised captions of one split by image name."""
    captions: dict[str, list[list[str]]] = {}
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = {"image", "split", "caption"} - set(reader.fieldnames or ())
            if missing:
                found = reader.fieldnames or "none"
                raise DataError(f"{path}: the columns {sorted(missing)} are missing; it has {found}")
            for row in reader:
                if row["caption"] is None:
                    line = reader.line_num
                    raise DataError(f"{path}: line {line} is cut short; it needs image,split,caption")
                if row["split"] == split:
                    name = row["image"].rpartition("/")[2]
                    captions.setdefault(name, []).append(tokenise(row["caption"]))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table of captions: {error}") from error
    return captions


# Opening a data set ----------------------------------------------------------------------------


class CaptionData:
    """An open data set: `vocabulary` and the splits `train` and `val`; `open_captions` makes it.

    Use it in a `with` block, or call `close`. `data["train"]` is `data.train`.
    """

    def __init__(self, folder: Path, vocabulary: Vocabulary, train: Split, val: Split) -> None:
        self.folder, self.vocabulary, self.train, self.val = folder, vocabulary, train, val

    def __getitem__(self, split: str) -> Split:
        _check_split(split)
        return self.train if split == "train" else self.val

    def __repr__(self) -> str:
        return f"<CaptionData {self.folder}: {self.train!r}, {self.val!r}, {self.vocabulary!r}>"

    def close(self) -> None:
        """Close the files; features cannot be read any more."""
        self.train.features.close()
        self.val.features.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_captions(
    folder: str | os.PathLike[str] | None = None,
    pca: bool = True,
    max_train: int | None = None,
    seed: int = 0,
    cache_bytes: int = CACHE_BYTES,
) -> CaptionData:
    """Open a data set in the CS231n layout; the module's page says which files and what is in memory.

    folder: the data set's; None means the folder that the environment variable CAPTIONING_DATA names, or
    its one subfolder with a data set, and `datasets/coco_captioning` if the variable is unset.
    pca: read the reduced features `…_fc7_pca.h5` (MS-COCO: 512 columns) or the whole `…_fc7.h5` (4096).
    max_train: use only so many training captions, drawn without replacement by
    `numpy.random.default_rng(seed)` and kept in the order of the file: the same ones every time.
    cache_bytes: features of a split up to this size are kept in memory when first read.

    Everything is checked before it returns, but features, which are checked as they are read. Whatever
    does not fit (a missing or damaged file or key, a rank or dtype, word ids outside the vocabulary,
    image rows outside the features, an empty split, a wrong max_train) is a DataError that names it.

    ```
    with open_captions("datasets/coco_captioning", max_train=5000) as data:
        for captions, features, image_idxs in data.train.batches(25, rng=0):
            ...
    ```
    """
    root = _find_folder(folder)
    vocabulary = Vocabulary.from_json(root / VOCABULARY_FILE)
    with ExitStack() as stack:
        file = stack.enter_context(open_hdf5(root / CAPTIONS_FILE))
        kept = stack.enter_context(ExitStack())
        splits = []
        for name in SPLITS:
            path = root / f"{name}2014_vgg16_fc7{'_pca' if pca else ''}.h5"
            features = kept.enter_context(FeatureRows(path, cache_bytes=cache_bytes))
            captions, image_idxs = _read_captions(file, root / CAPTIONS_FILE, name, vocabulary, features)
            chosen = _choose(len(captions), max_train, seed) if name == "train" else None
            splits.append(Split(root, name, vocabulary, features, captions, image_idxs, chosen))
        _check_widths(*splits)
        kept.pop_all()  # all is well: the features stay open
    return CaptionData(root, vocabulary, *splits)


def _find_folder(folder: str | os.PathLike[str] | None) -> Path:
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


def _read_captions(
    file: Any, path: Path, name: str, vocabulary: Vocabulary, features: FeatureRows
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The captions and image rows of a split, checked against vocabulary and features."""
    key, idxs_key = f"{name}_captions", f"{name}_image_idxs"
    captions = checked_dataset(file, path, key, rank=2, kind=np.integer)
    image_idxs = checked_dataset(file, path, idxs_key, rank=1, kind=np.integer)
    if len(captions) == 0:
        raise DataError(f"{path}: {key}: the {name} split is empty, shape {captions.shape}")
    if captions.shape[1] < 3:
        raise DataError(
            f"{path}: {key}: needs 3 columns for <START>, a word and <END>; got shape {captions.shape}"
        )
    if len(captions) != len(image_idxs):
        raise DataError(f"{path}: {key} has {len(captions)} rows, but {idxs_key} has {len(image_idxs)}")
    with reading(path, key):
        captions = captions[()]
    with reading(path, idxs_key):
        image_idxs = image_idxs[()]
    _check_range(captions, len(vocabulary), f"{path}: {key}", f"the vocabulary of {len(vocabulary)} words")
    images = f"the {len(features)} images of {features.path.name}"
    mismatch = "a caption file that does not match the features"
    _check_range(image_idxs, len(features), f"{path}: {idxs_key}", f"{images}: {mismatch}")
    return captions.astype(np.int32, copy=False), image_idxs.astype(np.int32, copy=False)


def _check_range(values: NDArray[np.integer[Any]], stop: int, where: str, what: str) -> None:
    if values.min() >= 0 and values.max() < stop:
        return
    place = tuple(int(k) for k in np.argwhere((values < 0) | (values >= stop))[0])
    raise DataError(f"{where}: {values[place]} at {list(place)} is outside {what}")


def _check_widths(train: Split, val: Split) -> None:
    if train.features.shape[1] != val.features.shape[1]:
        raise DataError(
            f"{train.features.path}: features has {train.features.shape[1]} columns, "
            f"but {val.features.path.name} has {val.features.shape[1]}"
        )


def _choose(number: int, max_train: int | None, seed: int) -> NDArray[np.int64] | None:
    if max_train is None:
        return None
    _check_count("max_train", max_train)
    if max_train > number:
        raise DataError(f"max_train must be at most {number}, all training captions; got {max_train}")
    return np.sort(np.random.default_rng(seed).choice(number, max_train, replace=False))


def _check_count(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an int; got {value!r}")
    if value < 1:
        raise DataError(f"{name} must be at least 1; got {value}")


def _check_split(split: str) -> None:
    if split not in SPLITS:
        raise DataError(f"there is no split {split!r}; choose one of {', '.join(SPLITS)}")


# The notebook's functions ----------------------------------------------------------------------


def load_coco_data(
    base_dir: str | os.PathLike[str] | None = None,
    max_train: int | None = None,
    pca_features: bool = True,
    seed: int = 0,
    cache_bytes: int = CACHE_BYTES,
) -> dict[str, Any]:
    """The data set as the dict of the CS231n notebooks.

    Keys: `{train,val}_captions` int32 (N,T), `{train,val}_image_idxs` int32 (N,),
    `{train,val}_features` float32 (M,D), `{train,val}_urls` byte strings (M,), `idx_to_word` (list) and
    `word_to_idx` (dict). Features above `cache_bytes` are `FeatureRows`, which stay in the file and are
    indexed like an array. Where the file of addresses is missing, the addresses are empty.
    Arguments and errors as in `open_captions`. Source: homework 1-1.
    """
    data = open_captions(base_dir, pca_features, max_train, seed, cache_bytes)
    words = {"idx_to_word": data.vocabulary.idx_to_word, "word_to_idx": data.vocabulary.word_to_idx}
    try:
        return _notebook_split(data.train) | _notebook_split(data.val) | words
    except BaseException:
        data.close()
        raise


def _notebook_split(split: Split) -> dict[str, Any]:
    """The entries of one split; a file of features that is in memory now is closed."""
    rows: FeatureRows | NDArray[np.float32] = split.features
    if split.features.cached:
        rows = split.features[:]
        split.features.close()
    return {
        f"{split.name}_captions": split.captions,
        f"{split.name}_image_idxs": split.image_idxs,
        f"{split.name}_features": rows,
        f"{split.name}_urls": split.urls if split.has_urls else np.zeros(len(rows), dtype="S1"),
    }


def sample_coco_minibatch(
    data: dict[str, Any], batch_size: int = 100, split: str = "train"
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.bytes_]]:
    """A minibatch of the dict of `load_coco_data`: captions (N,T), features (N,D) and urls (N,).

    Captions are drawn with replacement by NumPy's global generator, as in the notebooks: the same
    `np.random.seed` draws the same rows. Source: homework 1-1.

    >>> data = {"val_captions": np.array([[1, 3, 2]]), "val_image_idxs": np.array([1]),
    ...         "val_features": np.eye(2), "val_urls": np.array([b"a", b"b"])}
    >>> captions, features, urls = sample_coco_minibatch(data, batch_size=2, split="val")
    >>> captions.shape, features.tolist(), urls.tolist()
    ((2, 3), [[0.0, 1.0], [0.0, 1.0]], [b'b', b'b'])
    """
    _check_split(split)
    _check_count("batch_size", batch_size)
    captions, image_idxs, features, urls = (
        _entry(data, f"{split}_{what}") for what in ("captions", "image_idxs", "features", "urls")
    )
    if len(captions) == 0:
        raise DataError(f"{split}_captions: the {split} split is empty")
    rows = np.random.choice(len(captions), batch_size)  # noqa: NPY002 - see the docstring
    images = image_idxs[rows]
    return captions[rows], features[images], urls[images]


def _entry(data: dict[str, Any], key: str) -> Any:
    if key not in data:
        raise DataError(f"data: the key {key} is missing; it has {sorted(data) or 'no keys'}")
    return data[key]
