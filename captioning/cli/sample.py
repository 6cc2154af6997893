"""The command `sample`: captions of some images of a split, on a sheet if their pictures are at hand."""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np

import minigrad as mg
from captioning.cli.decoding_options import Decoding, add_choice, decoding_of, open_data
from captioning.cli.options import add_command, add_data, check_least, threads
from captioning.cli.ranks import on_ranks
from captioning.cli.sheet_option import check_room, check_sheet
from captioning.cli.speakers import check_fit, load_together, names_of, open_runs
from captioning.command import shown
from captioning.data.parts import images_of_part
from captioning.data.split_photos import photo_path
from captioning.data.splits import Split
from captioning.decoding.batches import length_for
from captioning.evaluation.split_scores import captions_of
from captioning.progress import Progress
from captioning.training.run_folder import Run
from minigrad.parallel.communicators import ALONE

__all__ = ["add_sample"]

_EXAMPLE = """example:
  captioning sample RUN --data DIR -n 12 --beam 3 --out sheet.png
    prints what the captioner says of twelve validation images beside what a
    human said, and draws a sheet of them
  captioning sample RUN --data DIR --temperature 0.7 --top-k 20 --seed 1
    draws captions at random: other ones with every seed
  captioning sample RUN --data DIR --beam 6 --with dog --without man
    the best captions with one word, and without another"""


def add_sample(commands: Any) -> None:
    """The command `sample`."""
    parser = add_command(
        commands, "sample", "print what a trained captioner says of some images of a data set, drawn by the seed, and "
        "what a human said", _sample, example=_EXAMPLE
    )  # fmt: skip
    parser.add_argument("run", metavar="RUN", nargs="+", help="a run folder, as train and refine leave it; of several "
                        "the captioners speak together: the next word's probability is the mean of theirs")  # fmt: skip
    add_data(parser, "the one that RUN")
    add_choice(parser)
    parser.add_argument("-n", type=int, default=5, metavar="N", help="how many images (5)")
    parser.add_argument("--temperature", type=float, metavar="X", help="draw words from softmax(scores / X), instead "
                        "of taking the likeliest")  # fmt: skip
    parser.add_argument("--top-k", type=int, metavar="N", help="draw them from the N likeliest words only")
    parser.add_argument("--out", metavar="PNG", help="draw a sheet of the pictures with their captions, of images "
                        "whose picture is in the data set's folder photos")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _sample(options: argparse.Namespace) -> int:
    return on_ranks(functools.partial(_shared, options))


def _shared(options: argparse.Namespace, comm: Any, fair: int, stack: ExitStack) -> int:
    """Ranks share the images; what is drawn at random each of them draws alike."""
    with mg.parallel.agreed(comm):
        stack.enter_context(threads(fair))
        what = _opened(options, stack)
    progress = Progress(enabled=comm.rank == 0 and not options.quiet)
    with mg.parallel.together(comm):
        try:
            said = captions_of(what.model, what.split, what.images, what.decoding.decode, what.length, progress,
                               ALONE if what.decoding.drawn else comm)  # fmt: skip
        finally:
            progress.close()
    if comm.rank == 0:
        _tell(options, what, [" ".join(words) for words in said])
    return 0


class _What(NamedTuple):
    """What is captioned, by whom and how."""

    runs: Sequence[Run]
    model: Any
    split: Split
    images: Any
    decoding: Decoding
    length: int


def _opened(options: argparse.Namespace, stack: ExitStack) -> _What:
    """All that is asked for, checked."""
    runs = open_runs(options.run)
    decoding = decoding_of(options)
    check_least("-n", options.n, 1)
    if options.out is not None:
        check_sheet(options.out)
    data = stack.enter_context(open_data(options, runs[0]))
    split = data[options.split]
    check_fit(runs, split)
    model = load_together(runs)
    length = length_for(split) if options.max_length is None else options.max_length
    decoding.check(model.vocabulary, length)
    decoding = decoding.knowing(data.train, split)
    rows = images_of_part(split, options.part)
    if options.out is not None:
        rows = _with_pictures(split, rows)
    rows = np.random.default_rng(options.seed).permutation(rows)[: options.n]
    if options.out is not None:
        check_room(len(rows))
    return _What(runs, model, split, rows, decoding, length)


def _tell(options: argparse.Namespace, what: _What, captions: list[str]) -> None:
    """Print the captions, and draw the sheet, if there is to be one."""
    split, rows = what.split, what.images
    references = [" ".join(split.references(int(i))[0]) for i in rows]
    if options.out is not None:
        _draw_sheet(split, rows, captions, references, options.out)
    names = [split.image_names[i] if split.has_image_names else None for i in rows]
    entries = [
        {"image": int(i), "name": name, "caption": caption, "reference": reference}
        for i, name, caption, reference in zip(rows, names, captions, references, strict=True)
    ]
    if options.json:
        about = {"run": names_of(what.runs), "split": options.split, "decoding": what.decoding.text, "out": options.out}
        print(json.dumps(about | {"captions": entries}))
        return
    for entry in entries:
        name = "" if entry["name"] is None else f" ({shown(str(entry['name']))})"
        print(f"image {entry['image']}{name}: {entry['caption']}\n    a human: {entry['reference']}")
    if options.out is not None:
        print(f"pictures: {shown(options.out)}")


def _with_pictures(split: Split, rows: Any) -> Any:
    found = [i for i in rows if photo_path(split, int(i)) is not None]
    if not found:
        raise ValueError(f"--out: {split.folder} has no pictures of the {split.name} split at hand")
    return np.array(found)


def _draw_sheet(split: Split, rows: Any, captions: list[str], references: list[str], out: str) -> None:
    from captioning.pictures.sheet_photos import sheet_photo
    from captioning.pictures.sheets import caption_sheet

    files = [path for path in (photo_path(split, int(i)) for i in rows) if path]
    caption_sheet([sheet_photo(path) for path in files], captions, references, out, names=[path.name for path in files])
