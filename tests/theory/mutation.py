"""Wrong formulas on purpose: a module of theory with one piece of its text replaced, and whether its claims notice.

Each family lists its mutants in its test file, and calls `noticed` on each. A mutant that computes the same as
the original is no gap; it is listed with the reason, and must survive, so that the list cannot go stale.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import theory
from theory import CLAIMS

EXAMPLES = 60


@dataclass(frozen=True)
class Mutant:
    """One wrong formula: in theory/<module>.py the text `old` becomes `new`.

    old: stands in the file `count` times and is replaced everywhere. numbers: the claims that should notice
    (default: all of the module). equivalent: why nothing can notice, for a mutant that computes the same.
    """

    module: str
    old: str
    new: str
    equivalent: str = ""
    numbers: tuple[str, ...] = ()
    count: int = 1

    def __str__(self) -> str:
        return f"{self.module}: {self.old!r} -> {self.new!r}"


def noticed(mutant: Mutant, examples: int = EXAMPLES) -> bool:
    """Whether some claim of the mutated module has another verdict than the expected, or its checker breaks."""
    path = Path(theory.__file__).parent / f"{mutant.module}.py"
    source = path.read_text(encoding="utf-8")
    assert source.count(mutant.old) == mutant.count, f"{mutant}: stands there {source.count(mutant.old)} times"
    name = f"theory_mutant_{mutant.module}"
    module = types.ModuleType(name)
    module.__file__ = str(path)
    saved = dict(CLAIMS)
    CLAIMS.clear()
    sys.modules[name] = module  # dataclasses look their module up
    try:
        try:
            exec(compile(source.replace(mutant.old, mutant.new), str(path), "exec"), module.__dict__)
            claims = [CLAIMS[number] for number in mutant.numbers] or list(CLAIMS.values())
            return not all(claim.check(examples).as_expected for claim in claims)
        except Exception:  # a checker that cannot even run has noticed
            return True
    finally:
        del sys.modules[name]
        CLAIMS.clear()
        CLAIMS.update(saved)


def wrong(mutants: Iterable[Mutant]) -> list[str]:
    """What does not fit: mutants that nobody notices, and those called equivalent that somebody does."""
    return [str(mutant) for mutant in mutants if noticed(mutant) == bool(mutant.equivalent)]
