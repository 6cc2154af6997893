"""The command: `python -m benchmarks.scale COMMAND`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.machine import describe
from benchmarks.scale.forwarder import Wire
from benchmarks.scale.places import KINDS, Place, place_of, run_by_mpiexec
from benchmarks.scale.predictions import Known, table_of_checks, table_of_predictions
from benchmarks.scale.runs import OURS, THEIRS, Case, cases_of, measure
from benchmarks.scale.tables import median_of, table, table_of_constants, table_of_messages
from benchmarks.scale.work import Work
from captioning.command import check_writable, run_command
from minigrad.runtime.files import replacing

__all__ = ["main"]

_MISTAKES = (ValueError, OSError, ModuleNotFoundError)
_DESCRIPTION = """What training on ranks costs: a captioner's training steps on 1, 2, 4 … ranks of mpiexec.

    step        measure steps, and what communication is of them; --beside-torch measures PyTorch's DDP with gloo, too
    network     measure messages between two ranks: what the model takes for a message and for a byte
    constants   measure what the model needs of one rank: a step by its captions, and a sum without travel
    model       put the model beside what was measured, and say what it says of many ranks
    picture     draw that
    show        the tables of earlier results again

A --place is where ranks run:

{places}

On two hosts a process forwards packets between two TUN devices, and --delay, --loss and --rate say how badly; it
computes on the same processors as the ranks.

    python -m benchmarks.scale constants --json constants.json
    python -m benchmarks.scale network --place hosts --json network.json
    python -m benchmarks.scale step --place hosts --ranks 1 2 --beside-torch --json step.json
    python -m benchmarks.scale model constants.json network.json step.json
"""
_QUICK = {"captions": 8, "steps": 3, "words": 50, "features": 8, "wordvec": 8, "hidden": 16}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; whatever it started is ended, however it ends."""
    return run_command(_parser(), arguments, _run, _MISTAKES)


def _run(options: argparse.Namespace) -> int:
    if getattr(options, "json", None):
        check_writable(options.json)
    commands = {"step": _step, "network": _network, "constants": _constants, "model": _model, "picture": _picture,
                "show": _show}  # fmt: skip
    try:
        commands[options.name](options)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        if not hasattr(options, "files"):
            raise
        raise ValueError("the files are damaged, or of another version of python -m benchmarks.scale "
                         f"({type(error).__name__}: {error})") from error  # fmt: skip
    return 0


# ---------------------------------------------------------------------- commands
def _step(options: argparse.Namespace) -> None:
    work = _work(options)
    frameworks = [OURS, *[THEIRS] * options.beside_torch]
    cases = cases_of(options.ways, options.ranks, frameworks, work, options.on_each, options.shards)
    with place_of(options.place, _wire(options)) as place:
        measure(cases, place, options.rounds, _say)
    _tell(options, {**_where(options), "cases": [case.plain() for case in cases]})


def _network(options: argparse.Namespace) -> None:
    with place_of(options.place, _wire(options)) as place:
        _say(f"messages: {options.place}")
        messages = _messages(place, options.repeats)
    _tell(options, {**_where(options), "messages": messages})


def _messages(place: Place, repeats: int) -> Any:
    return run_by_mpiexec(place, 2, "benchmarks.scale.pingpong", str(repeats))


def _constants(options: argparse.Namespace) -> None:
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with place_of("memory", Wire()) as place:
        arguments = [_work(options).text(), *map(str, options.rows)]
        rounds: dict[int, list[dict[str, Any]]] = {copies: [] for copies in sorted({1, processors})}
        for number in range(options.rounds):
            for copies, runs in rounds.items():
                _say(f"round {number + 1} of {options.rounds}: one rank, {copies} at once")
                runs.append(run_by_mpiexec(place, copies, "benchmarks.scale.constants", *arguments))
    found = {copies: median_of(runs) for copies, runs in rounds.items()}
    beside = {str(copies): one for copies, one in found.items()}
    _tell(options, {"work": asdict(_work(options)), "beside": beside})


def _model(options: argparse.Namespace) -> None:
    known = Known.of([_read(path) for path in options.files])
    for line in table_of_checks(known):
        print(line)
    print()
    of_many = (options.ranks, options.rates, 1e-6 * options.alpha, options.batch, options.on_each)
    for line in table_of_predictions(known, known.work.sizes, *of_many):
        print(line)


def _show(options: argparse.Namespace) -> None:
    for path in options.files:
        for line in _lines(_read(path)):
            print(line)
        print()


def _lines(found: dict[str, Any]) -> Iterable[str]:
    """The table of a result."""
    if found["command"] == "step":
        return table([Case.of(plain) for plain in found["cases"]])
    if found["command"] == "network":
        return table_of_messages(found["messages"])
    return table_of_constants([rows for rows, _ in found["beside"]["1"]["compute"]], found["beside"])


def _picture(options: argparse.Namespace) -> None:
    from benchmarks.scale.drawing import draw

    draw(Known.of([_read(path) for path in options.files]), options.out, 1e-6 * options.alpha, options.on_each)


