"""Wrong formulas on purpose: a module of theory with one piece of its text replaced, and whether its claims notice.

Each family lists its mutants in its test file, and calls `noticed` on each. A mutant that computes the same as
the original is no gap; it is listed with the reason, and must survive, so that the list cannot go stale.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import theory
from theory import Claim

EXAMPLES = 60


@dataclass(frozen=True)
class Mutant:
    """One wrong formula: in a module of theory ("parity.bounds") the text `old` becomes `new`.

    old: stands in the file `count` times and is replaced everywhere. numbers: the claims that should notice
    (default: all of the family). equivalent: why nothing can notice, for a mutant that computes the same.

    A mutant must compute something wrong: one that cannot run at all shows nothing, and is an error.
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
    """Whether some claim of the mutated module has another verdict than the expected.

    Which examples are drawn depends on what else is loaded, as Hypothesis takes numbers from it. So an error that few
    examples show, and that these do not, is looked for in four times as many, 100 at least.
    """
    more = () if mutant.equivalent else (max(100, 4 * examples),)
    return any(_noticed(mutant, number) for number in (examples, *more))


def _noticed(mutant: Mutant, examples: int) -> bool:
    source, through = _path(mutant.module).read_text(encoding="utf-8"), above(mutant.module)
    assert source.count(mutant.old) == mutant.count, f"{mutant}: stands there {source.count(mutant.old)} times"
    with _standing_in(mutant.module, *through) as run:
        modules = [run(mutant.module, source.replace(mutant.old, mutant.new))]
        modules += [run(name, _path(name).read_text(encoding="utf-8")) for name in through]
        claims = {c.number: c for module in modules for c in vars(module).values() if isinstance(c, Claim)}
        assert claims, f"{mutant}: nothing leads from there to a claim"
        return not all(_as_expected(claims[number], examples, mutant) for number in mutant.numbers or claims)


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


def above(module: str) -> tuple[str, ...]:
    """The modules beside a module that import it, through others too; each after those that it imports.

    >>> above("ordering.domains")
    ('ordering.checks', 'ordering.statements')
    """
    folder = _path(module).parent
    family = module.rpartition(".")[0]
    beside = {f"{family}.{path.stem}".lstrip("."): path for path in sorted(folder.glob("[!_]*.py"))}
    imports = {name: sorted(_imported(path) & beside.keys()) for name, path in beside.items()}
    reached = [module]
    for name in TopologicalSorter(imports).static_order():
        if not set(imports[name]).isdisjoint(reached):
            reached.append(name)
    return tuple(reached[1:])


@cache
def _imported(path: Path) -> frozenset[str]:
    """What a file imports of theory: modules, and names in them."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    froms = [(node.module or "", node.names) for node in nodes if isinstance(node, ast.ImportFrom)]
    names = (name for module, aliases in froms for name in (module, *(f"{module}.{alias.name}" for alias in aliases)))
    return frozenset(name.removeprefix("theory.") for name in names if name.startswith("theory."))


def _path(module: str) -> Path:
    return Path(theory.__file__).parent.joinpath(*module.split(".")).with_suffix(".py")


@contextlib.contextmanager
def _standing_in(*modules: str) -> Iterator[Callable[[str, str], types.ModuleType]]:
    """Let what is run as a module of theory be found under its name by those that import it; undone afterwards."""
    missing = object()
    names = [f"theory.{module}" for module in modules]
    loaded = {name: sys.modules.get(name, missing) for name in names}
    attributes = {name: getattr(*_holder(name), missing) for name in names}

    def run(module: str, source: str) -> types.ModuleType:
        name = f"theory.{module}"
        new = types.ModuleType(name)
        new.__file__ = str(_path(module))
        sys.modules[name] = new  # for `from theory.parity.bounds import …`, and dataclasses look it up
        setattr(*_holder(name), new)  # for `from theory.parity import bounds`
        exec(compile(source, new.__file__, "exec"), new.__dict__)
        return new

    try:
        yield run
    finally:
        for name in names:
            sys.modules.pop(name, None)
            if loaded[name] is not missing:
                sys.modules[name] = loaded[name]
            if hasattr(*_holder(name)):
                delattr(*_holder(name))
            if attributes[name] is not missing:
                setattr(*_holder(name), attributes[name])


def _holder(name: str) -> tuple[types.ModuleType, str]:
    """The package that a module is in, and the attribute that it is there."""
    package, _, attribute = name.rpartition(".")
    return sys.modules[package], attribute


def wrong(mutants: Iterable[Mutant], examples: int = EXAMPLES) -> list[str]:
    """What does not fit: mutants that nobody notices, and those called equivalent that somebody does."""
    return [str(mutant) for mutant in mutants if noticed(mutant, examples) == bool(mutant.equivalent)]
