"""The text files of a run folder, settings.json and history.jsonl: how they are written, read and checked."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import minigrad as mg
from captioning.data.dataset import CaptionData, fingerprint
from captioning.data.errors import COUNT, FINITE, FLAG, NATURAL, SHARE, Check, among, check_values, optional
from captioning.data.splits import CAPTIONS
from captioning.data.tokens import TOKENIZERS, recorded_tokenizer_name
from captioning.decoding.beam_search import Beam
from captioning.models.kinds import MODELS, AnyCaptioner, kind_of
from captioning.models.recurrent_cells import CELLS
from captioning.training.settings import Settings
from minigrad.runtime.files import flush_to_disk, irregular, replacing

__all__ = ["FORMAT", "FURTHER", "SCORES", "Entry", "History", "RunError", "TrainingError", "check_fields",
           "check_regular", "read_settings", "settings_of"]  # fmt: skip


class RunError(ValueError):
    """A run folder that cannot be used; the message names the file and the problem."""


class TrainingError(ValueError):
    """Training cannot continue; the message names the iteration and what to change."""


Entry = dict[str, Any]

SCORES = ("val_loss", "val_bleu", "val_cider", "val_exercise_bleu")
"""The scores of a validation."""

_HISTORY: dict[str, Check] = {
    **dict.fromkeys(("iteration", "epoch"), (lambda value: type(value) is int, "an int")),
    **dict.fromkeys(
        ("loss", "learning_rate", *SCORES, "reward"), (lambda value: type(value) in (int, float), "a number")
    ),
}


class History:
    """Entries, in memory until `flush` and then in the file `path`. A kill may leave its last line incomplete.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     history = History(Path(folder, "history.jsonl"))
    ...     history.add({"iteration": 1, "loss": 2.5})
    ...     history.add({"iteration": 2, "loss": 2.0})
    ...     history.flush()
    ...     history.cut(1)
    [{'iteration': 1, 'loss': 2.5}]
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: list[str] = []

    def add(self, entry: Entry) -> None:
        """Add an entry, which `flush` writes."""
        self._lines.append(json.dumps(entry) + "\n")

    def flush(self) -> None:
        """Write the added entries to the disk, so that no checkpoint gets there before them.

        After an OSError, which names the file, the file is as before.
        """
        if not self._lines:
            return
        size = self.path.stat().st_size if self.path.exists() else None
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.writelines(self._lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with suppress(OSError):
                os.truncate(self.path, size) if size is not None else self.path.unlink()
            raise OSError(error.errno, error.strerror, os.fspath(self.path)) from error
        if size is None:
            with suppress(OSError):  # not every system flushes folders
                flush_to_disk(self.path.parent)
        self._lines.clear()

    def read(self) -> list[Entry]:
        """Return all entries of the file, without an incomplete last line.

        A RunError names the file if it cannot be read, and the line if it is damaged.
        """
        check_regular(self.path)
        if not self.path.is_file():
            return []
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError as error:
            raise RunError(f"{self.path}: cannot be read: {error.strerror or error}") from error
        entries = []
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
                if not isinstance(entry, dict):
                    raise ValueError("not an object")
                check_values(entry, _HISTORY)
            except ValueError as error:
                if number == len(lines):
                    break
                raise RunError(f"{self.path}: line {number} is damaged: {error}") from error
            entries.append(entry)
        return entries

    def until(self, iteration: int) -> list[Entry]:
        """Return the entries up to an iteration."""
        return [entry for entry in self.read() if entry.get("iteration", 0) <= iteration]

    def cut(self, iteration: int) -> list[Entry]:
        """Remove the entries after an iteration from the file; return the others."""
        kept = self.until(iteration)
        with replacing(self.path, durable=True) as temporary:
            temporary.write_text("".join(json.dumps(entry) + "\n" for entry in kept), encoding="utf-8")
        return kept


def check_regular(path: Path) -> None:
    """Raise a RunError if the path is a pipe, a folder or a device."""
    if found := irregular(path):
        raise RunError(f"{path}: is {found}, not a regular file")


FORMAT = 1
FURTHER = ("fine_tuning", "refinement", "reinforcement")
"""The keys of settings.json for how a run was trained further; each has the `start`."""


def settings_of(model: AnyCaptioner, training: Any, data: CaptionData, **data_settings: Any) -> dict[str, Any]:
    """Return the content of settings.json for a model, its training (a dataclass) and its data.

    `threads` and `products` describe how this process multiplies matrices, which affects the last bits. `data` has the
    absolute folder, the fingerprint, the tokenizer, and the extractor of the features, or None if unknown.
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
            "tokenizer": recorded_tokenizer_name(data.train.captions_path),
            **data_settings,
            "folder": str(data.folder.resolve()),
            "fingerprint": fingerprint(data),
        },
    }


_TEXT: Check = (lambda value: isinstance(value, str), "a text")
_OBJECT: Check = (lambda value: isinstance(value, dict), "an object")


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


_TOP: dict[str, Check] = {
    "vocabulary": _TEXT,
    **dict.fromkeys(("model", "training", "data", *FURTHER, "decoding"), _OBJECT),
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
    "places": (
        lambda value: isinstance(value, list | tuple) and len(value) == 2 and all(map(COUNT[0], value)),
        "two ints of at least 1",
    ),
    "forget_bias": FINITE,
    "feature_dropout": SHARE,
}
_EVERY_MODEL = ("feature_size", "wordvec_size", "hidden_size", "cell_type", "dropout", "dtype")
_NEEDED_BY = {
    "source": (*_EVERY_MODEL, "forget_bias"),
    "attention": (*_EVERY_MODEL, "places", "picture_size", "looking_size", "heads"),
}
_DATA: dict[str, Check] = {
    "pca": optional(FLAG),
    "max_train": optional(COUNT),
    "train_captions": COUNT,
    "extractor": optional(_TEXT),
    "tokenizer": among(TOKENIZERS),
    "regions": FLAG,
    "captions": among(CAPTIONS),
    "max_words": COUNT,
    "seed": NATURAL,
    "folder": _TEXT,
    "fingerprint": (lambda value: isinstance(value, dict) and _are_texts([*value.values()]), "an object of texts"),
}
_START: dict[str, Check] = {
    "start": _TEXT,
    "start_weights": optional(_TEXT),
    "start_scores": (
        lambda value: (
            value == {} or (isinstance(value, dict) and all(type(value.get(k)) in (int, float) for k in SCORES))
        ),
        f"an object with the numbers {', '.join(SCORES)}",
    ),
}


def read_settings(path: Path) -> dict[str, Any]:
    """Return the content of a settings.json; raise a RunError that names what is wrong with it."""
    check_regular(path)
    try:
        settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(f"{path}: cannot be read, so this is not a run folder: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: is not JSON: {error}") from error
    found = settings.get("format") if isinstance(settings, dict) else None
    if found != FORMAT:
        other = "" if found is None else f", but in format {found!r}, written by minigrad {settings.get('minigrad')}"
        raise RunError(f"{path}: is not the settings of a run in format {FORMAT}, the only one that minigrad "
                       f"{mg.__version__} reads{other}")  # fmt: skip
    _check(str(path), settings, _TOP, ("vocabulary", "model", "training", "data"))
    needed = _NEEDED_BY.get(str(settings["model"].get("kind", "source")), ())
    _check(f"{path}: model", settings["model"], _MODEL, needed)
    check_fields(f"{path}: training", settings["training"], Settings)
    _check(f"{path}: data", settings["data"], _DATA)
    for key in FURTHER:
        _check(f"{path}: {key}", settings.get(key, {}), _START)
    try:
        Beam.from_json(settings.get("decoding", {}))
    except (TypeError, ValueError) as error:
        raise RunError(f"{path}: decoding: {error}") from error
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
