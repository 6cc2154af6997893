"""Wrong formulas on purpose: a module of theory with one piece of its text replaced, and whether its claims notice.

Each family lists its mutants in its test file, and calls `noticed` on each. A mutant that computes the same as
the original is no gap; it is listed with the reason, and must survive, so that the list cannot go stale.
"""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import theory
from theory import CLAIMS, Claim

EXAMPLES = 60


@dataclass(frozen=True)
class Mutant:
    """One wrong formula: in theory/<module>.py the text `old` becomes `new`.

    old: stands in the file `count` times and is replaced everywhere. through: the modules that lead from this one to
    the claims, in the order in which they import each other, the one that registers the claims last; none if
    it is the module itself. numbers: the claims that should notice (default: all that are registered on the way).
    equivalent: why nothing can notice, for a mutant that computes the same.

    A mutant must compute something wrong: one that cannot run at all shows nothing, and is an error.
    """

    module: str
    old: str
    new: str
    equivalent: str = ""
    numbers: tuple[str, ...] = ()
    count: int = 1
    through: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.module}: {self.old!r} -> {self.new!r}"


def noticed(mutant: Mutant, examples: int = EXAMPLES) -> bool:
    """Whether some claim of the mutated module has another verdict than the expected.

    Which examples are drawn depends on what else is loaded, as Hypothesis takes numbers from it. So an error that few
    examples show, and that these do not, is looked for in four times as many, 100 at least.
    """
    more = () if mutant.equivalent else (max(100, 4 * examples),)
    return any(_noticed(mutant, number) for number in (examples, *more))


def _noticed(mutant: Mutant, examples: int) -> bool:
    saved = dict(CLAIMS)
    CLAIMS.clear()
    try:
        with _standing_in(mutant.module, *mutant.through) as run:
            source = _path(mutant.module).read_text(encoding="utf-8")
            assert source.count(mutant.old) == mutant.count, f"{mutant}: stands there {source.count(mutant.old)} times"
            run(mutant.module, source.replace(mutant.old, mutant.new))
            for name in mutant.through:
                run(name, _path(name).read_text(encoding="utf-8"))
            claims = [CLAIMS[number] for number in mutant.numbers] or list(CLAIMS.values())
            return not all(_as_expected(claim, examples, mutant) for claim in claims)
    finally:
        CLAIMS.clear()
        CLAIMS.update(saved)


class _Found(BaseException):
    """An example that refutes something. Hypothesis makes smaller what raises an Exception; here any will do."""


def _as_expected(claim: Claim, examples: int, mutant: Mutant) -> bool:
    """Whether the verdict is the expected one; no claim expects that what is true is refuted."""

    def hasty(check: Callable[[Any], None]) -> Callable[[Any], None]:
        def found(example: Any) -> None:
            try:
                check(example)
            except AssertionError:
                raise _Found from None

        return found

    true = [dataclasses.replace(p, check=hasty(p.check)) for p in claim.propositions if not p.false]
    false = [p for p in claim.propositions if p.false]
    try:
        verdict = dataclasses.replace(claim, propositions=(*true, *false)).check(examples)
    except _Found:
        return False
    broken = [result.message for result in verdict.results if result.message.startswith("the checker broke")]
    assert not broken, f"{mutant}: {broken[0]}; make it compute something wrong"
    return verdict.as_expected


def _path(name: str) -> Path:
    return Path(theory.__file__).parent / f"{name}.py"


@contextlib.contextmanager
def _standing_in(*names: str) -> Iterator[Callable[[str, str], None]]:
    """Let what is run as a module of theory be found under its name by those that import it; undone afterwards."""
    missing = object()
    modules = {name: sys.modules.get(f"theory.{name}", missing) for name in names}
    attributes = {name: getattr(theory, name, missing) for name in names}

    def run(name: str, source: str) -> None:
        module = types.ModuleType(f"theory.{name}")
        module.__file__ = str(_path(name))
        sys.modules[f"theory.{name}"] = module  # for `from theory.name import …`, and dataclasses look it up
        setattr(theory, name, module)  # for `from theory import name`
        exec(compile(source, module.__file__, "exec"), module.__dict__)

    try:
        yield run
    finally:
        for name in names:
            sys.modules.pop(f"theory.{name}", None)
            if modules[name] is not missing:
                sys.modules[f"theory.{name}"] = modules[name]
            if hasattr(theory, name):
                delattr(theory, name)
            if attributes[name] is not missing:
                setattr(theory, name, attributes[name])


def wrong(mutants: Iterable[Mutant], examples: int = EXAMPLES) -> list[str]:
    """What does not fit: mutants that nobody notices, and those called equivalent that somebody does."""
    return [str(mutant) for mutant in mutants if noticed(mutant, examples) == bool(mutant.equivalent)]
