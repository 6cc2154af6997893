"""The numbers of claims 6-1 to 6-5, computed without theory/."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations, permutations

import pytest


@pytest.mark.parametrize("C", [2.001, 2.2, 3, 10, 1000])
@pytest.mark.parametrize("rate", [0.01, 0.5, 4])
def test_adam_returns_to_1(C, rate):
    beta, v, x = 1 / (1 + C**2), 0.0, 1.0
    regret = 0.0
    for t in range(1, 3001):
        g = C if t % 3 == 1 else -1
        regret += g * (x + 1)
        assert regret / t >= (2 * C - 4) / 3 - 1e-9
        v = beta * v + (1 - beta) * g * g
        x = min(1.0, max(-1.0, x - rate / math.sqrt(t) * g / math.sqrt(v / (1 - beta**t))))
        assert t % 3 or x == 1


def test_heavy_ball_cycles_and_grows():
    def slope(x):
        return 25 * x if x < 1 else x + 24 if x < 2 else 25 * x - 24

    now, before = Fraction(792, 1225), Fraction(2592, 1225)
    seen = []
    for _ in range(6):
        seen.append(now * 1225)
        now, before = now - slope(now) / 9 + Fraction(4, 9) * (now - before), now
    assert seen == [792, -2208, 2592] * 2
    rate, momentum = Fraction(4, 121), Fraction(81, 121)  # curvatures 1 to 100
    e, before, errors = Fraction(1), Fraction(1), []
    for _ in range(60):
        errors.append(abs(e))
        e, before = e - rate * 100 * e + momentum * (e - before), e
    assert max(errors) == errors[4] == Fraction(597051, 161051)
    assert float(errors[4]) == pytest.approx(3.71, abs=0.005)


def test_two_layers_cycle_where_every_minimum_is_too_sharp():
    rate, a, b = Fraction(49, 40), Fraction(5, 7), Fraction(5, 7)
    seen = []
    for _ in range(4):
        seen.append((a, b))
        a, b = a - rate * (a * b - 1) * b, b - rate * (a * b - 1) * a
    low, high = Fraction(5, 7), Fraction(8, 7)
    assert seen == [(low, low), (high, high)] * 2
    assert 1 < rate < math.sqrt(5) - 1


def costs(edges):
    """The multiplications of every order of elimination, by sets of predecessors and successors."""
    middle = sorted({v for _, v in edges} & {u for u, _ in edges})
    for order in permutations(middle):
        left, total = set(edges), 0
        for v in order:
            before, after = ({u for u, w in left if w == v}, {w for u, w in left if u == v})
            total += len(before) * len(after)
            left = {(u, w) for u, w in left if v not in (u, w)} | {(u, w) for u in before for w in after}
        yield total


def test_the_smallest_graph():
    pairs = list(combinations(range(5), 2))
    for size in range(6):
        for edges in combinations(pairs, size):
            found = list(costs(edges))
            forward, reverse = found[0], found[-1]
            neither = min(found) < min(forward, reverse)
            assert neither == (edges == ((0, 1), (1, 2), (1, 3), (2, 3), (3, 4)))
            if neither:
                assert (forward, reverse, min(found)) == (4, 4, 3)
