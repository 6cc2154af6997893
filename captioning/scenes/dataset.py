"""Writes scenes in the layout of the CS231n MS-COCO data set (`captioning.data.folder`), and reads them back.

| file | holds |
|---|---|
| `coco2014_captions.h5` | `{train,val}_captions` (5N, 17) int32, `{train,val}_image_idxs` (5N,) int32 |
| `coco2014_vocab.json` | `idx_to_word`, `word_to_idx`; `<NULL> <START> <END> <UNK>` are 0 to 3 |
| `{train,val}2014_vgg16_fc7.h5`, `…_pca.h5` | `features` (N, D) float32: `captioning.scenes.features`, or learnt |
| `{train,val}2014_regions.h5` | of learnt features, `regions` (N, 64, C) uint8: `captioning.scenes.learnt_features` |
| `{train,val}2014_urls.txt` | a line a picture: its name |
| `{train,val}_scenes.json` | a line a scene, see `captioning.scenes.world.scene_to_json` |
| `captions.csv` | `image,split,caption`: the same captions as words |
| `pictures/` | the first pictures of the validation split, to look at |
"""

from __future__ import annotations

import csv
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from captioning.data.hdf5 import new_hdf5
from captioning.scenes.drawing import render, render_array
from captioning.scenes.features import PICTURE, Network, Reduction
from captioning.scenes.grammar import MAX_WORDS, captions
from captioning.scenes.learnt_features import LearntNetwork, learn
from captioning.scenes.world import Scene, draw_scenes, scene_from_json, scene_to_json

__all__ = ["CAPTIONS_AN_IMAGE", "SPECIAL_TOKENS", "Progress", "load_captions", "load_scenes", "write_scenes"]

SPECIAL_TOKENS = ("<NULL>", "<START>", "<END>", "<UNK>")
CAPTIONS_AN_IMAGE = 5
_SPLITS = ("train", "val")
_BATCH = 200
_OWN = {  # what a folder may hold and still be replaced
    *("captions.csv", "coco2014_captions.h5", "coco2014_vocab.json", "pictures"),
    *(f"{split}_scenes.json" for split in _SPLITS),
    *(
        f"{split}2014_{what}"
        for split in _SPLITS
        for what in ("urls.txt", "vgg16_fc7.h5", "vgg16_fc7_pca.h5", "regions.h5")
    ),
}

Progress = Callable[[str, int, int], None]


