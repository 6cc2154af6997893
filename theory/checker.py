"""Verify certificates with integers and fractions: `python checker.py FILE.json`.

`theory certify NUMBER --out FILE.json` writes such a file. This module imports the standard library alone, so you can
copy it, and it shares no code with what finds certificates. The exit status is 0 if it accepts every file, else 1.

A certificate has a kind, the sentence that it proves (`says`), and data. A kind is a function of this module, which
returns the sentence that its data prove; the sentence contains its subject, such as a graph. A file is accepted if its
text is canonical, its SHA-256 is right, and each certificate proves what it says. So any change is detected.

Acceptance proves the printed sentences. They are instances of the claim, whose proof is in docs/theory.md. Anyone can
compute a new SHA-256, but that makes no false sentence pass. The claim's number and statement are labels without proof.
`failure` and `intervals` rest on the facts (1) to (4) in the proof of claim "3-1 alt".
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

__all__ = ["KINDS", "Rejected", "canonical", "check_file", "digest", "main"]

V = TypeVar("V", bound=Hashable)
Number = int | str | Fraction  # as text, such as "2/3", in a file
Matrix = Sequence[Sequence[Number]]
Range = tuple[Fraction, Fraction]


class Rejected(ValueError):  # noqa: N818 - the word of the field
    """A certificate is wrong; the message says how."""


def require(condition: bool, message: str) -> None:
    """Raise :class:`Rejected` with the message unless the condition is true."""
    if not condition:
        raise Rejected(message)


def rational(number: Number) -> Fraction:
    """Return a number as a fraction; floats and bools are rejected."""
    exact = type(number) in (int, str, Fraction) and str(Fraction(number)) == str(number)
    require(exact, f"{number!r} is not an integer or a fraction in lowest terms")
    return Fraction(number)


# Graphs: each vertex with its parents -----------------------------------------------------------


def order(parents: Mapping[V, Collection[V]], order: Sequence[V]) -> str:
    """An order has every vertex once, and every edge goes forward in it."""
    position = {vertex: i for i, vertex in enumerate(order)}
    require(len(order) == len(position), "the order names a vertex twice")
    require(position.keys() == parents.keys(), "the vertices of the order are not those of the graph")
    for vertex, several in parents.items():
        for parent in several:
            if position[parent] >= position[vertex]:
                raise Rejected(f"the edge {parent!r} -> {vertex!r} goes backward in the order")
    return f"The graph of the parents {parents} has the topological order {order}, so it has no cycle"


def cycle(parents: Mapping[V, Collection[V]], cycle: Sequence[V]) -> str:
    """A cycle has at least one vertex, none twice, and an edge from each to the next and from the last to the first."""
    require(len(cycle) > 0, "the cycle is empty")
    require(len(set(cycle)) == len(cycle), "the cycle names a vertex twice")
    before = cycle[-1]
    for vertex in cycle:
        if vertex not in parents or before not in parents[vertex]:
            raise Rejected(f"the cycle has no edge {before!r} -> {vertex!r} in the graph")
        before = vertex
    return f"The graph of the parents {parents} has the cycle {cycle}, so it has no topological order"


# Matrices ---------------------------------------------------------------------------------------


def permutation(left: Sequence[Any], right: Sequence[Any], columns: Sequence[int]) -> str:
    """Row i of `left` is row columns[i] of `right`, and the columns are a permutation; entries are numbers or names."""
    require(sorted(columns) == list(range(len(right))), "the columns are not a permutation")
    require(list(left) == [right[column] for column in columns], "a row differs")
    return f"{left} = P {right} for the permutation matrix P whose rows have their ones in the columns {columns}"


def product(A: Matrix, B: Matrix) -> list[list[Fraction]]:
    """Return A B."""
    columns = list(zip(*B, strict=True))
    pairs = ((zip(row, column, strict=True) for column in columns) for row in A)
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
    identity = [[i == j for j in range(len(J))] for i in range(len(J))]
    require(product(vectors, inverse) == identity, "P and P^-1 are not inverse")
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


# The gain of the parity network with tanh, in claim "3-1 alt" --------------------------------------

BITS = 192
NETWORK = "[s_t > 1/2], s_0 = 0, s_t = f(s_{t-1} + x_t), f(u) = (tanh(g (u - 1/2)) - tanh(g (u - 3/2))) / 2,"


def exp_range(q: Fraction) -> Range:
    """Return fractions (low, high) with low <= exp(q) <= high.

    exp(q) = exp(q / 2^k)^(2^k), and 0 <= q / 2^k <= 1/16 for q >= 0. Low is in units of 2^-BITS, rounded down. Rounding
    loses less than 2 units for q / 2^k and each of 30 terms, and the omitted terms sum to less than 1. High adds 64.
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
    """Return fractions around f(u) for a gain g > 0, by tanh a - tanh b = sinh(a - b) / (cosh a cosh b):

    f(u) = sinh(g) / (cosh(g) + cosh(v)) = (1 - e^(-2g)) / (1 + e^(-2g) + e^(v-g) + e^(-v-g)), v = 2 g |u - 1|.
    """
    v = 2 * gain * abs(u - 1)
    return quotient_range(exp_range(-2 * gain), exp_range(v - gain), exp_range(-v - gain))


