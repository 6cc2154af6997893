"""What `refine` and `reinforce` share: they train the captioner of a run further, into a run folder of their own."""

from __future__ import annotations

import argparse
import dataclasses
import functools
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import minigrad as mg
from captioning.cli.options import data_folder
from captioning.cli.ranks import on_ranks
from captioning.cli.resuming import (
    check_data,
    check_shards,
    run_to_resume,
    settings_to_resume,
    shards_for,
    train_in_folder,
    with_threads,
)
from captioning.cli.training_options import DATA_DEFAULTS, dataclass_from, given_settings
from captioning.cli.unused_options import check_used, check_warmup
from captioning.data.dataset import CaptionData, open_captions
from captioning.progress import Progress
from captioning.training.run_folder import Run
from captioning.training.run_settings import check_fields, settings_of
from captioning.training.settings import Settings
from captioning.training.solver import Solver

__all__ = ["Further", "train_further"]


@dataclass(frozen=True)
class Further:
    """A way to train further. name: of the command; key: of what settings.json says of it.

    free: the option that a resumed run may change. defaults: of options, where a dataclass has others. kinds: the
    dataclasses of its own settings. solver: makes the solver of model, splits, settings and instances of `kinds`.
    """

    name: str
    key: str
    free: str
    defaults: dict[str, Any]
    kinds: tuple[Any, ...]
    solver: Callable[..., Solver]


def train_further(options: argparse.Namespace, how: Further) -> int:
    """Carry out a command that trains further: a new run from that in `options.run`, or one that is resumed."""
    return on_ranks(functools.partial(_shared, options, how))


def _shared(options: argparse.Namespace, how: Further, comm: Any, fair: int, stack: ExitStack) -> int:
    with mg.parallel.agreed(comm):
        solver, run, start, settings, data = _prepared(options, how, comm, fair, stack)
    if run is None:
        with mg.parallel.together(comm):  # which validates
            began = solver.start_of(start)
        if comm.rank == 0:
            settings[how.key] = began | settings[how.key]
    return train_in_folder(solver, run, settings, data, options, start)


def _prepared(
    options: argparse.Namespace, how: Further, comm: Any, fair: int, stack: ExitStack
) -> tuple[Solver, Run | None, Run, dict[str, Any], CaptionData]:
    """What `train_in_folder` trains. Each rank prepares its own; rank 0 looks at all data, and speaks.

    fair: threads, unless told otherwise. stack: what is open until the training has ended.
    """
    first = comm.rank == 0
    given = given_settings(options)
    if options.resume == (options.run is not None):
        raise ValueError(f"{how.name} needs the run to start from, or --resume with --out alone")
    run = stack.enter_context(run_to_resume(options, comm))
    shards = shards_for(options, run, comm)
    stack.enter_context(with_threads(options, run, fair, told=first))
    if run is not None:
        given = settings_to_resume(run, how.name, given, free=how.free)
        check_fields(f"{run.folder / 'settings.json'}: {how.key}", run.settings[how.key], *how.kinds)
    start = Run.open(options.run) if run is None else run
    chosen = how.defaults | given
    training, *own = (dataclass_from(kind, chosen) for kind in (Settings, *how.kinds))
    check_shards(shards, training)
    if run is None:
        check_used(given, dataclasses.asdict(training))
    of_data = {key: start.settings["data"].get(key, default) for key, default in DATA_DEFAULTS.items()}
    drawn_by = start.settings["data"].get("seed", start.settings["training"].get("seed", 0))
    data = stack.enter_context(open_captions(data_folder(options, start), seed=drawn_by, **of_data))
    start.check_fits(data.train)
    start.check_as_many(len(data.train), data.folder)
    model = start.load_model() if run is None else run.new_model(rng=0)
    if run is None and "dropout" in given:
        model.dropout = given["dropout"]
    progress = Progress(enabled=first and not options.quiet)
    solver = how.solver(model, data.train, data.val, training, *own, progress=progress,
                        checkpoint_every=options.checkpoint_every, shards=shards, comm=comm)  # fmt: skip
    if run is None:
        check_warmup(given, solver)
    if not first:
        return solver, run, start, {}, data
    check_data(data, progress)
    settings = settings_of(model, solver.settings, data, **of_data, seed=drawn_by)
    settings[how.key] = {} if run is None else dict(run.settings[how.key])
    for each in own:
        settings[how.key] |= dataclasses.asdict(each)
    return solver, run, start, settings | {"shards": shards}, data
