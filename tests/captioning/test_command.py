"""Exit statuses and errors of commands: closed and full outputs, readers that leave, poor encodings, and signals."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from captioning.command import check_writable, run_command

ROOT = Path(__file__).parents[2]
PROGRAM = """
import argparse, sys
from captioning.command import run_command
sys.exit(run_command(argparse.ArgumentParser(prog="show"), [], lambda options: {} or 0))
"""


def shell(work, redirected="", **environment):
    """Run an expression as a command in a shell."""
    line = f"set -o pipefail; {sys.executable} -c {shlex.quote(PROGRAM.format(work))} {redirected}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize(("work", "redirected", "status", "error"), [
    ("print('x' * 10**6)", "| true", 141, ""), ("print('x')", ">&-", 0, ""),
    ("sys.exit(print('x'))", ">/dev/full", 2, "show: standard output: No space left on device\n"),
    ("print('x')", ">/dev/full", 2, "show: standard output: No space left on device\n"),
    ("open('none')", "2>&-", 2, ""),
    ("__import__('numpy').empty(2**60, 'u1')", "", 2, "show: not enough memory: Unable to allocate 1.00 EiB"),
])  # fmt: skip
def test_outputs_and_memory_that_do_not_suffice(work, redirected, status, error):
    done = shell(work, redirected)
    assert (done.returncode, done.stdout, done.stderr[: len(error)]) == (status, "", error)
    assert len(done.stderr.splitlines()) == bool(error)


def test_a_terminal_that_has_only_ascii():
    """A character that it lacks is written by its number."""
    done = shell(
        r"print('na\xefve \u2192 2')", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="", LC_ALL="C"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "na\\xefve \\u2192 2\n", "")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_command_may_say_how_to_go_on_after_a_signal(capsys, number, status):
    def command(options):
        try:
            os.kill(os.getpid(), number)
            time.sleep(60)
        except KeyboardInterrupt as stop:
            raise type(stop)("stopped; the rest is\nkept") from None

    assert run_command(argparse.ArgumentParser(prog="long"), [], command) == status
    assert capsys.readouterr() == ("", "long: stopped; the rest is kept\n")


def test_a_handler_of_sigterm_that_a_program_has_is_left_alone():
    own, seen = lambda *_: None, []
    before = signal.signal(signal.SIGTERM, own)
    command = lambda options: seen.append(signal.getsignal(signal.SIGTERM)) or 0  # noqa: E731
    try:
        assert run_command(argparse.ArgumentParser(prog="quick"), [], command) == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    assert run_command(argparse.ArgumentParser(prog="quick"), [], command) == 0
    assert (seen[0], signal.getsignal(signal.SIGTERM), seen[1] != before) == (own, before, True)


def noted():
    error = ValueError("only here")
    error.add_note("[rank 1 of 2]")
    return error


@pytest.mark.parametrize(("error", "message"), [
    (FileNotFoundError(2, "No such file or directory", "a"), "No such file or directory: 'a'"),
    (ValueError("--out: [Errno 2] No such file"), "--out: No such file"), (noted(), "only here [rank 1 of 2]"),
])  # fmt: skip
def test_an_error_is_printed_with_its_notes_and_without_its_number(capsys, error, message):
    def command(options):
        raise error

    assert run_command(argparse.ArgumentParser(prog="look"), [], command) == 2
    assert capsys.readouterr().err == f"look: {message}\n"


def test_whether_a_file_can_be_written(tmp_path):
    (tmp_path / "old").write_text("old")
    check_writable(tmp_path / "old")
    check_writable(tmp_path / "new")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("old", "old")]
    with pytest.raises(FileNotFoundError, match="the folder does not exist"):
        check_writable(tmp_path / "none" / "a")
    with pytest.raises(IsADirectoryError):
        check_writable(tmp_path)
