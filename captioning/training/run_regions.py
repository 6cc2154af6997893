"""How maps become regions, which a run that looks at regions takes over from its data set, to caption photos with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.dataset import CaptionData
from captioning.data.errors import DataError
from captioning.data.features import FeaturesAndRegions
from captioning.data.folder import PROJECTION_FILE
from captioning.training.errors import RunError
from captioning.training.run_folder import Run
from captioning.vision.regions import RegionProjection
from minigrad.runtime.files import irregular

__all__ = ["check_alike", "projection_arrays"]

_ALIKE = 0.1  # half precision misses 0.0003, and projections of other data sets are about 1.4 apart


def projection_arrays(data: CaptionData, start: Run | None = None) -> dict[str, NDArray[Any]] | None:
    """The arrays of the projection by which a data set's regions were made, as `Run.create` takes them.

    It is the data set's, or, where this has none, that of the run that a training starts from. None where neither has
    one, and where no regions are looked at.

    Raises:
        DataError: the file is damaged, or is no projection that made these regions; names it.
    """
    rows = data.train.features
    if not isinstance(rows, FeaturesAndRegions):
        return None
    places = [data.folder / PROJECTION_FILE, *([] if start is None else [start.regions_path])]
    path = next((path for path in places if path.exists()), None)
    if path is None:
        return None
    projection = _loaded(path)
    wanted, got = (rows.whole.shape[1], rows.grid[1]), projection.weight.shape
    if wanted != got:
        raise DataError(
            f"{path}: makes {got[1]} numbers a place of {got[0]}; "
            f"the regions of {data.folder} are {wanted[1]} a place, of maps of {wanted[0]}"
        )
    if rows.places.projection not in (None, projection.fingerprint()) and path.parent == data.folder:
        raise DataError(f"{path}: is not the projection by which {rows.places.path.name} was made")
    return {"weight": projection.weight, "bias": projection.bias}


def check_alike(runs: Sequence[Run], what: str = "speak together") -> None:
    """Raise a RunError unless runs that look at regions make these alike, since each is given the same ones.

    what: is done with the runs, as the error says that it cannot be.

    Alike are those of a run that was exported, in half precision, and those that were found again by photos.
    """
    looking = [run for run in runs if "places" in run.settings["model"] and run.regions_path.exists()]
    for run in looking[1:]:
        if _distance(_loaded(looking[0].regions_path), _loaded(run.regions_path)) > _ALIKE:
            raise RunError(
                f"{run.folder}: cannot {what} with {looking[0].folder}: they look at regions that are made in "
                f"different ways ({run.regions_path.name}); if both were trained on one data set, copy that of one"
            )


def _distance(one: RegionProjection, other: RegionProjection) -> float:
    """Of the weights, and of the biases, as a share of their size; the larger. Infinite where shapes differ."""
    if one.weight.shape != other.weight.shape:
        return math.inf
    pairs = ((one.weight, other.weight), (one.bias, other.bias))
    return max(float(np.linalg.norm(a - b) / (np.linalg.norm(a) + np.finfo(a.dtype).tiny)) for a, b in pairs)


def _loaded(path: Path) -> RegionProjection:
    if found := irregular(path):
        raise DataError(f"{path}: is {found}, not a regular file")
    try:
        return RegionProjection.load(path)
    except (ValueError, OSError) as error:
        text = str(error)
        raise DataError(text if str(path) in text else f"{path}: cannot be read: {text}") from error
