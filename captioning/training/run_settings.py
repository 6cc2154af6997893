"""What settings.json of a run says, and how it is read back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import minigrad as mg
from captioning.data.dataset import CaptionData, fingerprint
from captioning.data.splits import CAPTIONS
from captioning.models.kinds import MODELS, AnyCaptioner, kind_of
from captioning.models.recurrent_cells import check_cell
from captioning.training.errors import RunError
from captioning.training.history import SCORES, check_regular
from captioning.training.settings import Settings, is_finite

__all__ = ["FORMAT", "check_fields", "read_settings", "settings_of"]

FORMAT = 1
_EVERY_MODEL = ("feature_size", "wordvec_size", "hidden_size", "cell_type", "dropout", "dtype")
MODEL_KEYS = {
    "source": (*_EVERY_MODEL, "forget_bias"),
    "attention": (*_EVERY_MODEL, "places", "picture_size", "looking_size", "heads"),
}
"""What must be said of a model of each kind."""


def settings_of(model: AnyCaptioner, training: Any, data: CaptionData, **data_settings: Any) -> dict[str, Any]:
    """What settings.json says of a model, its training (a dataclass) and its data, which is read for that.

    `threads` is how many compute now, and `products` in which way: others multiply in another order, and so give other
    last bits.
    `data` has the absolute folder, the fingerprint, and the extractor of the features, None where it is not known.
    """
    return {
        "minigrad": mg.__version__,
        "threads": mg.get_num_threads(),
        "products": mg.runtime.signature(),
        "model": {"kind": kind_of(model), **model.settings},
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
    for key in ("threads", "shards"):
        if settings.get(key) is not None and not _is_count(settings[key]):
            raise RunError(f"{path}: {key} must be an int of at least 1; got {settings[key]!r}")
    kind = settings["model"].get("kind", "source")
    if not isinstance(kind, str) or kind not in MODEL_KEYS:
        raise RunError(f"{path}: model: kind must be one of {', '.join(MODELS)}; got {str(kind)[:80]!r}")
    missing = [key for key in MODEL_KEYS[kind] if key not in settings["model"]]
    if missing:
        raise RunError(f"{path}: model: the keys {', '.join(missing)} are missing")
    _check_model(f"{path}: model", settings["model"])
    check_fields(f"{path}: training", settings["training"], Settings)
    _check_values(f"{path}: data", settings["data"], _DATA)
    _check_values(str(path), settings, {"averaged_weights": (_are_texts, "a list of texts")})
    for key in ("refinement", "reinforcement"):
        if not isinstance(settings.get(key, {}), dict):
            raise RunError(f"{path}: {key} must be an object; got {settings[key]!r}")
        _check_values(f"{path}: {key}", settings.get(key, {}), _START)
    checked: dict[str, Any] = settings
    return checked


def check_fields(where: str, values: dict[str, Any], *kinds: Any) -> None:
    """Raise a RunError that begins with `where` unless dataclasses take the values of their fields, where there are."""
    for kind in kinds:
        try:
            kind(**{field.name: values[field.name] for field in dataclasses.fields(kind) if field.name in values})
        except ValueError as error:
            raise RunError(f"{where}: {error}") from error


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 1


def _are_counts(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_count, value))


def _is_share(value: Any) -> bool:
    return is_finite(value) and 0 <= value < 1


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


def _is_fingerprint(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _are_scores(value: Any) -> bool:
    return isinstance(value, dict) and (not value or all(type(value.get(key)) in (int, float) for key in SCORES))


Checks = dict[str, tuple[Callable[[Any], bool], str]]

_DTYPES = ("float16", "float32", "float64")
_MODEL: Checks = {
    **dict.fromkeys(
        ("feature_size", "wordvec_size", "hidden_size", "picture_size", "looking_size", "heads"),
        (_is_count, "an int of at least 1"),
    ),
    "places": (_are_counts, "two ints of at least 1"),
    **dict.fromkeys(("dropout", "feature_dropout"), (_is_share, "a number of at least 0 and below 1")),
    "cell_type": (_is_text, "a text"),
    "dtype": (lambda value: value in _DTYPES, f"one of {', '.join(_DTYPES)}"),
    "forget_bias": (is_finite, "a finite number"),
}
_DATA: Checks = {
    "pca": (lambda value: value is None or isinstance(value, bool), "true, false or null"),
    "max_train": (lambda value: value is None or _is_count(value), "an int of at least 1, or null"),
    "train_captions": (_is_count, "an int of at least 1"),
    "extractor": (lambda value: value is None or _is_text(value), "a text, or null"),
    "regions": (lambda value: isinstance(value, bool), "true or false"),
    "captions": (lambda value: value in CAPTIONS, f"one of {', '.join(CAPTIONS)}"),
    "max_words": (_is_count, "an int of at least 1"),
    "seed": (lambda value: type(value) is int and value >= 0, "an int of at least 0"),
    "folder": (_is_text, "a text"),
    "fingerprint": (_is_fingerprint, "an object of texts"),
}
_START: Checks = {
    "start": (_is_text, "a text"),
    "start_weights": (lambda value: value is None or _is_text(value), "a text, or null"),
    "start_scores": (_are_scores, f"an object with the numbers {', '.join(SCORES)}"),
}


def _check_model(where: str, model: dict[str, Any]) -> None:
    _check_values(where, model, _MODEL)
    try:
        check_cell(model["cell_type"])
    except ValueError as error:
        raise RunError(f"{where}: {error}") from error


def _check_values(where: str, values: dict[str, Any], checks: Checks) -> None:
    """Raise a RunError that names the first value that is not as it must be; one that is not there is."""
    for key, (fits, told) in checks.items():
        if key in values and not fits(values[key]):
            raise RunError(f"{where}: {key} must be {told}; got {str(values[key])[:80]!r}")


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
