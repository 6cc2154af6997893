"""The run folder: everything that a training leaves behind, and what evaluation needs of it.

| file | holds |
|---|---|
| `settings.json` | sizes of the model, settings of the training, where the data is, fingerprints of data and words |
| `vocabulary.json` | the words, as in the data set |
| `weights.safetensors` | the best weights so far |
| `checkpoint.safetensors` | where the training stands, for `--resume`: `captioning.training.checkpoints` |
| `history.jsonl` | a JSON line for each iteration and for each epoch |
| `loss.png` | the curve of the losses |

Each file but the history is written under a temporary name and renamed, so that none is ever half there.
The history grows by lines; a resumed run first cuts it back to the checkpoint.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from captioning.data.dataset import CaptionData
from captioning.data.fingerprints import changed, fingerprint
from captioning.data.splits import Split
from captioning.data.vocabulary import Vocabulary
from captioning.models.captioner import Captioner
from minigrad.runtime.files import irregular, replacing

__all__ = ["Run", "RunError", "settings_of"]

FORMAT = 1
MODEL_KEYS = ("feature_size", "wordvec_size", "hidden_size", "cell_type", "dropout", "dtype", "forget_bias")

Entry = dict[str, Any]


class RunError(ValueError):
    """A run folder that cannot be used, or does not fit; the message names the file and what is wrong."""


class Run:
    """A run folder that exists; `Run.create` makes a new one, `Run.open` opens one and checks its files.

    folder: its path. settings: the content of settings.json, with the keys `model`, `training`, `data`.
    vocabulary: the words.
    """

    def __init__(self, folder: Path, settings: dict[str, Any], vocabulary: Vocabulary) -> None:
        self.folder, self.settings, self.vocabulary = folder, settings, vocabulary
        self._lines: list[str] = []  # entries of the history that are not in the file yet

    def __repr__(self) -> str:
        return f"<Run {self.folder}>"

    @classmethod
    def create(cls, folder: str | os.PathLike[str], settings: Mapping[str, Any], vocabulary: Vocabulary) -> Run:
        """Make the folder with settings and vocabulary. One that exists and is not empty is a RunError."""
        path = Path(folder)
        if path.exists() and not path.is_dir():
            raise RunError(f"{path}: is a file, not a run folder")
        there = path.is_dir()
        taken = f"{path}: exists already: choose another folder, or go on with its run by --resume"
        if there and any(path.iterdir()):
            raise RunError(taken)
        content = {"format": FORMAT, **settings, "vocabulary": vocabulary.fingerprint()}
        run = cls(path, content, vocabulary)
        try:
            path.mkdir(parents=True, exist_ok=there)
            vocabulary.to_json(path / "vocabulary.json")
            run.write_settings()
        except FileExistsError as error:  # another training has made it since
            raise RunError(taken) from error
        except OSError as error:
            raise RunError(f"{path}: cannot be written: {error.strerror or error}") from error
        return run

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Run:
        """Open a folder that `create` made; whatever is missing or damaged is a RunError or DataError."""
        path = Path(folder)
        if not path.is_dir():
            raise RunError(f"{path}: there is no such run folder")
        settings = _read_settings(path / "settings.json")
        vocabulary = Vocabulary.from_json(path / "vocabulary.json")
        if vocabulary.fingerprint() != settings["vocabulary"]:
            raise RunError(f"{path / 'vocabulary.json'}: is not the vocabulary that settings.json was written with")
        return cls(path, settings, vocabulary)

    def write_settings(self) -> None:
        """Write `settings` to settings.json."""
        with replacing(self.folder / "settings.json") as temporary:
            temporary.write_text(json.dumps(self.settings, indent=2) + "\n", encoding="utf-8")

    def check_fits(self, split: Split) -> None:
        """Raise a RunError unless the run's model can caption the data of a split."""
        if split.vocabulary != self.vocabulary:
            raise RunError(
                f"{self.folder}: was trained with another vocabulary ({self.vocabulary!r}) "
                f"than that of {split.folder} ({split.vocabulary!r})"
            )
        wanted, got = self.settings["model"]["feature_size"], split.features.shape[1]
        if wanted != got:
            raise RunError(
                f"{self.folder}: was trained on features of {wanted} columns; {split.features.path} has {got} "
                f"(trained with pca={self.settings['data'].get('pca')})"
            )

    def check_same_data(self, now: Mapping[str, Any]) -> None:
        """Raise a RunError unless data is what the run was trained on; `now` is what `settings_of` says of it.

        A run that was saved without a fingerprint of its data is held to the number of its captions alone.
        """
        was = self.settings["data"]
        if was.get("train_captions") != now["train_captions"]:
            raise RunError(
                f"{self.folder}: was trained on {was.get('train_captions')} captions; {now['folder']} has "
                f"{now['train_captions']}: it is another data set"
            )
        differing = changed(was["fingerprint"], now["fingerprint"]) if "fingerprint" in was else []
        if differing:
            raise RunError(
                f"{self.folder}: goes on exactly where it stopped only with the data that it was trained on, but in "
                f"{now['folder']} these are other: {', '.join(differing)}; bring the old data back or name its folder "
                "by --data DIR, or begin a new run: another --out, without --resume"
            )

    # Weights -----------------------------------------------------------------------------------

    def new_model(self, rng: np.random.Generator | int | None = None) -> Captioner:
        """A captioner of the run's sizes with fresh weights."""
        try:
            return Captioner(self.vocabulary, **self.settings["model"], rng=rng)
        except (TypeError, ValueError) as error:
            raise RunError(f"{self.folder / 'settings.json'}: model: {error}") from error

    def load_model(self) -> Captioner:
        """The captioner with the best weights of the run, in evaluation mode."""
        model = self.new_model(rng=0)
        path = self.folder / "weights.safetensors"
        _check_regular(path)
        if not path.is_file():
            raise RunError(f"{path}: there is no such file: the run has not finished its first epoch; use --resume")
        dtype = model.embed.weight.dtype  # of half precision in a run that was exported
        state = {k: v.astype(dtype) if v.dtype == np.float16 else v for k, v in read_arrays(path).items()}
        try:
            model.load_state_dict(state)
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{path}: does not fit the model of settings.json: {error}") from error
        model.eval()
        return model

    def save_best(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """Write the best weights."""
        self._save("weights.safetensors", weights)

    def save_checkpoint(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Write the state of the training, and the history up to it."""
        self.flush()
        self._save("checkpoint.safetensors", state)

    def load_checkpoint(self) -> dict[str, NDArray[Any]]:
        """What `save_checkpoint` wrote; a RunError if there is none or it is damaged."""
        path = self.folder / "checkpoint.safetensors"
        _check_regular(path)
        if not path.is_file():
            raise RunError(
                f"{path}: there is no such file: the run ended before its first checkpoint; remove {self.folder} and "
                "begin anew"
            )
        return read_arrays(path)

    def _save(self, name: str, state: Mapping[str, NDArray[Any]]) -> None:
        mg.save(self.folder / name, dict(state))  # which replaces the file when the new one is whole

    # History -----------------------------------------------------------------------------------

    def log(self, entry: Entry) -> None:
        """Add an entry to the history; it is in the file after `flush`."""
        self._lines.append(json.dumps(entry) + "\n")

    def flush(self) -> None:
        """Write what `log` was given."""
        if self._lines:
            with open(self.folder / "history.jsonl", "a", encoding="utf-8") as file:
                file.writelines(self._lines)
            self._lines.clear()

    def history(self) -> list[Entry]:
        """All entries of history.jsonl; a line that is no JSON object is a RunError, but the last may be torn."""
        path = self.folder / "history.jsonl"
        _check_regular(path)
        if not path.is_file():
            return []
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        entries = []
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
                if not isinstance(entry, dict):
                    raise ValueError("not an object")
                if type(entry.get("iteration", 0)) is not int:
                    raise ValueError(f"its iteration is {entry['iteration']!r}, not an int")
            except ValueError as error:
                if number == len(lines):
                    break
                raise RunError(f"{path}: line {number} is damaged: {error}") from error
            entries.append(entry)
        return entries

    def cut_history(self, iteration: int) -> list[Entry]:
        """Drop what came after an iteration, from the file too; the entries that stay."""
        kept = [entry for entry in self.history() if entry.get("iteration", 0) <= iteration]
        with replacing(self.folder / "history.jsonl") as temporary:
            temporary.write_text("".join(json.dumps(entry) + "\n" for entry in kept), encoding="utf-8")
        return kept

    def draw_curve(self) -> None:
        """Draw loss.png from the history."""
        from captioning.pictures.curves import loss_curve

        history = self.history()
        if any("loss" in entry for entry in history):
            model, captions = self.settings["model"], self.settings["data"]["train_captions"]
            title = f"{model['cell_type'].upper()} of {model['hidden_size']}, {captions:,} captions"
            loss_curve(history, self.folder / "loss.png", title=title)


def settings_of(model: Captioner, training: Any, data: CaptionData, **data_settings: Any) -> dict[str, Any]:
    """What settings.json says of a model, its training (a dataclass) and its data, which is read for that."""
    return {
        "minigrad": mg.__version__,
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
            **data_settings,
            "folder": str(data.folder.resolve()),
            "fingerprint": fingerprint(data),
        },
    }


def _check_regular(path: Path) -> None:
    if found := irregular(path):
        raise RunError(f"{path}: is {found}, not a regular file")


def _read_settings(path: Path) -> dict[str, Any]:
    _check_regular(path)
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(f"{path}: cannot be read, so this is no run folder: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: is not JSON: {error}") from error
    if not isinstance(settings, dict) or settings.get("format") != FORMAT:
        raise RunError(f"{path}: is not the settings of a run in format {FORMAT}")
    for key, kind in (("vocabulary", str), ("model", dict), ("training", dict), ("data", dict)):
        if not isinstance(settings.get(key), kind):
            raise RunError(f"{path}: the key {key} is missing or not a {kind.__name__}")
    missing = [key for key in MODEL_KEYS if key not in settings["model"]]
    if missing:
        raise RunError(f"{path}: model: the keys {', '.join(missing)} are missing")
    return settings


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a safetensors file, or a RunError that names it."""
    try:
        return dict(mg.load(path))
    except (ValueError, OSError) as error:
        text = str(error)
        raise RunError(text if str(path) in text else f"{path}: cannot be read: {text}") from error
