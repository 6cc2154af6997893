"""Another checkout of minigrad as a rival: `--against CHECKOUT` measures a change before and after, side by side.

What is timed is this checkout's job in both cases: only `minigrad` and `captioning` come from the other one, which may
be older than the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.job import Case
from benchmarks.machine import commit

__all__ = ["Checkout", "beside"]


@dataclass(frozen=True)
class Checkout:
    """A folder with another minigrad."""

    path: Path

    @classmethod
    def at(cls, text: str) -> Checkout:
        """The checkout in a folder.

        Raises:
            ValueError: if there is no minigrad in it.
        """
        path = Path(text).resolve()
        if not (path / "minigrad" / "__init__.py").is_file():
            raise ValueError(f"{text} is no checkout of minigrad: it has no minigrad/__init__.py")
        return cls(path)

    @property
    def name(self) -> str:
        """What tables call it: its folder's name, and its commit where there is one."""
        return f"minigrad at {self.path.name}{commit(self.path)}"


def beside(case: Case, checkouts: Sequence[Checkout], alone: bool = False) -> Case:
    """The case with the checkouts as rivals, each a peer of its own, behind minigrad; `alone`: and with no others."""
    ours, *others = case.rivals
    names = [checkout.name for checkout in checkouts]
    if len(set(names)) < len(names):  # folders of one name at one commit
        names = [f"{name}, no. {i}" for i, name in enumerate(names, 1)]
    twins = [
        replace(ours, name=name, peer=name, checkout=str(checkout.path))
        for name, checkout in zip(names, checkouts, strict=True)
    ]
    return replace(case, rivals=[ours, *twins, *([] if alone else others)])
