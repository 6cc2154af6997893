"""Helpers for tests of the commands."""

from __future__ import annotations

import json

from captioning.cli.entry import main

SMALL = ["--hidden", "12", "--wordvec", "8", "--batch-size", "10", "--epochs", "2", "--quiet"]
ATTENTION = [*SMALL, "--model", "attention", "--picture", "6", "--attention-size", "4", "--heads", "2"]


def status_of(*words):
    """Run a command line in this process and return its exit status."""
    try:
        return main([str(word) for word in words])
    except SystemExit as stop:
        return stop.code


def output_of(capsys, *words):
    """Run a command, which has to succeed, and return its standard output."""
    capsys.readouterr()
    assert status_of(*words) == 0
    return capsys.readouterr().out


def refused(capsys, words, *parts):
    """Check that a command prints one line on standard error, which has all parts, and ends with status 2."""
    capsys.readouterr()
    assert status_of(*words) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1), err
    assert err.startswith(f"captioning {words[0]}: ")
    assert [part for part in parts if part not in err] == [], err


def edit_json(path, edit):
    """Change the content of a JSON file by a function of it."""
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
