"""The command `caption`: what a captioner sees on photos."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from captioning.cli.decoding_options import decoder
from captioning.cli.options import add_command
from captioning.progress import Progress
from captioning.shipped import shipped_run
from captioning.training.run_folder import Run

__all__ = ["add_caption"]

UNREADABLE = 1
"""The exit status where some photo could not be read."""


def add_caption(commands: Any) -> None:
    """The command `caption`."""
    parser = add_command(
        commands, "caption", "say what is on photos, by the captioner that comes with the package or one of your own",
        _caption, example="captioning caption holiday.jpg pictures/ --json",
    )  # fmt: skip
    parser.add_argument("photos", metavar="PHOTO", nargs="+", help="picture files, or folders of them")
    parser.add_argument("--recursive", action="store_true", help="also photos in folders within a folder")
    parser.add_argument("--run", metavar="RUN", help="a run folder (default: the captioner that comes with the "
                        "package, trained on Flickr8k)")  # fmt: skip
    parser.add_argument("--extractor", metavar="NAME", help="the network that made the features on which RUN was "
                        "trained, if RUN does not say it itself")  # fmt: skip
    parser.add_argument("--beam", type=int, metavar="N", help="beam search of this width instead of greedy decoding")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")


def _caption(options: argparse.Namespace) -> int:
    from captioning.vision.photo_captions import caption_photos, extractor_of
    from captioning.vision.photo_files import photo_paths

    paths = photo_paths(options.photos, options.recursive)
    run = shipped_run() if options.run is None else Run.open(options.run)
    network, model, decode = extractor_of(run, options.extractor), run.load_model(), decoder(options)
    progress = Progress(enabled=not options.quiet)
    progress.begin(len(paths))
    found = []
    try:
        for each in caption_photos(paths, model, network, decode, progress.update):
            found.append(each)
            if each.error is not None:
                print(f"captioning caption: {each.error}", file=sys.stderr)
            elif not options.json:
                print(f"{each.path}: {each.caption}", flush=True)
    finally:
        progress.close()
    if options.json:
        print(json.dumps(_as_json(run, found)))
    return UNREADABLE if any(each.error is not None for each in found) else 0


def _as_json(run: Run, found: list[Any]) -> dict[str, Any]:
    told = [
        {"photo": str(each.path)} | ({"error": each.error} if each.caption is None else {"caption": each.caption})
        for each in found
    ]
    return {"run": _name(run), "captions": told}


def _name(run: Run) -> str:
    from captioning.shipped import SHIPPED

    return "shipped" if run.folder == Path(SHIPPED) else str(run.folder)
