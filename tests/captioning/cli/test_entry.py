"""The command line as a whole: help, wrong commands, and a reader that leaves."""

from __future__ import annotations

import subprocess
import sys

import pytest

from captioning.cli.entry import main


@pytest.mark.parametrize("command", [[], ["prepare"], ["train"], ["refine"], ["evaluate"], ["sample"], ["demo"]])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    assert "usage: captioning" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["evaluate", "sample"])
def test_help_has_an_example_on_lines_of_its_own(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([command, "--help"])
    out = capsys.readouterr().out
    assert f"\nexample:\n  captioning {command} RUN --data DIR" in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("arguments", [[], ["fly"], ["prepare"], ["train"], ["evaluate", "run", "--split", "dev"]])
def test_a_wrong_command_line_is_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: captioning" in capsys.readouterr().err


def test_python_m_captioning_and_a_reader_that_leaves(small_folder, trained):
    command = f"{sys.executable} -m captioning evaluate {trained} --data {small_folder} --quiet | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert len(done.stdout) == 1
    assert done.stderr == ""
