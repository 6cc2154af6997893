"""What `train` and `refine` share of their options, and how settings are made of them.

Options without a default here take it from a dataclass, from a command's own defaults or, with --resume, from the run.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
from typing import Any

from captioning.data.parts import PARTS
from captioning.data.whole_captions import LONGEST_LEARNT
from captioning.training.schedules import SCHEDULES, parse_interval
from captioning.training.settings import KEEP
from captioning.training.solver import CHECKPOINT_EVERY

__all__ = [
    "DATA_DEFAULTS",
    "add_run",
    "add_training",
    "at_least_one",
    "dataclass_from",
    "defaults_of",
    "given_settings",
]

DATA_DEFAULTS: dict[str, Any] = {
    "pca": None, "max_train": None, "regions": False, "captions": "stored", "max_words": LONGEST_LEARNT,
}  # fmt: skip
"""How a data set is read for a training, unless told otherwise: arguments of `open_captions`."""
_NOT_SETTINGS = {"name", "command", "data", "out", "resume", "quiet", "run", "checkpoint_every", "max_iterations",
                 "threads", "shards", "go_on"}  # fmt: skip


def add_run(parser: argparse.ArgumentParser, free: str) -> None:
    """The options of the run folder and of how it is worked at. free: the option that may change what a resumed run
    does.

    `go_on` is no option: the line that goes on where a training was stopped, where it is not the command's own.
    """
    parser.set_defaults(go_on=None)
    option = parser.add_argument
    option("--out", metavar="RUN", required=True, help="the run folder to make (or to resume)")
    option("--resume", action="store_true", help="go on with the run in RUN, exactly where its last checkpoint is; "
           f"its settings hold, and only {free} may be changed")  # fmt: skip
    option("--checkpoint-every", type=_interval, default=CHECKPOINT_EVERY, metavar="TIME", help="write a checkpoint "
           "after so much time (30s, 5m, 2h) or so many iterations (1000); 'never': at the end of epochs alone, where "
           f"one is written anyway ({CHECKPOINT_EVERY})")  # fmt: skip
    option("--max-iterations", type=int, metavar="N", help="stop when N iterations are done in all, with a checkpoint; "
           "--resume goes on from there (until all epochs are done)")  # fmt: skip
    option("--threads", type=at_least_one, metavar="N", help="compute with N threads; another number gives weights "
           "that differ in their last digits (as many as there are processors, or as OPENBLAS_NUM_THREADS says; with "
           "--resume: as the run began)")  # fmt: skip
    option("--shards", type=at_least_one, metavar="N", help="cut each batch into N shards, whose gradients are summed "
           "in their order: the same bits on any number of ranks, of `mpiexec -n RANKS " + parser.prog + "`, up to N "
           "(as many as ranks; with --resume: as the run began)")  # fmt: skip
    option("--quiet", action="store_true", help="no progress on standard error")


def add_training(parser: argparse.ArgumentParser, d: dict[str, Any], of_captions: bool = True) -> None:
    """The settings of a training; d: their defaults, for the help.

    of_captions: whether it learns to say given captions. If not, its batches are of pictures, and what only captions
    have a use for is left out.
    """
    option = functools.partial(parser.add_argument, default=argparse.SUPPRESS)
    batch = "captions" if of_captions else "pictures"
    option("--batch-size", type=int, metavar="N", help=f"{batch} in an iteration ({d['batch_size']})")
    option("--learning-rate", type=float, metavar="X", help="Adam's learning rate in the first epoch "
           f"({d['learning_rate']})")  # fmt: skip
    option("--schedule", choices=SCHEDULES, help="how the learning rate falls: times --lr-decay after every epoch "
           "(exponential), half a cosine to 0 (cosine), or times --lr-decay after every epoch whose validation is no "
           f"better than the best before (plateau) ({d['schedule']})")  # fmt: skip
    option("--lr-decay", type=float, metavar="X", help="what the learning rate is multiplied by then "
           f"({d['lr_decay']})")  # fmt: skip
    option("--cosine-epochs", type=int, metavar="N", help="after how many epochs the cosine is at 0, if it is not "
           "after all of them")  # fmt: skip
    option("--warmup", type=int, metavar="N", help="iterations in which the learning rate rises from 0 to where it "
           f"begins ({d['warmup']})")  # fmt: skip
    option("--beta2", type=float, metavar="X", help=f"Adam's memory of squared gradients ({d['beta2']})")
    option("--clip-norm", type=_limit, metavar="X", help="shrink the gradient to this norm where it is larger, or "
           f"'none' ({d['clip_norm']})")  # fmt: skip
    option("--weight-decay", type=float, metavar="X", help="pull the weights towards 0, decoupled from the gradient as "
           f"in AdamW ({d['weight_decay']})")  # fmt: skip
    option("--average", type=_decay, metavar="X", help="validate and keep an exponential average of the weights, with "
           "this decay, such as 0.999, or 'none' (none)")  # fmt: skip
    option("--patience", type=int, metavar="N", help="stop after N epochs without a better validation (never)")
    option("--keep", choices=KEEP, help="which weights are kept as the best: those with the highest validation BLEU-4 "
           "(bleu), the highest CIDEr-D (cider), the highest exercise BLEU (exercise: unigram BLEU against one human "
           "caption, as the course's exercise has it) or the lowest validation loss (loss: the sum over a caption's "
           f"words); of the first three, where these are equal, the lower loss decides ({d['keep']})")  # fmt: skip
    option("--val-part", choices=PARTS, help="which of the validation images decide that: all, or one half, so that "
           f"the other can be reported ({d['val_part']})")  # fmt: skip
    option("--val-images", type=int, metavar="N", help="use at most N images of that part, drawn by the seed "
           f"({d['val_images']})")  # fmt: skip
    option("--validate-every", type=int, metavar="N", help="validate after every N iterations too, so that the best "
           "weights may be from within an epoch (at the end of epochs alone)")  # fmt: skip
    option("--seed", type=int, metavar="N", help="what everything random is drawn by: first weights, the order of "
           f"captions, dropout; at least 0 ({d['seed']})")  # fmt: skip
    if of_captions:
        option("--label-smoothing", type=float, metavar="X", help="share of the target that is spread over all words, "
               f"from 0 to below 1 ({d['label_smoothing']})")  # fmt: skip
        option("--buckets", type=int, metavar="N", help="sort captions by length over N batches at a time, so that "
               f"those of a batch are about as long: quicker, at the same captions ({d['buckets']})")  # fmt: skip


def _limit(text: str) -> float | None:
    try:
        return None if text == "none" else float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be a number above 0, or none; got {text!r}") from error


def _decay(text: str) -> float | None:
    try:
        return None if text == "none" else float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to below 1, or none; got {text!r}") from error


def _interval(text: str) -> str:
    try:
        parse_interval(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text


def at_least_one(text: str) -> int:
    """A number of threads, as the type of an option."""
    if not text.isdecimal() or not text.isascii() or not 1 <= int(text) <= _MOST_THREADS:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to {_MOST_THREADS}; got {text!r}")
    return int(text)


_MOST_THREADS = 1024


def given_settings(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that stand on the command line."""
    return {name: value for name, value in vars(options).items() if name not in _NOT_SETTINGS}


def defaults_of(*classes: Any) -> dict[str, Any]:
    """The defaults of all fields of dataclasses."""
    return {field.name: field.default for kind in classes for field in dataclasses.fields(kind)}


def dataclass_from(kind: Any, values: dict[str, Any]) -> Any:
    """An instance of the dataclass `kind` from those of the values that are its fields."""
    return kind(**{field.name: values[field.name] for field in dataclasses.fields(kind) if field.name in values})
