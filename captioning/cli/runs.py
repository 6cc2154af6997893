"""The commands `average`, `export`, `regions` and `calibrate`, which turn runs into others or add a file to one."""

from __future__ import annotations

import argparse
import json
from contextlib import suppress
from typing import Any

from captioning.cli.decoding import beam_decoding, beam_of, names_of, open_runs, open_split
from captioning.cli.options import BEAM, Command, data_folder, number, unchanged
from captioning.command import check_writable, shown
from captioning.decoding.captions import MOST
from captioning.evaluation.calibration import CONFIDENCE_FILE, Calibration, calibrate
from captioning.progress import Progress
from captioning.training.derived_runs import average_runs, export_run
from captioning.training.run_features import check_alike, extractor_name
from captioning.training.run_files import RunError
from captioning.training.run_folder import Run

__all__ = ["AVERAGE", "CALIBRATE", "EXPORT", "REGIONS"]


def _average(options: argparse.Namespace) -> int:
    if len(options.run) < 2:
        raise ValueError("average needs at least two runs")
    runs = open_runs(options.run, "be averaged")
    check_alike(runs, "be averaged")
    made = average_runs(runs, options.out)
    print(f"{shown(made.folder)}: the mean of {names_of(runs)}; captioning evaluate says how good it is")
    return 0


def _export(options: argparse.Namespace) -> int:
    exported = export_run(Run.open(options.run), options.out, options.extractor)
    size = sum(path.stat().st_size for path in exported.folder.iterdir())
    print(f"{exported.folder}: {size / 1e6:.1f} MB; use it by: {_use_of(exported)}")
    return 0


def _use_of(run: Run) -> str:
    try:
        extractor_name(run)
    except ValueError:  # its features are of a network that is not here, or nobody knows of which
        return f"captioning sample {run.folder} --data DIR, or evaluate"
    if "places" in run.settings["model"] and not run.regions_path.is_file():
        return (
            f"captioning sample {run.folder} --data DIR, or evaluate; it cannot caption photos, since it looks at "
            f"regions and has no {run.regions_path.name}: captioning regions {run.folder} --data DIR finds that out"
        )
    return f"captioning caption PHOTO --run {run.folder}"


def _regions(options: argparse.Namespace) -> int:
    from captioning.vision.region_fitting import fit_and_judge

    run = Run.open(options.run)
    progress = Progress(enabled=not options.quiet)
    fitted = fit_and_judge(data_folder(options, run), options.split, options.extractor, options.photos, progress)
    fitted.projection.save(run.regions_path)
    if run.settings["data"].get("extractor") is None:
        with suppress(RunError):  # of a network that gives other features of the whole picture
            run.settings["data"]["extractor"] = extractor_name(run, options.extractor)
            run.write_settings()
    features, regions = fitted.projection.weight.shape
    print(f"{run.regions_path}: from {features:,} to {regions} numbers a place, by {fitted.photos} photos")
    print(f"found without {fitted.left_out} of them, it misses {fitted.error:.3f} of the spread of theirs "
          "(of entries that were not clipped)")  # fmt: skip
    return 0


def _calibrate(options: argparse.Namespace) -> int:
    run, decoding = Run.open(options.run), beam_decoding(beam_of(options))
    progress = Progress(enabled=not options.quiet)
    assert decoding.beam is not None
    with run, open_split(options, [run], decoding) as opened:
        check_writable(run.folder / CONFIDENCE_FILE)
        try:
            made, figures = calibrate(opened.model, opened.split, decoding.beam, options.n_best, options.unsure,
                                      opened.length, options.max_images, progress)  # fmt: skip
        finally:
            progress.close()
        made.save(run.folder)
    about = {"run": str(run.folder), "split": options.split, "decoding": decoding.text, "measure": made.measure,
             "unsure_below": made.unsure_below}  # fmt: skip
    if options.json:
        print(json.dumps(about | figures, allow_nan=False))
    else:
        _print_calibration(about, figures, made)
    return 0


def _print_calibration(about: dict[str, Any], figures: dict[str, Any], made: Calibration) -> None:
    print(f"{about['run']}: {about['split']} split, {about['decoding']}, {made.count} captions an image")
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


AVERAGE = Command(
    "average", "average the weights of runs that refine or reinforce trained from the same run, and write them to a "
    "run folder of their own; it is as fast as one of them, and usually better", _average,
    {"run": {"nargs": "+", "help": "two or more run folders"}, "--out": {}},
    """example:
  captioning reinforce RUN --out first --seed 0
  captioning reinforce RUN --out second --seed 1
  captioning average first second --out both
    one captioner, usually better than either""",
)  # fmt: skip

EXPORT = Command(
    "export", "write what captioning needs of a run to a new folder, small enough to send: weights in half precision, "
    "words and settings, but no checkpoint, no history and no names of folders", _export,
    {"run": {}, "--out": {"metavar": "DIR", "help": "the folder to make"}, "--extractor": {}},
    "example:\n  captioning export runs/best --out to-send",
)  # fmt: skip

REGIONS = Command(
    "regions", "find the projection by which a network's 7x7 maps became the regions of a data set, by least squares "
    "on the photos that are there; print its error on photos left out, and keep it with a run", _regions,
    {
        "run": {"help": "a run folder, which gets regions.safetensors"}, "--data": {}, "--quiet": {},
        "--split": {"default": "train", "help": "use photos and regions of this split"},
        "--extractor": {"default": "efficientnet-lite0", "help": "the network of the maps"},
        "--photos": {"type": number(int, 1), "default": 200, "metavar": "N", "help": "use at most N photos"},
    },
    "example:\n  captioning regions RUN --data flickr8k --split val",
)  # fmt: skip

CALIBRATE = Command(
    "calibrate", "let a run learn how sure it can be of its captions: the first half of the images shows how CIDEr-D "
    "depends on what the beam says of a caption, and the second half how true that is; the result is kept with the "
    "run, and used for captions by the same beam", _calibrate,
    {
        "run": {"help": "a run folder, in which confidence.json is written"}, "--data": {}, "--split": {},
        "--max-images": {"type": number(int, 2), "help": "use at most N images of each half (all)"},
        "--n-best": {"type": number(int, 2, MOST), "default": 5, "help": "how many captions of a beam are compared "
                     f"with each other, 2 to {MOST}"},
        "--unsure": {"type": number(float, 0, 1), "default": 0.2, "metavar": "X", "help": "share of its captions that "
                     "it marks as not sure, 0 to 1"},
        **unchanged(*BEAM), "--json": {}, "--quiet": {},
    },
    """example:
  captioning calibrate RUN --data DIR
    captions the validation images by a beam, finds which of several measures
    agrees best with CIDEr-D, and writes RUN/confidence.json; from then on
    captioning caption --run RUN marks captions of which it is not sure
  captioning calibrate RUN --data DIR --beam 10 --length-power 0.8 --unsure 0.1""",
)  # fmt: skip
