"""Sources of small photos, and what a folder holds."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image


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
