"""What the tests of the commands share."""

from __future__ import annotations

from captioning.cli.entry import main

SMALL = ["--hidden", "12", "--wordvec", "8", "--batch-size", "10", "--epochs", "2", "--quiet"]
LOOKING = [*SMALL, "--model", "attention", "--picture", "6", "--looking", "4", "--heads", "2"]


def refused(capsys, arguments, *parts):
    """The command ends with status 2, one line on standard error that has all parts, and no standard output."""
    assert main([str(a) for a in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1, err
    assert err.startswith(f"captioning {arguments[0]}: ")
    for part in parts:
        assert part in err
