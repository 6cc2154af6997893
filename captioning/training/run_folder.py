"""The run folder: all files of a training run.

| file | content |
|---|---|
| `settings.json` | the model, the training, the data with their fingerprints, and the beam search for captions |
| `vocabulary.json` | the words, as in the data set |
| `weights.safetensors` | the best weights so far |
| `checkpoint.safetensors` | the training state, for `--resume` (`captioning.training.solver`) |
| `history.jsonl` | a JSON line for each iteration and for each validation (`captioning.training.run_files`) |
| `loss.png` | the curve of the losses |
| `regions.safetensors` | optional: the projection of maps to regions (`captioning.vision.regions.RegionProjection`) |
| `.lock` | the number of the process that trains in the folder (`captioning.storage.FolderLock`) |

The folder appears with the settings, the vocabulary and the first checkpoint. All files except the history are written
under a temporary name and renamed, so they are never incomplete. The history grows by lines, and a resumed run first
removes the lines after its checkpoint. Everything that a checkpoint needs is on the disk before it. So after a kill or
a loss of power, a run can be resumed, or does not exist at all.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from captioning.data.dataset import CaptionData, captions_fingerprint, changed
from captioning.data.folder import CAPTIONS_FILE, PROJECTION_FILE
from captioning.data.splits import Split
from captioning.data.vocabulary import Vocabulary
from captioning.decoding.beam_search import Beam
from captioning.models.kinds import AnyCaptioner, check_memory, new_captioner
from captioning.shipped import shipped_folder
from captioning.storage import FolderLock, check_free, crc32_of, making, remove_temporaries
from captioning.training.run_files import FORMAT, FURTHER, Entry, History, RunError, check_regular, read_settings
from minigrad.runtime.files import replacing

__all__ = ["Run", "read_arrays"]


class Run:
    """An existing run folder; `Run.create` makes a new one, and `Run.open` opens one and checks its files.

    folder: its path. settings: the content of settings.json. vocabulary: the words. entries: the `History`. shipped:
    whether it is the captioner of a package, which cannot be changed. Write into the folder only within `with run:`,
    which locks it for this process.
    """

    def __init__(
        self, folder: Path, settings: dict[str, Any], vocabulary: Vocabulary, *, shipped: bool = False
    ) -> None:
        self.folder, self.settings, self.vocabulary, self.shipped = folder, settings, vocabulary, shipped
        self.entries = History(folder / "history.jsonl")
        self._lock: FolderLock | None = None
        self._depth = 0  # of nested with blocks
        self._needed = ["settings.json", "vocabulary.json"]

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        settings: Mapping[str, Any],
        vocabulary: Vocabulary,
        checkpoint: Mapping[str, NDArray[Any]] | None = None,
        best: Mapping[str, NDArray[Any]] | None = None,
        regions: Mapping[str, NDArray[Any]] | None = None,
    ) -> Run:
        """Make a run folder, which appears when it is complete.

        checkpoint, best, regions: the arrays of the first checkpoint, of the best weights, of a projection to regions.

        Raises:
            RunError: if the folder cannot be created, or exists and is not empty.
        """
        path = Path(folder)
        content = {"format": FORMAT, **settings, "vocabulary": vocabulary.fingerprint()}
        try:
            with making(path) as temporary:
                vocabulary.to_json(temporary / "vocabulary.json")
                run = cls(temporary, content, vocabulary)
                run.write_settings()
                if checkpoint is not None:
                    run.save_checkpoint(checkpoint)
                if best is not None:
                    run.save_best(best)
                if regions is not None:
                    mg.save(run.regions_path, dict(regions))
        except OSError as error:
            raise _cannot_be_made(path, error) from error
        return cls(path, content, vocabulary)

    @staticmethod
    def check_new(folder: str | os.PathLike[str]) -> None:
        """Raise the RunError that `create` would raise."""
        try:
            check_free(folder)
        except OSError as error:
            raise _cannot_be_made(Path(folder), error) from error

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Run:
        """Open a run folder; raise a RunError or DataError that names what is missing or damaged.

        The name 'shipped' opens the captioner trained on Flickr8k, unless there is such a folder. If its package is
        missing, the RunError says how to install it.

        >>> run = Run.open("shipped")
        >>> run.name, len(run.vocabulary)
        ('shipped', 2917)
        """
        path = Path(folder)
        shipped = folder == "shipped" and not path.exists()
        if shipped:
            try:
                path = shipped_folder()
            except ModuleNotFoundError as error:
                raise RunError(f"shipped: {error}") from None
        if not path.is_dir():
            found = "is a file, not a run folder" if path.exists() else "there is no such run folder"
            raise RunError(f"{path}: {found}")
        if not os.path.lexists(path / "settings.json"):
            why = "is not a run folder, because it has no settings.json"
            if os.path.lexists(path / CAPTIONS_FILE):
                why = "is a data set, not a run folder. Name the run, and pass the data set with --data."
            raise RunError(f"{path}: {why}")
        settings = read_settings(path / "settings.json")
        vocabulary = Vocabulary.from_json(path / "vocabulary.json")
        if vocabulary.fingerprint() != settings["vocabulary"]:
            raise RunError(f"{path / 'vocabulary.json'}: is not the vocabulary that settings.json was written with")
        return cls(path, settings, vocabulary, shipped=shipped)

    @property
    def name(self) -> str:
        """The folder, or 'shipped' for the captioner trained on Flickr8k, as commands take it."""
        return "shipped" if self.shipped else str(self.folder)

    def __enter__(self) -> Self:
        """Lock the folder, or raise a RunError if another process trains in it; remove temporary files."""
        if self.shipped:
            raise RunError("shipped: is an installed package, and cannot be changed. To change a copy, create one with "
                           "captioning export shipped --out RUN.")  # fmt: skip
        if self._lock is None:
            self._lock = FolderLock(self.folder, "training", RunError)
            remove_temporaries(self.folder)
        self._depth += 1
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth == 0 and self._lock is not None:
            self._lock.release()
            self._lock = None

    @property
    def regions_path(self) -> Path:
        """The file of the projection to regions, which may not exist."""
        return self.folder / PROJECTION_FILE

    @property
    def beam(self) -> Beam:
        """The default beam search of this run; runs of older versions use that of the package."""
        return Beam.from_json(self.settings.get("decoding", {}))

    def write_settings(self) -> None:
        """Write `settings` to settings.json."""
        with replacing(self.folder / "settings.json", durable=True) as temporary:
            temporary.write_text(json.dumps(self.settings, indent=2) + "\n", encoding="utf-8")

    def check_fits(self, split: Split) -> None:
        """Raise a RunError unless the model can caption the images of a split."""
        cure = f"Make a data set that fits: captioning prepare SOURCE --out DIR --like {shlex.quote(self.name)}."
        if split.vocabulary != self.vocabulary:
            raise RunError(
                f"{self.name}: has a different vocabulary ({len(self.vocabulary):,} words and tokens) from "
                f"{split.folder} ({len(split.vocabulary):,}). {cure}"
            )
        wanted, got = self.settings["model"]["feature_size"], split.features.shape[1]
        if wanted != got:
            raise RunError(
                f"{self.name}: was trained on features of {wanted} columns; {split.features.path} has {got}. {cure}"
            )
        made_by, now = self.settings["data"].get("extractor"), split.features.extractor
        if made_by is not None and now is not None and made_by != now:
            raise RunError(
                f"{self.name}: was trained on features of the extractor {made_by}; {split.features.path} has those of "
                f"{now}. {cure}"
            )

    def check_same_data(self, now: Mapping[str, Any]) -> None:
        """Raise a RunError unless the run was trained on this data. now: the `data` of `settings_of`.

        If the run has no fingerprint of its data, only the number of captions is compared.
        """
        was = self.settings["data"]
        if was.get("train_captions") != now["train_captions"]:
            raise RunError(f"{self.folder}: was trained on {was.get('train_captions')} captions; {now['folder']} has "
                           f"{now['train_captions']}: it is another data set")  # fmt: skip
        differing = changed(was["fingerprint"], now["fingerprint"]) if "fingerprint" in was else []
        if differing:
            raise RunError(
                f"{self.folder}: can only be resumed with its training data, but {now['folder']} differs: "
                f"{', '.join(differing)}; pass the folder of the old data with --data DIR, or start a new run with "
                "another --out and without --resume"
            )

    def chosen_on(self, data: CaptionData) -> str | None:
        """Return the part of the validation images of a data set that chose the weights; None if others did.

        If the run has no fingerprint of its data, as after an export, the number of training captions is compared.
        """
        was = self.settings["data"]
        if "fingerprint" in was:
            val = data.get("val")
            same = val is not None and captions_fingerprint(val).items() <= was["fingerprint"].items()
        else:
            train = data.get("train")
            same = train is not None and was.get("train_captions") == len(train)
        return self.settings["training"].get("val_part") if same else None

    def new_model(self, rng: np.random.Generator | int | None = None) -> AnyCaptioner:
        """Return a captioner of the same sizes with new weights."""
        model, path = self.settings["model"], self.folder / "settings.json"
        try:
            check_memory(len(self.vocabulary), model, bytes_each=4)
            return new_captioner(self.vocabulary, model, rng)
        except MemoryError as error:
            sizes = ", ".join(f"{key} {value}" for key, value in model.items() if key.endswith("_size"))
            raise RunError(f"{path}: model: {sizes} do not fit into memory: {error}") from error
        except (TypeError, ValueError) as error:
            raise RunError(f"{path}: model: {error}") from error

    def load_model(self) -> AnyCaptioner:
        """Return the captioner with the best weights of the run, in evaluation mode."""
        model = self.new_model(rng=0)
        path = self._file("weights.safetensors")
        if not path.is_file():
            raise RunError(f"{path}: there is no such file: the run has not been validated yet; use --resume")
        dtype = model.embed.weight.dtype  # half precision if the run was exported
        state = {k: v.astype(dtype) if v.dtype == np.float16 else v for k, v in read_arrays(path).items()}
        try:
            model.load_state_dict(state)
        except (ValueError, KeyError, TypeError) as error:
            raise RunError(f"{path}: does not fit the model of settings.json: {error}") from error
        for name, array in model.state_dict().items():
            if not np.isfinite(array).all():
                raise RunError(f"{path}: {name} has a number that is not finite, so the run cannot be used")
        model.eval()
        return model

    def weights_checksum(self) -> str | None:
        """Return the CRC-32 of the file of the best weights, in hexadecimal; None before the first validation."""
        path = self._file("weights.safetensors")
        return f"{crc32_of(path):08x}" if path.is_file() else None

    def start_checksums(self) -> list[str] | None:
        """Return the checksums of the weights that this run started from or averages; None if unknown."""
        if "average" in self.settings:
            averaged: list[str] | None = self.settings.get("averaged_weights")
            return averaged
        starts = [self.settings.get(key, {}).get("start_weights") for key in FURTHER]
        return [start for start in starts if start] or None

    def check_there(self) -> None:
        """Raise a RunError if the folder, or a file that is written only once, has disappeared."""
        ends = "moved or removed during training, which stops here"
        if not self.folder.is_dir():
            raise RunError(f"{self.folder}: the folder was {ends}; --resume continues in its new place")
        gone = [name for name in self._needed if not (self.folder / name).exists()]
        if gone:
            raise RunError(f"{self.folder}: {', '.join(gone)}: {ends}; restore them, or start a new run")

    def save_best(self, weights: Mapping[str, NDArray[Any]]) -> None:
        """Write the best weights."""
        mg.save(self.folder / "weights.safetensors", dict(weights))
        if "weights.safetensors" not in self._needed:
            self._needed.append("weights.safetensors")

    def save_checkpoint(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Write the history and the training state; raise a RunError as `check_there` does."""
        self.check_there()
        self.entries.flush()
        mg.save(self.folder / "checkpoint.safetensors", dict(state))

    def load_checkpoint(self) -> dict[str, NDArray[Any]]:
        """Return the state that `save_checkpoint` wrote; raise a RunError if it is missing or damaged."""
        path = self._file("checkpoint.safetensors")
        if not path.is_file() and "average" in self.settings:
            raise RunError(f"{self.folder}: is the mean of other runs, so it cannot be resumed")
        if not path.is_file():
            raise RunError(f"{path}: there is no such file, so the run cannot be resumed. To continue from its "
                           f"weights, run: captioning train --start {self.folder} --out NEW")  # fmt: skip
        return read_arrays(path)

    def _file(self, name: str) -> Path:
        """Return the path of a file of the folder; raise a RunError if it is not a regular file."""
        check_regular(self.folder / name)
        return self.folder / name

    def history(self) -> list[Entry]:
        """Return all entries of history.jsonl; see `History.read`."""
        return self.entries.read()

    def draw_curve(self) -> None:
        """Draw loss.png, the curves of the history."""
        from captioning.pictures.curves import loss_curve

        history = self.history()
        if any("loss" in entry for entry in history):
            model, captions = self.settings["model"], self.settings["data"]["train_captions"]
            title = f"{model['cell_type'].upper()} of {model['hidden_size']}, {captions:,} captions"
            loss_curve(history, self.folder / "loss.png", title=title)


def _cannot_be_made(path: Path, error: OSError) -> RunError:
    """Return the error for a run folder that cannot be created."""
    if isinstance(error, FileExistsError):
        if not path.is_dir():
            return RunError(f"{path}: is a file, not a run folder")
        return RunError(f"{path}: already exists: choose another folder")
    where = "" if error.filename is None or os.fspath(path) == error.filename else f": {error.filename}"
    return RunError(f"{path}: cannot be written{where}: {error.strerror or error}")


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a safetensors file, or raise a RunError that names it."""
    try:
        return dict(mg.load(path))
    except (ValueError, OSError) as error:
        text = str(error)
        raise RunError(text if str(path) in text else f"{path}: cannot be read: {text}") from error
