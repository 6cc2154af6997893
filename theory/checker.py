"""Verify certificates with integers and fractions: `python checker.py FILE.json`.

`theory certify NUMBER --out FILE.json` writes such a file. This module imports the standard library alone, so you can
copy it, and shares no code with what finds certificates. The exit status is 0 if it accepts every file, else 1.

A certificate has a kind, the sentence that it proves (`says`), and data. A kind is a function in `KINDS`: it raises
Rejected, or returns the sentence that its data prove, which contains its subject, such as a graph. A file is accepted
if its text is canonical, its SHA-256 is right, and each certificate proves what it says. So any change is detected.

Acceptance proves the printed sentences. They are instances of the claim, whose proof is in docs/theory; its number
and statement are labels. Anyone can compute a new SHA-256, but that makes no false sentence pass. `failure` and
`intervals` rest on the facts (1) to (4) in the proof of claim "3-1 alt".
"""

from __future__ import annotations

import hashlib
import itertools
import json
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

__all__ = ["KINDS", "Rejected", "canonical", "check_file", "digest"]
Number = int | str | Fraction  # as text, such as "2/3", in a file
Matrix = Sequence[Sequence[Number]]
Words = Sequence[tuple[Sequence[Number], Number]]
Range = tuple[Fraction, Fraction]


class Rejected(ValueError):  # noqa: N818 - the word of the field
    """A certificate is wrong; the message says how."""


def require(condition: bool, message: str) -> None:
    """Raise :class:`Rejected` with the message unless the condition is true."""
    if not condition:
        raise Rejected(message)


def rational(number: Number) -> Fraction:
    """Return a number as a fraction; floats and bools are rejected."""
    exact = type(number) is Fraction or (type(number) in (int, str) and str(Fraction(number)) == str(number))
    require(exact, f"{number!r} is not an integer or a fraction in lowest terms")
    return Fraction(number)


def order(parents: Mapping[Any, Collection[Any]], order: Sequence[Any]) -> str:
    """An order has every vertex once, and every edge goes forward in it."""
    position = {vertex: i for i, vertex in enumerate(order)}
    require(len(order) == len(position), "the order names a vertex twice")
    require(position.keys() == parents.keys(), "the vertices of the order are not those of the graph")
    for vertex, several in parents.items():
        for parent in several:
            if position[parent] >= position[vertex]:
                raise Rejected(f"the edge {parent!r} -> {vertex!r} goes backward in the order")
    return f"The graph of the parents {parents} has the topological order {order}, so it has no cycle"


def cycle(parents: Mapping[Any, Collection[Any]], cycle: Sequence[Any]) -> str:
    """A cycle has at least one vertex, none twice, and an edge from each to the next and from the last to the first."""
    require(len(cycle) > 0, "the cycle is empty")
    require(len(set(cycle)) == len(cycle), "the cycle names a vertex twice")
    before = cycle[-1]
    for vertex in cycle:
        if vertex not in parents or before not in parents[vertex]:
            raise Rejected(f"the cycle has no edge {before!r} -> {vertex!r} in the graph")
        before = vertex
    return f"The graph of the parents {parents} has the cycle {cycle}, so it has no topological order"


def permutation(left: Sequence[Any], right: Sequence[Any], columns: Sequence[int]) -> str:
    """Row i of `left` is row columns[i] of `right`, and the columns are a permutation; entries are numbers or names."""
    require(sorted(columns) == list(range(len(right))), "the columns are not a permutation")
    require(list(left) == [right[column] for column in columns], "a row differs")
    return f"{left} = P {right} for the permutation matrix P whose rows have their ones in the columns {columns}"


def product(A: Matrix, B: Matrix) -> list[list[Fraction]]:
    """Return A B."""
    pairs = ((zip(row, column, strict=True) for column in zip(*B, strict=True)) for row in A)
    return [[sum((rational(x) * rational(y) for x, y in entry), Fraction(0)) for entry in row] for row in pairs]


