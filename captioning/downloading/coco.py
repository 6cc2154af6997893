"""MS-COCO 2014: CS231n's archive becomes a data set that `captioning.data` opens as it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from captioning.data.dataset import open_captions
from captioning.data.folder import CAPTIONS_FILE, SPLITS, VOCABULARY_FILE, features_path, lines_path
from captioning.downloading.archives import unpack
from captioning.downloading.sources import Source
from captioning.progress import Progress

__all__ = ["make_coco"]

ANNOTATIONS_FOLDER = "annotations"

_HERE = Path()
_NEEDED = {CAPTIONS_FILE, VOCABULARY_FILE, *(str(features_path(_HERE, split, pca=True)) for split in SPLITS)}
_TAKEN = _NEEDED | {
    str(path)
    for split in SPLITS
    for path in (features_path(_HERE, split, pca=False), lines_path(_HERE, split, "urls"))
}  # fmt: skip
_ANNOTATIONS = {f"{ANNOTATIONS_FOLDER}/captions_{split}2014.json" for split in SPLITS}


def make_coco(folder: Path, archives: Mapping[Source, Path], progress: Progress) -> str:
    """Unpack the archives into the data set's folder and open it; what is there, in words, a line each.

    CS231n's files come to lie in `folder` itself, COCO's captions in `folder/annotations`.
    """
    lines = []
    for source, archive in archives.items():
        progress.say(f"unpacking {archive.name}")
        if source.name == "coco_captioning":
            unpack(archive, folder, _place_of_data, _NEEDED, source.largest, progress)
        else:
            files = unpack(archive, folder, _place_of_annotations, _ANNOTATIONS, source.largest, progress)
            lines += [str(path) for path in files]
    return "\n".join([*_counts(folder), *lines])


def _place_of_data(member: str) -> str | None:
    name = PurePosixPath(member).name
    return name if name in _TAKEN and not member.startswith("__MACOSX/") else None


def _place_of_annotations(member: str) -> str | None:
    """Captions alone: the outlines of objects would take ten times their room."""
    place = f"{ANNOTATIONS_FOLDER}/{PurePosixPath(member).name}"
    return place if place in _ANNOTATIONS else None


def _counts(folder: Path) -> list[str]:
    with open_captions(folder, pca=True) as data:
        return [f"{folder}: {split}: {len(data[split]):,} captions of {len(data[split].features):,} images"
                for split in SPLITS]  # fmt: skip
