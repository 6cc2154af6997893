"""Mutants: a module of theory with a wrong formula, which the claims of its family must notice.

Each family lists its mutants in its test_mutants.py. A mutant that computes the same as the original says why, and must
survive.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.machinery
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import theory
from theory import Claim

EXAMPLES = 60


@dataclass(frozen=True)
class Mutant:
    """In a module of theory ("parity.bounds") the text `old`, which stands there `count` times, becomes `new`.

    equivalent: why nothing can notice, for a mutant that computes the same. numbers: the claims that should notice
    (default: all of the family, or of a module outside the families, all). A mutant must compute something wrong: if it
    cannot run, that is an error.
    """

    module: str
    old: str
    new: str
    equivalent: str = ""
    numbers: tuple[str, ...] = ()
    count: int = 1

    def __str__(self) -> str:
        return f"{self.module}: {self.old!r} -> {self.new!r}"

    @property
    def source(self) -> str:
        """The text of the mutated module."""
        path = Path(theory.__file__).parent.joinpath(*self.module.split(".")).with_suffix(".py")
        source = path.read_text(encoding="utf-8")
        assert source.count(self.old) == self.count, f"{self}: stands there {source.count(self.old)} times"
        return source.replace(self.old, self.new)


def noticed(mutant: Mutant, examples: int = EXAMPLES) -> bool:
    """Whether some claim of the mutated family has an unexpected verdict, and the expected one without the mutant.

    Hypothesis draws other examples when other modules are loaded. So an error that few examples show gets a second
    chance with four times as many.
    """
    with imported_with(mutant) as claims:
        chosen = [claim for claim in claims if claim.number in (mutant.numbers or [c.number for c in claims])]
        numbers = (examples,) if mutant.equivalent else (examples, max(100, 4 * examples))
        tries = ((claim.number, number) for number in numbers for claim in chosen
                 if not _as_expected(claim, number, mutant))  # fmt: skip
        found = next(tries, None)
    assert found is None or _as_expected_without_a_mutant(*found), f"{found[0]} is not as expected without a mutant"
    return found is not None


@functools.cache
def _as_expected_without_a_mutant(number: str, examples: int) -> bool:
    return _as_expected(theory.CLAIMS[number], examples, None)


@contextmanager
def imported_with(mutant: Mutant) -> Iterator[tuple[Claim, ...]]:
    """Import theory anew with a mutated module; yield the claims of its family, and restore everything afterwards."""
    source = mutant.source

    class Finder:
        @staticmethod
        def find_spec(name: str, path: Any, target: Any = None) -> Any:
            if name != f"theory.{mutant.module}":
                return None
            spec: Any = importlib.machinery.PathFinder.find_spec(name, path)
            spec.loader.get_code = lambda name: compile(source, spec.origin, "exec")
            return spec

    saved = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "theory"}
    sys.meta_path.insert(0, Finder)  # type: ignore[arg-type]
    try:
        module = importlib.import_module(f"theory.{mutant.module.partition('.')[0]}")
        yield getattr(module, "CLAIMS", None) or tuple(importlib.import_module("theory").CLAIMS.values())
    finally:
        sys.meta_path.remove(Finder)  # type: ignore[arg-type]
        for name in [name for name in sys.modules if name.partition(".")[0] == "theory"]:
            del sys.modules[name]
        sys.modules.update(saved)


class _Found(KeyboardInterrupt):
    """A refutation, which ends the check as Ctrl-C does: any example will do here, and shrinking takes time."""


def _as_expected(claim: Claim, examples: int, mutant: Mutant | None) -> bool:
    """Whether the verdict is the expected one. No claim expects a true proposition to be refuted."""

    from theory.refutation import Unsound  # of the mutated theory

    def hasty(check: Callable[[Any], None]) -> Callable[[Any], None]:
        def found(example: Any) -> None:
            try:
                check(example)
            except (AssertionError, Unsound):  # the latter if the shapes of two arrays differ
                raise _Found from None

        return found

    true = [dataclasses.replace(p, check=hasty(p.check)) for p in claim.propositions if not p.false]
    true.sort(key=lambda p: p.share < 1 or p.name == "critical gain")  # the slow ones last
    false = [p for p in claim.propositions if p.false]
    try:
        verdict = dataclasses.replace(claim, propositions=(*true, *false)).check(examples)
    except _Found:
        return False
    broken = [result.message for result in verdict.results if result.message.startswith("the checker broke")]
    assert not broken, f"{mutant}: {broken[0]}; make it compute something wrong"
    return verdict.as_expected
