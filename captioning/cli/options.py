"""Define all options in one table, and build the parser of all commands."""

from __future__ import annotations

import argparse
import math
import os
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
    "make_parser", "naming_options", "number", "unchanged",
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


def number_or_none(text: str) -> Any:
    """Return a number of at least 0, or None for 'none'; an argparse type."""
    return None if text == "none" else number(float, 0)(text)


def time_or_iterations(text: str) -> str:
    """Return a text such as '5m' or '1000' that `parse_interval` accepts; an argparse type."""
    try:
        parse_interval(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


_FLAG: dict[str, Any] = {"action": "store_true"}
_N: dict[str, Any] = {"type": int, "metavar": "N"}
_X: dict[str, Any] = {"type": float, "metavar": "X"}
_COUNT: dict[str, Any] = {"type": number(int, 1), "metavar": "N"}
_THREADS: dict[str, Any] = {"type": number(int, 1, MOST_THREADS), "metavar": "N"}
_BEAM: dict[str, Any] = {"group": "beam search"}
_CONSENSUS: dict[str, Any] = {"group": "consensus"}
_ATTENTION = {"model": ("attention",)}
_OF_START = ("model", "cell", "captions")  # what a run to start from decides

OPTIONS: dict[str, dict[str, Any]] = {
    # runs and data sets
    "run": {"metavar": "RUN", "help": "a run folder written by train, refine or reinforce, or shipped, the Flickr8k "
            "captioner"},
    "--data": {"metavar": "DIR", "help": "data set folder in the CS231n MS-COCO layout (default: the data set of RUN, "
               "else $CAPTIONING_DATA)"},
    "--out": {"metavar": "RUN", "required": True, "help": "the run folder to create"},
    "--photos-dir": {"metavar": "DIR", "help": "folder of the photos, if they have moved since `captioning prepare`"},
    "--split": {"choices": ALL_SPLITS, "default": "val", "help": "the split to use; test exists only in data sets with "
                "test_captions"},
    "--part": {"choices": PARTS, "default": "all", "help": "use all images of the split, or the first or second half "
               "of its rows"},
    "--max-images": {**_COUNT, "help": "use at most N images, sampled with --seed (default: all)"},
    "--extractor": {"metavar": "NAME", "help": "the network that computed the training features of RUN; needed only if "
                    "RUN does not record it"},
    "--seed": {"type": number(int, 0), "metavar": "N", "default": 0, "help": "random seed"},
    "--json": {**_FLAG, "help": "print one JSON object"},
    "--quiet": {**_FLAG, "help": "do not print progress on standard error"},
    # how captions are decoded
    "--max-length": {"type": number(int, 1, LONGEST_CHOICE), "metavar": "N", "help": "the maximum caption length in "
                     f"words, counting the end token, 1 to {LONGEST_CHOICE} (default: the length of the split's "
                     "longest human caption, at most 50)"},
    "--temperature": {**_X, "help": "sample words from softmax(scores / X) instead of taking the most likely one"},
    "--top-k": {**_N, "help": "sample only from the N most likely words"},
    "--beam": {**_BEAM, **_N, "help": "beam width, 1 to 100; 1 is greedy. Complete captions are preferred to truncated "
               "ones (default: 5)"},
    "--length-power": {**_BEAM, **_X, "help": "rank captions by log-probability / length^X: 0 favours short captions, "
                       "1 (the mean per word) longer ones. The best value depends on the run; try 0.7 to 1.4 "
                       "(default: 1)"},
    "--min-length": {**_BEAM, **_N, "help": "the minimum caption length in words, counting the end token (default: 1)"},
    "--no-repeat": {**_BEAM, **_N, "help": "never repeat a sequence of N words in a caption; 1 forbids repeated words "
                    "(default: repetition is allowed)"},
    "--doubled-words": {**_BEAM, "action": "store_true", "default": None, "help": "allow a word to follow itself, "
                        "alone or after 'and': 'black and black'"},
    "--groups": {**_BEAM, **_N, "help": "divide the beam into N groups that avoid each other's words, for captions "
                 "that differ in more than one word; N must divide the width (default: 1)"},
    "--diversity": {**_BEAM, **_X, "needs": {"groups": ()}, "help": "penalty on a word's log-probability for each "
                    "caption of an earlier group with that word at the same position (default: 0.5)"},
    "--with": {**_BEAM, "dest": "required", "action": "append", "metavar": "WORD", "help": "a word that every caption "
               "must contain; up to five times"},
    "--without": {**_BEAM, "dest": "banned", "action": "append", "metavar": "WORD", "help": "a word that no caption "
                  "may contain; any number of times"},
    "--consensus": {**_CONSENSUS, **_N, "help": f"sample N captions of each image, 1 to {MOST_DRAFTS}; 40 are enough"},
    "--draft-temperature": {**_CONSENSUS, **_X, "needs": {"consensus": ()}, "help": "sample their words from "
                            "softmax(scores / X); for a run of reinforce, use a number above 1, such as 1.4 (default: "
                            "1)"},
    "--neighbours": {**_CONSENSUS, **_N, "needs": {"consensus": ()}, "help": "compare with the captions of the N most "
                     "similar training images; 0 compares with none (default: 20)"},
    "--n-best": {**_N, "help": "print the N best captions of the beam with their scores; --json adds word "
                 "probabilities"},
    # how training is run
    "--resume": {**_FLAG, "help": "resume the run in --out exactly from its last checkpoint with its settings; only "
                 "the number of epochs or rounds may change"},
    "--checkpoint-every": {"type": time_or_iterations, "default": CHECKPOINT_EVERY, "metavar": "TIME", "help":
                           "interval between checkpoints: a time (30s, 5m, 2h), a number of iterations (1000), or "
                           "'never'; every epoch also ends with one"},
    "--max-iterations": {**_COUNT, "help": "stop after N iterations in total and write a checkpoint; --resume "
                         "continues from there (default: no limit)"},
    "--threads": {**_THREADS, "help": "number of threads; changing it changes the last digits of the weights (default: "
                  "OPENBLAS_NUM_THREADS or the number of processors; with --resume, as in the run)"},
    "--shards": {**_THREADS, "help": "split each batch into N shards and sum their gradients in order; any number of "
                 "MPI ranks up to N then gives bit-identical weights: `mpiexec -n RANKS captioning train` (default: "
                 "the number of ranks; with --resume, as in the run)"},
    # training settings; each command has its own defaults
    "--epochs": {**_N, "help": "number of epochs"},
    "--batch-size": {**_N, "help": "captions per iteration"},
    "--learning-rate": {**_X, "help": "Adam's learning rate in the first epoch"},
    "--schedule": {"choices": SCHEDULES, "help": "learning-rate schedule: multiply by --lr-decay after every epoch "
                   "(exponential), follow half a cosine to 0 (cosine), or multiply by --lr-decay after each epoch "
                   "without a new best validation score (plateau)"},
    "--lr-decay": {**_X, "needs": {"schedule": ("exponential", "plateau")}, "help": "factor of the learning rate in "
                   "the exponential and plateau schedules"},
    "--cosine-epochs": {**_N, "needs": {"schedule": ("cosine",)}, "help": "the epoch at whose end the cosine reaches 0 "
                        "(default: the last one)"},
    "--warmup": {**_N, "help": "number of warm-up iterations, in which the learning rate rises from 0"},
    "--beta2": {**_X, "help": "Adam's decay rate of squared gradients"},
    "--clip-norm": {"type": number_or_none, "metavar": "X", "help": "clip the gradient norm to X; 'none' disables "
                    "clipping"},
    "--weight-decay": {**_X, "help": "weight decay, decoupled from the gradient as in AdamW"},
    "--average": {"type": number_or_none, "metavar": "X", "help": "validate and save an exponential moving average of "
                  "the weights with this decay, such as 0.999; 'none' disables it"},
    "--patience": {**_N, "help": "stop after N epochs without a new best validation score (default: never)"},
    "--keep": {"choices": KEEP, "help": "the validation score that selects the weights to keep: BLEU-4 (bleu), CIDEr-D "
               "(cider) or unigram BLEU against one human caption (exercise) of greedy captions, or the loss summed "
               "over a caption's words (loss); the lower loss breaks ties"},
    "--val-part": {"choices": PARTS, "help": "validate on all validation images, or on one half, so that you can "
                   "report scores on the other half"},
    "--val-images": {**_N, "help": "use at most N images of that part, sampled with --seed"},
    "--validate-every": {**_N, "help": "also validate every N iterations, so that the best weights can come from the "
                         "middle of an epoch (default: only at the end of each epoch)"},
    "--label-smoothing": {**_X, "help": "share of the target probability spread over all words, at least 0 and below "
                          "1"},
    "--buckets": {**_N, "help": "sort the captions of N batches by length, so that each batch needs less padding and "
                  "trains faster"},
    "--drafts": {**_N, "help": "number of captions to sample per image"},
    # settings of a new captioner and its data
    "--model": {"choices": list(MODELS), "help": "source: an RNN that starts from the image features, as in CS231n; "
                "attention: a captioner that attends to image regions before each word (needs ...2014_regions.h5)"},
    "--cell": {"choices": list(CELLS), "help": "recurrent cell"},
    "--hidden": {**_N, "help": "size of the hidden state"},
    "--wordvec": {**_N, "help": "size of the word vectors"},
    "--dropout": {"type": number(float, 0, 0.999), "metavar": "X", "help": "dropout of the word vectors and of the "
                  "hidden states"},
    "--feature-dropout": {**_X, "needs": {"model": ("source",)}, "help": "with --model source: dropout of the "
                          "features"},
    "--forget-bias": {**_X, "needs": {"model": ("source",), "cell": ("lstm",)}, "help": "with --model source and "
                      "--cell lstm: initial bias of the forget gate"},
    "--picture": {**_N, "needs": _ATTENTION, "help": "with --model attention: size of the vector that summarises the "
                  "whole image"},
    "--attention-size": {**_N, "needs": _ATTENTION, "help": "with --model attention: total size of the keys and values "
                         "of a region over all heads"},
    "--heads": {**_N, "needs": _ATTENTION, "help": "with --model attention: number of attention heads"},
    "--scheduled-sampling": {**_X, "help": "scheduled sampling: the share of input words that the captioner's own "
                             "predictions replace; it rises from 0 in the first epoch to X in the last"},
    "--captions": {"choices": CAPTIONS, "help": "train on the captions in the HDF5 file, which may be truncated "
                   "(stored), or on those in captions.csv (raw)"},
    "--max-words": {**_COUNT, "needs": {"captions": ("raw",)}, "help": "with --captions raw: truncate captions after N "
                    "words, without an end token"},
    "--max-train": {**_COUNT, "help": "use N training captions, sampled with --seed (default: all)"},
    "--pca": {"action": argparse.BooleanOptionalAction, "help": "use the reduced features (...2014_vgg16_fc7_pca.h5) "
              "or the full ones (...2014_vgg16_fc7.h5) (default: the reduced ones if they exist)"},
}  # fmt: skip
"""Keyword arguments of `add_argument`, and two more.

group: the group of the option in the help. needs: the options without which this one has no effect, and their values;
no values allow any.
"""

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
    "consensus": "A consensus samples many captions of an image, and chooses the one that agrees best with\nthe others "
    "and with the captions of similar training images. The best captions of a beam\nare candidates too; --beam sets "
    "their number (default: 10).",
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
            epilog=self.example, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
        )  # fmt: skip
        parser.set_defaults(command=self.run)
        parser.settings = self.settings
        groups = {None: parser}
        for option, changes in self.options.items():
            keywords = {**OPTIONS.get(option, {}), **changes}
            group, needs = keywords.pop("group", None), keywords.pop("needs", {})
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
                action.help += f" (default: {default})"
            parser.needs += tuple((action, *need) for need in needs.items())


