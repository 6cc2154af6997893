"""How a command of this project begins and ends: its options, its output, its errors and its exit status."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

from minigrad.runtime.signals import Interrupts, interrupts, number_of
from minigrad.runtime.streams import Dropping

MISTAKES = (ValueError, TypeError, OSError, ModuleNotFoundError)
"""What a wrong option or file raises."""


def run_command(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    command: Callable[[argparse.Namespace], int],
    mistakes: tuple[type[Exception], ...] = MISTAKES,
    fill: Callable[[Any], Any] = lambda parser: None,
) -> int:
    """Parse a command line (`sys.argv` by default), call `command` with the options, return the exit status.

    The status is that of `command`; 2 for one of `mistakes`, and where memory or room for the output does not suffice,
    with one line on standard error that begins with the parser's name and that of its subcommand, `options.name`; 130
    after Ctrl-C and 143 after SIGTERM, which interrupts like it, so that nothing half written stays, with the line that
    the interrupt has been given, such as `type(stop)("stopped; go on with …")`, or "stopped"; 1 if the reader of
    the output has left. Output that the terminal's encoding does not have is written as `\\u2026`; output that was
    closed (`>&-`) goes nowhere, and so does what standard error cannot take. `fill` gives the parser its options where
    that takes a while, so that a signal in it ends in the same line.

    >>> parser = argparse.ArgumentParser(prog="halve")
    >>> _ = parser.add_argument("number", type=int)
    >>> run_command(parser, ["8"], lambda options: print(options.number // 2) or 0)
    4
    0
    """
    try:
        with interrupts() as stops, _usable_streams():
            return _run(parser, arguments, command, mistakes, fill, stops)
    except KeyboardInterrupt as stop:  # before the streams were usable, or after
        return _stopped(parser.prog, stop)


def _run(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    command: Callable[[argparse.Namespace], int],
    mistakes: tuple[type[Exception], ...],
    fill: Callable[[Any], Any],
    stops: Interrupts,
) -> int:
    name = parser.prog
    try:
        fill(parser)
        options = parser.parse_args(arguments)
        name = " ".join(filter(None, [name, getattr(options, "name", None)]))
        status = command(options)
        stops.check()
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        _to_nowhere(sys.stdout)
        return 1
    except KeyboardInterrupt as stop:
        return _stopped(name, stop)
    except MemoryError as error:
        return _say(name, f"not enough memory: {_one_line(error)}", 2)
    except mistakes as error:
        return _say(name, _one_line(error), 2)
    except SystemExit:
        with contextlib.suppress(OSError):  # of parser.parse_args, such as that of --help
            sys.stdout.flush()
            raise
        _to_nowhere(sys.stdout)
        return 1


def _stopped(name: str, stop: KeyboardInterrupt) -> int:
    return _say(name, _one_line(stop) if str(stop) else "stopped", 128 + number_of(stop))


def _say(name: str, text: str, status: int) -> int:
    """Say on standard error how the command ended."""
    for stream, line in ((sys.stdout, ""), (sys.stderr, f"{name}: {text}\n")):
        if stream is None:  # closed, and the signal came before anything was in its place
            continue
        try:
            stream.write(line)
            stream.flush()
        except OSError:  # what could not be written is not to be tried again when Python ends
            _to_nowhere(stream)
    return status


def _one_line(error: BaseException) -> str:
    """What an error says, or its kind's name, and its notes; without the number that Python gives an OSError."""
    text = " ".join(re.sub(r"\[Errno \d+\] ", "", str(error)).split()) or type(error).__name__
    return " ".join([text, *getattr(error, "__notes__", [])])


def _to_nowhere(stream: TextIO) -> None:
    """Let what is still in a stream's buffer, and whatever follows, go nowhere."""
    with contextlib.suppress(OSError, ValueError):  # a stream of a test has no file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextlib.contextmanager
def _usable_streams() -> Iterator[None]:
    """Standard output and error that exist and take any character, and the error anything; as they were afterwards."""
    with contextlib.ExitStack() as stack:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is None:  # the process was started with it closed
                nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
                stack.callback(setattr, sys, name, None)
                setattr(sys, name, nowhere)
            elif _may_refuse(stream) and hasattr(stream, "reconfigure"):
                stack.callback(stream.reconfigure, errors=stream.errors)
                stream.reconfigure(errors="backslashreplace")
        stack.enter_context(_dropping_errors())
        yield


@contextlib.contextmanager
def _dropping_errors() -> Iterator[None]:
    """What standard error cannot take is dropped: no work ends because nobody sees how far it is."""
    stream = sys.stderr
    sys.stderr = Dropping(stream)
    try:
        yield
    finally:
        sys.stderr = stream
        try:
            stream.flush()
        except OSError:  # or Python tries it again at its end, and changes the exit status
            _to_nowhere(stream)


def _may_refuse(stream: TextIO) -> bool:
    """Whether there are characters that a stream raises an error for."""
    escaping = stream.errors == "surrogateescape"  # as in the locale C, whose encoding may be UTF-8 all the same
    return stream.errors == "strict" or (escaping and stream.encoding.lower().replace("-", "") != "utf8")
