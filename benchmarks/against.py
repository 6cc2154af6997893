"""Another checkout of minigrad as a rival: `--against CHECKOUT` compares before and after a change.

Both rivals run this checkout's job. Only `minigrad` and `captioning` come from the other checkout, which may be older
than the job.
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
        """Return the checkout in a folder.

        Raises:
            ValueError: if the folder has no minigrad.
        """
        path = Path(text).resolve()
        if not (path / "minigrad" / "__init__.py").is_file():
            raise ValueError(f"{text} is not a minigrad checkout: it has no minigrad/__init__.py")
        return cls(path)

    @property
    def name(self) -> str:
        """The name in tables: the folder, and the commit if there is one."""
        return f"minigrad at {self.path.name}{commit(self.path)}"


def beside(case: Case, checkouts: Sequence[Checkout], alone: bool = False) -> Case:
    """Return the case with the checkouts as rivals after minigrad, each its own peer; `alone`: without other rivals."""
    ours, *others = case.rivals
    names = [checkout.name for checkout in checkouts]
    if len(set(names)) < len(names):  # folders of one name at one commit
        names = [f"{name}, no. {i}" for i, name in enumerate(names, 1)]
    twins = [
        replace(ours, name=name, peer=name, checkout=str(checkout.path))
        for name, checkout in zip(names, checkouts, strict=True)
    ]
    return replace(case, rivals=[ours, *twins, *([] if alone else others)])
