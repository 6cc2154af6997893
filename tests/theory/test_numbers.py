"""The numbers on the pages of docs/theory, recomputed without `theory`.

`RECOMPUTED` lists for each claim short texts with numbers that this module computes. The claim's page, or the
statements of its family, must contain each text. Every number of three or more significant digits on the page must
occur in one of them, so add a text when you add such a number.
"""

from __future__ import annotations

import ast
import json
import math
import re
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from fractions import Fraction
from itertools import combinations, combinations_with_replacement, permutations, product
from pathlib import Path

import numpy as np
import pytest

from captioning.shipped import shipped_folder
from tests.theory import retraining

ROOT = Path(__file__).parent.parent.parent
NUMBER = re.compile(r"(?<![\w.])\d{1,3}(?:,\d{3})+(?![\w.]\d)|(?<![\w.])\d+(?:\.\d+)?(?!\.?\w)")


def page_sections():
    """The text of each claim's page by the claim's number, without file names and without the training tables."""
    sections = {}
    for path in sorted((ROOT / "docs" / "theory").glob("claim-*.md")):
        title, _, text = path.read_text(encoding="utf-8").partition("\n")
        number = re.match(r"# (\d-\d+(?: alt)?) ", title)[1]
        text = re.sub(r"!\[.*?\]\(.*?\)", "", re.sub(r"(?s)\n## Learning it\n.*?\n## ", "\n## ", text))
        sections[number] = " ".join(text.split())
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
    return [f"(all {step:,} cases)", f"(all {either:,} cases)", numbers, f"{counts[5]:,} with 5"]


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
        f"F(1) = 4 - 2 √3 = {largest:.3f}", f"the slope g tanh² g = {slope:.3f}",
    ]  # fmt: skip


def other_gains():
    """The bounds in the proof that no other gain than ln(3) / 2 works."""

    def largest(g):  # of tanh(g d) - d
        r = math.sqrt(1 - 1 / g)
        assert abs(max(math.tanh(g * d) - d for d in np.linspace(0, 1, 100_001)) - (r - math.atanh(r) / g)) < 1e-9
        return r - math.atanh(r) / g

    q = 4 / (math.exp(13 / 5) + 1)
    first, second = (
        f"{down(math.tanh(1), 2)} - {up(largest(7 / 5), 2)}",
        f"{down(math.tanh(7 / 5), 3)} - {up(largest(13 / 5), 2)}",
    )
    assert min(Decimal(a) - Decimal(b) for a, b in (first.split(" - "), second.split(" - "))) > Decimal("0.5")
    product_ = Fraction(13, 5) * (Fraction(1, 2) - Fraction(up(q, 2)))
    return [f"(e^g + 1) < {up(q, 2)}", f"g (1/2 - q) > {down(float(product_), 2)} >", first, second]


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
        f"({count} examples)",
    ]  # fmt: skip


def rnn(h, Wh, inputs):
    """The last state of a tanh RNN of a few units, and its Jacobian; inputs: the sums of each step without h Wh."""
    J = np.eye(len(h))
    for x in inputs:
        h = np.tanh(x + h @ Wh)
        J = np.diag(1 - h**2) @ Wh.T @ J
    return h, J


def forgetting():
    """4-1: the network with nilpotent weights that remembers."""
    Wh, bias = np.array([[1.5, 1.5], [-1.5, -1.5]]), np.array([1.5, 30.0])
    assert not (Wh @ Wh).any()
    ends = [rnn(np.array([first, 1.0]), Wh, [bias] * 100)[0] for first in (1.0, -1.0)]
    norm = np.linalg.norm(rnn(np.array([0.0, 1.0]), Wh, [bias] * 20)[1], 2)
    assert abs(norm / (math.sqrt(2) * 1.5**20) - 1) < 1e-9
    assert 1 - math.tanh(30 - 3) < 2 * math.exp(-2 * (30 - 3)) < 1e-23
    return [rf"near $\pm{ends[0][0]:.4f}$", f"{abs(ends[0] - ends[1]).max():.3g} apart after 100 steps",
            f"√2 1.5^k to 9 digits, {norm:,.0f} for k = 20"]  # fmt: skip


def alternation():
    """4-2: the product of 20 nilpotent steps."""
    J = np.eye(2)
    for t in range(20):
        step = np.diag([1.0, 0.0] if t % 2 == 0 else [0.0, 1.0]) @ np.array([[0.0, 2.0], [2.0, 0.0]])
        assert not (step @ step).any()
        J = step @ J
    assert 8 * math.exp(-2 * 28) < 1e-20
    return [f"‖dh_20/dh_0‖ is {np.linalg.norm(J, 2):,.0f}"]


