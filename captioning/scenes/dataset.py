"""Write scenes in the layout of the CS231n MS-COCO data set (`captioning.data.folder`), and read them back.

| file | holds |
|---|---|
| `coco2014_captions.h5` | `{train,val}_captions` (5N, 17) int32, `{train,val}_image_idxs` (5N,) int32 |
| `coco2014_vocab.json` | `idx_to_word`, `word_to_idx`; `<NULL> <START> <END> <UNK>` are 0 to 3 |
| `{train,val}2014_vgg16_fc7.h5`, `…_pca.h5` | `features` (N, D) float32 of `captioning.scenes.features`, and reduced |
| `{train,val}2014_regions.h5` | `regions` (N, 64, 104) uint8: features of 8x8 places |
| `{train,val}2014_urls.txt` | the name of each picture, one per line |
| `{train,val}_scenes.json` | the scenes, one per line; see `captioning.scenes.world.scene_to_json` |
| `captions.csv` | `image,split,caption`: the captions as words |
| `pictures/` | the first pictures of the validation split, to look at |
"""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from captioning.data.hdf5 import new_hdf5
from captioning.scenes.drawing import render, render_array
from captioning.scenes.features import PICTURE, FeatureNetwork, learn, reduced
from captioning.scenes.grammar import MAX_WORDS, captions
from captioning.scenes.world import Scene, draw_scenes, scene_from_json, scene_to_json

__all__ = ["CAPTIONS_AN_IMAGE", "SPECIAL_TOKENS", "Progress", "load_captions", "load_scenes", "write_scenes"]

SPECIAL_TOKENS = ("<NULL>", "<START>", "<END>", "<UNK>")
CAPTIONS_AN_IMAGE = 5
_SPLITS = ("train", "val")
_BATCH = 50
_FEATURES = ("{}2014_vgg16_fc7.h5", "{}2014_vgg16_fc7_pca.h5", "{}2014_regions.h5")
_FILES = {"captions.csv", "coco2014_captions.h5", "coco2014_vocab.json", "pictures"} | {
    name.format(split) for split in _SPLITS for name in ("{}_scenes.json", "{}2014_urls.txt", *_FEATURES)
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
    progress: Progress = lambda stage, done, total: None,
) -> Path:
    """Draw scenes from a seed and write them to a folder as a data set; return the folder.

    The folder appears whole or stays as it was. A data set of an earlier call is replaced.

    Args:
        train, val: the number of scenes of each split.
        pictures, picture_size: how many validation scenes are also saved as PNG files, and their side in pixels.
        dimensions: columns of the reduced features; fewer if there are fewer training scenes.
        learning: epochs in which the network of the features learns from the training pictures and captions. It needs a
            few thousand of them. With 0 its weights are random.
        progress: called as progress(stage, done, total) now and then.

    Raises:
        ValueError: if a number is out of range, the folder holds anything else, or there are too few scenes to learn.
    """
    folder = Path(folder)
    numbers = {"train": (train, 1), "val": (val, 1), "pictures": (pictures, 0), "dimensions": (dimensions, 1),
               "learning": (learning, 0)}  # fmt: skip
    for name, (number, least) in numbers.items():
        if number < least:
            raise ValueError(f"write_scenes: {name} must be {least} or more, got {number}")
    foreign = sorted({path.name for path in folder.iterdir()} - _FILES) if folder.exists() else []
    if foreign:
        raise ValueError(f"write_scenes: {folder} also contains {foreign[0]!r}. Name a new or empty folder.")
    above = next(path for path in folder.parents if path.exists())
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=above) as temporary:
        whole = Path(temporary) / "whole"
        (whole / "pictures").mkdir(parents=True)
        scenes = {split: list(draw_scenes(seed, split, count)) for split, count in (("train", train), ("val", val))}
        texts = _write_captions(whole, scenes, seed)
        _write_features(whole, scenes, texts["train"], seed, dimensions, learning, progress)
        for index, scene in enumerate(scenes["val"][:pictures]):
            render(scene, picture_size).save(whole / _picture_name("val", index))
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            folder.rename(Path(temporary) / "earlier")
        whole.rename(folder)
    return folder


def load_scenes(folder: str | Path, split: str) -> list[Scene]:
    """Read the scenes of a split, in the order of its features.

    Raises:
        ValueError: if a line is damaged; names the file and the line.
        FileNotFoundError: if the folder has no scenes of this split.
    """
    path, scenes = Path(folder) / f"{split}_scenes.json", []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            scenes.append(scene_from_json(line))
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
    return scenes


