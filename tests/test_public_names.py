"""The list of public names compares two checkouts."""

from __future__ import annotations

from pathlib import Path

from tests import public_names


def test_missing_names_and_options_are_printed(capsys, monkeypatch):
    root = Path(__file__).parent.parent
    monkeypatch.chdir(root)
    monkeypatch.setattr("sys.argv", ["public_names", "--against", str(root)])
    listed, missing = public_names.listed, ("Linear", "--epochs")
    left = lambda pages: {line for line in listed(pages) if not any(name in line for name in missing)}  # noqa: E731
    monkeypatch.setattr(public_names, "listed", left)
    assert public_names.main() == 1
    lines = capsys.readouterr().out.splitlines()
    assert {"minigrad.nn.Linear(bias) is argument 2", "captioning train --epochs"} <= set(lines)
    assert all(any(name in line for name in missing) for line in lines[:-1])
