"""The command `compare`: scores of several runs on the same images, side by side, and a page with their captions."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from captioning.cli.decoding import CAPTIONING, open_split
from captioning.cli.evaluate import scored_split
from captioning.cli.options import Command, check_output, data_folder, unchanged
from captioning.command import shown
from captioning.data.folder import find_folder
from captioning.data.splits import PARTS
from captioning.evaluation.comparison import SAMPLES, SCORES, Compared, compare, score_sums
from captioning.progress import Progress
from captioning.report.contents import ScoredSplit
from captioning.report.page import write_comparison
from captioning.training.run_folder import Run
from minigrad.formatting import byte_text

__all__ = ["COMPARE", "rows_of"]

_OF_ONE_RUN = ("seed", "start_weights", "start_scores", "averaged_weights", "minigrad", "threads", "shards", "products")
"""Settings in which runs of one row may differ."""


def rows_of(runs: Sequence[Run]) -> list[list[Run]]:
    """Return the runs in rows. The runs of a row have the same settings and different seeds."""
    rows: list[list[Run]] = []
    for run in runs:
        alike = (row for row in rows if _settings(row[0]) == _settings(run) and _seed(run) not in map(_seed, row))
        if (row := next(alike, None)) is None:
            rows.append([run])
        else:
            row.append(run)
    return rows


def _settings(run: Run) -> dict[str, Any]:
    groups = {name: value if isinstance(value, dict) else {"": value} for name, value in run.settings.items()}
    return {
        name: {key: value for key, value in group.items() if key not in _OF_ONE_RUN}
        for name, group in groups.items()
        if name not in _OF_ONE_RUN
    }


def _seed(run: Run) -> int | None:
    seed: int | None = run.settings["training"].get("seed")
    return seed


def _compare(options: argparse.Namespace) -> int:
    runs = [Run.open(folder) for folder in options.run]
    if len({run.folder.resolve() for run in runs}) < max(2, len(runs)):
        raise ValueError("compare needs at least two different runs, each named once")
    if options.out is not None:
        check_output(options.out, ".html")
    options.data = str(find_folder(data_folder(options, *runs)))
    decodings = set()
    for run in runs:  # find what does not fit before the first one captions
        with open_split(options, [run]) as job:
            decodings.add(job.decoding.text)
    if len(decodings) > 1:
        raise ValueError(f"the runs decode differently by default ({'; '.join(sorted(decodings))}): choose a --beam")
    progress = Progress(enabled=not options.quiet)
    try:
        rows = rows_of(runs)
        found = [[scored_split(options, run, progress, warn=run is runs[0])[1] for run in row] for row in rows]
        compared = compare([[_sums(scored) for scored in row] for row in found], options.seed)
        names = _names(rows)
        if options.out is not None:
            size = write_comparison(names, compared, [row[0] for row in found], options.out, progress)
    finally:
        progress.close()
    if options.json:
        print(json.dumps(_as_json(rows, compared, found[0][0])))
        return 0
    _print(names, compared, found[0][0])
    if options.out is not None:
        print(f"page: {shown(options.out)} ({byte_text(size)})")
    return 0


def _names(rows: Sequence[Sequence[Run]]) -> list[str]:
    """Return the names of the folders, or their paths if two have the same name, and the numbers of seeds."""
    names = [Path(row[0].name).resolve().name for row in rows]
    if len(set(names)) < len(names):
        names = [row[0].name for row in rows]
    return [f"{name} ({len(row)} seeds)" if len(row) > 1 else name for name, row in zip(names, rows, strict=True)]


def _sums(scored: ScoredSplit) -> Any:
    captions = scored.captions
    references, words = [each.references for each in captions], [each.words for each in captions]
    return score_sums(references, words, [each.score for each in captions])


def _as_json(rows: Sequence[Sequence[Run]], compared: Sequence[Compared], scored: ScoredSplit) -> dict[str, Any]:
    return {"signature": scored.signature, "decoding": scored.decoding, "samples": SAMPLES, "rows": [
        {"runs": [str(run.folder) for run in row]}
        | {name: None if value is None else dict(zip(SCORES, value.tolist(), strict=True))
           for name, value in vars(each).items()}
        for row, each in zip(rows, compared, strict=True)
    ]}  # fmt: skip


def _print(names: Sequence[str], compared: Sequence[Compared], scored: ScoredSplit) -> None:
    print(f"{len(scored.captions)} images of the {PARTS[scored.part]}{scored.split} split, {scored.decoding} decoding")
    print(f"differences from {names[0]}, with 95 % intervals of {SAMPLES:,} bootstrap samples of the images")
    width = max(map(len, names))
    for k, score in enumerate(SCORES):
        print(f"\n{score}")
        for name, each in zip(names, compared, strict=True):
            value, difference = each.texts(k)
            print(f"  {name:{width}}  {value:15}  {difference}".rstrip())
    print(f"\nsignature: {scored.signature}")


COMPARE = Command(
    "compare", "compare the scores of runs on the same images. The differences from the first run have 95 % intervals "
    "from a paired bootstrap over the images. Runs with the same settings and different seeds share a row, with the "
    "standard deviation over the seeds", _compare,
    {
        "run": {"nargs": "+", "help": "two or more run folders"},
        "--data": {"help": "data set folder in the CS231n MS-COCO layout (default: that of the first RUN that "
                   "records one, else $CAPTIONING_DATA)"},
        **unchanged(*CAPTIONING, "--max-images", "--photos-dir"),
        "--out": {"metavar": "HTML", "required": False, "help": "also write a page with the scores and the same "
                  "photos captioned by the first run of each row"},
        "--json": {},
    },
    """example:
  captioning compare RUN RUN2 --data DIR --part second --out compare.html
    prints the scores of both runs side by side; if an interval excludes 0, other
    images would hardly reverse the difference""",
)  # fmt: skip
