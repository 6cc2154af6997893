"""The options of all commands in one table, and the parser that they share."""

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
from captioning.training.schedules import SCHEDULES, parse_interval
from captioning.training.settings import KEEP
from captioning.training.solver import CHECKPOINT_EVERY
from minigrad.parallel.communicators import launch_of
from minigrad.runtime.extras import require

__all__ = [
    "BEAM", "CONSENSUS", "LONGEST_CHOICE", "TRAINING", "Command", "CommandParser", "check_output", "data_folder",
    "make_parser", "number", "unchanged",
]  # fmt: skip

LONGEST_CHOICE = 1000
"""The largest --max-length: no caption is so long, and captions take memory of their longest length."""


def number(kind: type, least: float, most: float = math.inf) -> Callable[[str], Any]:
    """Return an argparse type for a number of a kind (int or float) that is at least `least` and at most `most`."""
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
    """Return the number that a text says, or None for 'none'; an argparse type."""
    return None if text == "none" else float(text)


def time_or_iterations(text: str) -> str:
    """Return a text that `parse_interval` can read, such as '5m' or '1000'; an argparse type."""
    parse_interval(text)
    return text


_FLAG: dict[str, Any] = {"action": "store_true"}
_N: dict[str, Any] = {"type": int, "metavar": "N"}
_X: dict[str, Any] = {"type": float, "metavar": "X"}
_COUNT: dict[str, Any] = {"type": number(int, 1), "metavar": "N"}
_THREADS: dict[str, Any] = {"type": number(int, 1, 1024), "metavar": "N"}
_BEAM: dict[str, Any] = {"group": "beam search"}
_CONSENSUS: dict[str, Any] = {"group": "consensus"}

