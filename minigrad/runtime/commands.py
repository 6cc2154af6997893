"""How a command of this project begins and ends: its options, its output, its errors and its exit status."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

MISTAKES = (ValueError, TypeError, OSError, ModuleNotFoundError)
"""What a wrong option or file raises."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, as `kill` and a machine that shuts down send it: it ends a command as Ctrl-C does."""


def run_command(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    command: Callable[[argparse.Namespace], int],
    mistakes: tuple[type[Exception], ...] = MISTAKES,
) -> int:
    """Parse a command line (`sys.argv` by default), call `command` with the options, return the exit status.

    The status is that of `command`; 2 for one of `mistakes`, and where memory or room for the output does not suffice,
    with one line on standard error that begins with the parser's name and that of its subcommand, `options.name`; 130
    after Ctrl-C and 143 after SIGTERM, which interrupts like it, so that nothing half written stays, with the line that
    the interrupt has been given, such as `type(stop)("stopped; go on with …")`, or "stopped"; 1 if the reader of
    the output has left. Output that the terminal's encoding does not have is written as `\\u2026`; output that was
    closed (`>&-`) goes nowhere.

    >>> parser = argparse.ArgumentParser(prog="halve")
    >>> _ = parser.add_argument("number", type=int)
    >>> run_command(parser, ["8"], lambda options: print(options.number // 2) or 0)
    4
    0
    """
    name = parser.prog
    with _usable_streams(), _terminated_as_interrupted():
        try:
            options = parser.parse_args(arguments)
            name = " ".join(filter(None, [name, getattr(options, "name", None)]))
            status = command(options)
            sys.stdout.flush()
            return status
        except BrokenPipeError:
            _to_nowhere(sys.stdout)
            return 1
        except KeyboardInterrupt as stop:
            number = signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT
            return _say(name, _one_line(stop) if str(stop) else "stopped", 128 + number)
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


def _say(name: str, text: str, status: int) -> int:
    """Say on standard error how the command ended."""
    try:
        sys.stdout.flush()
    except OSError:  # what could not be written is not to be tried again when Python ends
        _to_nowhere(sys.stdout)
    with contextlib.suppress(OSError):
        print(f"{name}: {text}", file=sys.stderr, flush=True)
    return status


def _one_line(error: BaseException) -> str:
    """What an error says, without the number that Python puts before an OSError's words, or its kind's name."""
    text = re.sub(r"\[Errno \d+\] ", "", str(error))
    return " ".join(text.split()) or type(error).__name__


def _to_nowhere(stream: TextIO) -> None:
    """Let what is still in a stream's buffer, and whatever follows, go nowhere."""
    with contextlib.suppress(OSError, ValueError):  # a stream of a test has no file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextlib.contextmanager
def _usable_streams() -> Iterator[None]:
    """Standard output and error that exist and take any character; as they were afterwards."""
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
        yield


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM raise `Terminated`, unless the process has a way with it of its own, or handles no signals here."""
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if not ours:
        yield
        return

    def handle(number: int, frame: Any) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _may_refuse(stream: TextIO) -> bool:
    """Whether there are characters that a stream raises an error for."""
    escaping = stream.errors == "surrogateescape"  # as in the locale C, whose encoding may be UTF-8 all the same
    return stream.errors == "strict" or (escaping and stream.encoding.lower().replace("-", "") != "utf8")
