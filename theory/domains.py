"""Domains: all cases that a proposition is about, or a sample of them, and what the domain promises.

Every statement holds for an empty set of examples, and many hold for trivial ones. So a domain says whether it
*enumerates* all cases, and promises what its examples contain: how many there are (counted in another way), which
features some have (such as a graph with an edge), and that each belongs to the domain. A check that finds a broken
promise gives no verdict.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as hypothesis_seed
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy

__all__ = ["Domain", "Source", "as_domain", "enumerated", "every", "sampled", "stratified"]

Source = SearchStrategy[Any] | Callable[[int], Iterable[Any]] | Sequence[Any]
"""A Hypothesis strategy, a list, or a function from a number to examples."""

Features = Mapping[str, Callable[[Any], bool]]


@dataclass(frozen=True)
class Domain:
    """Examples, and what is promised of them. Made by `enumerated`, `sampled`, `stratified` or `every`.

    Args:
        source: a Hypothesis strategy, which draws and shrinks examples; or a function from a number of examples and a
            seed to examples, the smallest first.
        exhaustive: whether they are all cases that the proposition is about.
        count: how many examples there are, given the number asked for.
        reaches: features by name; some example must have each. If a strategy's sample lacks one, an example with it
            is drawn as well.
        certify: raises AssertionError for an example that is not of the domain.
    """

    source: SearchStrategy[Any] | Callable[[int, int], Iterable[Any]]
    exhaustive: bool = False
    count: Callable[[int], int] | None = None
    reaches: Features = field(default_factory=dict)
    certify: Callable[[Any], None] | None = None

    def __post_init__(self) -> None:
        if self.exhaustive and self.count is None:
            raise ValueError("Domain: one that enumerates all cases must say how many there are: count")

    @property
    def strategy(self) -> SearchStrategy[Any]:
        """A Hypothesis strategy for its examples."""
        source: Any = self.source
        if isinstance(source, SearchStrategy):
            return source
        return st.deferred(lambda: st.sampled_from(list(source(100, 0))))

    def examples(self, number: int, seed: int = 0) -> list[Any]:
        """Return the examples that a check tries first.

        >>> every(1, 2).examples(100)
        [1, 2]
        """
        found: list[Any] = []
        self.run(found.append, number, seed)
        return found

    def run(self, check: Callable[[Any], None], number: int, seed: int) -> None:
        """Pass examples to a check until it raises an error or all are passed; a strategy draws `number` of them.

        If examples of a strategy raise errors, the smallest such example comes last.
        """
        source: Any = self.source
        if isinstance(source, SearchStrategy):
            _sample(source, check, number, seed)
            return
        for example in source(number, seed):
            check(example)

    def fill(self, check: Callable[[Any], None], feature: str, seed: int) -> None:
        """Pass an example with a feature to a check, if a strategy can draw one."""
        if isinstance(self.source, SearchStrategy):
            with contextlib.suppress(Unsatisfiable):
                _sample(self.source.filter(self.reaches[feature]), check, 1, seed)


def _sample(strategy: SearchStrategy[Any], check: Callable[[Any], None], number: int, seed: int) -> None:
    quietly = settings(
        max_examples=number, database=None, deadline=None, derandomize=False, print_blob=False,
        phases=(Phase.generate, Phase.shrink), verbosity=Verbosity.quiet, report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip

    def test(example: Any) -> None:
        check(example)

    hypothesis_seed(seed)(quietly(given(strategy)(test)))()


def enumerated(
    cases: Sequence[Any] | Callable[[int], Iterable[Any]],
    count: int | Callable[[int], int],
    reaches: Features | None = None,
    certify: Callable[[Any], None] | None = None,
) -> Domain:
    """Return the domain of all cases, each once, the smallest first.

    Args:
        cases: a list, or a function from the number of examples asked for to cases. If a larger number gives more
            cases, the proposition says so.
        count: how many there are, or a function that returns it; counted in another way than by making them.
        reaches, certify: see :class:`Domain`.

    >>> bits = enumerated([(0, 0), (0, 1), (1, 0), (1, 1)], 2**2, {"two ones": lambda bits: sum(bits) == 2})
    >>> bits.exhaustive, bits.examples(1)
    (True, [(0, 0), (0, 1), (1, 0), (1, 1)])
    """
    number = count if callable(count) else lambda examples: count
    return Domain(_function(cases), True, number, reaches or {}, certify)


def every(*cases: Any) -> Domain:
    """Return the domain of exactly these cases.

    >>> every(1, 2).exhaustive
    True
    """
    return enumerated(cases, len(cases))


def sampled(
    source: Source | Callable[[int, int], Iterable[Any]],
    reaches: Features | None = None,
    certify: Callable[[Any], None] | None = None,
    seeded: bool = False,
) -> Domain:
    """Return a domain of some cases, drawn or chosen.

    Args:
        source: a Hypothesis strategy; or a list, or a function of a number of examples and, if `seeded`, of a seed.
        reaches, certify: see :class:`Domain`.

    >>> odd = sampled(st.integers(0, 9), {"an odd number": lambda n: n % 2 == 1})
    >>> odd.exhaustive, len(odd.examples(5))
    (False, 5)
    """
    made: Any = source if seeded or isinstance(source, SearchStrategy) else _function(source)
    return Domain(made, False, None, reaches or {}, certify)


def stratified(
    strata: Sequence[Any],
    draw: Callable[[Any, int], Any],
    reaches: Features | None = None,
    certify: Callable[[Any], None] | None = None,
) -> Domain:
    """Return a sample with equally many examples of every stratum: at least one, and as many as asked for in all.

    Args:
        strata: the strata, the smallest first.
        draw: returns an example of a stratum, given a seed; no two examples of a check have the same seed.
        reaches, certify: see :class:`Domain`.

    >>> stratified("ab", lambda letter, seed: letter + str(seed)).examples(3)
    ['a0', 'b1', 'a2', 'b3']
    """

    def rounds(number: int) -> int:
        return max(1, -(-number // len(strata)))

    def draws(number: int, seed: int) -> Iterable[Any]:
        first = seed * 1_000_003
        return (draw(s, first + r * len(strata) + i) for r in range(rounds(number)) for i, s in enumerate(strata))

    return Domain(draws, False, lambda number: rounds(number) * len(strata), reaches or {}, certify)


def as_domain(domain: Domain | Source) -> Domain:
    """Return a domain as it is, and anything else as a sample, since it promises nothing.

    >>> as_domain([1, 2]).exhaustive
    False
    """
    return domain if isinstance(domain, Domain) else sampled(domain)


def _function(source: Any) -> Callable[[int, int], Iterable[Any]]:
    return lambda number, seed: source(number) if callable(source) else source