def defective(matrix: Matrix, eigenvalue: Number, vector: Sequence[Number]) -> str:
    """A v != 0 = A^2 v for A = W - eigenvalue I, and a diagonal matrix maps to 0 whatever its square maps to 0."""
    A = [[rational(x) - (i == j) * rational(eigenvalue) for j, x in enumerate(row)] for i, row in enumerate(matrix)]
    once = product(A, [[x] for x in vector])
    require(any(x != 0 for (x,) in once), "A v is 0, so v is an eigenvector or 0")
    require(all(x == 0 for (x,) in product(A, once)), "A^2 v is not 0")
    return f"{matrix} has no eigendecomposition, as A v != 0 = A^2 v for A = W - {eigenvalue} I, v = {vector}"


def jordan_form(matrix: Matrix, vectors: Matrix, inverse: Matrix, blocks: Sequence[tuple[Number, int]]) -> str:
    """W P = P J and P P^-1 = I, with J of Jordan blocks, each an eigenvalue and a size."""
    require(all(size >= 1 for _, size in blocks), "a block has a size below 1")
    diagonal = [(value, k) for value, size in blocks for k in range(size)]
    J = [[value if i == j else int(j == i + 1 and k > 0) for j, (_, k) in enumerate(diagonal)]
         for i, (value, _) in enumerate(diagonal)]  # fmt: skip
    one = [[i == j for j in range(len(J))] for i in range(len(J))]
    require(product(vectors, inverse) == one, "P and P^-1 are not inverse")
    require(product(matrix, vectors) == product(vectors, J), "W P is not P J")
    has = "no" if any(size > 1 for _, size in blocks) else "an"
    return f"{matrix} has {has} eigendecomposition, as its Jordan blocks (eigenvalue, size) are {blocks}"


def contradiction(system: Sequence[tuple[Sequence[Number], bool]], multipliers: Sequence[Number]) -> str:
    """Multipliers that are not negative add inequalities up to 0 < 0 (J. Farkas, Theorie der Ungleichungen, 1902).

    [c, true] stands for c x < 0, and [c, false] for c x <= 0. A constant is the coefficient of a t with -t < 0.
    """
    require(len(system) == len(multipliers), "the numbers of multipliers and inequalities differ")
    require(all(rational(m) >= 0 for m in multipliers), "a multiplier is negative, which reverses an inequality")
    columns = list(zip(*(coefficients for coefficients, _ in system), strict=True))
    for (total,) in product(columns, [[m] for m in multipliers]):
        require(total == 0, f"the sum has the coefficient {total}, not 0")
    strict = any(strict is True and rational(m) > 0 for (_, strict), m in zip(system, multipliers, strict=True))
    require(strict, "no strict inequality takes part, and 0 <= 0 is not a contradiction")
    return f"No x has c x < 0 for all [c, True] and c x <= 0 for all [c, False] of {system}"


def vector_bound(matrix: Matrix, vector: Sequence[Number], rate: Number) -> str:
    """A >= 0, v > 0 and A v <= rate v, so A^k v <= rate^k v."""
    require(all(rational(x) >= 0 for row in matrix for x in row), "the matrix has a negative entry")
    for x, (y,) in zip(vector, product(matrix, [[x] for x in vector]), strict=True):
        require(rational(x) > 0, f"an entry {x} of v is not above 0")
        require(y <= rational(rate) * rational(x), f"an entry {y} of A v is above {rate} times {x}")
    return f"The spectral radius of {matrix} is at most {rate}, as A v <= {rate} v for v = {vector}"


def positive_definite(matrix: Matrix) -> str:
    """The matrix is symmetric, and all pivots of its elimination, the D of L D L', are above 0."""
    left = [[rational(x) for x in row] for row in matrix]
    require(left == [list(column) for column in zip(*left, strict=True)], "the matrix is not symmetric")
    while left:
        (pivot, *first), *rest = left
        require(pivot > 0, f"a pivot is {pivot}, not above 0")
        left = [[x - row[0] * y / pivot for x, y in zip(row[1:], first, strict=True)] for row in rest]
    return f"{matrix} is positive definite"


