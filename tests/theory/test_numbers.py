"""The numbers on docs/theory.md, recomputed without `theory`.

`RECOMPUTED` has for each claim pieces of its section, made of numbers that this module computes. Each piece must stand
there, or in the family's statements. A number of three or more significant digits must stand in some piece. Add a piece
for a new one.
"""

from __future__ import annotations

import ast
import math
import re
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from tests.theory import retraining

ROOT = Path(__file__).parent.parent.parent
NUMBER = re.compile(r"(?<![\w.])\d{1,3}(?:,\d{3})+(?![\w.]\d)|(?<![\w.])\d+(?:\.\d+)?(?!\.?\w)")


def page_sections():
    """The sections of the page by the number of their claim, without figures' names and without the training tables."""
    page = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")
    sections = {}
    for section in re.split(r"^## ", page, flags=re.M)[1:]:
        if found := re.match(r"(\d-\d+(?: alt)?) ", section):
            text = re.sub(r"!\[.*?\]\(.*?\)", "", section[found.end() :])
            sections[found[1]] = " ".join(text.partition("**Learning it.**")[0].split())
    return sections


def statements():
    """The texts in the statements of each family, by its folder."""
    families = {}
    for path in sorted((ROOT / "theory").glob("*/statements*.py")):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        texts = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        families[path.parent.name] = families.get(path.parent.name, "") + " ".join(" ".join(texts).split())
    return families


def long_numbers(text):
    """The numbers of three or more significant digits; years are none.

    >>> sorted(long_numbers("1,000 of 29,281 in 1973, 0.012 and 0.0123"))
    ['0.0123', '29,281']
    """
    found = set()
    for number in NUMBER.findall(text):
        digits = number.replace(",", "").replace(".", "").lstrip("0")
        significant = digits if "." in number else digits.rstrip("0")
        if len(significant) >= 3 and not re.fullmatch("1[89]..|20..", number):
            found.add(number)
    return found


# Recomputations -------------------------------------------------------------------------------------


def down(x, digits):
    """Write a number rounded down, for a lower bound or before an ellipsis."""
    return str(Decimal(x).quantize(Decimal(1).scaleb(-digits), ROUND_FLOOR))


def up(x, digits):
    """Write a number rounded up, for an upper bound."""
    return str(Decimal(x).quantize(Decimal(1).scaleb(-digits), ROUND_CEILING))


def acyclic(n, loops=False):
    """Count the graphs of n vertices, and the acyclic ones, by removing sources from all graphs at once."""
    pairs = [(u, v) for u, v in product(range(n), repeat=2) if loops or u != v]
    graphs = np.arange(2 ** len(pairs))
    parents = np.zeros((n, len(graphs)), int)
    for bit, (u, v) in enumerate(pairs):
        parents[v] |= (graphs >> bit & 1) << u
    removed = np.zeros(len(graphs), int)
    for _ in range(n):
        removed |= sum(((parents[v] & ~removed) == 0).astype(int) << v for v in range(n)) if n else 0
    return len(graphs), int((removed == 2**n - 1).sum())


def fisher(a, n, b, m):
    """p of Fisher's two-sided exact test of a of n against b of m."""
    ways = [math.comb(n, k) * math.comb(m, a + b - k) for k in range(a + b + 1)]
    return Fraction(sum(way for way in ways if way <= ways[a]), math.comb(n + m, a + b))


def parity_map(g, u):
    return (math.tanh(g * (u - 0.5)) - math.tanh(g * (u - 1.5))) / 2


def touching(g):
    """The largest f(s) - s on [1/2, 1], and its s, by ternary search; it is concave."""
    low, high = 0.5, 1.0
    for _ in range(200):
        a, b = (2 * low + high) / 3, (low + 2 * high) / 3
        low, high = (a, high) if parity_map(g, a) - a < parity_map(g, b) - b else (low, b)
    return parity_map(g, low) - low, low


def root(function, low, high):
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return high


def steps_until_lost(g):
    """After how many bits of 1 0 0 … 0 the tanh network of gain g errs."""
    s, t = parity_map(g, 1.0), 1
    while s > 0.5 and t < 10_000:
        s, t = parity_map(g, s), t + 1
    return t


def times(*matrices):
    result = matrices[0]
    for matrix in matrices[1:]:
        result = [[sum(x * y for x, y in zip(row, column, strict=True)) for column in zip(*matrix, strict=True)]
                  for row in result]  # fmt: skip
    return result


def rows(matrix):
    return " and ".join(f"$({','.join(map(str, row))})$" for row in matrix)


