"""The command `export`: a run to hand on, small enough to send."""

from __future__ import annotations

import argparse
from typing import Any

from captioning.cli.options import add_command
from captioning.training.derived_runs import export_run
from captioning.training.run_features import extractor_name
from captioning.training.run_folder import Run

__all__ = ["add_export"]


def add_export(commands: Any) -> None:
    """The command `export`."""
    parser = add_command(
        commands, "export", "write what captioning needs of a run to a new folder: weights in half precision, words "
        "and settings, but no checkpoint, no history and no names of folders", _export,
        example="example:\n  captioning export runs/best --out to-send",
    )  # fmt: skip
    parser.add_argument("run", metavar="RUN", help="a run folder")
    parser.add_argument("--out", metavar="DIR", required=True, help="the folder to make")
    parser.add_argument("--extractor", metavar="NAME", help="the network that made the features on which RUN was "
                        "trained, if RUN does not say it itself")  # fmt: skip


def _export(options: argparse.Namespace) -> int:
    exported = export_run(Run.open(options.run), options.out, options.extractor)
    size = sum(path.stat().st_size for path in exported.folder.iterdir())
    print(f"{exported.folder}: {size / 1e6:.1f} MB; use it by: {_use_of(exported)}")
    return 0


def _use_of(run: Run) -> str:
    try:
        extractor_name(run)
    except ValueError:  # features of no network that is here, or of nobody knows which
        return f"captioning sample {run.folder} --data DIR, or evaluate"
    if "places" in run.settings["model"] and not run.regions_path.is_file():
        return (
            f"captioning sample {run.folder} --data DIR, or evaluate; it cannot caption photos, since it looks at "
            f"regions and has no {run.regions_path.name}: captioning regions {run.folder} --data DIR finds that out"
        )
    return f"captioning caption PHOTO --run {run.folder}"
