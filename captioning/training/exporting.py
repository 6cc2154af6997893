"""A run that is handed on: what captioning needs of a run folder, in half the space.

Weights are stored in half precision, rounded once (an error of at most 2**-11 of a weight, or 2**-25 where that is
more), and computed with in the precision of the run. What is only of use where the training ran stays behind: the
checkpoint, the history, the folder and fingerprint of the data.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.training.errors import RunError
from captioning.training.run_extractors import extractor_name
from captioning.training.run_folder import Run, read_arrays

__all__ = ["export_run"]

_OF_DATA = ("pca", "max_train", "train_captions", "extractor", "regions", "captions", "max_words", "seed")
"""What is said of the data: how it is read, so that the run works with it where else it is."""


def export_run(run: Run, folder: str | os.PathLike[str], extractor: str | None = None) -> Run:
    """Write a run's best weights, words, settings and projection of regions, if any, to a new folder; the run there.

    The folder appears when all is in it. extractor: the network that made the features, for a run that does not know
    it. A weight that half precision cannot hold is a RunError, and so are a folder that is not empty, and a network
    that cannot have made them (`captioning.training.run_extractors`).
    """
    if extractor is not None:
        extractor = extractor_name(run, extractor)
    halves = _in_halves(run, run.load_model().state_dict())
    data = {key: run.settings["data"][key] for key in _OF_DATA if key in run.settings["data"]}
    if extractor is not None:
        data["extractor"] = extractor
    settings = {key: run.settings[key] for key in ("minigrad", "model", "training") if key in run.settings}
    regions = _in_halves(run, read_arrays(run.regions_path)) if run.regions_path.exists() else None
    return Run.create(Path(folder), settings | {"data": data}, run.vocabulary, best=halves, regions=regions)


def _in_halves(run: Run, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float16]]:
    with np.errstate(over="ignore"):
        halves = {name: array.astype(np.float16) for name, array in arrays.items()}
    for name, array in halves.items():
        if not np.isfinite(array).all():
            raise RunError(f"{run.folder}: the weight {name} has a number that half precision cannot hold")
    return halves
