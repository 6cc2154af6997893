"""The command `report`: a run as one page to read, print and hand on."""

from __future__ import annotations

import argparse
from typing import Any

from captioning.cli.decoding_options import Decoding, add_choice, decoding_of, open_data
from captioning.cli.options import add_command, add_data, check_least, check_output
from captioning.command import shown
from captioning.decoding.batches import length_for
from captioning.evaluation.calibration import Calibration
from captioning.progress import Progress
from captioning.report.contents import Choice, Contents, Scored, scored
from captioning.report.page import write_page
from captioning.training.run_folder import Run
from minigrad.units import byte_text

__all__ = ["add_report"]

_EXAMPLE = """example:
  captioning report RUN --data DIR --beam 3 --out report.html
    writes a page with the curves of the training, the scores of the validation
    images, and the best, typical and worst captions beside their photos, where
    the data set has them in its folder photos; any browser opens it, without a
    network, and prints it
  captioning report RUN --no-data
    writes what there is to say of the run alone"""


def add_report(commands: Any) -> None:
    """The command `report`."""
    parser = add_command(
        commands, "report", "write one page about a trained captioner, to read, print and hand on: its training, its "
        "scores, what it says beside what people say, and its settings", _report, example=_EXAMPLE
    )  # fmt: skip
    parser.add_argument("run", metavar="RUN", help="a run folder, as train, refine and export leave it")
    add_data(parser, "the one that RUN")
    parser.add_argument("--no-data", action="store_true", help="write of the run alone, without captions and scores")
    add_choice(parser)
    parser.add_argument("--max-images", type=int, metavar="N", help="at most so many images, drawn by the seed (all)")
    parser.add_argument("--out", default="report.html", metavar="HTML", help="the page, written over (report.html)")


def _report(options: argparse.Namespace) -> int:
    run = Run.open(options.run)
    if options.no_data and options.data is not None:
        raise ValueError("--no-data cannot be combined with --data")
    decoding = decoding_of(options)
    if options.max_images is not None:
        check_least("--max-images", options.max_images, 1)
    check_output(options.out, ".html")
    model, history = run.load_model(), run.history()
    progress = Progress(enabled=not options.quiet)
    try:
        found = None if options.no_data else _scored(options, run, model, decoding, progress)
        contents = Contents(run.folder.resolve().name, run.settings, history, model, found)
        size = write_page(contents, options.out, progress)
    finally:
        progress.close()
    print(f"report: {shown(options.out)} ({byte_text(size)})")
    return 0


def _scored(options: argparse.Namespace, run: Run, model: Any, decoding: Decoding, progress: Progress) -> Scored:
    with open_data(options, run) as data:
        split = data[options.split]
        run.check_fits(split)
        length = length_for(split) if options.max_length is None else options.max_length
        decoding.check(run.vocabulary, length)
        decode, calibration = decoding.knowing(data.train, split).decode, _calibration_of(run, decoding, length)
        choice = Choice(decode, decoding.text, options.part, options.max_images, options.seed, length, calibration)
        return scored(model, split, choice, progress, run.settings["training"].get("val_part"), data.train)


def _calibration_of(run: Run, decoding: Decoding, max_length: int) -> Calibration | None:
    """The calibration of a run, None where it has none, or one that says nothing of captions that are decoded so."""
    found = None if decoding.beam is None else Calibration.load(run.folder)
    if found is None or not found.applies_to(decoding.beam, max_length) or not found.is_of(run.folder):
        return None
    return found
