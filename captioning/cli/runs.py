"""The commands `average`, `export`, `regions` and `calibrate`: derive a run from others or add a file to a run."""

from __future__ import annotations

import argparse
import json
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from captioning.cli.decoding import beam_decoding, beam_of, names_of, open_runs, open_split
from captioning.cli.options import BEAM, Command, data_folder, number, unchanged
from captioning.command import check_writable, shown
from captioning.data.splits import FEW_IMAGES
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
    print(f"{shown(made.folder)}: the mean of {names_of(runs)}; captioning evaluate prints its scores")
    return 0


def _export(options: argparse.Namespace) -> int:
    exported = export_run(Run.open(options.run), options.out, options.extractor)
    size = sum(path.stat().st_size for path in exported.folder.iterdir())
    print(f"{exported.folder}: {size / 1e6:.1f} MB; use it with: {_use_of(exported)}")
    return 0


def _use_of(run: Run) -> str:
    try:
        extractor_name(run)
    except ValueError:  # the network of its features is unknown
        return f"captioning sample {run.folder} --data DIR, or evaluate"
    if "places" in run.settings["model"] and not run.regions_path.is_file():
        return (
            f"captioning sample {run.folder} --data DIR, or evaluate; to caption photos it needs a file "
            f"{run.regions_path.name}, which captioning regions {run.folder} --data DIR writes"
        )
    return f"captioning caption PHOTO --run {run.folder}"


def _regions(options: argparse.Namespace) -> int:
    from captioning.vision.region_fitting import fit_and_judge

    run = Run.open(options.run)
    progress = Progress(enabled=not options.quiet)
    with run:
        fitted = fit_and_judge(data_folder(options, run), options.split, options.extractor, options.photos, progress)
        fitted.projection.save(run.regions_path)
        if run.settings["data"].get("extractor") is None:
            with suppress(RunError):  # the network gives other features of the whole image
                run.settings["data"]["extractor"] = extractor_name(run, options.extractor)
                run.write_settings()
    features, regions = fitted.projection.weight.shape
    print(f"{run.regions_path}: from {features:,} to {regions} numbers per region, fitted on {fitted.photos} photos")
    print(f"error on {fitted.left_out} held-out photos: {fitted.error:.3f} of the standard deviation (of entries that "
          "are not clipped)")  # fmt: skip
    return 0


def _calibrate(options: argparse.Namespace) -> int:
    run = Run.open(options.run)
    decoding = beam_decoding(beam_of(options, run.beam))
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
        run.settings["decoding"] = asdict(decoding.beam)
        run.write_settings()
    about = {"run": str(run.folder), "split": options.split, "decoding": decoding.text, "measure": made.measure,
             "unsure_below": made.unsure_below}  # fmt: skip
    if options.json:
        print(json.dumps(about | figures, allow_nan=False))
    else:
        _print_calibration(about, figures, made)
    return 0


def _print_calibration(about: dict[str, Any], figures: dict[str, Any], made: Calibration) -> None:
    print(f"{about['run']}: {about['split']} split, {about['decoding']}, {made.count} captions per image")
    print("Spearman's rho with CIDEr-D      first half  second half")
    for name, rho in figures["first"].items():
        kept = "  kept" if name == made.measure else ""
        print(f"  {name:<30}{_text(rho):>11}{_text(figures['second'][name]):>13}{kept}")
    means = {
        "confidence": figures["confidence"],
        "CIDEr-D as a share of a human caption's": figures["share"],
        "difference between the two, over ten bins": figures["error"],
        f"CIDEr-D of captions marked uncertain ({figures['unsure']:.0%})": figures["cider_d_unsure"],
        f"CIDEr-D of the other captions ({1 - figures['unsure']:.0%})": figures["cider_d_sure"],
    }
    print(f"mean CIDEr-D of a human caption{figures['human_cider_d']:25.3f}")
    print("means on the second half")
    for name, mean in means.items():
        if mean is not None:
            print(f"  {name:<47}{mean:7.3f}")
    print(f"{about['run']}/{CONFIDENCE_FILE}: captions with a confidence below {made.unsure_below:.3f} are marked "
          "uncertain")  # fmt: skip


def _text(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.3f}"


AVERAGE = Command(
    "average", "average the weights of runs that started from the same run. The result is a new run folder, usually "
    "with a better captioner. The runs come from refine or reinforce", _average,
    {"run": {"nargs": "+", "help": "two or more run folders"}, "--out": {}},
    """example:
  captioning reinforce RUN --out first --seed 0
  captioning reinforce RUN --out second --seed 1
  captioning average first second --out both
    writes one captioner, usually better than either""",
)  # fmt: skip

EXPORT = Command(
    "export", "copy a run to a new folder that is small enough to send. It has the weights in half precision, the "
    "words and the settings, without checkpoint, history and names of folders", _export,
    {"run": {}, "--out": {"metavar": "DIR", "help": "the folder to create"}, "--extractor": {}},
    "example:\n  captioning export runs/best --out to-send",
)  # fmt: skip

REGIONS = Command(
    "regions", "recover the region projection of a data set, so that a run can caption new photos. This fits a "
    "projection from the 7x7 maps of a network to the regions, by least squares on photos of the data set, prints its "
    "error on held-out photos, and writes it to the run folder", _regions,
    {
        "run": {"help": "a run folder, to which regions.safetensors is added"}, "--data": {}, "--quiet": {},
        "--split": {"default": "train", "help": "use photos and regions of this split"},
        "--extractor": {"default": "efficientnet-lite0", "help": "the network of the maps"},
        "--photos": {"type": number(int, 1), "default": 200, "metavar": "N", "help": "use at most N photos"},
    },
    "example:\n  captioning regions RUN --data flickr8k --split val",
)  # fmt: skip

CALIBRATE = Command(
    "calibrate", "fit a confidence score, so that a run can mark captions that may be wrong. This estimates the "
    "CIDEr-D of a caption from the captions of its beam search, on the first half of the images, and tests the "
    f"estimate on the second half. It needs at least {FEW_IMAGES} images. The run folder keeps the result, and the "
    "beam search becomes the default of the run", _calibrate,
    {
        "run": {"help": "a run folder, to which confidence.json is added"}, "--data": {}, "--split": {},
        "--max-images": {"type": number(int, 2), "help": "use at most N images of each half (default: all)"},
        "--n-best": {"type": number(int, 2, MOST), "default": 5, "help": "number of captions of a beam to compare with "
                     f"each other, 2 to {MOST}"},
        "--unsure": {"type": number(float, 0, 1), "default": 0.2, "metavar": "X", "help": "share of captions to mark "
                     "as uncertain, 0 to 1"},
        **unchanged(*BEAM), "--json": {}, "--quiet": {},
    },
    """example:
  captioning calibrate RUN --data DIR
    writes RUN/confidence.json; captioning caption --run RUN then marks
    uncertain captions
  captioning calibrate RUN --data DIR --beam 10 --length-power 0.8 --unsure 0.1""",
)  # fmt: skip
