"""Shared code of all commands: output streams, signals, one-line errors, and exit statuses.

This module imports only the standard library at first, so that Ctrl-C works while a command imports the rest.
"""

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

__all__ = [
    "BROKEN_PIPE", "MISTAKES", "DroppingStream", "Terminated", "check_writable", "discard", "guarded", "run_command",
    "shown", "sigterm_raises",
]  # fmt: skip

MISTAKES = (ValueError, TypeError, OSError, ModuleNotFoundError)
"""The errors that a wrong option or file raises."""

BROKEN_PIPE = 141
"""The exit status after a broken pipe: 128 + SIGPIPE, as shells report it."""


class Terminated(KeyboardInterrupt):
    """Raised on SIGTERM, which `kill` and a shutdown send; it ends a command as Ctrl-C does."""

    number = signal.SIGTERM


def run_command(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    command: Callable[[argparse.Namespace], int],
    mistakes: tuple[type[Exception], ...] = MISTAKES,
) -> int:
    """Parse a command line (`sys.argv` by default), call `command` with the options, and return the exit status.

    An error or interrupt prints one line on standard error, which begins with the names of the parser and of its
    subcommand, `options.name`. See `guarded` for the exit statuses.

    >>> parser = argparse.ArgumentParser(prog="halve")
    >>> _ = parser.add_argument("number", type=int)
    >>> run_command(parser, ["8"], lambda options: print(options.number // 2) or 0)
    4
    0
    """

    def parse_and_run() -> int:
        options = parser.parse_args(arguments)
        name = " ".join(filter(None, [parser.prog, getattr(options, "name", None)]))
        return guarded(name, lambda: command(options), mistakes)

    return guarded(parser.prog, parse_and_run)


def guarded(name: str, work: Callable[[], int], mistakes: tuple[type[Exception], ...] = MISTAKES) -> int:
    """Call `work` and return the exit status of a command.

    The status is:

    - that of `work`;
    - 141 after a broken pipe;
    - 2 after one of `mistakes`, or if the memory or the disk is full;
    - 130 after Ctrl-C and 143 after SIGTERM. Both raise an exception, so that no half-written file remains.

    An error or interrupt prints one line: `name` and the text of the exception, such as
    `type(stop)("stopped; resume with …")`. Characters that the terminal cannot encode are escaped as `\\u2026`. Output
    to a closed stream (`>&-`) is dropped, and write errors on standard error are ignored.
    """
    try:
        with sigterm_raises(), _usable_streams():
            return _status_of(name, work, mistakes)
    except KeyboardInterrupt as stop:  # outside the block of `_usable_streams`
        return _stopped(name, stop)


def _status_of(name: str, work: Callable[[], int], mistakes: tuple[type[Exception], ...]) -> int:
    try:
        status = work()
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        discard(sys.stdout)
        return BROKEN_PIPE
    except KeyboardInterrupt as stop:
        return _stopped(name, stop)
    except MemoryError as error:
        return _say(name, f"not enough memory: {_one_line(error)}", 2)
    except mistakes as error:
        return _say(name, _one_line(error), 2)
    except SystemExit:  # from parser.parse_args, for example after --help
        if failed := _status_of(name, lambda: 0, mistakes):
            return failed
        raise


def _stopped(name: str, stop: KeyboardInterrupt) -> int:
    return _say(name, _one_line(stop) if str(stop) else "stopped", 128 + getattr(stop, "number", signal.SIGINT))


def _say(name: str, text: str, status: int) -> int:
    """Flush the output, and print on standard error how the command ended."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:  # closed, and the signal came before `_usable_streams` replaced it
            continue
        try:
            stream.write(f"{name}: {text}\n" if stream is sys.stderr else "")
            stream.flush()
        except OSError as error:
            text = f"standard output: {text}" if text == _one_line(error) else text
            discard(stream)
    return status


def _one_line(error: BaseException) -> str:
    """Return an error's text (or its class) and notes, without the number that Python gives an OSError."""
    text = " ".join(re.sub(r"\[Errno \d+\] ", "", str(error)).split()) or type(error).__name__
    return " ".join([text, *getattr(error, "__notes__", [])])


@contextlib.contextmanager
def sigterm_raises() -> Iterator[None]:
    """Let SIGTERM raise `Terminated`, unless the process has its own handler.

    Only the main thread can handle signals; in another thread nothing changes.
    """
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGTERM) == _terminate:  # not if the command has set another handler
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(number: int, frame: Any) -> None:
    raise Terminated


class DroppingStream:
    """A text stream that ignores write errors, such as a full disk or a broken pipe.

    >>> import io
    >>> stream = DroppingStream(io.StringIO())
    >>> stream.write("half"), stream.getvalue()
    (4, 'half')
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text and return its length."""
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the buffer."""
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def _usable_streams() -> Iterator[None]:
    """Replace closed output streams, escape characters that they cannot encode, and ignore errors of standard error."""
    with contextlib.ExitStack() as stack:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream is None:  # it was closed when the process started
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
            except OSError:  # otherwise Python tries again at exit, and changes the exit status
                discard(stream)


def discard(stream: TextIO) -> None:
    """Discard the buffer of a stream and all further output, so that Python does not try to write it again."""
    with contextlib.suppress(OSError, ValueError):  # the stream has no file, as in tests
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class _Stop(Exception):  # noqa: N818 - not an error: it ends a block
    pass


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise the OSError that `replacing` would raise, before long work."""
    from minigrad.runtime.files import replacing

    with contextlib.suppress(_Stop), replacing(path):
        raise _Stop


def shown(path: str | os.PathLike[str]) -> str:
    r"""Return a path as one printable line; a name with unprintable characters is quoted.

    >>> shown("a b.jpg"), shown("a\nb.jpg")
    ('a b.jpg', "'a\\nb.jpg'")
    """
    text = os.fsdecode(path)
    return text if text.isprintable() else repr(text)