def load_captions(folder: str | Path, split: str) -> list[list[str]]:
    """Read the captions of each scene of a split, in the order of `load_scenes`.

    Raises:
        FileNotFoundError: if the folder has no captions.
    """
    grouped: dict[str, list[str]] = {}
    with open(Path(folder) / "captions.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["split"] == split:
                grouped.setdefault(row["image"], []).append(row["caption"])
    return list(grouped.values())


def _picture_name(split: str, index: int) -> str:
    return f"pictures/{split}_{index:05d}.png"


def _write_captions(folder: Path, scenes: dict[str, list[Scene]], seed: int) -> dict[str, list[list[str]]]:
    """Write scenes, their captions, the vocabulary and the names of pictures; return the captions of each scene."""
    texts = {}
    for number, split in enumerate(_SPLITS):
        rng = np.random.default_rng([seed, 2, number])
        texts[split] = [captions(scene, rng, CAPTIONS_AN_IMAGE) for scene in scenes[split]]
        lines = "".join(scene_to_json(scene) + "\n" for scene in scenes[split])
        (folder / f"{split}_scenes.json").write_text(lines, encoding="utf-8")
        names = "".join(_picture_name(split, i) + "\n" for i in range(len(scenes[split])))
        (folder / f"{split}2014_urls.txt").write_text(names, encoding="utf-8")
    words = sorted({word for own in texts["train"] for text in own for word in text.split()})
    idx_to_word = [*SPECIAL_TOKENS, *words]
    word_to_idx = {word: i for i, word in enumerate(idx_to_word)}
    vocabulary = {"idx_to_word": idx_to_word, "word_to_idx": word_to_idx}
    (folder / "coco2014_vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    with new_hdf5(folder / "coco2014_captions.h5") as file:
        for split, of_scenes in texts.items():
            rows = [_word_ids(text, word_to_idx) for own in of_scenes for text in own]
            file[f"{split}_captions"] = np.array(rows, dtype=np.int32)
            file[f"{split}_image_idxs"] = np.repeat(np.arange(len(of_scenes), dtype=np.int32), CAPTIONS_AN_IMAGE)
    with open(folder / "captions.csv", "w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["image", "split", "caption"])
        for split, of_scenes in texts.items():
            writer.writerows([_picture_name(split, i), split, text] for i, own in enumerate(of_scenes) for text in own)
    return texts


def _word_ids(text: str, word_to_idx: dict[str, int]) -> list[int]:
    """Return <START>, the words, <END>, then <NULL> up to 17 columns; unknown words are <UNK>."""
    null, start, end, unknown = range(4)
    row = [start, *(word_to_idx.get(word, unknown) for word in text.split()), end]
    return row + [null] * (MAX_WORDS + 2 - len(row))


def _write_features(
    folder: Path,
    scenes: dict[str, list[Scene]],
    texts: list[list[str]],
    seed: int,
    dimensions: int,
    learning: int,
    progress: Progress,
) -> None:
    pictures = {split: _draw(scenes[split], split, progress) for split in _SPLITS}
    if learning:
        network = learn(pictures["train"], texts, learning, seed, partial(progress, "learning to see"))
    else:
        network = FeatureNetwork((), 0).eval()
    whole, places = {}, {}
    for split in _SPLITS:
        batches = [network.features(pictures[split][i : i + _BATCH]) for i in range(0, len(pictures[split]), _BATCH)]
        whole[split], places[split] = map(np.concatenate, zip(*batches, strict=True))
    less = reduced(whole, dimensions)
    largest = places["train"].max(axis=(0, 1))
    scale = np.where(largest > 0, largest / 255, 1).astype(np.float32)
    for split in _SPLITS:
        full_name, reduced_name, regions_name = (folder / name.format(split) for name in _FEATURES)
        with new_hdf5(full_name) as file:
            file["features"] = whole[split]
        with new_hdf5(reduced_name) as file:
            file["features"] = less[split]
        with new_hdf5(regions_name) as file:
            file["regions"] = np.clip(np.rint(places[split] / scale), 0, 255).astype(np.uint8)
            file["regions"].attrs["scale"] = scale
            file["regions"].attrs["offset"] = np.zeros_like(scale)


def _draw(scenes: Sequence[Scene], split: str, progress: Progress) -> np.ndarray:
    pictures = np.empty((len(scenes), PICTURE, PICTURE, 3), np.uint8)
    for index, scene in enumerate(scenes):
        pictures[index] = render_array(scene, PICTURE)
        if (index + 1) % 200 == 0 or index + 1 == len(scenes):
            progress(f"drawing {split} scenes", index + 1, len(scenes))
    return pictures