def cells():
    """4-3: dc_30/dc_0 of an LSTM of one unit with the gates f = 1/2 and i = o = 1, for w = 2 and w = 1."""
    found = []
    for w in (2, 1):
        c, h, dc, dh = 0.0, 0.0, 1.0, 0.0
        for _ in range(30):
            g = math.tanh(w * h)
            c, dc = 0.5 * c + g, 0.5 * dc + (1 - g * g) * w * dh
            h, dh = math.tanh(c), (1 - math.tanh(c) ** 2) * dc
        assert abs(dc / (0.5 * (0.5 + w) ** 29) - 1) < 1e-9
        found.append(dc)
    return [f"w = 2, k = 30: {found[0]:.1e}".replace("e+", "e"), f"dc_30/dc_0 is {found[1]:,.4g}"]


def latches():
    """4-4: a slope that vanishes, and inputs that are 5 % above the critical one."""
    _, J = rnn(np.array([1.0]), np.array([[2.0]]), np.zeros(50))
    factor = 1.05
    for w in (1.1, 2.0, 6.0, 10.0):
        h = np.linspace(0, 1, 100_001)[:-1]
        critical = (w * h - np.arctanh(h)).max()
        assert rnn(np.array([1.0]), np.array([[w]]), [-factor * critical] * 400)[0][0] < 0
        assert rnn(np.array([1.0]), np.array([[w]]), [-critical / factor] * 400)[0][0] > 0
    return [f"|dh_50/dh_0| is {J[0, 0]:.3g}", f"inputs of -{factor} e_c lead from 1 below 0"]


def attention():
    """5-2: the norm of the Jacobian at (0, t, -t) by its formula; t² = 3/2."""
    x = math.sqrt(1.5) * np.array([0, 1, -1])
    scores = np.exp(np.outer(x, x))
    p = scores / scores.sum(axis=1, keepdims=True)
    m = p @ x
    J = p * (1 + x[:, None] * (x - m[:, None])) + np.diag((p * (x - m[:, None]) ** 2).sum(axis=1))
    return [f"t = {x[1]:.4g}, the Jacobian has the norm {np.linalg.norm(J, 2):.5g}", f"(n = 1, 2, 4, …, {2**7})"]


def normalised():
    """5-3: the batch norm of 0 and a at a, with epsilon 1e-5."""
    values = [a / 2 / math.sqrt(a * a / 4 + 1e-5) for a in (2, 1)]
    return ["the input 1 becomes {:.8g} instead of {:.8g}".format(*values),
            f"({100 + 1} examples)"]  # fmt: skip


def captioner():
    """5-4: how many words the captioner has, and numbers for each, from the head of its file."""
    data = (shipped_folder() / "weights.safetensors").read_bytes()
    head = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    words, width = head["embed.weight"]["shape"]
    return [f"each of the {words:,} words of the captioner", rf"$2\tanh(\dots)$, {width} numbers"]


def relu_of_a_normal():
    """5-5: the variance of relu(z) for a normal z, by the midpoint rule."""
    z = (np.arange(-60_000, 60_000) + 0.5) / 5_000
    density, y = np.exp(-z * z / 2) / math.sqrt(2 * math.pi) / 5_000, np.maximum(z, 0)
    variance = (density * y * y).sum() - (density * y).sum() ** 2
    return [rf"\mathrm{{Var}}\,z \approx {variance:.2f}\,"]


def monotone_fit():
    """5-6: the best monotone fits of XOR in either order, by trying all thirds and halves."""
    values = [Fraction(k, 6) for k in range(7)]
    best = {
        sum((y - t) ** 2 for y, t in zip(fit, targets, strict=True)) / 4
        for targets in ((0, 1, 1, 0), (1, 0, 0, 1))
        for fit in [
            min(
                (f for f in combinations_with_replacement(values, 4)),
                key=lambda f, targets=targets: sum((y - t) ** 2 for y, t in zip(f, targets, strict=True)),
            )
        ]
    }
    (error,) = best
    return [f"a mean squared error of at least {error} on XOR"]


def trap():
    """6-1: both sides of the inequality at its ends, and Adam's return in floating point."""
    for C, rate in product((2.001, 2.2, 3, 10, 1000), (0.01, 0.5, 4)):
        beta, v, x, regret = 1 / (1 + C**2), 0.0, 1.0, 0.0
        for t in range(1, 3001):
            g = C if t % 3 == 1 else -1
            regret += g * (x + 1)
            assert regret / t >= (2 * C - 4) / 3 - 1e-9
            v = beta * v + (1 - beta) * g * g
            x = min(1.0, max(-1.0, x - rate / math.sqrt(t) * g / math.sqrt(v / (1 - beta**t))))
            assert t % 3 or x == 1
    right = [0.5 + math.sqrt((s + 1) / (3 * s + 9)) for s in (4, 5)]
    assert right[1] == 1
    return [f"from above {down(right[0], 3)} to 1 at $s=5$", f"below {up(5 / math.sqrt(26), 3)} up to $s=5$"]


