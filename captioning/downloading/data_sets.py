"""Turn downloaded archives into data sets.

CS231n's archive of MS-COCO 2014 is a data set that `captioning.data` opens as it is. Flickr8k becomes photos and a
table `image,split,caption` for `captioning prepare`. `Flickr8k.token.txt` in its archive of texts has a line for each
caption: `NAME.jpg#NUMBER`, a tab and the caption. `Flickr_8k.{train,dev,test}Images.txt` list the photos of the splits;
photos in no split are left out.

Source: M. Hodosh, P. Young and J. Hockenmaier, "Framing Image Description as a Ranking Task", JAIR 47, 2013.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path

from captioning.data.dataset import open_captions
from captioning.data.folder import (
    CAPTIONS_FILE,
    PHOTOS_FOLDER,
    RAW_CAPTIONS_FILE,
    SPLITS,
    VOCABULARY_FILE,
    features_path,
    lines_path,
)
from captioning.downloading.archives import Place, unpack
from captioning.downloading.sources import DownloadError, Source
from captioning.progress import Progress
from minigrad.runtime.files import replacing

__all__ = ["caption_table", "make_coco", "make_flickr8k"]

_COCO_NEEDED = {CAPTIONS_FILE, VOCABULARY_FILE, *(str(features_path(Path(), split, pca=True)) for split in SPLITS)}
_COCO_OPTIONAL = {
    str(path)
    for split in SPLITS
    for path in (features_path(Path(), split, pca=False), lines_path(Path(), split, "urls"))
}
_COCO_ANNOTATIONS = [f"captions_{split}2014.json" for split in SPLITS]  # the outlines of objects are ten times as large
_FLICKR_CAPTIONS = "Flickr8k.token.txt"
_FLICKR_SPLITS = {
    "train": "Flickr_8k.trainImages.txt",
    "val": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}
_FLICKR_NEEDED = [_FLICKR_CAPTIONS, *_FLICKR_SPLITS.values()]
_LINE = re.compile(r"(?P<image>[^\t#]+)#\d+\t(?P<caption>.*)")


_CONTENTS: dict[str, tuple[Place, list[str]]] = {
    "coco_captioning": ({name: name for name in _COCO_NEEDED | _COCO_OPTIONAL}.get, sorted(_COCO_NEEDED)),
    "annotations_trainval2014": (
        {name: f"annotations/{name}" for name in _COCO_ANNOTATIONS}.get,
        [f"annotations/{name}" for name in _COCO_ANNOTATIONS],
    ),
    "Flickr8k_Dataset": (lambda name: f"{PHOTOS_FOLDER}/{name}" if name.lower().endswith(".jpg") else None, []),
    "Flickr8k_text": (
        {name: f"text/{name}" for name in [*_FLICKR_NEEDED, "readme.txt"]}.get,
        [f"text/{name}" for name in _FLICKR_NEEDED],
    ),
}
"""Where the files of each archive go in the folder, and which of them it must have."""


def _unpack_all(folder: Path, archives: Mapping[Source, Path], progress: Progress) -> list[Path]:
    files: list[Path] = []
    for source, archive in archives.items():
        progress.say(f"unpacking {archive.name}")
        files += unpack(archive, folder, *_CONTENTS[source.name], source.largest, progress)
    return files


def make_coco(folder: Path, archives: Mapping[Source, Path], progress: Progress) -> str:
    """Unpack the archives into a data set and open it; return a line for each split and file of annotations.

    CS231n's files go into `folder`, and COCO's captions into `folder/annotations`.
    """
    files = _unpack_all(folder, archives, progress)
    with open_captions(folder, pca=True) as data:
        return "\n".join([
            *(f"{folder}: {split}: {len(data[split]):,} captions of {len(data[split].features):,} images"
              for split in SPLITS),
            *(str(path) for path in files if path.parent != folder),
        ])  # fmt: skip


def make_flickr8k(folder: Path, archives: Mapping[Source, Path], progress: Progress) -> str:
    """Unpack the archives into `photos` and `text`, and write `captions.csv`; return a line for photos and each split.

    Raises:
        DownloadError: if a photo of a split is missing or has no caption.
    """
    _unpack_all(folder, archives, progress)
    table, photos = folder / RAW_CAPTIONS_FILE, folder / PHOTOS_FOLDER
    rows = caption_table(folder / "text")
    names = {path.name for path in photos.glob("*")}
    if missing := sorted({image for image, _, _ in rows} - names):
        raise DownloadError(f"{photos}: {len(missing)} photos of the splits are missing, the first {missing[0]}")
    _write_table(table, rows)
    lines = [f"{photos}: {len(names):,} photos"]
    for split in _FLICKR_SPLITS:
        images = [image for image, own, _ in rows if own == split]
        lines.append(f"{table}: {split}: {len(images):,} captions of {len(set(images)):,} photos")
    return "\n".join(lines)


def caption_table(folder: Path) -> list[tuple[str, str, str]]:
    """Return the rows (image, split, caption) from the files of the archive of texts, in the order of the splits.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     _ = Path(name, "Flickr8k.token.txt").write_text("b.jpg#0\\tA dog .\\na.jpg#0\\tA cat .\\n")
    ...     for split, images in (("train", "a.jpg"), ("dev", "b.jpg"), ("test", "")):
    ...         _ = Path(name, f"Flickr_8k.{split}Images.txt").write_text(images)
    ...     caption_table(Path(name))
    [('a.jpg', 'train', 'A cat .'), ('b.jpg', 'val', 'A dog .')]
    """
    path = folder / _FLICKR_CAPTIONS
    captions: dict[str, list[str]] = {}
    for number, line in enumerate(_lines(path), 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise DownloadError(f"{path}: line {number} is not NAME#NUMBER, a tab and a caption: {line[:60]!r}")
        captions.setdefault(match["image"], []).append(match["caption"].strip())
    split_of: dict[str, str] = {}
    for split, name in _FLICKR_SPLITS.items():
        for image in map(str.strip, _lines(folder / name)):
            if split_of.setdefault(image, split) != split:
                raise DownloadError(f"{folder / name}: {image} is already in the split {split_of[image]}")
            if image not in captions:
                raise DownloadError(f"{folder / name}: {image} has no caption in {_FLICKR_CAPTIONS}")
    return [(image, split, caption) for image, split in split_of.items() for caption in captions[image]]


def _lines(path: Path) -> list[str]:
    return list(filter(None, path.read_text(encoding="utf-8", errors="replace").split("\n")))


def _write_table(path: Path, rows: list[tuple[str, str, str]]) -> None:
    """Write the table; raise a DownloadError if a different one exists."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("image", "split", "caption"), *rows])
    content = text.getvalue().encode()
    if path.is_file() and path.read_bytes() != content:
        raise DownloadError(f"{path}: already exists and differs; remove it, or choose another folder with --out")
    with replacing(path) as temporary:
        temporary.write_bytes(content)
