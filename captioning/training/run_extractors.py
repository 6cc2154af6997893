"""Which network made the features on which a run was trained."""

from __future__ import annotations

from captioning.training.errors import RunError
from captioning.training.run_folder import Run
from captioning.vision.extractors import EXTRACTORS, extractor_kind

__all__ = ["extractor_name"]


def extractor_name(run: Run, name: str | None = None) -> str:
    """The name of the network that made the features on which a run was trained; the network is not loaded.

    name: what the user calls it, for a run that does not know it. A RunError if neither knows it, if they differ, or if
    the network has another number of features than the run; a ValueError if there is none of that name.
    """
    known: str | None = run.settings["data"].get("extractor")
    either = known or name
    if either is None:
        raise RunError(
            f"{run.folder}: does not say which network made the features that it was trained on; if it was one of "
            f"{', '.join(EXTRACTORS)}, say so by --extractor NAME"
        )
    if None not in (known, name) and known != name:
        raise RunError(f"{run.folder}: was trained on features of {known}; got --extractor {name}")
    has, wanted = extractor_kind(either).size, run.settings["model"]["feature_size"]
    if has != wanted:
        reduced = ", reduced ones: train with --no-pca to caption photos" if run.settings["data"].get("pca") else ""
        raise RunError(f"{run.folder}: was trained on features of {wanted} columns{reduced}; {either} gives {has}")
    return either