def failure(gain: Number, states: Sequence[Number]) -> str:
    """Upper bounds of the states of 1 0 0 ... 0, with the last not above 1/2.

    s_1 = f(1), s_t = f(s_{t-1}), and f rises up to 1. So r_1 >= f(1) and r_t >= f(r_{t-1}), with all r but the last in
    [1/2, 1], bound each s_t, and those of every smaller gain.
    """
    g, bounds, before = rational(gain), [rational(state) for state in states], Fraction(1)
    require(g > 0, f"the gain {gain} is not above 0")
    require(len(bounds) > 0 and bounds[-1] <= Fraction(1, 2), "the last state is above 1/2: no parity is lost")
    for t, state in enumerate(bounds, 1):
        require(Fraction(1, 2) <= before <= 1, f"bit {t}: f is said to rise at {float(before)}")
        high = image(g, before)[1]
        require(high <= state, f"bit {t}: {float(state)} is below {float(high)}, which the state may be")
        before = state
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


# Files ------------------------------------------------------------------------------------------

KINDS: dict[str, Callable[..., str]] = {
    kind.__name__: kind
    for kind in (order, cycle, permutation, defective, jordan_form, contradiction, failure, intervals)
}
"""A new kind is a function here, which raises Rejected or returns the sentence that its data prove."""


def canonical(value: Any) -> str:
    """Return the canonical text of a JSON value."""
    return json.dumps(value, ensure_ascii=False, indent=1) + "\n"


def digest(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a file's content without `sha256`, in hexadecimal."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def check_file(file: str | Path) -> list[str]:
    """Return the sentences that a file proves; raise Rejected, or another error of malformed content."""
    text = Path(file).read_bytes().decode()
    content = json.loads(text)
    require(text == canonical(content), "the file was changed: its text is not canonical")
    require(content.pop("sha256") == digest(content), "the file was changed: its SHA-256 differs")
    require(list(content) == ["claim", "statement", "certificates"], f"the file has the keys {', '.join(content)}")
    require(len(content["certificates"]) > 0, "the file has no certificates")
    return [_prove(number, **certificate) for number, certificate in enumerate(content["certificates"], 1)]


def _prove(number: int, kind: str, says: str, **data: Any) -> str:
    try:
        proven = KINDS[kind](**data)
    except Exception as error:  # of any kind, if the data are malformed
        raise Rejected(f"certificate {number}, {kind}: {error}") from error
    require(proven == says, f"certificate {number}, {kind}: it says {says!r}, but proves {proven!r}")
    return proven


def main(files: Sequence[str]) -> int:
    """Print what files prove, or why they are rejected; return the exit status."""
    if not files or files[0] in ("-h", "--help"):
        print(__doc__)
        return 0 if files else 2
    accepted = True
    for file in files:
        try:
            proven = check_file(file)
            print(*proven, f"{file}: accepted, {len(proven)} proven", sep="\n")
        except Exception as error:  # any error is a rejection
            print(f"{file}: rejected: {error} ({type(error).__name__})", file=sys.stderr)
            accepted = False
    return 0 if accepted else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
