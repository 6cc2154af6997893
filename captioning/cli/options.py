"""The table of all options, and the parser of all commands."""

from __future__ import annotations

import argparse
import math
import os
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from captioning.command import check_writable
from captioning.data.folder import ALL_SPLITS
from captioning.data.splits import CAPTIONS, PARTS
from captioning.evaluation.consensus import MOST_DRAFTS
from captioning.models.kinds import MODELS
from captioning.models.recurrent_cells import CELLS
from captioning.pictures.sheets import most_pictures
from captioning.training.run_files import RunError
from captioning.training.run_folder import Run
from captioning.training.settings import KEEP, SCHEDULES, parse_interval
from captioning.training.solver import CHECKPOINT_EVERY
from minigrad.parallel.communicators import launch_of
from minigrad.runtime.blas import MOST_THREADS
from minigrad.runtime.extras import require

__all__ = [
    "BEAM", "CONSENSUS", "LONGEST_CHOICE", "TRAINING", "Command", "CommandParser", "check_output", "data_folder",
    "make_parser", "number", "unchanged",
]  # fmt: skip

LONGEST_CHOICE = 1000
"""The largest --max-length; memory grows with it."""


def number(kind: type, least: float, most: float = math.inf) -> Callable[[str], Any]:
    """Return an argparse type for an int or float (`kind`) from `least` to `most`."""
    bounds = f"of at least {least}" if most == math.inf else f"from {least} to {most}"

    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"must be {'an int' if kind is int else 'a number'} {bounds}; got {text}")
        return value

    return read


def number_or_none(text: str) -> float | None:
    """Return a number, or None for 'none'; an argparse type."""
    return None if text == "none" else float(text)


def time_or_iterations(text: str) -> str:
    """Return a text such as '5m' or '1000' that `parse_interval` accepts; an argparse type."""
    parse_interval(text)
    return text


_FLAG: dict[str, Any] = {"action": "store_true"}
_N: dict[str, Any] = {"type": int, "metavar": "N"}
_X: dict[str, Any] = {"type": float, "metavar": "X"}
_COUNT: dict[str, Any] = {"type": number(int, 1), "metavar": "N"}
_THREADS: dict[str, Any] = {"type": number(int, 1, MOST_THREADS), "metavar": "N"}
_BEAM: dict[str, Any] = {"group": "beam search"}
_CONSENSUS: dict[str, Any] = {"group": "consensus"}