OPTIONS: dict[str, dict[str, Any]] = {
    # runs and data sets
    "run": {"metavar": "RUN", "help": "a run folder, as train, refine and reinforce write it"},
    "--data": {"metavar": "DIR", "help": "folder of the data set, in the CS231n MS-COCO layout (the one that RUN was "
               "trained on, if it is there, or else that of CAPTIONING_DATA)"},
    "--out": {"metavar": "RUN", "required": True, "help": "the run folder to make"},
    "--split": {"choices": ALL_SPLITS, "default": "val", "help": "use the images of this split; test exists if the "
                "data set has test_captions"},
    "--part": {"choices": PARTS, "default": "all", "help": "use all images of the split, or the first or second half "
               "of its rows"},
    "--max-images": {**_COUNT, "help": "use at most N images, drawn by the seed (all)"},
    "--extractor": {"metavar": "NAME", "help": "the network that made the features on which RUN was trained, if RUN "
                    "does not say it itself"},
    "--seed": {"type": number(int, 0), "metavar": "N", "default": 0, "help": "random seed"},
    "--json": {**_FLAG, "help": "print one JSON object"},
    "--quiet": {**_FLAG, "help": "print no progress on standard error"},
    # how captions are decoded
    "--max-length": {"type": number(int, 1, LONGEST_CHOICE), "metavar": "N", "help": "the most words of a caption, its "
                     f"end counted as one, 1 to {LONGEST_CHOICE} (the length of the split's longest human caption, at "
                     "most 50)"},
    "--temperature": {**_X, "help": "draw words from softmax(scores / X), instead of taking the likeliest"},
    "--top-k": {**_N, "help": "draw words from the N likeliest only"},
    "--beam": {**_BEAM, **_N, "help": "beam search of this width, 1 to 100, instead of greedy decoding; captions that "
               "end are preferred to those that are cut"},
    "--length-power": {**_BEAM, **_X, "help": "rank captions by their log-probability divided by their length to this "
                       "power: 0 prefers short captions, 1 (the mean of the words) longer ones; the best value depends "
                       "on the run: try 0.7 to 1.4 (1)"},
    "--min-length": {**_BEAM, **_N, "help": "the fewest words of a caption, its end counted as one (1)"},
    "--no-repeat": {**_BEAM, **_N, "help": "repeat no run of N words in a caption: 3 is a phrase, 1 any word (all "
                    "allowed)"},
    "--groups": {**_BEAM, **_N, "help": "divide the beam into N groups that avoid each other's words, for captions "
                 "that differ in more than a word; N must divide the beam's width (1)"},
    "--diversity": {**_BEAM, **_X, "help": "how much a group avoids a word for each caption of an earlier group that "
                    "has it at the same place, as a log-probability (0.5)"},
    "--with": {**_BEAM, "dest": "required", "action": "append", "metavar": "WORD", "help": "a word that every caption "
               "must have; up to five times"},
    "--without": {**_BEAM, "dest": "banned", "action": "append", "metavar": "WORD", "help": "a word that no caption "
                  "may have; any number of times"},
    "--consensus": {**_CONSENSUS, **_N, "help": f"draw N captions of each image, 1 to {MOST_DRAFTS}; 40 are plenty"},
    "--draft-temperature": {**_CONSENSUS, **_X, "help": "draw them from softmax(scores / X): above 1, such as 1.4, "
                            "for a run of reinforce (1)"},
    "--neighbours": {**_CONSENSUS, **_N, "help": "ask the captions of the N most similar training images, 0 for none "
                     "(20)"},
    "--n-best": {**_N, "help": "print the best N captions of the beam, with the scores by which it ranks them; --json "
                 "adds the probabilities of words"},
    # how a training is run
    "--resume": {**_FLAG, "help": "continue the run in RUN exactly from its last checkpoint; its settings hold, and "
                 "only its length may change"},
    "--checkpoint-every": {"type": time_or_iterations, "default": CHECKPOINT_EVERY, "metavar": "TIME", "help": "write "
                           "a checkpoint after so much time (30s, 5m, 2h) or so many iterations (1000); 'never': only "
                           "at the end of epochs, where one is always written"},
    "--max-iterations": {**_N, "help": "stop with a checkpoint when N iterations are done in all; --resume continues "
                         "from there (until all epochs are done)"},
    "--threads": {**_THREADS, "help": "compute with N threads; another number gives weights that differ in their last "
                  "digits (as many as there are processors, or as OPENBLAS_NUM_THREADS says; with --resume: as the run "
                  "began)"},
    "--shards": {**_THREADS, "help": "cut each batch into N shards, whose gradients are summed in order: the same bits "
                 "on any number of ranks up to N, as of `mpiexec -n RANKS captioning train` (as many as ranks; with "
                 "--resume: as the run began)"},
    # settings of a training, whose defaults are those of the command
    "--epochs": {**_N, "help": "how often each caption is seen"},
    "--batch-size": {**_N, "help": "captions in an iteration"},
    "--learning-rate": {**_X, "help": "Adam's learning rate in the first epoch"},
    "--schedule": {"choices": SCHEDULES, "help": "how the learning rate falls: times --lr-decay after every epoch "
                   "(exponential), half a cosine to 0 (cosine), or times --lr-decay after every epoch whose validation "
                   "is no better than the best before (plateau)"},
    "--lr-decay": {**_X, "help": "what the exponential and plateau schedules multiply the learning rate by"},
    "--cosine-epochs": {**_N, "help": "after how many epochs the cosine reaches 0 (after all of them)"},
    "--warmup": {**_N, "help": "iterations in which the learning rate rises from 0"},
    "--beta2": {**_X, "help": "Adam's decay rate of squared gradients"},
    "--clip-norm": {"type": number_or_none, "metavar": "X", "help": "clip the norm of the gradient to X; 'none' does "
                    "not clip"},
    "--weight-decay": {**_X, "help": "weight decay, decoupled from the gradient as in AdamW"},
    "--average": {"type": number_or_none, "metavar": "X", "help": "validate and keep an exponential average of the "
                  "weights with this decay, such as 0.999; 'none' does not average"},
    "--patience": {**_N, "help": "stop after N epochs without a better validation (never)"},
    "--keep": {"choices": KEEP, "help": "which weights are kept as the best: those with the highest validation BLEU-4 "
               "(bleu), the highest CIDEr-D (cider), the highest exercise BLEU (exercise: unigram BLEU against one "
               "human caption, as the course's exercise has it) or the lowest validation loss (loss: the sum over a "
               "caption's words); of the first three, where these are equal, the lower loss decides"},
    "--val-part": {"choices": PARTS, "help": "validate on all validation images, or on one half, so that the other "
                   "can be reported"},
    "--val-images": {**_N, "help": "use at most N images of that part, drawn by the seed"},
    "--validate-every": {**_N, "help": "validate after every N iterations too, so that the best weights may be from "
                         "within an epoch (only at the end of epochs)"},
    "--label-smoothing": {**_X, "help": "share of the target that is spread over all words, from 0 to below 1"},
    "--buckets": {**_N, "help": "sort captions by length over N batches at a time, so that those of a batch are about "
                  "as long: faster, with the same captions"},
    "--drafts": {**_N, "help": "how many captions are drawn for each picture"},
    # settings of a new captioner and its data
    "--model": {"choices": list(MODELS), "help": "the captioner of the source, whose cell starts from a picture's "
                "features, or one with attention, which looks at the places of the picture before each word; the data "
                "set needs …2014_regions.h5 for it"},
    "--cell": {"choices": list(CELLS), "help": "recurrent cell"},
    "--hidden": {**_N, "help": "size of the hidden state"},
    "--wordvec": {**_N, "help": "size of the word vectors"},
    "--dropout": {**_X, "help": "dropout of the word vectors and of the hidden states, from 0 to below 1"},
    "--feature-dropout": {**_X, "help": "of the source's captioner: dropout of the features"},
    "--forget-bias": {**_X, "help": "of the source's captioner with an LSTM: initial bias of the forget gate"},
    "--picture": {**_N, "help": "with attention: size of the vector that sums up the whole picture"},
    "--looking": {**_N, "help": "with attention: size of the keys and values of a place, all heads together"},
    "--heads": {**_N, "help": "with attention: number of attention heads"},
    "--scheduled-sampling": {**_X, "help": "share of the words read in the last epoch that are the captioner's own, "
                             "rising from 0 in the first"},
    "--captions": {"choices": CAPTIONS, "help": "learn from the captions as the HDF5 file stores them, perhaps cut, or "
                   "from the raw ones of captions.csv"},
    "--max-words": {**_N, "help": "with raw captions: cut them after so many words, without teaching that they end "
                    "there"},
    "--max-train": {**_N, "help": "use so many training captions, drawn by the seed (all)"},
    "--pca": {"action": argparse.BooleanOptionalAction, "help": "read the reduced features, …2014_vgg16_fc7_pca.h5, "
              "or the whole ones, …2014_vgg16_fc7.h5 (reduced if they are there)"},
}  # fmt: skip
"""Keyword arguments of `add_argument`; `group` names the group of the help that the option stands in."""

