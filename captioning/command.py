"""How a command begins and ends: options, output streams, signals, one-line errors and the exit status."""

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

from minigrad.runtime.files import replacing

__all__ = ["MISTAKES", "DroppingStream", "Terminated", "check_writable", "run_command", "shown", "sigterm_raises"]

MISTAKES = (ValueError, TypeError, OSError, ModuleNotFoundError)
"""What a wrong option or file raises."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, which `kill` and a shutdown send: it ends a command as Ctrl-C does."""

    number = signal.SIGTERM


def run_command(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    command: Callable[[argparse.Namespace], int],
    mistakes: tuple[type[Exception], ...] = MISTAKES,
    fill: Callable[[Any], Any] = lambda parser: None,
) -> int:
    """Parse a command line (`sys.argv` by default), call `command` with the options, and return the exit status.

    The status is:

    - that of `command`;
    - 1 if the reader of the output has left;
    - 2 after one of `mistakes`, and if memory or room for the output runs out;
    - 130 after Ctrl-C and 143 after SIGTERM, which interrupts like Ctrl-C, so that nothing half written stays.

    An error or interrupt prints one line on standard error. It begins with the parser's name and that of its
    subcommand, `options.name`, and ends with the text of the exception, such as `type(stop)("stopped; go on with …")`.
    Characters that the terminal's encoding lacks are written as `\\u2026`. Output to a closed stream (`>&-`) and errors
    that standard error cannot take are dropped. `fill` gives the parser its options where that takes a while, so that
    a signal meanwhile ends in the same line.

    >>> parser = argparse.ArgumentParser(prog="halve")
    >>> _ = parser.add_argument("number", type=int)
    >>> run_command(parser, ["8"], lambda options: print(options.number // 2) or 0)
    4
    0
    """
    try:
        with sigterm_raises(), _usable_streams():
            return _run(parser, arguments, command, mistakes, fill)
    except KeyboardInterrupt as stop:  # before the streams were usable, or after
        return _stopped(parser.prog, stop)


def _run(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    command: Callable[[argparse.Namespace], int],
    mistakes: tuple[type[Exception], ...],
    fill: Callable[[Any], Any],
) -> int:
    name = parser.prog
    try:
        fill(parser)
        options = parser.parse_args(arguments)
        name = " ".join(filter(None, [name, getattr(options, "name", None)]))
        status = command(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        _discard(sys.stdout)
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
        _discard(sys.stdout)
        return 1


def _stopped(name: str, stop: KeyboardInterrupt) -> int:
    return _say(name, _one_line(stop) if str(stop) else "stopped", 128 + getattr(stop, "number", signal.SIGINT))


def _say(name: str, text: str, status: int) -> int:
    """Print on standard error how the command ended, after all of its output."""
    for stream, line in ((sys.stdout, ""), (sys.stderr, f"{name}: {text}\n")):
        if stream is None:  # closed, and the signal came before anything was in its place
            continue
        try:
            stream.write(line)
            stream.flush()
        except OSError:
            _discard(stream)
    return status


def _one_line(error: BaseException) -> str:
    """Return an error's text (or its class) and notes, without the number that Python gives an OSError."""
    text = " ".join(re.sub(r"\[Errno \d+\] ", "", str(error)).split()) or type(error).__name__
    return " ".join([text, *getattr(error, "__notes__", [])])


@contextlib.contextmanager
def sigterm_raises() -> Iterator[None]:
    """Let SIGTERM raise `Terminated`, unless the process has a handler of its own.

    In other threads than the main one, which handle no signals, nothing changes.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) == _terminate:  # or the command has set another handler
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(number: int, frame: Any) -> None:
    raise Terminated


class DroppingStream:
    """A text stream that drops what cannot be written, because its disk is full or its reader has left.

    >>> import io
    >>> stream = DroppingStream(io.StringIO())
    >>> stream.write("half"), stream.getvalue()
    (4, 'half')
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text, or drop it; return its length."""
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is in the buffer, or drop it."""
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def _usable_streams() -> Iterator[None]:
    """Let standard output and error exist and take any character, and let the latter drop what it cannot take."""
    with contextlib.ExitStack() as stack:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is None:  # the process was started with it closed
                stack.callback(setattr, sys, name, None)
                setattr(sys, name, stack.enter_context(open(os.devnull, "w", encoding="utf-8")))
            elif stream.errors in ("strict", "surrogateescape") and hasattr(stream, "reconfigure"):
                stack.callback(stream.reconfigure, errors=stream.errors)
                stream.reconfigure(errors="backslashreplace")
        stream, sys.stderr = sys.stderr, DroppingStream(sys.stderr)
        try:
            yield
        finally:
            sys.stderr = stream
            try:
                stream.flush()
            except OSError:  # or Python tries again at its end, and changes the exit status
                _discard(stream)


def _discard(stream: TextIO) -> None:
    """Discard what is in a stream's buffer and whatever follows, so that Python does not try to write it again."""
    with contextlib.suppress(OSError, ValueError):  # a stream of a test has no file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class _Stop(Exception):  # noqa: N818 - no error: it ends a block
    pass


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise the OSError that `replacing` would raise before its block: call this before long work."""
    with contextlib.suppress(_Stop), replacing(path):
        raise _Stop


def shown(path: str | os.PathLike[str]) -> str:
    r"""Return a path on one line that any terminal can print: a name with odd characters in quotes.

    >>> shown("a b.jpg"), shown("a\nb.jpg")
    ('a b.jpg', "'a\\nb.jpg'")
    """
    text = os.fsdecode(path)
    return text if text.isprintable() else repr(text)
