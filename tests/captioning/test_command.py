"""The three commands, as their users' shells run them: closed and full outputs, readers that leave, poor encodings."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from captioning.command import check_writable, run_command

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "theory": "theory check 2-1 --examples 1 --quiet",
    "captioning": "captioning --help",
    "benchmarks": "benchmarks --quick --list",
}


def shell(command, redirected="", **environment):
    """What `python -m COMMAND` says in a shell, and its exit status."""
    line = f"set -o pipefail; {sys.executable} -m {command} {redirected}"
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    surroundings = {name: value for name, value in surroundings.items() if value is not None}
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, env=surroundings)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_reader_that_leaves(name):
    """`true` reads nothing; the delay lets it end before anything is printed."""
    done = shell(COMMANDS[name], "| true")
    assert done.stderr == ""
    assert done.returncode in (0, 1)  # of a pipe's 64 kB a short output may still find its place


def test_output_that_is_closed():
    done = shell(COMMANDS["captioning"], ">&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_output_that_is_full():
    done = shell(COMMANDS["theory"], ">/dev/full")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [done.stderr.strip()]
    assert "No space left on device" in done.stderr


def test_a_terminal_that_has_ascii_alone():
    """Nothing is lost: each character that it has not is written by its number."""
    command, how = "theory show 3-2", {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    poor = shell(command, **{"PYTHONIOENCODING": None, "PYTHONUTF8": None, "LC_ALL": "C"} | how)
    assert (poor.returncode, poor.stderr) == (0, "")
    assert poor.stdout.isascii()
    rich = shell(command, PYTHONIOENCODING="utf-8")
    expected = rich.stdout.encode("ascii", "backslashreplace").decode()
    assert poor.stdout == expected
    assert expected != rich.stdout


def test_memory_that_does_not_suffice():
    """An array of 2**60 bytes fits nowhere."""
    code = (
        "import argparse, numpy, sys; from captioning.command import run_command; "
        "sys.exit(run_command(argparse.ArgumentParser(prog='large'), [], lambda options: numpy.empty(2**60, 'u1')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr.startswith("large: not enough memory: Unable to allocate 1.00 EiB")
    assert len(done.stderr.splitlines()) == 1


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


def test_a_program_s_own_way_with_sigterm_is_left_alone():
    own, seen = lambda *_: None, []
    before = signal.signal(signal.SIGTERM, own)
    command = lambda options: seen.append(signal.getsignal(signal.SIGTERM)) or 0  # noqa: E731
    try:
        assert run_command(argparse.ArgumentParser(prog="quick"), [], command) == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [own]
    assert run_command(argparse.ArgumentParser(prog="quick"), [], command) == 0
    assert (signal.getsignal(signal.SIGTERM), seen[1] != before) == (before, True)


def test_an_errors_number_is_not_told(capsys, tmp_path):
    """It says nothing to people, be the error alone or within another's words."""

    def command(options):
        try:
            (tmp_path / "none").read_bytes()
        except OSError as error:
            raise error if options.name is None else ValueError(f"--out: {error}") from error

    for name in (None, "within"):
        parser = argparse.ArgumentParser(prog="read")
        parser.set_defaults(name=name)
        assert run_command(parser, [], command) == 2
        err = capsys.readouterr().err
        assert "No such file or directory" in err
        assert "Errno" not in err


def test_what_was_noted_of_an_error_is_told(capsys):
    def command(options):
        error = ValueError("only here")
        error.add_note("[rank 1 of 2]")
        raise error

    assert run_command(argparse.ArgumentParser(prog="look"), [], command) == 2
    assert capsys.readouterr().err == "look: only here [rank 1 of 2]\n"


def test_whether_a_file_can_be_written(tmp_path):
    (tmp_path / "old").write_text("old")
    check_writable(tmp_path / "old")
    check_writable(tmp_path / "new")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("old", "old")]
    with pytest.raises(FileNotFoundError, match="no such folder to write into"):
        check_writable(tmp_path / "none" / "a")
    with pytest.raises(IsADirectoryError):
        check_writable(tmp_path)