BEAM = ("--beam", "--length-power", "--min-length", "--no-repeat", "--groups", "--diversity", "--with", "--without")
CONSENSUS = ("--consensus", "--draft-temperature", "--neighbours")
TRAINING = (
    "--resume", "--checkpoint-every", "--max-iterations", "--threads", "--shards", "--quiet", "--batch-size",
    "--learning-rate", "--schedule", "--lr-decay", "--cosine-epochs", "--warmup", "--beta2", "--clip-norm",
    "--weight-decay", "--average", "--patience", "--keep", "--val-part", "--val-images", "--validate-every", "--seed",
)  # fmt: skip

_GROUPS = {
    "beam search": "several unfinished captions of an image are extended side by side, and the best\ncaption that they "
    "become is printed; each of these options turns it on, with a\nbeam of 5 where --beam is not given",
    "consensus": "many captions of an image are drawn, and the one is printed with which most of\nthem agree, and most "
    "captions of similar training images; --beam N: the best N\ncaptions of a beam are candidates too (10)",
}


def unchanged(*options: str) -> dict[str, dict[str, Any]]:
    """Return options of a command as they are in the table."""
    return {option: {} for option in options}


@dataclass(frozen=True)
class Command:
    """A command: what it is called, what it does, its options, and examples for its help.

    run: takes the options and returns the exit status. options: by the names of `OPTIONS`, what differs from there.
    settings: defaults of options, by attribute, that are absent from the namespace unless they are given.
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
            self.name, help=self.help, description=textwrap.fill(self.help[0].upper() + self.help[1:] + ".", 78),
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
    """A parser that prints a mistake in one line, which says where to read more."""

    def error(self, message: str) -> NoReturn:
        """End the process with status 2. Of several ranks, which all see the mistake, the first prints it."""
        launch = launch_of()
        if launch is not None and launch.rank:
            self.exit(2)
        self.exit(2, f"{self.prog}: {' '.join(message.split())} (usage: {self.prog} --help)\n")


def make_parser(commands: Iterable[Command], kind: type[CommandParser] = CommandParser, **texts: Any) -> CommandParser:
    """Return a parser of the commands; texts: its description and epilog."""
    parser = kind(prog="captioning", **texts)
    subparsers = parser.add_subparsers(title="commands", dest="name", metavar="COMMAND")
    for command in commands:
        command.add_to(subparsers)
    return parser


def data_folder(options: argparse.Namespace, run: Run | None) -> str | None:
    """Return the folder of the data: that of --data, or else the one that a run was trained on, if it is there."""
    remembered = None if run is None else run.settings["data"].get("folder")
    named: str | None = options.data
    if named is not None or run is None or remembered is None:
        return named
    if Path(remembered).is_dir():
        return str(remembered)
    if os.environ.get("CAPTIONING_DATA"):
        return None
    raise RunError(f"{run.folder}: was trained on the data in {remembered}, which is no folder any more: "
                   "say by --data DIR where it is now")  # fmt: skip


def check_output(out: str, suffix: str, photos: int = 0) -> None:
    """Raise an error that names --out unless a file of this kind, such as '.json', can be written there.

    The name must say the kind, so that nobody overwrites weights by mistake. photos: how many a sheet is to show.
    """
    if Path(out).suffix.lower() != suffix:
        raise ValueError(f"--out: the name must end in {suffix}; got {out}")
    check_writable(out)
    if suffix == ".png":
        require("matplotlib.figure", "caption")
        if photos > (most := most_pictures(named=True)):
            raise ValueError(f"--out: a sheet has room for at most {most} photos; got {photos}")
