"""Options of a training that would do nothing beside the others, which are refused instead of being recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from captioning.training.solver import Solver

__all__ = ["check_used", "check_warmup"]

_NEEDS: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "picture": (("model", ("attention",)),),
    "looking": (("model", ("attention",)),),
    "heads": (("model", ("attention",)),),
    "feature_dropout": (("model", ("source",)),),
    "forget_bias": (("model", ("source",)), ("cell", ("lstm",))),
    "cosine_epochs": (("schedule", ("cosine",)),),
    "lr_decay": (("schedule", ("exponential", "plateau")),),
    "max_words": (("captions", ("raw",)),),
}
"""Of each such option the options without which it does nothing, and what these must be."""


def check_used(given: Mapping[str, Any], chosen: Mapping[str, Any]) -> None:
    """Raise a ValueError for an option of a new training that the others leave nothing to do.

    given: what stands on the command line. chosen: all settings, with those that nobody gave. Both by their names in
    Python.

    >>> check_used({"heads": 2}, {"model": "attention"})
    >>> check_used({"heads": 2}, {"model": "source"})
    Traceback (most recent call last):
    ValueError: --heads does nothing with --model source: it needs --model attention
    """
    for name in given:
        for other, fitting in _NEEDS.get(name, ()):
            if other in chosen and chosen[other] not in fitting:
                wanted = " or ".join(f"--{other} {value}" for value in fitting)
                raise ValueError(f"{_option(name)} does nothing with --{other} {chosen[other]}: it needs {wanted}")


def check_warmup(given: Mapping[str, Any], solver: Solver) -> None:
    """Raise a ValueError if --warmup was given and lasts longer than the whole training."""
    if given.get("warmup", 0) > solver.total:
        has = f"{solver.total} iteration{'s' if solver.total > 1 else ''}"
        raise ValueError(
            f"--warmup {given['warmup']} lasts longer than the training, which has {has}: the learning rate would "
            "never get to where it begins"
        )


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
