"""The runs that a command lets speak: one, or several together, which must fit each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from captioning.data.splits import Split
from captioning.models.ensemble import Ensemble
from captioning.training.errors import RunError
from captioning.training.run_folder import Run

__all__ = ["check_fit", "load_together", "names_of", "open_runs"]


def open_runs(folders: Sequence[str], what: str = "speak together") -> list[Run]:
    """The runs in these folders, which fit each other: of the same words and kind of features, or a RunError.

    what: is done with them, as the error says that it cannot be.
    """
    runs = [Run.open(folder) for folder in folders]
    first = runs[0]
    for k, run in enumerate(runs[1:], 1):
        told = f"{run.folder}: cannot {what} with {first.folder}"
        if any(run.folder.samefile(other.folder) for other in runs[:k]):
            raise RunError(f"{run.folder}: the same run twice cannot {what}")
        if run.vocabulary != first.vocabulary:
            raise RunError(f"{told}: it has other words ({run.vocabulary!r} and {first.vocabulary!r})")
        for name, of_run, of_first in zip(_KINDS, _kind_of(run), _kind_of(first), strict=True):
            if of_run != of_first and not (name == "extractor" and None in (of_run, of_first)):  # nobody knows
                raise RunError(f"{told}: they were trained on other features: {name} {of_run} and {of_first}")
    return runs


_KINDS = ("columns", "reduced", "regions", "places", "extractor")


def _kind_of(run: Run) -> tuple[Any, ...]:
    """What must be equal of the features that two runs were trained on."""
    data, model = run.settings["data"], run.settings["model"]
    places = tuple(model.get("places", ()))
    return model.get("feature_size"), bool(data.get("pca")), bool(data.get("regions")), places, data.get("extractor")


def check_fit(runs: Sequence[Run], split: Split) -> None:
    """Raise a RunError unless each run's model can caption the data of a split."""
    for run in runs:
        run.check_fits(split)


def load_together(runs: Sequence[Run]) -> Any:
    """The captioner with the best weights of a run; of several runs the `Ensemble` of them. In evaluation mode."""
    models = [run.load_model() for run in runs]
    return models[0] if len(models) == 1 else Ensemble(models).eval()


def names_of(runs: Sequence[Run]) -> str:
    """The folders of the runs, as results name who spoke."""
    return " + ".join(str(run.folder) for run in runs)
