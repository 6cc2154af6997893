"""What the tests of the commands share."""

from __future__ import annotations

from captioning.cli.entry import main

SMALL = ["--hidden", "12", "--wordvec", "8", "--batch-size", "10", "--epochs", "2", "--quiet"]
LOOKING = [*SMALL, "--model", "attention", "--picture", "6", "--looking", "4", "--heads", "2"]


def status_of(*words):
    """The exit status of a command line."""
    try:
        return main([str(word) for word in words])
    except SystemExit as stop:
        return stop.code


def refused(capsys, words, *parts):
    """The command ends with status 2, one line on standard error that has all parts, and no standard output."""
    capsys.readouterr()
    assert status_of(*words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1, err
    assert err.startswith(f"captioning {words[0]}: ")
    for part in parts:
        assert part in err