def contraction(P: Matrix, A: Matrix, B: Matrix, rate: Number) -> str:
    """J'PJ < rate^2 P for J = A D B and all D of 0 and 1, so P > 0 by D = 0; the form of J'PJ is convex in D."""
    for corner in itertools.product((0, 1), repeat=len(B)):
        J = product(A, [[d * rational(x) for x in row] for d, row in zip(corner, B, strict=True)])
        shrunk = product(list(zip(*J, strict=True)), product(P, J))
        pairs = (zip(left, right, strict=True) for left, right in zip(P, shrunk, strict=True))
        positive_definite([[rational(rate) ** 2 * rational(p) - x for p, x in row] for row in pairs])
    return f"J'PJ < ({rate})^2 P, P = {P} > 0, for every J = A D B, A = {A}, B = {B}, diagonal D with entries in [0, 1]"


def largest_score(words: Words, word: int, state: Sequence[Number]) -> str:
    """At a state u in the box the word has a larger score E u + b than every other word."""
    require(all(abs(rational(x)) < 1 for x in state), "the state is not in the box")
    scores = [product([E], [[x] for x in state])[0][0] + rational(b) for E, b in words]
    wins = all(score < scores[word] for other, score in enumerate(scores) if other != word)
    require(word >= 0 and wins, f"the word {word} does not win: the scores are {', '.join(map(str, scores))}")
    return f"At u = {state} in (-1, 1)^n word {word} has the largest E u + b of all words [E, b] in {words}"


def never_largest(words: Words, word: int, multipliers: Sequence[Number]) -> str:
    """The word's score exceeds a mean of others' by at most |E_w - mean E|_1 + b_w - mean b, which is not above 0."""
    weights, rows = [rational(m) for m in multipliers], [[rational(x) for x in (*E, b)] for E, b in words]
    require(min(weights) >= 0 and sum(weights) > 0, "the multipliers must be at least 0, and not all 0")
    require(word >= 0 and weights[word] == 0, "the word takes part in the mean")
    columns = zip(rows[word], zip(*rows, strict=True), strict=True)
    *gaps, gap = [sum(m * (x - y) for m, y in zip(weights, column, strict=True)) for x, column in columns]
    require(sum(map(abs, gaps)) + gap <= 0, "the word may exceed the mean of the others")
    return f"By {multipliers}, at no u in (-1, 1)^n word {word} has the largest E u + b of all words [E, b] in {words}"


def derivative_at(derivative: Sequence[Any], x: Fraction) -> Fraction:
    """Return the sum of c_i x^i for the first [end, c] with x < end or no end."""
    c = next(c for end, c in derivative if end is None or x < rational(end))
    return sum((rational(c_i) * x**i for i, c_i in enumerate(c)), Fraction(0))


def descent_cycle(derivative: Sequence[Any], points: Sequence[Number], rate: Number, momentum: Number) -> str:
    """x - rate f'(x) + momentum (x - last x) goes round the points; f' is the sum of c_i x^i in a piece [end, c]."""
    x = [rational(point) for point in points]
    require(len(set(x)) > 1, "it is a single point")
    for k, here in enumerate(x):
        new = here - rational(rate) * derivative_at(derivative, here) + rational(momentum) * (here - x[k - 1])
        require(new == x[(k + 1) % len(x)], f"step {k} leads to {new}")
    f = f"if f'(x) is the sum of c_i x^i for the first [end, c] of {derivative} with x < end or no end"
    return f"Descent with the rate {rate} and the momentum {momentum} goes round {points}, {f}"


BITS = 192
NETWORK = "[s_t > 1/2], s_0 = 0, s_t = f(s_{t-1} + x_t), f(u) = (tanh(g (u - 1/2)) - tanh(g (u - 3/2))) / 2,"