class CommandParser(argparse.ArgumentParser):
    """A parser that prints an error in one line, with the command for help.

    settings: defaults of absent options. needs: options, each with the name and the values of another that it needs.
    """

    settings: Mapping[str, Any] = {}
    needs: Sequence[tuple[argparse.Action, str, Sequence[str]]] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse unknown arguments here, because the parser of all commands would name itself and not the command."""
        known, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        self._check_needs(vars(known))
        return known, unknown

    def print_help(self, file: Any = None) -> None:
        """Print the help. Unlike that of argparse, this raises the OSError of a full disk or a broken pipe."""
        print(self.format_help(), end="", file=file)

    def _check_needs(self, given: Mapping[str, Any]) -> None:
        """Refuse an option that has no effect without another one, unless a run decides on the other one."""
        values = {**self.settings, **given}
        for action, name, accepted in self.needs:
            known = values.get("resume") or (name in _OF_START and values.get("run"))
            used = given.get(action.dest, action.default) != action.default
            if used and not known and (values[name] is None or (accepted and values[name] not in accepted)):
                self.error(f"{action.option_strings[0]} needs --{name} {' or '.join(accepted)}".rstrip())

    def error(self, message: str) -> NoReturn:
        """Exit with status 2. All ranks have this error, and the first one prints it."""
        launch = launch_of()
        if launch is not None and launch.rank:
            self.exit(2)
        self.exit(2, f"{self.prog}: {' '.join(message.split())} (usage: {self.prog} --help)\n")


def make_parser(commands: Iterable[Command], kind: type[CommandParser] = CommandParser, **texts: Any) -> CommandParser:
    """Return a parser of the commands. texts: its description and epilog."""
    parser = kind(prog="captioning", allow_abbrev=False, **texts)
    subparsers = parser.add_subparsers(title="commands", dest="name", metavar="COMMAND")
    for command in commands:
        command.add_to(subparsers)
    return parser


@contextmanager
def naming_options(**names: str) -> Iterator[None]:
    """Replace the names of arguments in a ValueError by those of options: its first word, and words with underscores.

    names: the options of arguments with other names.

    >>> with naming_options(width="--beam"):
    ...     raise ValueError("width must be more than top_k; got 2")
    Traceback (most recent call last):
    ValueError: --beam must be more than --top-k; got 2
    """
    try:
        yield
    except ValueError as error:
        option = lambda found: names.get(found[0], "--" + found[0].replace("_", "-"))  # noqa: E731
        raise ValueError(re.sub(r"^\w+|(?<!')\b[a-z]+_[a-z_]+\b", option, str(error))) from error


def data_folder(options: argparse.Namespace, *runs: Run | None) -> str | None:
    """Return the folder of --data, or else the folder that the first run that records one was trained on."""
    recorded = ((run, run.settings["data"].get("folder")) for run in runs if run is not None)
    run, remembered = next(((run, folder) for run, folder in recorded if folder is not None), (None, None))
    named: str | None = options.data
    if named is not None or run is None or remembered is None:
        return named
    if Path(remembered).is_dir():
        return str(remembered)
    if os.environ.get("CAPTIONING_DATA"):
        return None
    raise RunError(f"{run.folder}: was trained on the data in {remembered}, which no longer exists. Pass the folder "
                   "with --data DIR.")  # fmt: skip


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
