"""The command line as a whole: help, wrong commands, and a reader that leaves."""

from __future__ import annotations

import argparse
import shlex
import signal
import subprocess
import sys

import pytest

from captioning.cli.entry import _parser, main


def commands():
    """The names of all commands."""
    (subparsers,) = [action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return list(subparsers.choices)


@pytest.mark.parametrize(("arguments", "told"), [
    (["fly"], "captioning: argument COMMAND: invalid choice: 'fly'"),
    (["train"], "captioning train: the following arguments are required: --out"),
    (["evaluate", "run", "--split", "third"], "captioning evaluate: argument --split: invalid choice: 'third'"),
    (["train", "--out", "run", "--clip-norm", "abc"], "--clip-norm: must be a number above 0, or none; got 'abc'"),
    (["train", "--out", "run", "--checkpoint-every", "soon"], "must be a time such as 30s, 5m or 2h"),
    (["train", "--out", "run", "--threads", "0"], "--threads: must be a number from 1 to 1024; got '0'"),
    (["train", "--out", "run", "--hidden", "many"], "--hidden: invalid int value: 'many'"),
])  # fmt: skip
def test_a_wrong_command_line_is_one_line_and_status_2(arguments, told, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.endswith("--help)\n")
    assert len(err.splitlines()) == 1


def test_without_a_command_it_says_what_there_is_and_a_first_one(capsys):
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "usage: captioning" in out
    assert "train a captioner and leave a run folder" in out
    assert "captioning demo --quick" in out


@pytest.mark.parametrize("command", commands())
def test_the_help_of_each_command_has_an_example_that_parses(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = capsys.readouterr().out
    _, _, examples = text.replace("examples:\n", "example:\n").replace("\\\n", "").partition("example:\n")
    lines = [line for line in examples.splitlines() if line.strip().startswith("captioning ")]
    assert any(line.split()[1] == command for line in lines)
    for line in lines:
        _parser().parse_args(shlex.split(line, comments=True)[1:])  # or it ends this test


def test_the_package_is_imported_at_once_and_has_its_names_all_the_same():
    code = (
        "import sys; before = set(sys.modules); import captioning; print(sorted(set(sys.modules) - before)); "
        "from captioning import *; print(set(captioning.__all__) <= set(dir(captioning)), Solver.__name__); "
        "captioning.none"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["['captioning']", "True Solver"]
    assert done.stderr.splitlines()[-1] == "AttributeError: module 'captioning' has no attribute 'none'"


def test_python_m_captioning_and_a_reader_that_leaves(small_folder, trained):
    command = f"{sys.executable} -m captioning evaluate {trained} --data {small_folder} --quiet | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert len(done.stdout) == 1
    assert done.stderr == ""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("swallowed", [False, True])
def test_a_signal_while_it_is_imported_is_one_line(number, status, swallowed):
    """Also where what is imported catches everything."""
    code = (
        "import os, sys\n"
        "class Finder:\n"
        "    def find_spec(name, *_):\n"
        "        if name != 'captioning.cli.demo': return\n"
        f"        try: os.kill(os.getpid(), {int(number)})\n"
        f"        except BaseException:\n"
        f"            if not {swallowed}: raise\n"
        "sys.meta_path.insert(0, Finder)\n"
        "from captioning.__main__ import main; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "captioning: stopped\n")
