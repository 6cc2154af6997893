"""The option --out of commands that draw a sheet, judged before any work is done for it."""

from __future__ import annotations

from pathlib import Path

from captioning.command import check_writable
from captioning.pictures.sheets import most_pictures
from minigrad.runtime.extras import require

__all__ = ["check_room", "check_sheet"]


def check_sheet(out: str) -> None:
    """Raise an error that names --out unless a sheet can be drawn to this file."""
    if Path(out).suffix.lower() != ".png":
        raise ValueError(f"--out: a sheet is a PNG file: its name must end in .png; got {out}")
    check_writable(out)
    require("matplotlib.figure", "caption")


def check_room(photos: int) -> None:
    """Raise a ValueError that names --out if there are more photos than a sheet has room for."""
    most = most_pictures(named=True)
    if photos > most:
        raise ValueError(f"--out: a sheet has room for at most {most} photos; got {photos}")