def _read(path: Path) -> dict[str, Any]:
    """The JSON of an earlier command.

    Raises:
        ValueError: if it is another file.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        found["command"], found["machine"]["processors"]
        list(_lines(found))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"{path} is no result of python -m benchmarks.scale … --json") from error
    return dict(found)


# ---------------------------------------------------------------------- what commands share
def _work(options: argparse.Namespace) -> Work:
    given = {"captions": getattr(options, "captions", None), "steps": getattr(options, "steps", None)}
    sizes = _QUICK if options.quick else {}
    bucket = 2**40 if getattr(options, "one_bucket", False) else None
    return Work(**{**sizes, "bucket_bytes": bucket, **{name: n for name, n in given.items() if n is not None}})


def _wire(options: argparse.Namespace) -> Wire:
    """The wire that is asked for.

    Raises:
        ValueError: if there is none where ranks run.
    """
    given = [name for name in ("delay", "loss", "rate", "mtu") if getattr(options, name) is not None]
    if given and options.place != "hosts":
        raise ValueError(f"--{given[0]} is of the wire between two hosts: --place hosts")
    wire = Wire()
    return Wire(
        delay=1e-3 * (options.delay or 0.0),
        loss=options.loss or 0.0,
        rate=None if options.rate is None else 1e9 * options.rate,
        mtu=wire.mtu if options.mtu is None else options.mtu,
    )


def _where(options: argparse.Namespace) -> dict[str, Any]:
    return {"place": options.place, "wire": vars(_wire(options))}


def _tell(options: argparse.Namespace, measured: dict[str, Any]) -> None:
    """Print the table of what was measured, and write all of it."""
    found = {"command": options.name, "machine": describe(), **measured}
    for line in _lines(found):
        print(line)
    if options.json:
        with replacing(options.json) as temporary:
            temporary.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# ---------------------------------------------------------------------- options
def _parser() -> argparse.ArgumentParser:
    places = "\n".join(f"    {kind:11} {words}" for kind, words in KINDS.items())
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=_DESCRIPTION.format(places=places),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    commands = parser.add_subparsers(dest="name", required=True, metavar="COMMAND")
    step = commands.add_parser("step", help="measure training steps on ranks")
    _add_step(step)
    network = commands.add_parser("network", help="measure messages between two ranks")
    network.add_argument("--repeats", type=_positive, default=20, metavar="N", help="messages of each size (20)")
    for command in (step, network):
        _add_place(command)
    constants = commands.add_parser("constants", help="measure one rank")
    rows = [1, 3, 6, 12, 25, 50, 100, 200]
    constants.add_argument("--rows", type=_positive, nargs="+", default=rows, metavar="N", help=f"captions ({rows})")
    model = commands.add_parser("model", help="the model beside what was measured, and of many ranks")
    picture = commands.add_parser("picture", help="draw what was measured and modelled")
    _add_model(model, picture)
    show = commands.add_parser("show", help="the tables of earlier results again")
    for command in (model, picture, show):
        command.add_argument("files", type=Path, nargs="+", metavar="FILE.json", help="of the other commands")
    for command in (step, constants):
        command.add_argument("--steps", type=_positive, metavar="N", help="that are timed in a run (12)")
        command.add_argument("--rounds", type=_positive, default=3, metavar="N", help="runs of each (3)")
    for command in (step, network, constants):
        command.add_argument("--json", type=Path, metavar="FILE", help="write all figures (into a folder that exists)")
    for command in (step, constants):
        command.add_argument("--quick", action="store_true", help="a tiny captioner: to see that it works")
    return parser


def _add_step(step: argparse.ArgumentParser) -> None:
    step.add_argument("--ranks", type=_positive, nargs="+", default=[1, 2, 4], metavar="N", help="(1 2 4)")
    step.add_argument("--ways", nargs="+", choices=["strong", "weak"], default=["strong", "weak"],
                      help="strong: a batch divided by ranks; weak: as many captions on each (both)")  # fmt: skip
    step.add_argument("--captions", type=_positive, metavar="N", help="of a batch, for strong scaling (100)")
    step.add_argument("--on-each", type=_positive, default=50, metavar="N", help="captions a rank, for weak (50)")
    step.add_argument("--shards", type=_positive, metavar="N", help="into which batches are cut (as many as ranks)")
    step.add_argument("--one-bucket", action="store_true", help="nothing travels before the pass has ended")
    step.add_argument("--beside-torch", action="store_true", help="the same in PyTorch DDP with gloo")


def _add_place(command: argparse.ArgumentParser) -> None:
    command.add_argument("--place", choices=list(KINDS), default="memory", help="where ranks run (memory)")
    command.add_argument("--delay", type=_amount, metavar="MS", help="of a packet from host to host (0)")
    command.add_argument("--loss", type=_share, metavar="SHARE", help="of packets, from 0 to below 1 (0)")
    command.add_argument("--rate", type=_amount, metavar="GBIT", help="a second, each way (as many as there can be)")
    command.add_argument("--mtu", type=_positive, metavar="BYTES", help="of the longest packet (65000)")


def _add_model(*commands: argparse.ArgumentParser) -> None:
    for command in commands:
        command.add_argument("--alpha", type=_amount, default=30.0, metavar="US", help="a message's microseconds (30)")
        command.add_argument("--on-each", type=_positive, default=50, metavar="N", help="captions a rank, weak (50)")
    model, picture = commands
    many = [2**n for n in range(3, 11)]
    model.add_argument("--ranks", type=_positive, nargs="+", default=many, metavar="N", help="(8 16 … 1024)")
    model.add_argument("--rates", type=_above_zero, nargs="+", default=[10.0, 100.0], metavar="GBIT", help="(10 100)")
    model.add_argument("--batch", type=_positive, default=1024, metavar="N", help="captions in all, strong (1024)")
    picture.add_argument("--out", type=Path, required=True, metavar="FILE.svg", help="(.svg, .png or .pdf)")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from 1 on")
    return int(text)


def _above_zero(text: str) -> float:
    return _number(text, lambda value: 0 < value < float("inf"), "must be a number above 0")


def _amount(text: str) -> float:
    return _number(text, lambda value: 0 <= value < float("inf"), "must be a number from 0 on")


def _share(text: str) -> float:
    return _number(text, lambda value: 0 <= value < 1, "must be from 0 to below 1")


def _number(text: str, good: Any, words: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not good(value):
        raise argparse.ArgumentTypeError(f"{text!r} {words}")
    return value
