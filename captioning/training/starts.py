"""What a training that goes on from a run started from: which weights, and how good they were.

So its end can be compared with its start, and a start that was trained anew since is found out.

`settings.json` keeps it under the key of the training, `refinement` or `reinforcement`:

| key | holds |
|---|---|
| `start` | the name of the folder of the run it started from |
| `start_weights` | the CRC-32 of the file of that run's weights |
| `start_scores` | that run's validation, on the images on which this training is validated |

Runs of older versions have the first alone. The mean of runs has `averaged_weights`, the same of each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from captioning.training.history import Entry
from captioning.training.run_folder import Run
from captioning.training.solver import Solver

__all__ = ["no_better_than_start", "start_of", "weights_before"]

_DECIDES = {
    "bleu": ("BLEU-4", "val_bleu", ".4f"), "cider": ("CIDEr-D", "val_cider", ".4f"),
    "exercise": ("exercise BLEU", "val_exercise_bleu", ".4f"), "loss": ("validation loss", "val_loss", ".3f"),
}  # fmt: skip
"""What `keep` goes by: how it is called, its key in a validation, and how it is written."""


def start_of(run: Run, solver: Solver) -> dict[str, Any]:
    """What is kept of the run that a training starts from; solver: has its weights, and has not trained yet.

    That takes as long as a validation.
    """
    scores = solver.validate()
    if solver.progress is not None and scores:
        name, key, form = _DECIDES[solver.settings.keep]
        solver.progress.say(f"starts from {run.folder}: {name} {scores[key]:{form}}")
    return {"start": run.folder.name, "start_weights": run.weights_checksum(), "start_scores": scores}


def weights_before(run: Run) -> list[str] | None:
    """The checksums of the weights that a run was made of, one or, of a mean, several; None if nobody knows."""
    if "average" in run.settings:
        averaged: list[str] | None = run.settings.get("averaged_weights")
        return averaged
    starts = (run.settings[key] for key in ("refinement", "reinforcement") if key in run.settings)
    known = [start["start_weights"] for start in starts if start.get("start_weights")]
    return known or None


def no_better_than_start(solver: Solver, best: Entry, start: Mapping[str, Any]) -> str | None:
    """What to say of the run if the best validation is no better than that of the start, as `start_of` told of it.

    None if it is better, or nobody knows how good the start was.
    """
    scores = start.get("start_scores")
    if not scores or "val_loss" not in best or solver.is_better(best, scores):
        return None
    name, key, form = _DECIDES[solver.settings.keep]
    images = 0 if solver.images is None else len(solver.images)
    return (
        f"is no better than {start['start']}, which it started from: {name} {scores[key]:{form}} before and "
        f"{best[key]:{form}} now, on the same {images} validation images"
    )
