"""The command `calibrate`: a run learns how sure it may be of its captions."""

from __future__ import annotations

import argparse
import json
from typing import Any

from captioning.cli.beam_options import add_beam, beam_of, beam_text, check_words
from captioning.cli.decoding_options import open_data
from captioning.cli.options import add_command, add_data, check_least
from captioning.command import check_writable
from captioning.data.folder import ALL_SPLITS
from captioning.decoding.batches import length_for
from captioning.decoding.beam_search import Beam
from captioning.decoding.captions import MOST
from captioning.evaluation.calibration import CONFIDENCE_FILE, Calibration, calibrate
from captioning.progress import Progress
from captioning.training.run_folder import Run

__all__ = ["add_calibrate"]

_EXAMPLE = """example:
  captioning calibrate RUN --data DIR
    captions the validation images by a beam, asks of several measures which
    goes best with CIDEr-D, and leaves RUN/confidence.json; from then on
    captioning caption --run RUN marks captions of which it is not sure
  captioning calibrate RUN --data DIR --beam 10 --length-power 0.8 --unsure 0.1"""


def add_calibrate(commands: Any) -> None:
    """The command `calibrate`."""
    parser = add_command(
        commands, "calibrate", "let a run learn how sure it may be of its captions: on the first half of the images it "
        "sees how CIDEr-D goes with what its beam says of a caption, and on the second half how true that is; it is "
        "kept with the run, and counts for captions by the same beam", _calibrate, example=_EXAMPLE
    )  # fmt: skip
    parser.add_argument("run", metavar="RUN", help="a run folder, in which confidence.json is written")
    add_data(parser, "the one that RUN")
    parser.add_argument("--split", choices=ALL_SPLITS, default="val", help="images of this split (val)")
    parser.add_argument("--max-images", type=int, metavar="N", help="of each half at most so many images (all)")
    parser.add_argument("--n-best", type=int, default=5, metavar="N", help="how many captions of a beam are compared "
                        f"with each other, 2 to {MOST} (5)")  # fmt: skip
    parser.add_argument("--unsure", type=float, default=0.2, metavar="X", help="of which share of its captions it is "
                        "to say that it is not sure, 0 to 1 (0.2)")  # fmt: skip
    add_beam(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")


def _calibrate(options: argparse.Namespace) -> int:
    run, beam = Run.open(options.run), beam_of(options)
    _check(options)
    progress = Progress(enabled=not options.quiet)
    with run, open_data(options, run) as data:
        check_writable(run.folder / CONFIDENCE_FILE)
        split = data[options.split]
        run.check_fits(split)
        model, length = run.load_model(), length_for(split)
        check_words(beam, model.vocabulary, length)
        try:
            made, figures = calibrate(
                model, split, beam, options.n_best, options.unsure, length, options.max_images, progress
            )
        finally:
            progress.close()
        made.save(run.folder)
    about = {"run": str(run.folder), "split": options.split, "decoding": beam_text(beam), "measure": made.measure,
             "unsure_below": made.unsure_below}  # fmt: skip
    if options.json:
        print(json.dumps(about | figures, allow_nan=False))
    else:
        _print(about, figures, beam, made)
    return 0


def _check(options: argparse.Namespace) -> None:
    if not 2 <= options.n_best <= MOST:
        raise ValueError(f"--n-best must be from 2 to {MOST}; got {options.n_best}")
    if not 0 <= options.unsure <= 1:
        raise ValueError(f"--unsure must be from 0 to 1; got {options.unsure}")
    if options.max_images is not None:
        check_least("--max-images", options.max_images, 2)


def _print(about: dict[str, Any], figures: dict[str, Any], beam: Beam, made: Calibration) -> None:
    print(f"{about['run']}: {about['split']} split, {beam_text(beam)}, {made.count} captions an image")
    print("Spearman's rho with CIDEr-D      first half  second half")
    for name, rho in figures["first"].items():
        kept = "  kept" if name == made.measure else ""
        print(f"  {name:<30}{_text(rho):>11}{_text(figures['second'][name]):>13}{kept}")
    print(f"a human caption's CIDEr-D        {figures['human_cider_d']:10.3f}")
    print(f"second half: mean confidence {figures['confidence']:.3f}, mean share {figures['share']:.3f}, in a bin they "
          f"differ by {figures['error']:.3f}")  # fmt: skip
    of_unsure, of_others = (_text(figures[name]) for name in ("cider_d_unsure", "cider_d_sure"))
    print(f"  CIDEr-D of the {figures['unsure']:.0%} of which it is not sure {of_unsure}, of the others {of_others}")
    print(f"calibration: {made.measure}, not sure below {made.unsure_below:.3f}: {about['run']}/{CONFIDENCE_FILE}")


def _text(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.3f}"