def strata(kinds, radii, examples=100):
    """How many matrices of sizes 1 to 4 make as many of every kind and side of radius 1 as of any other."""
    number = sum(radii for kind in kinds for size in range(1, 5) if size > 1 or kind not in ("non-normal", "defective"))
    return number * -(-examples // number)


def filled_sizes():
    """How many K, r, d, e there are, and two kernels that r ceil(K / r) does not fill."""
    count = sum(1 for K, r, d in product(range(1, 6), range(1, 4), range(1, 4)) for e in range(r))

    def needed(K, r, d, e):
        return r * math.ceil(Fraction(d * (K - 1) + 1 + e, r))

    return count, needed(2, 2, 1, 1), needed(3, 2, 2, 0)


def convolutions():
    """1-1: which pixel each weight multiplies with a padding of 1, a kernel of 2x2 and a stride of 3."""
    pieces = []
    for i, j in product(range(2), repeat=2):
        ((u, v),) = [
            (u, v) for u, v in product(range(2), repeat=2) if all(0 <= 3 * k + w - 1 < 3 for k, w in ((i, u), (j, v)))
        ]
        a, b = 3 * i + u - 1, 3 * j + v - 1
        pieces += [f"Y_{{{i}{j}}}=W_{{{u}{v}}}x_{{{a}{b}}}", f"A_{{{2 * i + j},{3 * a + b}}}=W_{{{u}{v}}}"]
    return pieces


def ordering():
    counts = [acyclic(n)[1] for n in range(6)]
    looped = [acyclic(n, loops=True) for n in range(1, 5)]
    assert [dags for _, dags in looped] == counts[1:5]
    step = sum(counts[:5])
    either = sum(graphs for graphs, _ in looped[:3]) + acyclic(4)[0]
    numbers = "Of the labelled graphs with 1 to 4 vertices, {}, {}, {} and {} can be sorted".format(*counts[1:5])
    return [f"Holds in all {step:,} cases", f"Holds in all {either:,} cases", numbers, f"{counts[5]:,} with 5"]


def gains():
    critical = root(lambda g: touching(g)[0], 1.0, 4.0)
    below, above = down(critical, 5), up(critical, 5)
    assert steps_until_lost(float(below)) < 7_000
    assert touching(float(above))[0] > 1e-7 > -1e-7 > touching(float(below))[0]
    assert steps_until_lost(2.33) < 7_000
    raw = math.log(3) / 2
    largest = 4 - 2 * math.sqrt(3)
    assert abs(2 * math.tanh(raw / 2) - largest) < 1e-15
    assert abs(2 * parity_map(raw, 0.5) - 0.5) < 1e-15
    slope = raw * math.tanh(raw) ** 2
    return [
        f"$g_c={down(critical, 9)}…$, $s={down(touching(critical)[1], 5)}…$",
        f"1 0 0 … 0 fails at gain {below}", f"every length is right at {above}", "at gain 2.33, where 1 0 0 … 0 fails",
        rf"$F(1)=4-2\sqrt3={largest:.3f}$", rf"the slope $g \tanh^2 g={slope:.3f}$",
    ]  # fmt: skip


def other_gains():
    """The bounds in the proof that no other gain than ln(3) / 2 works."""

    def largest(g):  # of tanh(g d) - d
        r = math.sqrt(1 - 1 / g)
        assert abs(max(math.tanh(g * d) - d for d in np.linspace(0, 1, 100_001)) - (r - math.atanh(r) / g)) < 1e-9
        return r - math.atanh(r) / g

    q = 4 / (math.exp(13 / 5) + 1)
    first, second = (
        f"{down(math.tanh(1), 2)}-{up(largest(7 / 5), 2)}",
        f"{down(math.tanh(7 / 5), 3)}-{up(largest(13 / 5), 2)}",
    )
    assert min(Decimal(a) - Decimal(b) for a, b in (first.split("-"), second.split("-"))) > Decimal("0.5")
    product_ = Fraction(13, 5) * (Fraction(1, 2) - Fraction(up(q, 2)))
    return [f"(e^g+1)<{up(q, 2)}$", f"$g(\\frac12-q)>{down(float(product_), 2)}>", first, second]


def eigenvectors():
    P, D, inverse = [[1, 1], [0, 1]], [[1, 0], [0, 2]], [[1, -1], [0, 1]]
    assert times(P, inverse) == [[1, 0], [0, 1]]
    transposed = [list(column) for column in zip(*inverse, strict=True)]  # (P')^-1
    one = times(transposed, D, inverse)
    sigmoids = [1 / (1 + math.exp(-bias)) for bias in (0, 1, 5)]
    norms = [np.linalg.norm([[0, 3, 0], [0, 0, 4], [0, 0, 0]], kind) for kind in (2, "fro")]
    kinds = ("symmetric", "orthogonal", "random")
    every = (*kinds, "non-normal", "defective")
    (count,) = {strata(every, 3), strata(kinds, 3), strata(every, 2), strata(every, 1)}
    return [
        f"the square has the rows {rows(times(one, one))}", f"has the rows {rows(times(transposed, D, D, inverse))}",
        "{:.1f}, {:.3f}, {:.3f} for 0, 1, 5".format(*sigmoids),
        f"‖N‖ is a spectral norm: {norms[0]:.0f} for W", f"the Frobenius norm is {norms[1]:.0f}",
        f"No counterexample in {count} examples",
    ]  # fmt: skip


SIZES = filled_sizes()
BITS = [f"{100 * density:g} %" for density in (0.001, 0.5, 0.999)]
DENSITIES = f"{BITS[0]}, {BITS[1]} or {BITS[2]} are ones"
RECOMPUTED = {
    "1-1": convolutions(),
    "1-3": [f"Holds in all {3**4} cases", f"Holds in all {SIZES[0]} cases",
            f"$K=2$, $r=2$, $e=1$ needs {SIZES[1]} entries, and $K=3$, $d=2$, $r=2$ needs {SIZES[2]}"],
    "2-1": ordering(),
    "2-2": ordering()[1:2],
    "3-1": [DENSITIES],
    "3-1 alt": [DENSITIES, *gains(), *other_gains(), f"{fisher(3, 4, 1, 4)} for 3 of 4 against 1 of 4",
                f"No counterexample in {100 + 4} examples"],
    "3-2": eigenvectors(),
}  # fmt: skip
"""Pieces of the page by the number of a claim."""

EVERYWHERE = " ".join(statements().values())


@pytest.mark.parametrize("number", RECOMPUTED)
def test_a_recomputed_piece_stands_on_the_page(number):
    text = page_sections()[number] + EVERYWHERE
    for piece in RECOMPUTED[number]:
        assert piece in text, f"{number}: {piece!r} is recomputed, but not printed"


@pytest.mark.parametrize("number", page_sections())
def test_a_number_on_the_page_is_recomputed(number):
    missing = long_numbers(page_sections()[number]) - long_numbers("; ".join(RECOMPUTED.get(number, [])))
    assert not missing, f"{number}: {', '.join(sorted(missing))} on the page is not recomputed; add it to RECOMPUTED"


@pytest.mark.parametrize("family", statements())
def test_a_number_in_a_statement_is_recomputed(family):
    pieces = "; ".join(piece for several in RECOMPUTED.values() for piece in several)
    missing = long_numbers(statements()[family]) - long_numbers(pieces)
    assert not missing, f"{family}: {', '.join(sorted(missing))} is not recomputed; add it to RECOMPUTED"


# The training tables ---------------------------------------------------------------------------------


def tables():
    """The rows of both training tables by their name, as lists of cells."""
    page = (
        (ROOT / "docs" / "theory.md").read_text(encoding="utf-8").partition("**Learning it.**")[2].partition("\n## ")[0]
    )
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")
    ]
    found = {name: [cells[1:] for cells in lines if cells[0] == name] for name in retraining.ROWS}
    assert all(len(several) == 2 for several in found.values())
    assert len(lines) == 2 * (len(found) + 2)
    return page, found


