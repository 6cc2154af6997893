"""What `train` and `refine` share of their options, and how settings are made of them.

Options without a default here take it from a dataclass, from a command's own defaults or, with --resume, from the run.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
from typing import Any

from captioning.data.parts import PARTS
from captioning.training.solver import KEEP

__all__ = ["DATA_DEFAULTS", "add_run", "add_training", "dataclass_from", "defaults_of", "given_settings"]

DATA_DEFAULTS: dict[str, Any] = {"pca": None, "max_train": None}
_NOT_SETTINGS = {"name", "command", "data", "out", "resume", "quiet", "run"}


def add_run(parser: argparse.ArgumentParser, free: str) -> None:
    """The options --out, --resume and --quiet. free: the option that may change what a resumed run does."""
    parser.add_argument("--out", metavar="RUN", required=True, help="the run folder to make (or to resume)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in RUN, exactly where it stopped; "
                        f"its settings hold, and only {free} may be changed")  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")


def add_training(parser: argparse.ArgumentParser, d: dict[str, Any]) -> None:
    """The settings of every training; d: their defaults, for the help."""
    option = functools.partial(parser.add_argument, default=argparse.SUPPRESS)
    option("--batch-size", type=int, metavar="N", help=f"captions in an iteration ({d['batch_size']})")
    option("--learning-rate", type=float, metavar="X", help=f"Adam's learning rate ({d['learning_rate']})")
    option("--lr-decay", type=float, metavar="X", help=f"times which, after every epoch ({d['lr_decay']})")
    option("--clip-norm", type=_limit, metavar="X",
           help=f"largest norm of the gradient, or 'none' ({d['clip_norm']})")  # fmt: skip
    option("--weight-decay", type=float, metavar="X", help=f"decoupled, as in AdamW ({d['weight_decay']})")
    option("--patience", type=int, metavar="N", help="stop after N epochs without a better one (never)")
    option("--keep", choices=KEEP, help="keep the epoch with the highest validation BLEU-4, the highest exercise BLEU "
           f"or the lowest validation loss ({d['keep']})")  # fmt: skip
    option("--val-part", choices=PARTS, help="the validation images that decide which epoch is kept "
           f"({d['val_part']} half)")  # fmt: skip
    option("--val-images", type=int, metavar="N", help=f"at most so many of them ({d['val_images']})")
    option("--seed", type=int, metavar="N", help=f"of everything random ({d['seed']})")


def _limit(text: str) -> float | None:
    return None if text == "none" else float(text)


def given_settings(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that stand on the command line."""
    return {name: value for name, value in vars(options).items() if name not in _NOT_SETTINGS}


def defaults_of(*classes: Any) -> dict[str, Any]:
    """The defaults of all fields of dataclasses."""
    return {field.name: field.default for kind in classes for field in dataclasses.fields(kind)}


def dataclass_from(kind: Any, values: dict[str, Any]) -> Any:
    """An instance of the dataclass `kind` from those of the values that are its fields."""
    return kind(**{field.name: values[field.name] for field in dataclasses.fields(kind) if field.name in values})
