"""One captioner of several: the mean of the weights of runs that went on from the same start.

Trainings that begin at the same weights and differ in what is drawn end in one valley of the loss, and their mean lies
deeper in it than each: less of what one of them learnt by chance, as in an ensemble, at the price of one captioner.
Runs with starts of their own lie in different valleys, with what a unit does in another place, and their mean is
nothing. Source: M. Wortsman et al., Model soups: averaging weights of multiple fine-tuned models (2022).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from captioning.models.kinds import AnyCaptioner, kind_of
from captioning.training.errors import RunError
from captioning.training.run_folder import Run, read_arrays

__all__ = ["average_runs"]

_APART = 0.5  # of the weights' norm: runs of one start were 0.05 apart, and of two starts 1.25

Arrays = dict[str, NDArray[np.floating]]


def average_runs(runs: Sequence[Run], folder: str | os.PathLike[str]) -> Run:
    """Write the mean of the best weights of runs to a new folder; the run there.

    Its settings are those of the first run, `average` names all of them, and `averaged_weights` has the checksums of
    their weights; it has no history and cannot be resumed, but speaks, and can be trained further. runs: at least two,
    that fit each other (`captioning.cli.speakers`).

    Raises:
        RunError: models of other sizes, weights that are not finite, or so far from each other that they cannot be of
            one start, a folder that is not empty; names the run.
    """
    Run.check_new(folder)
    first, models = runs[0], [run.load_model() for run in runs]
    states = [_weights(model) for model in models]
    for run, model in zip(runs[1:], models[1:], strict=True):
        where = f"{run.folder}: cannot be averaged with {first.folder}"
        if _sizes(model) != _sizes(models[0]):
            raise RunError(f"{where}: its model has other sizes ({_sizes(model)} and {_sizes(models[0])})")
        if (apart := _distance(models[0], model)) > _APART:
            raise RunError(
                f"{where}: their weights are {apart:.2f} of their size apart, so they did not start from the same run; "
                "the mean of those says nothing, but such runs can speak together: evaluate RUN RUN"
            )
    mean = {name: _mean([state[name] for state in states]) for name in states[0]}
    settings = {key: value for key, value in first.settings.items() if key not in ("format", "vocabulary")}
    regions = next((read_arrays(run.regions_path) for run in runs if run.regions_path.exists()), None)
    named = {"average": [run.folder.name for run in runs]}
    named["averaged_weights"] = [run.weights_checksum() or "" for run in runs]
    return Run.create(Path(folder), settings | named, first.vocabulary, best=mean, regions=regions)


def _weights(model: AnyCaptioner) -> Arrays:
    return {name: np.asarray(value) for name, value in model.state_dict().items()}


def _sizes(model: AnyCaptioner) -> dict[str, object]:
    """What must be equal of two models: all but how they were trained."""
    sizes = {"kind": kind_of(model), **model.settings}
    return {key: value for key, value in sizes.items() if key not in ("dropout", "feature_dropout")}


def _mean(arrays: Sequence[NDArray[np.floating]]) -> NDArray[np.floating]:
    total = sum(array.astype(np.float64) for array in arrays)
    mean: NDArray[np.floating] = np.asarray(total / len(arrays)).astype(arrays[0].dtype)
    return mean


def _distance(one: AnyCaptioner, other: AnyCaptioner) -> float:
    """The norm of the difference of all that was learnt, as a share of the norm of the first.

    Buffers are of the data, and the same whatever a run started from.
    """
    squares = np.zeros(2)
    for mine, its in zip(one.parameters(), other.parameters(), strict=True):
        a, b = mine.data.astype(np.float64), its.data.astype(np.float64)
        squares += np.sum((a - b) ** 2), np.sum(a**2)
    return float(np.sqrt(squares[0] / max(squares[1], np.finfo(np.float64).tiny)))