def test_the_training_table_compares_its_own_counts():
    page, found = tables()
    counts = {name: [int(cell) for cell in cells[0][:2]] for name, cells in found.items()}
    on_random, whole = (sum(several) for several in zip(*counts.values(), strict=True))
    significant = []
    for name, (_, right) in counts.items():
        p = fisher(right, 10, whole - right, 10 * len(counts) - 10)
        assert found[name][0][2] == f"{float(p):.2g}"
        significant += [f"“{name}”"] * (p < Fraction(5, 100) / len(counts))
    text = " ".join(page.split())
    assert f"{on_random} networks make no error on random sequences, but {on_random - whole} of them fail" in text
    assert f"over all {len(counts)} tests): {', '.join(significant)}." in text


@pytest.mark.slow
@pytest.mark.parametrize("name", retraining.ROWS)
def test_the_training_table_is_that_of_other_code(name, full):
    """Other rounding changes single networks, so counts may differ by 3. If they agree, so do norms and scales."""
    if not full and name != "5 bits":
        return  # training takes about 25 s for each row
    _, found = tables()
    (on_random, on_all, _), cells = found[name]
    right, wrong, random, scales = retraining.row(name)
    assert abs(random - int(on_random)) <= 3
    assert abs(len(right) - int(on_all)) <= 3
    if full and (random, len(right)) == (int(on_random), int(on_all)):
        for cell, values in zip(cells, (right, wrong, scales), strict=True):
            ends = [float(end) for end in cell.split("–")] if cell != "-" else []
            assert np.allclose(ends[:1] + ends[-1:], [min(values), max(values)] if values else [], atol=0.1)