def exp_range(q: Fraction) -> Range:
    """Return fractions (low, high) with low <= exp(q) <= high, by exp(q / 2^k)^(2^k) with 0 <= q / 2^k <= 1/16.

    Rounding q / 2^k and each of 30 terms down loses less than 2 units of 2^-BITS, and the omitted terms less than 1.
    """
    if q < 0:
        low, high = exp_range(-q)
        return 1 / high, 1 / low
    k = 4 + (-(-q.numerator // q.denominator)).bit_length()
    x = (q.numerator << BITS) // (q.denominator << k)
    term = total = 1 << BITS
    for n in range(1, 31):
        term = term * x // (n << BITS)
        total += term
    below, above = total, total + 64
    for _ in range(k):
        below, above = below * below >> BITS, -(-above * above >> BITS)
    return Fraction(below, 1 << BITS), Fraction(above, 1 << BITS)


def quotient_range(square: Range, wide: Range, narrow: Range) -> Range:
    """Return the bounds of (1 - s) / (1 + s + w + n) for s, w and n in these ranges; all are >= 0, and s <= 1."""
    bottom = [1 + s + w + n for s, w, n in zip(square, wide, narrow, strict=True)]
    return (1 - square[1]) / bottom[1], (1 - square[0]) / bottom[0]


def image(gain: Fraction, u: Fraction) -> Range:
    """Return fractions around f(u) = sinh(g) / (cosh(g) + cosh(v)), with v = 2 g |u - 1|, for a gain g > 0."""
    v = 2 * gain * abs(u - 1)
    return quotient_range(exp_range(-2 * gain), exp_range(v - gain), exp_range(-v - gain))


def failure(gain: Number, states: Sequence[Number]) -> str:
    """For 1 0 0 ... 0 the states are above s_t = f(s_{t-1}) for all gains up to g, and the last is not above 1/2."""
    g, bounds = rational(gain), [rational(state) for state in states]
    require(g > 0, f"the gain {gain} is not above 0")
    require(len(bounds) > 0 and bounds[-1] <= Fraction(1, 2), "the last state is above 1/2: no parity is lost")
    for t, (before, state) in enumerate(itertools.pairwise([Fraction(1), *bounds]), 1):
        require(Fraction(1, 2) <= before <= 1, f"bit {t}: f is said to rise at {float(before)}")
        high = image(g, before)[1]
        require(high <= state, f"bit {t}: {float(state)} is below {float(high)}, which the state may be")
    return f"For 0 < g <= {gain}, {NETWORK} is wrong after one of the first {len(bounds)} bits x of 1 0 0 ... 0"


def intervals(gain: Number, a: Number, b: Number) -> str:
    """With a + b = 1 and b > 1/2, f leads from [0, a] for parity 0 and [b, 1] for parity 1 into the right one."""
    g, low, high = rational(gain), rational(a), rational(b)
    require(g > 0 and low + high == 1 and Fraction(1, 2) < high <= 1, f"{a} and {b} do not add up to 1, or gain {g}")
    for parity, bit, state in ((0, 0, low), (0, 1, low), (1, 0, high), (1, 1, high)):
        least, most = image(g, state + bit)
        fits, may = (least >= high, least) if parity ^ bit else (most <= low, most)
        require(fits, f"parity {parity}, bit {bit}: the state {float(state)} may lead to {float(may)}")
    return f"For g >= {gain}, {NETWORK} is the parity of the first t bits x, for all bits and all t >= 1"


KINDS: dict[str, Callable[..., str]] = {
    kind.__name__: kind for kind in (
        order, cycle, permutation, defective, jordan_form, contradiction, vector_bound, positive_definite, contraction,
        largest_score, never_largest, descent_cycle, failure, intervals,
    )
}  # fmt: skip


def canonical(value: Any) -> str:
    """Return the canonical text of a JSON value."""
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def digest(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a file's content without `sha256`, in hexadecimal."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def check_file(file: str | Path) -> list[str]:
    """Return the sentences that a file proves; raise Rejected, or another error of malformed content."""
    content = json.loads(text := Path(file).read_bytes().decode())
    require(text == canonical(content), "the file was changed: its text is not canonical")
    require(content.pop("sha256") == digest(content), "the file was changed: its SHA-256 differs")
    require(list(content) == ["claim", "statement", "certificates"], f"the keys are {', '.join(content)}")
    proven = []
    for number, certificate in enumerate(content["certificates"], 1):
        kind, says = certificate.pop("kind"), certificate.pop("says")
        proven.append(KINDS[kind](**certificate))
        require(proven[-1] == says, f"certificate {number} says {says!r}, but proves {proven[-1]!r}")
    require(len(proven) > 0, "the file has no certificates")
    return proven


def main(files: Sequence[str]) -> int:
    """Print what files prove, or why they are rejected; return the exit status."""
    if not files or files[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if files else 2
    status = 0
    for file in files:
        try:
            proven = check_file(file)
            print(*proven, f"{file}: accepted, {len(proven)} proven", sep="\n")
        except Exception as error:  # any error is a rejection
            print(f"{file}: rejected: {error} ({type(error).__name__})", file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
