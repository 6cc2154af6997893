"""The features that a run was trained on: the network that made them, and the projection to regions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.dataset import CaptionData
from captioning.data.errors import DataError
from captioning.data.features import FeatureRows, FeaturesAndRegions
from captioning.data.folder import PROJECTION_FILE, features_path
from captioning.training.run_files import RunError
from captioning.training.run_folder import Run
from captioning.vision.extractors import EXTRACTORS, FeatureExtractor, RegionExtractor, extractor, extractor_kind
from captioning.vision.regions import RegionProjection
from minigrad.runtime.files import irregular

__all__ = [
    "check_alike", "extractor_name", "extractor_of", "projection_arrays", "tokenizer_name", "whole_extractor",
]  # fmt: skip

_SIMILAR = 0.1  # relative; half precision differs by 0.0003, and projections of other data sets by about 1.4


def extractor_name(run: Run, name: str | None = None) -> str:
    """Return the name of the network that made the features of a run, without loading the network.

    name: given by the user, for a run that does not record it.

    Raises:
        RunError: if the name is unknown, differs from that of the run, or is of a network with other features.
        ValueError: if there is no network of that name.
    """
    data, model = run.settings["data"], run.settings["model"]
    known: str | None = data.get("extractor")
    places, columns = model.get("places", (0, 0))
    wanted: int = model["feature_size"] - places * columns  # of the whole picture
    either = known or name
    if either is None:
        fitting = [kind_name for kind_name, kind in EXTRACTORS.items() if kind.size == wanted]
        if fitting:
            raise RunError(
                f"{run.folder}: does not record which network computed its training features. If it was "
                f"{' or '.join(fitting)}, pass --extractor NAME."
            )
        raise RunError(
            f"{run.folder}: was trained on features of {wanted} columns{', reduced ones,' if data.get('pca') else ''} "
            "and no network here produces that many, so it cannot caption photos. Use captioning sample or evaluate, "
            "which read features from a data set."
        )
    if None not in (known, name) and known != name:
        raise RunError(f"{run.folder}: was trained on features of {known}; got --extractor {name}")
    has = extractor_kind(either).size
    if has != wanted:
        reduced = ", reduced ones: train with --no-pca to caption photos" if data.get("pca") else ""
        raise RunError(f"{run.folder}: was trained on features of {wanted} columns{reduced}; {either} gives {has}")
    return either


def extractor_of(run: Run, name: str | None = None) -> FeatureExtractor:
    """Return the network that made the features on which a run was trained.

    name: of the network, for a run that does not record it. For a run with attention, the network also makes regions by
    the projection in the run folder.

    Raises:
        RunError: if the run has no projection that fits, and as `extractor_name` and `extractor` do.
    """
    network = extractor(extractor_name(run, name))
    if "places" not in run.settings["model"]:
        return network
    path = run.regions_path
    if not path.is_file():
        raise RunError(
            f"{path}: there is no such file, but this captioner needs features of regions: captioning regions "
            f"{run.folder} --data DIR recovers the file from the data set of the run"
        )
    try:
        projection = RegionProjection.load(path)
        wanted, got = run.settings["model"]["places"][1], projection.weight.shape[1]
        if wanted != got:
            raise ValueError(f"{path}: gives {got} numbers per place; the run was trained on {wanted}")
        return RegionExtractor(network, projection)
    except ValueError as error:
        raise RunError(str(error)) from error


def tokenizer_name(run: Run, name: str | None = None) -> str:
    """Return the name of the tokenizer of the captions that a run was trained on.

    name: given by the user, for a run that does not record it. Raises a RunError if neither is known, or both are known
    and differ.
    """
    known: str | None = run.settings["data"].get("tokenizer")
    either = known or name
    if either is None:
        raise RunError(f"{run.name}: does not record how its captions were split into words. Pass --tokenizer, as for "
                       "its data set.")  # fmt: skip
    if name not in (None, either):
        raise RunError(f"{run.name}: was trained on captions split by the tokenizer {known}; got --tokenizer {name}. "
                       "Leave the option out.")  # fmt: skip
    return either


def whole_extractor(data: CaptionData) -> str | None:
    """Return the network that made the features of whole images in all splits, or None if it is unknown or missing."""
    names = set()
    for split in data.splits:
        try:
            with FeatureRows(features_path(data.folder, split.name, pca=False), cache_bytes=0) as rows:
                kind = EXTRACTORS.get(rows.extractor or "")
                names.add(kind.name if kind is not None and kind.size == rows.shape[1] else None)
        except DataError:  # missing or unusable
            return None
    return names.pop() if len(names) == 1 else None


def projection_arrays(data: CaptionData, start: Run | None = None) -> dict[str, NDArray[Any]] | None:
    """Return the arrays of the projection that made the regions of a data set, for `Run.create`.

    They come from the data set, or else from the run that training starts from; None without projection or regions.

    Raises:
        DataError: if the file is damaged, or its projection did not make these regions.
    """
    rows = data.train.features
    if not isinstance(rows, FeaturesAndRegions):
        return None
    files = [data.folder / PROJECTION_FILE, *([] if start is None else [start.regions_path])]
    path = next((path for path in files if path.exists()), None)
    if path is None:
        return None
    projection = _loaded(path)
    wanted, got = (rows.whole.shape[1], rows.grid[1]), projection.weight.shape
    if wanted != got:
        raise DataError(
            f"{path}: makes {got[1]} numbers per place from {got[0]}; "
            f"the regions of {data.folder} have {wanted[1]} per place, from {wanted[0]}"
        )
    if rows.places.projection not in (None, projection.fingerprint()) and path.parent == data.folder:
        raise DataError(f"{path}: is not the projection that made {rows.places.path.name}")
    return {"weight": projection.weight, "bias": projection.bias}


def check_alike(runs: Sequence[Run], what: str = "be combined") -> None:
    """Raise a RunError unless the projections of all runs with regions are similar, since all get the same regions.

    what: what is done with the runs, for the error. Projections in half precision or fitted to photos are similar.
    """
    with_regions = [run for run in runs if "places" in run.settings["model"] and run.regions_path.exists()]
    for run in with_regions[1:]:
        one, other = _loaded(with_regions[0].regions_path), _loaded(run.regions_path)
        if (
            one.weight.shape != other.weight.shape
            or max(
                np.linalg.norm(a - b) / (np.linalg.norm(a) + np.finfo(a.dtype).tiny)
                for a, b in ((one.weight, other.weight), (one.bias, other.bias))
            )
            > _SIMILAR
        ):
            raise RunError(
                f"{run.folder}: cannot {what} with {with_regions[0].folder}: their regions come from different "
                f"projections ({run.regions_path.name}). If both were trained on one data set, copy the file of one."
            )


def _loaded(path: Path) -> RegionProjection:
    if found := irregular(path):
        raise DataError(f"{path}: is {found}, not a regular file")
    try:
        return RegionProjection.load(path)
    except (ValueError, OSError) as error:
        text = str(error)
        raise DataError(text if str(path) in text else f"{path}: cannot be read: {text}") from error