OPTIONS: dict[str, dict[str, Any]] = {
    # runs and data sets
    "run": {"metavar": "RUN", "help": "a run folder, as train, refine and reinforce write it, or shipped, the "
            "captioner that comes with the package"},
    "--data": {"metavar": "DIR", "help": "folder of the data set, in the CS231n MS-COCO layout (the folder that RUN "
               "was trained on, or else that of CAPTIONING_DATA)"},
    "--out": {"metavar": "RUN", "required": True, "help": "the run folder to make"},
    "--photos-dir": {"metavar": "DIR", "help": "folder of the photos, if they have moved since `captioning prepare`"},
    "--split": {"choices": ALL_SPLITS, "default": "val", "help": "the split to use; test exists only in data sets with "
                "test_captions"},
    "--part": {"choices": PARTS, "default": "all", "help": "use all images of the split, or the first or second half "
               "of its rows"},
    "--max-images": {**_COUNT, "help": "use at most N images, drawn by the seed (all)"},
    "--extractor": {"metavar": "NAME", "help": "the network that made the features on which RUN was trained, if RUN "
                    "does not record it"},
    "--seed": {"type": number(int, 0), "metavar": "N", "default": 0, "help": "random seed"},
    "--json": {**_FLAG, "help": "print one JSON object"},
    "--quiet": {**_FLAG, "help": "do not print progress on standard error"},
    # how captions are decoded
    "--max-length": {"type": number(int, 1, LONGEST_CHOICE), "metavar": "N", "help": "the largest number of words of a "
                     f"caption, its end included, 1 to {LONGEST_CHOICE} (the length of the split's longest human "
                     "caption, at most 50)"},
    "--temperature": {**_X, "help": "draw words from softmax(scores / X), instead of taking the likeliest one"},
    "--top-k": {**_N, "help": "draw words only from the N likeliest ones"},
    "--beam": {**_BEAM, **_N, "help": "width of the beam, 1 to 100; 1 is greedy; captions that end are preferred to "
               "captions that are cut (5)"},
    "--length-power": {**_BEAM, **_X, "help": "rank captions by their log-probability divided by their length to this "
                       "power: 0 prefers short captions, 1 (the mean over words) longer ones; the best value depends "
                       "on the run, so try 0.7 to 1.4 (1)"},
    "--min-length": {**_BEAM, **_N, "help": "the smallest number of words of a caption, its end included (1)"},
    "--no-repeat": {**_BEAM, **_N, "help": "do not repeat N words in a row in a caption: 3 forbids repeated phrases, 1 "
                    "repeated words (repetition is allowed)"},
    "--doubled-words": {**_BEAM, "action": "store_true", "default": None, "help": "allow a word to follow itself, "
                        "alone or after 'and': 'black and black'"},
    "--groups": {**_BEAM, **_N, "help": "divide the beam into N groups that avoid each other's words, for captions "
                 "that differ in more than one word; N must divide the width (1)"},
    "--diversity": {**_BEAM, **_X, "help": "subtract X from the log-probability of a word for each caption of an "
                    "earlier group that has it at the same place (0.5)"},
    "--with": {**_BEAM, "dest": "required", "action": "append", "metavar": "WORD", "help": "a word that every caption "
               "must contain; up to five times"},
    "--without": {**_BEAM, "dest": "banned", "action": "append", "metavar": "WORD", "help": "a word that no caption "
                  "may contain; any number of times"},
    "--consensus": {**_CONSENSUS, **_N, "help": f"draw N captions of each image, 1 to {MOST_DRAFTS}; 40 are enough"},
    "--draft-temperature": {**_CONSENSUS, **_X, "help": "draw their words from softmax(scores / X); for a run of "
                            "reinforce, use a number above 1, such as 1.4 (1)"},
    "--neighbours": {**_CONSENSUS, **_N, "help": "compare with the captions of the N most similar training images, or "
                     "of none if N is 0 (20)"},
    "--n-best": {**_N, "help": "print the best N captions of the beam, with the scores by which it ranks them; --json "
                 "adds the probabilities of words"},
    # how a training is run
    "--resume": {**_FLAG, "help": "continue the run in RUN exactly from its last checkpoint, with its settings; only "
                 "the number of epochs or rounds may change"},
    "--checkpoint-every": {"type": time_or_iterations, "default": CHECKPOINT_EVERY, "metavar": "TIME", "help": "write "
                           "a checkpoint after this time (30s, 5m, 2h) or number of iterations (1000), or 'never'; the "
                           "end of an epoch always writes one"},
    "--max-iterations": {**_N, "help": "stop with a checkpoint when N iterations are done in all; --resume continues "
                         "from there (until all epochs are done)"},
    "--threads": {**_THREADS, "help": "compute with N threads; another number changes the last digits of the weights "
                  "(the number of processors, or OPENBLAS_NUM_THREADS; with --resume, that of the run)"},
    "--shards": {**_THREADS, "help": "cut each batch into N shards, and sum their gradients in order, so that any "
                 "number of ranks up to N gives the same bits: `mpiexec -n RANKS captioning train` (as many as ranks; "
                 "with --resume, that of the run)"},
    # settings of a training; each command has its own defaults
    "--epochs": {**_N, "help": "how often to use each caption"},
    "--batch-size": {**_N, "help": "captions in an iteration"},
    "--learning-rate": {**_X, "help": "Adam's learning rate in the first epoch"},
    "--schedule": {"choices": SCHEDULES, "help": "how the learning rate falls: times --lr-decay after every epoch "
                   "(exponential), half a cosine to 0 (cosine), or times --lr-decay after every epoch whose validation "
                   "is not better than the best one before (plateau)"},
    "--lr-decay": {**_X, "help": "factor of the learning rate in the exponential and plateau schedules"},
    "--cosine-epochs": {**_N, "help": "the epoch after which the cosine reaches 0 (the last one)"},
    "--warmup": {**_N, "help": "iterations in which the learning rate rises from 0"},
    "--beta2": {**_X, "help": "Adam's decay rate of squared gradients"},
    "--clip-norm": {"type": number_or_none, "metavar": "X", "help": "clip the norm of the gradient to X; 'none' does "
                    "not clip"},
    "--weight-decay": {**_X, "help": "weight decay, decoupled from the gradient as in AdamW"},
    "--average": {"type": number_or_none, "metavar": "X", "help": "validate and keep an exponential average of the "
                  "weights with this decay, such as 0.999; 'none' does not average"},
    "--patience": {**_N, "help": "stop after N epochs without a better validation (never)"},
    "--keep": {"choices": KEEP, "help": "keep the weights with the highest BLEU-4 (bleu), CIDEr-D (cider) or exercise "
               "BLEU (exercise: unigram BLEU against one human caption, as in the course's exercise) of greedy "
               "validation captions, or with the lowest validation loss (loss: the sum over a caption's words); the "
               "lower loss breaks ties"},
    "--val-part": {"choices": PARTS, "help": "validate on all validation images, or on one half, to report scores of "
                   "the other"},
    "--val-images": {**_N, "help": "use at most N images of that part, drawn by the seed"},
    "--validate-every": {**_N, "help": "also validate after every N iterations, so that the best weights may be from "
                         "within an epoch (only at the end of epochs)"},
    "--label-smoothing": {**_X, "help": "share of the target that is spread over all words, from 0 to below 1"},
    "--buckets": {**_N, "help": "sort the captions of N batches by length, so that those of a batch have similar "
                  "lengths; this is faster"},
    "--drafts": {**_N, "help": "how many captions to draw for each image"},
    # settings of a new captioner and its data
    "--model": {"choices": list(MODELS), "help": "source: a cell that starts from the features of an image; attention: "
                "a captioner that attends to the regions of an image before each word, for data sets with "
                "...2014_regions.h5"},
    "--cell": {"choices": list(CELLS), "help": "recurrent cell"},
    "--hidden": {**_N, "help": "size of the hidden state"},
    "--wordvec": {**_N, "help": "size of the word vectors"},
    "--dropout": {**_X, "help": "dropout of the word vectors and of the hidden states, from 0 to below 1"},
    "--feature-dropout": {**_X, "help": "with --model source: dropout of the features"},
    "--forget-bias": {**_X, "help": "with --model source and an LSTM: initial bias of the forget gate"},
    "--picture": {**_N, "help": "with --model attention: size of the vector that summarises the whole image"},
    "--looking": {**_N, "help": "with --model attention: size of the keys and values of a region, all heads together"},
    "--heads": {**_N, "help": "with --model attention: number of attention heads"},
    "--scheduled-sampling": {**_X, "help": "share of the input words in the last epoch that the captioner predicts "
                             "itself; it rises from 0 in the first epoch"},
    "--captions": {"choices": CAPTIONS, "help": "learn from the captions of the HDF5 file, which may be cut (stored), "
                   "or from those of captions.csv (raw)"},
    "--max-words": {**_N, "help": "with raw captions: cut captions after N words, and do not learn an end there"},
    "--max-train": {**_N, "help": "use N training captions, drawn by the seed (all)"},
    "--pca": {"action": argparse.BooleanOptionalAction, "help": "use the reduced features, ...2014_vgg16_fc7_pca.h5, "
              "or the whole ones, ...2014_vgg16_fc7.h5 (the reduced ones if they exist)"},
}  # fmt: skip
"""Keyword arguments of `add_argument`; `group` is the group of the option in the help."""

