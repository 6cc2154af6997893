"""A quick network, the mean colours of a photo's 4 x 4 parts through a fixed layer; and sources of small photos."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from captioning.vision.extractors import FeatureExtractor


class GridColours(FeatureExtractor):
    """Features (N, 48): the colours of 16 parts through a fixed layer, a product as in a network."""

    name, size, side, grid = "grid-colours", 48, 32, (4, 4)

    def __init__(self):
        self.seen = 0
        self._weight = np.random.default_rng(0).standard_normal((self.size, self.size)).astype(np.float32)

    def prepare(self, photo):
        self.seen += 1
        pixels = Image.fromarray(photo).resize((self.side, self.side))
        return np.asarray(pixels, np.float32).transpose(2, 0, 1) / 255

    def maps(self, prepared):
        cell = self.side // 4
        return prepared.reshape(len(prepared), 3, 4, cell, 4, cell).mean((3, 5)).transpose(0, 2, 3, 1)

    def features(self, prepared):
        return np.tanh(self.maps(prepared).reshape(len(prepared), -1) @ self._weight)


def write_photo(path, number):
    """A small photo in whose pixels its number is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def captions_of(number):
    """Two captions of a photo; words differ in how frequent they are."""
    animal = ("dog", "cat", "horse")[number % 3]
    return [f"A {animal} doesn't sit on a red T-shirt, number {number}.", f"The {animal} of {number // 8} men"]


def write_folder(folder, number):
    """Photos 00.png, 01.png … with their captions beside them."""
    for n in range(number):
        write_photo(folder / f"{n:02}.png", n)
        (folder / f"{n:02}.txt").write_text("\n".join(captions_of(n)) + "\n", encoding="utf-8")
    return folder


def write_table(path, number, split=None, photos=True):
    """A table of so many photos; split gives that of a number. The photos are in the folder photos beside it."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "split", "caption"] if split else ["image", "caption"])
        for n in range(number):
            if photos:
                write_photo(path.parent / "photos" / f"{n:02}.png", n)
            writer.writerows([f"{n:02}.png", *([split(n)] if split else []), text] for text in captions_of(n))
    return path


def content(folder):
    """Everything in a folder: bytes by name, of a link where it leads."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        elif path.is_file():
            found[name] = path.read_bytes()
    return found
