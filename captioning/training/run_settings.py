"""The settings.json of a run: what it contains, and how it is read and checked."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import minigrad as mg
from captioning.checks import COUNT, FINITE, NATURAL, SHARE, Check, among, check_values, optional
from captioning.data.dataset import CaptionData, fingerprint
from captioning.data.splits import CAPTIONS
from captioning.models.kinds import MODELS, AnyCaptioner, kind_of
from captioning.models.recurrent_cells import CELLS
from captioning.training.errors import RunError
from captioning.training.history import SCORES, check_regular
from captioning.training.settings import Settings

__all__ = ["FORMAT", "check_fields", "read_settings", "settings_of"]

FORMAT = 1


def settings_of(model: AnyCaptioner, training: Any, data: CaptionData, **data_settings: Any) -> dict[str, Any]:
    """Return the content of settings.json for a model, its training (a dataclass) and its data, which this reads.

    `threads` and `products` say how this process multiplies matrices: another way gives other last bits. `data` has the
    absolute folder, the fingerprint, and the extractor of the features, None where it is not known.
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


_TEXT: Check = (lambda value: isinstance(value, str), "a text")
_OBJECT: Check = (lambda value: isinstance(value, dict), "an object")


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(COUNT[0], value))


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _are_scores(value: Any) -> bool:
    return isinstance(value, dict) and (not value or all(type(value.get(key)) in (int, float) for key in SCORES))


_TOP: dict[str, Check] = {
    "vocabulary": _TEXT,
    **dict.fromkeys(("model", "training", "data", "refinement", "reinforcement"), _OBJECT),
    **dict.fromkeys(("threads", "shards"), optional(COUNT)),
    "averaged_weights": (_are_texts, "a list of texts"),
}
_MODEL: dict[str, Check] = {
    "kind": among(MODELS),
    **dict.fromkeys(("feature_size", "wordvec_size", "hidden_size"), COUNT),
    "cell_type": among(CELLS),
    "dropout": SHARE,
    "dtype": among(("float16", "float32", "float64")),
    **dict.fromkeys(("picture_size", "looking_size", "heads"), COUNT),
    "places": (_is_pair, "two ints of at least 1"),
    "forget_bias": FINITE,
    "feature_dropout": SHARE,
}
_EVERY_MODEL = ("feature_size", "wordvec_size", "hidden_size", "cell_type", "dropout", "dtype")
_NEEDED_BY = {
    "source": (*_EVERY_MODEL, "forget_bias"),
    "attention": (*_EVERY_MODEL, "places", "picture_size", "looking_size", "heads"),
}
_DATA: dict[str, Check] = {
    "pca": optional((lambda value: isinstance(value, bool), "true or false")),
    "max_train": optional(COUNT),
    "train_captions": COUNT,
    "extractor": optional(_TEXT),
    "regions": (lambda value: isinstance(value, bool), "true or false"),
    "captions": among(CAPTIONS),
    "max_words": COUNT,
    "seed": NATURAL,
    "folder": _TEXT,
    "fingerprint": (lambda value: isinstance(value, dict) and _are_texts([*value.values()]), "an object of texts"),
}
_START: dict[str, Check] = {
    "start": _TEXT,
    "start_weights": optional(_TEXT),
    "start_scores": (_are_scores, f"an object with the numbers {', '.join(SCORES)}"),
}


def read_settings(path: Path) -> dict[str, Any]:
    """Return the content of a settings.json, checked; a RunError names what is wrong."""
    check_regular(path)
    try:
        settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(f"{path}: cannot be read, so this is no run folder: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: is not JSON: {error}") from error
    found = settings.get("format") if isinstance(settings, dict) else None
    if found != FORMAT:
        other = "" if found is None else f", but in format {found!r}, written by minigrad {settings.get('minigrad')}"
        raise RunError(f"{path}: is not the settings of a run in format {FORMAT}, which is all that minigrad "
                       f"{mg.__version__} reads{other}")  # fmt: skip
    _check(str(path), settings, _TOP, ("vocabulary", "model", "training", "data"))
    needed = _NEEDED_BY.get(str(settings["model"].get("kind", "source")), ())
    _check(f"{path}: model", settings["model"], _MODEL, needed)
    check_fields(f"{path}: training", settings["training"], Settings)
    _check(f"{path}: data", settings["data"], _DATA)
    for key in ("refinement", "reinforcement"):
        _check(f"{path}: {key}", settings.get(key, {}), _START)
    return settings


def check_fields(where: str, values: Mapping[str, Any], *kinds: Any) -> None:
    """Raise a RunError that begins with `where` unless dataclasses accept the values of their fields."""
    for kind in kinds:
        try:
            kind(**{field.name: values[field.name] for field in dataclasses.fields(kind) if field.name in values})
        except ValueError as error:
            raise RunError(f"{where}: {error}") from error


def _check(where: str, values: Mapping[str, Any], checks: Mapping[str, Check], needed: tuple[str, ...] = ()) -> None:
    """Raise a RunError that begins with `where` for a value that does not fit, or a needed one that is missing."""
    try:
        check_values(values, checks)
    except ValueError as error:
        raise RunError(f"{where}: {error}") from error
    if missing := [key for key in needed if key not in values]:
        raise RunError(f"{where}: the keys {', '.join(missing)} are missing")