BEAM = ("--beam", "--length-power", "--min-length", "--no-repeat", "--doubled-words", "--groups", "--diversity",
        "--with", "--without")  # fmt: skip
CONSENSUS = ("--consensus", "--draft-temperature", "--neighbours")
TRAINING = (
    "--resume", "--checkpoint-every", "--max-iterations", "--threads", "--shards", "--quiet", "--batch-size",
    "--learning-rate", "--schedule", "--lr-decay", "--cosine-epochs", "--warmup", "--beta2", "--clip-norm",
    "--weight-decay", "--average", "--patience", "--keep", "--val-part", "--val-images", "--validate-every", "--seed",
)  # fmt: skip

_GROUPS = {
    "beam search": "A beam search extends several unfinished captions of an image side by side. These\noptions change "
    "the defaults of the run.",
    "consensus": "A consensus draws many captions of an image, and chooses the one that agrees best with\nthe others "
    "and with the captions of similar training images. The best captions of a beam\nare candidates too; --beam sets "
    "their number (10).",
}


def unchanged(*options: str) -> dict[str, dict[str, Any]]:
    """Return options that a command takes from the table as they are."""
    return {option: {} for option in options}


@dataclass(frozen=True)
class Command:
    """A command.

    help: one or more sentences; the list of commands shows the first. run: takes the options and returns the exit
    status. options: by name, the differences from `OPTIONS`. settings: defaults of options that are absent from the
    namespace unless they are given.
    """

    name: str
    help: str
    run: Callable[[argparse.Namespace], int]
    options: Mapping[str, Mapping[str, Any]]
    example: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def add_to(self, commands: Any) -> None:
        """Add the command to the subparsers of a parser."""
        parser = commands.add_parser(
            self.name, help=self.help.partition(". ")[0],
            description=textwrap.fill(self.help[0].upper() + self.help[1:] + ".", 78),
            epilog=self.example, formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        parser.set_defaults(command=self.run)
        groups = {None: parser}
        for option, changes in self.options.items():
            keywords = {**OPTIONS.get(option, {}), **changes}
            group = keywords.pop("group", None)
            if group not in groups:
                described = group in _GROUPS
                groups[group] = (
                    parser.add_argument_group(group, _GROUPS[group]) if described
                    else parser.add_mutually_exclusive_group()
                )  # fmt: skip
            action = groups[group].add_argument(option, **keywords)
            default = action.default
            if action.dest in self.settings:
                default, action.default = self.settings[action.dest], argparse.SUPPRESS
            if isinstance(default, str | int | float) and default is not False:
                action.help += f" ({default})"


class CommandParser(argparse.ArgumentParser):
    """A parser that prints an error in one line, with the command for help."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse unknown arguments here, because the parser of all commands would name itself and not the command."""
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return known, unknown

    def error(self, message: str) -> NoReturn:
        """Exit with status 2. All ranks have this error, and the first one prints it."""
        launch = launch_of()
        if launch is not None and launch.rank:
            self.exit(2)
        self.exit(2, f"{self.prog}: {' '.join(message.split())} (usage: {self.prog} --help)\n")


def make_parser(commands: Iterable[Command], kind: type[CommandParser] = CommandParser, **texts: Any) -> CommandParser:
    """Return a parser of the commands. texts: its description and epilog."""
    parser = kind(prog="captioning", **texts)
    subparsers = parser.add_subparsers(title="commands", dest="name", metavar="COMMAND")
    for command in commands:
        command.add_to(subparsers)
    return parser


def data_folder(options: argparse.Namespace, run: Run | None) -> str | None:
    """Return the folder of --data, or else the folder that a run was trained on if it exists."""
    remembered = None if run is None else run.settings["data"].get("folder")
    named: str | None = options.data
    if named is not None or run is None or remembered is None:
        return named
    if Path(remembered).is_dir():
        return str(remembered)
    if os.environ.get("CAPTIONING_DATA"):
        return None
    raise RunError(f"{run.folder}: was trained on the data in {remembered}, which does not exist any more: "
                   "pass its folder by --data DIR")  # fmt: skip


def check_output(out: str, suffix: str, photos: int = 0) -> None:
    """Raise an error that names --out unless it has this suffix, such as '.json', and can be written.

    The suffix prevents overwriting weights by mistake. photos: the number of photos of a sheet.
    """
    if Path(out).suffix.lower() != suffix:
        raise ValueError(f"--out: the name must end in {suffix}; got {out}")
    check_writable(out)
    if suffix == ".png":
        require("matplotlib.figure", "caption")
        if photos > (most := most_pictures(named=True)):
            raise ValueError(f"--out: a sheet has room for at most {most} photos; got {photos}")
