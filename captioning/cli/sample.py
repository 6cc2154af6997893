"""The command `sample`: captions of some images of a split, on a sheet if their pictures are at hand."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from captioning.cli.decoding_options import add_choice, decoder, open_data
from captioning.cli.options import add_command, add_data
from captioning.data.folder import PHOTOS_FOLDER
from captioning.data.parts import images_of_part
from captioning.data.splits import Split
from captioning.scoring.evaluation import captions_of
from captioning.training.run_folder import Run

__all__ = ["add_sample"]


def add_sample(commands: Any) -> None:
    """The command `sample`."""
    parser = add_command(commands, "sample", "caption some images of a split", _sample)
    parser.add_argument("run", metavar="RUN", help="a run folder")
    add_data(parser)
    add_choice(parser)
    parser.add_argument("-n", type=int, default=5, metavar="N", help="how many images (5)")
    parser.add_argument("--temperature", type=float, metavar="X", help="draw words from softmax(scores / X)")
    parser.add_argument("--top-k", type=int, metavar="N", help="draw from the N likeliest words only")
    parser.add_argument("--out", metavar="PNG", help="draw the pictures with their captions, of images whose picture "
                        "is at hand")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _sample(options: argparse.Namespace) -> int:
    run = Run.open(options.run)
    decode = decoder(options)
    if options.n < 1:
        raise ValueError(f"-n must be at least 1; got {options.n}")
    with open_data(options, run) as data:
        split = data[options.split]
        run.check_fits(split)
        model = run.load_model()
        rows = images_of_part(split, options.part)
        if options.out is not None:
            rows = _with_pictures(split, rows)
        rows = np.random.default_rng(options.seed).permutation(rows)[: options.n]
        captions = [" ".join(words) for words in captions_of(model, split, rows, decode)]
        references = [" ".join(split.references(int(i))[0]) for i in rows]
        if options.out is not None:
            _draw_sheet(split, rows, captions, references, options.out)
    if options.json:
        shown = [
            {"image": int(i), "caption": caption, "reference": reference}
            for i, caption, reference in zip(rows, captions, references, strict=True)
        ]
        print(json.dumps({"run": str(run.folder), "split": options.split, "out": options.out, "captions": shown}))
        return 0
    for i, caption, reference in zip(rows, captions, references, strict=True):
        print(f"image {i}: {caption}\n    a human: {reference}")
    if options.out is not None:
        print(f"pictures: {options.out}")
    return 0


def _picture(split: Split, i: int) -> Path | None:
    """The file of an image's picture: in the folder photos, or where its address says if that is a path inside."""
    photo = split.photo(i)
    if photo is None and split.has_urls:
        path = split.folder / split.urls[i].decode("utf-8", errors="replace")
        photo = path if path.is_file() else None
    return photo


def _with_pictures(split: Split, rows: Any) -> Any:
    found = [i for i in rows if _picture(split, int(i)) is not None]
    if not found:
        raise ValueError(f"--out: {split.folder} has no pictures of the {split.name} split at hand")
    return np.array(found)


def _draw_sheet(split: Split, rows: Any, captions: list[str], references: list[str], out: str) -> None:
    from captioning.pictures.photos import image_from_url
    from captioning.pictures.sheets import caption_sheet

    def image(path: Path) -> Any:
        if path.parent == split.folder / PHOTOS_FOLDER:  # there may be links to photos elsewhere, as `prepare` leaves
            return image_from_url(path.resolve().name, path.resolve().parent)
        return image_from_url(str(path.relative_to(split.folder)), split.folder)

    files = [_picture(split, int(i)) for i in rows]
    images = [image(path) for path in files if path]
    caption_sheet(images, captions, references, Path(out))
