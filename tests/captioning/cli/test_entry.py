"""The command line as a whole: help, wrong commands, and signals."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys

import pytest

from captioning.cli.entry import COMMANDS, _parser
from tests.captioning.cli.commands import output_of, refused, status_of


@pytest.mark.parametrize(("words", "part"), [
    (["train"], "required: --out"), (["evaluate", "run", "--split", "third"], "--split: invalid choice: 'third'"),
    (["train", "--out", "run", "--clip-norm", "abc"], "--clip-norm: must be a number of at least 0; got abc"),
    (["train", "--out", "run", "--checkpoint-every", "0"], "--checkpoint-every: must be a time such as 30s"),
    (["train", "--out", "run", "--epoch", "1"], "unrecognized arguments: --epoch 1"), (["--versio"], "--versio"),
    (["reinforce", "run", "--out", "new", "--dropout", "2"], "--dropout: must be a number from 0 to 0.999; got 2"),
    (["train", "--out", "run", "--heads", "3"], "--heads needs --model attention"),
    (["train", "--out", "run", "--max-words", "9"], "--max-words needs --captions raw"),
    (["train", "--out", "run", "--cosine-epochs", "9"], "--cosine-epochs needs --schedule cosine"),
    (["reinforce", "run", "--out", "new", "--lr-decay", "1"], "--lr-decay needs --schedule exponential or plateau"),
    (["train", "--out", "run", "--model", "attention", "--feature-dropout", "0"], "-dropout needs --model source"),
    (["train", "--out", "run", "--cell", "gru", "--forget-bias", "1"], "--forget-bias needs --cell lstm"),
    (["sample", "run", "--diversity", "3"], "--diversity needs --groups (usage"),
    (["evaluate", "run", "--neighbours", "3"], "--neighbours needs --consensus (usage"),
    (["report", "run", "--no-data", "--beam", "3"], "--beam cannot be combined with --no-data"),
    (["sample", "run", "--seed", "-1"], "--seed: must be an int of at least 0; got -1"),
    (["caption", "photo", "--max-length", "1001"], "--max-length: must be an int from 1 to 1000; got 1001"),
])  # fmt: skip
def test_a_wrong_command_line_is_one_line_and_status_2(words, part, capsys):
    if words[0].startswith("--"):
        assert status_of(*words) == 2
        assert part in capsys.readouterr().err
    else:
        refused(capsys, words, part)


def test_without_a_command_it_lists_the_commands(capsys):
    out = output_of(capsys)
    assert "captioning demo --quick" in out
    assert [command.name for command in COMMANDS if command.name not in out] == []
    assert status_of("fly") == 2
    assert "invalid choice: 'fly'" in capsys.readouterr().err
    assert status_of("refine", "run", "--out", "new", "--hidden", "2") == 2  # an option of other commands
    assert capsys.readouterr().err == (
        "captioning refine: unrecognized arguments: --hidden 2 (usage: captioning refine --help)\n"
    )


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_the_help_of_each_command_has_an_example_that_parses(command, capsys):
    text = output_of(capsys, command, "--help")
    _, _, examples = text.replace("examples:\n", "example:\n").replace("\\\n", "").partition("example:\n")
    lines = [line for line in examples.splitlines() if line.strip().startswith("captioning ")]
    assert any(line.split()[1] == command for line in lines)
    for line in lines:
        _parser().parse_args(shlex.split(line, comments=True)[1:])  # or it ends this test


def test_importing_the_package_imports_no_other_module():
    code = (
        "import sys; before = set(sys.modules); import captioning; print(sorted(set(sys.modules) - before)); "
        "from captioning import *; print(set(captioning.__all__) <= set(dir(captioning)), Solver.__name__); "
        "captioning.none"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["['captioning']", "True Solver"]
    assert done.stderr.splitlines()[-1] == "AttributeError: module 'captioning' has no attribute 'none'"


@pytest.mark.parametrize(("number", "status", "module"), [
    (signal.SIGINT, 130, "numpy"), (signal.SIGTERM, 143, "captioning.cli.demo"),
])  # fmt: skip
def test_a_signal_during_imports_is_one_line(number, status, module):
    code = (
        "import os, sys\n"
        "class Finder:\n"
        "    def find_spec(name, *_):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), {int(number)})\n"
        "sys.meta_path.insert(0, Finder)\n"
        "from captioning.__main__ import main; sys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "captioning: stopped\n")
