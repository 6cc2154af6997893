"""The command line as a whole: help, wrong commands, signals, and a reader that leaves."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys

import pytest

from captioning.cli.entry import COMMANDS, _parser, main
from tests.captioning.cli.commands import refused, status_of


@pytest.mark.parametrize(("words", "told"), [
    (["train"], "the following arguments are required: --out"),
    (["evaluate", "run", "--split", "third"], "argument --split: invalid choice: 'third'"),
    (["train", "--out", "run", "--clip-norm", "abc"], "argument --clip-norm: invalid number_or_none value: 'abc'"),
    (["train", "--out", "run", "--checkpoint-every", "soon"], "argument --checkpoint-every: invalid"),
    (["sample", "run", "--seed", "-1"], "--seed: must be an int of at least 0; got -1"),
    (["evaluate", "run", "--max-images", "0"], "--max-images: must be an int of at least 1; got 0"),
    (["caption", "photo", "--max-length", "1001"], "--max-length: must be an int from 1 to 1000; got 1001"),
])  # fmt: skip
def test_a_wrong_command_line_is_one_line_and_status_2(words, told, capsys):
    refused(capsys, words, told)


@pytest.mark.parametrize("words", [
    ["reinforce", "run", "--out", "new", "--buckets", "0"], ["caption", "photo", "--temperature", "1"],
    ["refine", "run", "--out", "new", "--hidden", "2"],
])  # fmt: skip
def test_an_option_that_a_command_does_not_have_is_refused(words, capsys):
    assert status_of(*words) == 2
    assert f"unrecognized arguments: {words[-2]}" in capsys.readouterr().err


def test_without_a_command_it_says_what_there_is_and_a_first_one(capsys):
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "usage: captioning" in out
    assert "captioning demo --quick" in out
    for command in COMMANDS:
        assert command.name in out
    assert status_of("fly") == 2
    assert "captioning: argument COMMAND: invalid choice: 'fly'" in capsys.readouterr().err


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_the_help_of_each_command_has_an_example_that_parses(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "90")
    assert status_of(command, "--help") == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 101
    _, _, examples = text.replace("examples:\n", "example:\n").replace("\\\n", "").partition("example:\n")
    lines = [line for line in examples.splitlines() if line.strip().startswith("captioning ")]
    assert any(line.split()[1] == command for line in lines)
    for line in lines:
        _parser().parse_args(shlex.split(line, comments=True)[1:])  # or it ends this test


def test_the_help_says_what_is_the_default(capsys):
    told = {}
    for command in ("train", "reinforce", "sample"):
        assert status_of(command, "--help") == 0
        told[command] = " ".join(capsys.readouterr().out.split())
    assert "Adam's learning rate in the first epoch (0.001)" in told["train"]
    assert "Adam's learning rate in the first epoch (0.0002)" in told["reinforce"]
    assert "(0)" in told["train"].partition("--warmup N iter")[2].partition("--beta2")[0]
    assert "how many images (5)" in told["sample"]


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
    command = f"{sys.executable} -m captioning sample {trained} --data {small_folder} --quiet | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert len(done.stdout) == 1
    assert done.stderr == ""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("module", ["numpy", "captioning.cli.demo"])
def test_a_signal_while_it_is_imported_is_one_line(number, status, module):
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
