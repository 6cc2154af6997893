"""Runs made from other runs: the mean of several, and a small copy to send."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.models.kinds import kind_of
from captioning.training.run_features import extractor_name
from captioning.training.run_files import RunError
from captioning.training.run_folder import Run, read_arrays

__all__ = ["average_runs", "export_run"]

_FAR = 0.5  # relative to the norm of the weights: runs from the same start differ by 0.05, others by 1.25
_OF_DATA = ("pca", "max_train", "train_captions", "extractor", "tokenizer", "regions", "captions", "max_words", "seed")
"""The settings of the data that an exported run keeps: how it is read, but not its folder."""


def average_runs(runs: Sequence[Run], folder: str | os.PathLike[str]) -> Run:
    """Write the mean of the best weights of runs to a new folder, and return that run.

    Training runs that start from the same weights end near each other, and their mean is often better than each of
    them. The new run has the settings of the first one, with the names of all runs in `average` and the checksums of
    their weights in `averaged_weights`. It cannot be resumed, but can be trained further. Source: M. Wortsman et al.,
    Model soups: averaging weights of multiple fine-tuned models (2022).

    Raises:
        RunError: for models of different sizes, weights that are not finite or too different, or a folder that is not
            empty.
    """
    Run.check_new(folder)
    first, models = runs[0], [run.load_model() for run in runs]
    sizes = [{"kind": kind_of(m), **m.settings, "dropout": None, "feature_dropout": None} for m in models]
    for run, model, size in zip(runs[1:], models[1:], sizes[1:], strict=True):
        where = f"{run.folder}: cannot be averaged with {first.folder}"
        if size != sizes[0]:
            raise RunError(f"{where}: its model has different sizes ({size} and {sizes[0]})")
        squares = np.zeros(2)
        for mine, other in zip(models[0].parameters(), model.parameters(), strict=True):  # buffers describe the data
            a, b = mine.data.astype(np.float64), other.data.astype(np.float64)
            squares += np.sum((a - b) ** 2), np.sum(a**2)
        if (apart := np.sqrt(squares[0] / max(squares[1], np.finfo(np.float64).tiny))) > _FAR:
            raise RunError(
                f"{where}: their weights differ by {apart:.2f} of their norm, so they did not start from the same run, "
                "and averaging them is useless. Combine their predictions instead: captioning evaluate RUN RUN."
            )
    mean: dict[str, NDArray[Any]] = {}
    for name, array in models[0].state_dict().items():
        total = sum(np.asarray(model.state_dict()[name], np.float64) for model in models)
        mean[name] = np.asarray(total / len(models)).astype(array.dtype)
    settings = {key: value for key, value in first.settings.items() if key not in ("format", "vocabulary")}
    settings["average"] = [run.folder.name for run in runs]
    settings["averaged_weights"] = [run.weights_checksum() or "" for run in runs]
    regions = next((read_arrays(run.regions_path) for run in runs if run.regions_path.exists()), None)
    return Run.create(Path(folder), settings, first.vocabulary, best=mean, regions=regions)


def export_run(run: Run, folder: str | os.PathLike[str], extractor: str | None = None) -> Run:
    """Write the parts of a run that captioning needs to a new folder, in half the space, and return the new run.

    Weights are rounded to half precision, with an error of at most 2**-11 of a weight or 2**-25. The checkpoint, the
    history, and the folder and fingerprint of the data are left out. extractor: the network that made the features, for
    a run that does not record it.

    Raises:
        RunError: for a weight that half precision cannot hold, a folder that is not empty, or an extractor that cannot
            have made the features.
    """
    data = {key: run.settings["data"][key] for key in _OF_DATA if key in run.settings["data"]}
    if extractor is not None:
        data["extractor"] = extractor_name(run, extractor)
    halves = _in_halves(run, run.load_model().state_dict())
    settings = {key: run.settings[key] for key in ("minigrad", "model", "training", "decoding") if key in run.settings}
    regions = _in_halves(run, read_arrays(run.regions_path)) if run.regions_path.exists() else None
    return Run.create(Path(folder), settings | {"data": data}, run.vocabulary, best=halves, regions=regions)


def _in_halves(run: Run, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float16]]:
    with np.errstate(over="ignore"):
        halves = {name: array.astype(np.float16) for name, array in arrays.items()}
    for name, array in halves.items():
        if not np.isfinite(array).all():
            raise RunError(f"{run.folder}: the weight {name} has a number that is too large for half precision")
    return halves
