"""The command `caption`: what a captioner sees on photos."""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captioning.cli.decoding_options import add_decoding, decoding_of
from captioning.cli.options import add_command
from captioning.cli.sheet_option import check_room, check_sheet
from captioning.decoding.lengths import LONGEST
from captioning.progress import Progress
from captioning.shipped import shipped_run
from captioning.training.run_folder import Run
from minigrad.runtime.names import shown

if TYPE_CHECKING:
    from captioning.photo_captions import PhotoCaption

__all__ = ["add_caption"]

UNREADABLE = 1
"""The exit status where some photo could not be read."""


def add_caption(commands: Any) -> None:
    """The command `caption`."""
    parser = add_command(
        commands, "caption", "say what is on photos, by the captioner that comes with the package or one of your own",
        _caption, example="example:\n  captioning caption holiday.jpg pictures/ --out sheet.png",
    )  # fmt: skip
    parser.add_argument("photos", metavar="PHOTO", nargs="+", help="picture files, or folders of them")
    parser.add_argument("--recursive", action="store_true", help="also photos in folders within a folder")
    parser.add_argument("--run", metavar="RUN", help="a run folder (default: the captioner that comes with the "
                        "package, trained on Flickr8k)")  # fmt: skip
    parser.add_argument("--extractor", metavar="NAME", help="the network that made the features on which RUN was "
                        "trained, if RUN does not say it itself")  # fmt: skip
    add_decoding(parser, str(LONGEST))
    parser.add_argument("--out", metavar="PNG", help="draw a sheet of the photos with their captions, too")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")


def _caption(options: argparse.Namespace) -> int:
    from captioning.photo_captions import caption_photos, extractor_of
    from captioning.vision.photo_files import passed_over, photo_paths

    decoding = decoding_of(options)
    decode = functools.partial(decoding.decode, max_length=options.max_length or LONGEST)
    paths = photo_paths(options.photos, options.recursive)
    if options.out is not None:
        check_sheet(options.out)
        check_room(len(paths))
    run = shipped_run() if options.run is None else Run.open(options.run)
    network, model = extractor_of(run, options.extractor), run.load_model()
    progress = Progress(enabled=not options.quiet)
    _say_passed_over(len(passed_over(options.photos, options.recursive)), progress)
    progress.begin(len(paths))
    found = []
    try:
        for each in caption_photos(paths, model, network, decode, progress.update):
            found.append(each)
            progress.close()  # a line beside the bar would stand in it; the next update draws the bar again
            if each.error is not None:
                print(f"captioning caption: {each.error}", file=sys.stderr)
            elif not options.json:
                print(f"{shown(each.path)}: {each.caption}", flush=True)
    finally:
        progress.close()
    if options.json:
        print(json.dumps(_as_json(options.run or "shipped", found)), flush=True)
    if options.out is not None:  # at the end: what is wrong with a sheet takes no caption from anybody
        _draw_sheet([each for each in found if each.caption is not None], options.out)
    return UNREADABLE if any(each.error is not None for each in found) else 0


def _say_passed_over(files: int, progress: Progress) -> None:
    if files == 1:
        progress.say("1 file is no photo by its name and was passed over")
    elif files:
        progress.say(f"{files} files are no photos by their names and were passed over")


def _draw_sheet(found: Sequence[PhotoCaption], out: str) -> None:
    from captioning.pictures.sheet_photos import sheet_photo
    from captioning.pictures.sheets import caption_sheet

    if not found:
        raise ValueError(f"--out {out}: there is no photo to draw")
    photos = [sheet_photo(each.path) for each in found]
    names = _short_names([each.path for each in found])
    caption_sheet(photos, [str(each.caption) for each in found], None, out, names=names)


def _short_names(paths: Sequence[Path]) -> list[str]:
    """The names of files; with their folders where several files have the same."""
    count = Counter(path.name for path in paths)
    return [path.name if count[path.name] == 1 else str(path) for path in paths]


def _as_json(run: str, found: Sequence[PhotoCaption]) -> dict[str, Any]:
    told = [
        {"photo": str(each.path)} | ({"error": each.error} if each.caption is None else {"caption": each.caption})
        for each in found
    ]
    return {"run": run, "captions": told}