def write_scenes(
    folder: str | Path,
    *,
    seed: int = 0,
    train: int = 4000,
    val: int = 400,
    pictures: int = 24,
    picture_size: int = 256,
    dimensions: int = 1024,
    learning: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Draw `train` and `val` scenes from `seed` and write the whole data set to `folder`; returns the folder.

    Everything goes to a temporary folder beside it that takes its place at the end, so `folder` is either
    whole or as it was. A data set that an earlier call wrote is replaced. `pictures` validation scenes are also
    stored as PNG files of `picture_size` pixels. The reduced features have `dimensions` columns, fewer if
    there are not as many training scenes. Features are those of a fixed network, or, with `learning` of 1 or more,
    of one that has learnt for so many epochs from the training pictures and their captions, of which it needs some
    thousands to see well; then there are those of places too. `progress(stage, done, total)` is called now and then.

    Raises:
        ValueError: a count out of range, a folder with anything else in it, or too few scenes to learn anything from.
    """
    folder = Path(folder)
    for name, count in (("train", train), ("val", val)):
        if count < 1:
            raise ValueError(f"write_scenes: {name} must be 1 or more, got {count}")
    if pictures < 0 or dimensions < 1 or learning < 0:
        raise ValueError(
            "write_scenes: needs pictures of 0 or more, dimensions of 1 or more and learning of 0 or more, "
            f"got {pictures}, {dimensions} and {learning}"
        )
    _refuse_foreign(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        whole = Path(temporary) / "whole"
        whole.mkdir()
        _write(whole, seed, {"train": train, "val": val}, dimensions, learning, progress or _silent)
        _write_pictures(whole, pictures, picture_size)
        _take_place(whole, folder, Path(temporary) / "old")
    return folder


def load_scenes(folder: str | Path, split: str) -> list[Scene]:
    """The scenes of a split, in the order of its features.

    Raises:
        ValueError: an unknown split, or a damaged file: which line and what is wrong.
        FileNotFoundError: the folder has no scenes.
    """
    path = _scene_file(Path(folder), split)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: the folder holds no scenes, write_scenes makes them")
    scenes = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            scenes.append(scene_from_json(line))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
    return scenes


def load_captions(folder: str | Path, split: str) -> list[list[str]]:
    """The captions of each scene of a split, as strings, in the order of `load_scenes`.

    Raises:
        ValueError: an unknown split.
        FileNotFoundError: the folder has no captions.
    """
    _scene_file(Path(folder), split)  # checks the split
    grouped: dict[str, list[str]] = {}
    with open(Path(folder) / "captions.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["split"] == split:
                grouped.setdefault(row["image"], []).append(row["caption"])
    return list(grouped.values())


def _scene_file(folder: Path, split: str) -> Path:
    if split not in _SPLITS:
        raise ValueError(f"split {split!r} is neither 'train' nor 'val'")
    return folder / f"{split}_scenes.json"


# ---------------------------------------------------------------------- the folder
def _silent(stage: str, done: int, total: int) -> None:
    pass


def _refuse_foreign(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"write_scenes: {folder} exists and is no folder")
    foreign = sorted({path.name for path in folder.iterdir()} - _OWN)
    if foreign:
        raise ValueError(
            f"write_scenes: {folder} holds {foreign[0]!r}, which write_scenes did not write; "
            "name a new or an empty folder"
        )


def _take_place(whole: Path, folder: Path, old: Path) -> None:
    """Rename; an earlier data set steps aside first and comes back if the renaming fails."""
    if folder.exists():
        folder.rename(old)
    try:
        whole.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _write(folder: Path, seed: int, counts: dict[str, int], dimensions: int, learning: int, progress: Progress) -> None:
    scenes = {split: list(draw_scenes(seed, split, count)) for split, count in counts.items()}
    said = {split: _captions(scenes[split], seed, i) for i, split in enumerate(_SPLITS)}
    words = sorted({word for texts in said["train"] for text in texts for word in text.split()})
    _write_captions(folder, said, [*SPECIAL_TOKENS, *words])
    if learning:
        _write_learnt_features(folder, scenes, said["train"], learning, seed, dimensions, progress)
    else:
        _write_features(folder, scenes, dimensions, progress)
    for split in _SPLITS:
        lines = "".join(scene_to_json(scene) + "\n" for scene in scenes[split])
        _scene_file(folder, split).write_text(lines, encoding="utf-8")
        names = "".join(_name(split, i) + "\n" for i in range(counts[split]))
        (folder / f"{split}2014_urls.txt").write_text(names, encoding="utf-8")


def _name(split: str, index: int) -> str:
    return f"pictures/{split}_{index:05d}.png"


def _write_pictures(folder: Path, count: int, size: int) -> None:
    (folder / "pictures").mkdir()
    for index, scene in enumerate(load_scenes(folder, "val")[:count]):
        render(scene, size).save(folder / _name("val", index))


# ---------------------------------------------------------------------- words
def _captions(scenes: Sequence[Scene], seed: int, split: int) -> list[list[str]]:
    rng = np.random.default_rng([seed, 2, split])
    return [captions(scene, rng, CAPTIONS_AN_IMAGE) for scene in scenes]


def _write_captions(folder: Path, said: dict[str, list[list[str]]], idx_to_word: list[str]) -> None:
    word_to_idx = {word: i for i, word in enumerate(idx_to_word)}
    vocabulary = {"idx_to_word": idx_to_word, "word_to_idx": word_to_idx}
    (folder / "coco2014_vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    with new_hdf5(folder / "coco2014_captions.h5") as file:
        for split, texts in said.items():
            rows = [_row(text, word_to_idx) for own in texts for text in own]
            file[f"{split}_captions"] = np.array(rows, dtype=np.int32)
            file[f"{split}_image_idxs"] = np.repeat(np.arange(len(texts), dtype=np.int32), CAPTIONS_AN_IMAGE)
    with open(folder / "captions.csv", "w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["image", "split", "caption"])
        for split, texts in said.items():
            writer.writerows([_name(split, i), split, text] for i, own in enumerate(texts) for text in own)


def _row(text: str, word_to_idx: dict[str, int]) -> list[int]:
    """<START>, the words, <END>, then <NULL> up to 17 columns; a word of no training caption is <UNK>."""
    words = [word_to_idx.get(word, word_to_idx["<UNK>"]) for word in text.split()]
    row = [word_to_idx["<START>"], *words, word_to_idx["<END>"]]
    return row + [word_to_idx["<NULL>"]] * (MAX_WORDS + 2 - len(row))


# ---------------------------------------------------------------------- features
def _write_features(folder: Path, scenes: dict[str, list[Scene]], dimensions: int, progress: Progress) -> None:
    network = Network()  # of the same seed for every data set, so that features of two of them can be compared
    _write_whole(folder, {split: _extract(network, scenes[split], split, progress) for split in _SPLITS}, dimensions)


def _write_whole(folder: Path, raw: dict[str, np.ndarray], dimensions: int) -> None:
    """The features of whole pictures (N, D), and the reduced ones."""
    reduction = Reduction.fit(raw["train"], dimensions)
    for split in _SPLITS:
        for suffix, features in (("", raw[split]), ("_pca", reduction(raw[split]))):
            with new_hdf5(folder / f"{split}2014_vgg16_fc7{suffix}.h5") as file:
                file["features"] = features


def _extract(network: Network, scenes: Sequence[Scene], split: str, progress: Progress) -> np.ndarray:
    """Raw features (N, D) of scenes, drawn and looked at a batch at a time."""
    features = np.empty((len(scenes), network.size), np.float32)
    for start in range(0, len(scenes), _BATCH):
        pictures = _drawn(scenes[start : start + _BATCH])
        features[start : start + len(pictures)] = network(pictures)
        progress(f"features of {split} scenes", start + len(pictures), len(scenes))
    return features


def _drawn(scenes: Sequence[Scene]) -> np.ndarray:
    return np.stack([render_array(scene, PICTURE) for scene in scenes])


def _write_learnt_features(
    folder: Path,
    scenes: dict[str, list[Scene]],
    said: list[list[str]],
    epochs: int,
    seed: int,
    dimensions: int,
    progress: Progress,
) -> None:
    """Features of a network that learns from the training pictures and what is said of them, `said`."""
    pictures = {split: _all_drawn(scenes[split], split, progress) for split in _SPLITS}
    network = learn(pictures["train"], said, epochs, seed, lambda done, total: progress("learning to see", done, total))
    found = {split: _looked_at(network, pictures[split]) for split in _SPLITS}
    _write_whole(folder, {split: whole for split, (whole, _) in found.items()}, dimensions)
    largest = found["train"][1].max(axis=(0, 1))
    scale = np.where(largest > 0, largest / 255, 1).astype(np.float32)
    for split in _SPLITS:
        with new_hdf5(folder / f"{split}2014_regions.h5") as file:
            file["regions"] = np.clip(np.rint(found[split][1] / scale), 0, 255).astype(np.uint8)
            file["regions"].attrs["scale"] = scale
            file["regions"].attrs["offset"] = np.zeros_like(scale)


def _all_drawn(scenes: Sequence[Scene], split: str, progress: Progress) -> np.ndarray:
    pictures = np.empty((len(scenes), PICTURE, PICTURE, 3), np.uint8)
    for start in range(0, len(scenes), _BATCH):
        pictures[start : start + _BATCH] = _drawn(scenes[start : start + _BATCH])
        progress(f"drawing {split} scenes", min(start + _BATCH, len(scenes)), len(scenes))
    return pictures


def _looked_at(network: LearntNetwork, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features of whole pictures and of places, a batch at a time."""
    pieces = [network.features(pictures[start : start + 50]) for start in range(0, len(pictures), 50)]
    whole, places = zip(*pieces, strict=True)
    return np.concatenate(whole), np.concatenate(places)
