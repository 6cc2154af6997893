"""Which network made the features on which a run was trained, or could be."""

from __future__ import annotations

from captioning.data.dataset import CaptionData
from captioning.data.errors import DataError
from captioning.data.features import FeatureRows
from captioning.data.folder import features_path
from captioning.training.errors import RunError
from captioning.training.run_folder import Run
from captioning.vision.extractors import EXTRACTORS, extractor_kind

__all__ = ["extractor_name", "whole_extractor"]


def extractor_name(run: Run, name: str | None = None) -> str:
    """The name of the network that made the features on which a run was trained; the network is not loaded.

    name: what the user calls it, for a run that does not know it. A RunError if neither knows it, if they differ, or if
    the network has another number of features than the run; a ValueError if there is none of that name.
    """
    known: str | None = run.settings["data"].get("extractor")
    either = known or name
    wanted = _whole_columns(run)
    if either is None:
        raise RunError(f"{run.folder}: {_unknown(wanted, bool(run.settings['data'].get('pca')))}")
    if None not in (known, name) and known != name:
        raise RunError(f"{run.folder}: was trained on features of {known}; got --extractor {name}")
    has = extractor_kind(either).size
    if has != wanted:
        reduced = ", reduced ones: train with --no-pca to caption photos" if run.settings["data"].get("pca") else ""
        raise RunError(f"{run.folder}: was trained on features of {wanted} columns{reduced}; {either} gives {has}")
    return either


def _whole_columns(run: Run) -> int:
    """The columns of a row of features that are the whole picture's."""
    model = run.settings["model"]
    places, columns = model.get("places", (0, 0))
    whole: int = model["feature_size"] - places * columns
    return whole


def whole_extractor(data: CaptionData) -> str | None:
    """The network that is here and made the whole features of all splits; None where there are none, or of another."""
    names = set()
    for split in data.splits:
        try:
            with FeatureRows(features_path(data.folder, split.name, pca=False), cache_bytes=0) as rows:
                kind = EXTRACTORS.get(rows.extractor or "")
                names.add(kind.name if kind is not None and kind.size == rows.shape[1] else None)
        except DataError:  # none there, or of no use
            return None
    return names.pop() if len(names) == 1 else None


def _unknown(columns: int, reduced: bool) -> str:
    """What to say of features of nobody knows which network: those that give as many are worth a try."""
    fitting = [name for name, kind in EXTRACTORS.items() if kind.size == columns]
    if not fitting:
        what = ", reduced ones," if reduced else ""
        return (
            f"was trained on features of {columns} columns{what} and no network that is here gives as many, so it "
            "cannot caption photos; captioning sample and evaluate take its data set's features"
        )
    return (
        "does not say which network made the features that it was trained on; if it was "
        f"{' or '.join(fitting)}, say so by --extractor NAME"
    )
