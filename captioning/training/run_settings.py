"""What settings.json of a run says, and how it is read back."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import minigrad as mg
from captioning.data.dataset import CaptionData
from captioning.data.fingerprints import fingerprint
from captioning.models.captioner import Captioner
from captioning.training.errors import RunError
from captioning.training.history import check_regular

__all__ = ["FORMAT", "read_settings", "settings_of"]

FORMAT = 1
MODEL_KEYS = ("feature_size", "wordvec_size", "hidden_size", "cell_type", "dropout", "dtype", "forget_bias")


def settings_of(model: Captioner, training: Any, data: CaptionData, **data_settings: Any) -> dict[str, Any]:
    """What settings.json says of a model, its training (a dataclass) and its data, which is read for that.

    `threads` is how many compute now: another number multiplies in another order, and so gives other last bits.
    `data` has the absolute folder, the fingerprint, and the extractor of the features, None where it is not known.
    """
    return {
        "minigrad": mg.__version__,
        "threads": mg.get_num_threads(),
        "model": {
            "feature_size": model.feature_size,
            "wordvec_size": model.wordvec_size,
            "hidden_size": model.hidden_size,
            "cell_type": model.cell_type,
            "dropout": model.dropout,
            "dtype": str(model.embed.weight.dtype),
            "forget_bias": model.forget_bias,
            "feature_dropout": model.feature_dropout,
        },
        "training": dataclasses.asdict(training),
        "data": {
            "pca": data.pca,
            "max_train": None,
            "train_captions": len(data.train),
            "extractor": data.train.features.extractor,
            **data_settings,
            "folder": str(data.folder.resolve()),
            "fingerprint": fingerprint(data),
        },
    }


def read_settings(path: Path) -> dict[str, Any]:
    """The content of a settings.json, its keys checked; whatever is wrong is a RunError."""
    check_regular(path)
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(f"{path}: cannot be read, so this is no run folder: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: is not JSON: {error}") from error
    _check_format(path, settings)
    for key, kind in (("vocabulary", str), ("model", dict), ("training", dict), ("data", dict)):
        if not isinstance(settings.get(key), kind):
            raise RunError(f"{path}: the key {key} is missing or not a {kind.__name__}")
    threads = settings.get("threads")
    if threads is not None and (type(threads) is not int or threads < 1):
        raise RunError(f"{path}: threads must be an int of at least 1; got {threads!r}")
    missing = [key for key in MODEL_KEYS if key not in settings["model"]]
    if missing:
        raise RunError(f"{path}: model: the keys {', '.join(missing)} are missing")
    checked: dict[str, Any] = settings
    return checked


def _check_format(path: Path, settings: Any) -> None:
    found = settings.get("format") if isinstance(settings, dict) else None
    if found is None:
        raise RunError(f"{path}: is not the settings of a run in format {FORMAT}")
    if found != FORMAT:
        writer = settings.get("minigrad", "another version")
        raise RunError(
            f"{path}: is not the settings of a run in format {FORMAT}, which is all that minigrad {mg.__version__} "
            f"reads, but in format {found!r}, written by minigrad {writer}"
        )
