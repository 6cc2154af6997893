"""The command `regions`: by which projection a network's maps became a data set's regions, kept with a run."""

from __future__ import annotations

import argparse
from contextlib import suppress
from typing import Any

from captioning.cli.options import add_command, add_data, check_least, data_folder
from captioning.data.folder import ALL_SPLITS
from captioning.progress import Progress
from captioning.training.errors import RunError
from captioning.training.run_features import extractor_name
from captioning.training.run_folder import Run

__all__ = ["add_regions"]


def add_regions(commands: Any) -> None:
    """The command `regions`."""
    parser = add_command(
        commands, "regions", "find the projection by which a network's 7x7 maps became the regions of a data set, by "
        "least squares on the photos that are there, say its error on photos left out, and keep it with a run",
        _regions, example="example:\n  captioning regions RUN --data flickr8k --split val",
    )  # fmt: skip
    parser.add_argument("run", metavar="RUN", help="a run folder, which gets regions.safetensors")
    add_data(parser, "the one that RUN")
    parser.add_argument("--split", choices=ALL_SPLITS, default="train", help="whose photos and regions (train)")
    parser.add_argument("--extractor", metavar="NAME", default="efficientnet-lite0", help="the network of the maps "
                        "(efficientnet-lite0)")  # fmt: skip
    parser.add_argument("--photos", type=int, default=200, metavar="N", help="at most so many photos (200)")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")


def _regions(options: argparse.Namespace) -> int:
    from captioning.vision.region_fitting import fit_and_judge

    check_least("--photos", options.photos, 1)
    run = Run.open(options.run)
    progress = Progress(enabled=not options.quiet)
    fitted = fit_and_judge(data_folder(options, run), options.split, options.extractor, options.photos, progress)
    fitted.projection.save(run.regions_path)
    _keep_extractor(run, options.extractor)
    features, regions = fitted.projection.weight.shape
    print(f"{run.regions_path}: from {features:,} to {regions} numbers a place, by {fitted.photos} photos")
    print(f"found without {fitted.left_out} of them, it misses {fitted.error:.3f} of the spread of theirs "
          "(of entries that were not clipped)")  # fmt: skip
    return 0


def _keep_extractor(run: Run, name: str) -> None:
    """Say in the run which network its features are of, where nobody has: its maps have just become the regions."""
    if run.settings["data"].get("extractor") is None:
        with suppress(RunError):  # of a network that gives other features of the whole picture
            run.settings["data"]["extractor"] = extractor_name(run, name)
            run.write_settings()