def heavy_ball():
    """6-2: the cycle, a run onto it, and how errors grow on quadratics."""

    def slope(x):
        return 25 * x if x < 1 else x + 24 if x < 2 else 25 * x - 24

    def run(x, before, steps):
        for _ in range(steps):
            yield x
            x, before = x - slope(x) / 9 + 4 * (x - before) / 9, x

    def errors(q):
        rate, momentum, e, before = 4 / Fraction(q + 1) ** 2, (Fraction(q - 1) / (q + 1)) ** 2, Fraction(1), Fraction(1)
        for _ in range(60):
            yield abs(e)
            e, before = e - rate * q * q * e + momentum * (e - before), e

    cycle = [Fraction(p, 1225) for p in (792, -2208, 2592)]
    assert list(run(cycle[0], cycle[2], 6)) == cycle * 2
    *_, end = run(1.0, 1.0, 301)
    grown, first = ([float(e) for e in errors(q)] for q in (10, 3))
    assert (grown.index(max(grown)), first.index(max(first))) == (4, 1)
    return [
        f"for L/m = 100 it is {max(grown):.2f} after 4 steps", "{}, {}, {} is an attracting cycle".format(*cycle),
        f"after 300 steps x = {end:.6f}", f"it grows {max(first):.4g}-fold up to step 1", f"(L/m to {12**2},",
    ]  # fmt: skip


def rates():
    """6-3: the rate of a cycle for k = 5/2 and k = 3, and the cycle at the latter."""

    def rate(k):
        s = (k * k - 1) / (2 * k - 1)
        return s + 1 / s - 1

    low, high = rate(Fraction(5, 2)), rate(Fraction(3))
    a, b, seen = Fraction(5, 7), Fraction(5, 7), []
    for _ in range(4):
        seen.append(a)
        assert a == b
        a, b = a - high * (a * b - 1) * b, b - high * (a * b - 1) * a
    assert seen[:2] == seen[2:]
    assert 1 < low < high < math.sqrt(5) - 1
    return [
        f"(rates {float(low):.2f} to {float(high):.3f})",
        "At {0} these are ({1}, {1}) and ({2}, {2})".format(high, *seen),
    ]


def elimination_costs(edges):
    """The multiplications of every order of elimination, by sets of predecessors and successors."""
    middle = sorted({v for _, v in edges} & {u for u, _ in edges})
    for order in permutations(middle):
        left, total = set(edges), 0
        for v in order:
            before, after = ({u for u, w in left if w == v}, {w for u, w in left if u == v})
            total += len(before) * len(after)
            left = {(u, w) for u, w in left if v not in (u, w)} | {(u, w) for u in before for w in after}
        yield total


def elimination():
    """6-5: the smallest graph on which neither forward nor reverse elimination is optimal."""
    pairs = list(combinations(range(5), 2))
    small = [edges for size in range(6) for edges in combinations(pairs, size)]
    costs = {edges: list(elimination_costs(edges)) for edges in small}
    ((edges, found),) = ((e, c) for e, c in costs.items() if min(c) < min(c[0], c[-1]))
    return [f"(all {2 ** len(pairs):,} cases)", ", ".join(rf"${u}\to{v}$" for u, v in edges),
            f"with {found[0]} multiplications forward, {found[-1]} in reverse, and {min(found)} if"]  # fmt: skip


SIZES = filled_sizes()
BITS = [f"{100 * density:g} %" for density in (0.001, 0.5, 0.999)]
DENSITIES = f"{BITS[0]}, {BITS[1]} or {BITS[2]} are ones"
RECOMPUTED = {
    "1-1": convolutions(),
    "1-3": [f"(all {3**4} cases)", f"(all {SIZES[0]} cases)",
            f"$K=2$, $r=2$, $e=1$ needs {SIZES[1]} entries, and $K=3$, $d=2$, $r=2$ needs {SIZES[2]}"],
    "2-1": ordering(),
    "2-2": ordering()[1:2],
    "3-1": [DENSITIES],
    "3-1 alt": [DENSITIES, *gains(), *other_gains(), f"{fisher(3, 4, 1, 4)} for 3 of 4 against 1 of 4"],
    "3-2": eigenvectors(),
    "4-1": forgetting(),
    "4-2": alternation(),
    "4-3": cells(),
    "4-4": latches(),
    "5-2": attention(),
    "5-3": normalised(),
    "5-4": captioner(),
    "5-5": relu_of_a_normal(),
    "5-6": monotone_fit(),
    "6-1": trap(),
    "6-2": heavy_ball(),
    "6-3": rates(),
    "6-5": elimination(),
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
    whole = (ROOT / "docs" / "theory" / "claim-3-1-alt.md").read_text(encoding="utf-8")
    page = whole.partition("\n## Learning it\n")[2].partition("\n## ")[0]
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
