"""The examples for claim 3-2: matrices with known eigenvalues, and small networks.

A `Whole` is an exact integer matrix with a known Jordan form. A `Drawn` is a floating-point matrix with a known
spectral radius, of one of several kinds, which differ in how far they are from normal.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from theory import checker
from theory.domains import Domain, enumerated, every, sampled, stratified
from theory.eigenvalues.certificates import certify_kind, missing_dimensions
from theory.eigenvalues.powers import jordan_block
from theory.refutation import certified, require


@dataclass(frozen=True)
class Whole:
    """W = P J P^-1 in integers, and k steps.

    blocks: the Jordan blocks of J as (eigenvalue, size), n rows in all.
    shears: (i, j, c) adds c times row j to row i; in this order they turn the identity into P.

    >>> example = Whole(blocks=((3, 2),), shears=((1, 0, 1),), k=1)
    >>> example.jordan_form.tolist(), example.matrix.tolist()
    ([[3, 1], [0, 3]], [[2, 1], [-1, 4]])
    """

    blocks: tuple[tuple[int, int], ...]
    shears: tuple[tuple[int, int, int], ...]
    k: int = 1

    @property
    def jordan_form(self) -> NDArray[Any]:
        """J, (n, n); the matrix D if all blocks have size 1."""
        values = [value for value, size in self.blocks for _ in range(size)]
        J = np.diag(values).astype(object)
        ends = set(itertools.accumulate(size for _, size in self.blocks))
        for i in set(range(1, len(values))) - ends:
            J[i - 1, i] = 1  # the block continues
        return J

    @property
    def vectors(self) -> NDArray[Any]:
        """P, (n, n), of determinant 1: the eigenvectors, if all blocks have size 1."""
        return self._shear(self.shears)

    @property
    def inverse(self) -> NDArray[Any]:
        """P^-1."""
        return self._shear([(i, j, -c) for i, j, c in reversed(self.shears)])

    @property
    def matrix(self) -> NDArray[Any]:
        """W = P J P^-1, (n, n)."""
        return np.asarray(self.vectors @ self.jordan_form @ self.inverse)

    @property
    def eigenvalues(self) -> list[int]:
        """The diagonal of J, which is D if all blocks have size 1."""
        return [int(x) for x in np.diag(self.jordan_form)]

    def _shear(self, shears: Any) -> NDArray[Any]:
        P = np.eye(len(self.jordan_form), dtype=int).astype(object)
        for i, j, c in shears:
            step = np.eye(len(P), dtype=int).astype(object)
            step[i, j] = c
            P = step @ P
        return P

    def __str__(self) -> str:
        diagonal = ", ".join(map(str, self.eigenvalues))
        return f"W = {self.matrix.tolist()} = P D P^-1, P = {self.vectors.tolist()}, D = diag({diagonal}), k = {self.k}"


@st.composite
def whole(draw: Any, largest: int = 1) -> Whole:
    """Draw matrices with 2 or 3 Jordan blocks of size 1 to `largest`, up to (9, 9).

    Eigenvalues are -2 to 2; k is 1 to 6. With `largest` = 1 there is an eigendecomposition in integers.

    >>> from hypothesis import find
    >>> print(find(whole(), lambda example: example.matrix.any()))
    W = [[0, 0], [0, 1]] = P D P^-1, P = [[1, 0], [0, 1]], D = diag(0, 1), k = 1
    """
    block = st.tuples(st.integers(-2, 2), st.integers(1, largest))
    blocks = tuple(draw(st.lists(block, min_size=2, max_size=3)))
    places = list(itertools.permutations(range(sum(size for _, size in blocks)), 2))
    shear = st.tuples(st.sampled_from(places), st.sampled_from([1, -1, 2]))
    shears = draw(st.lists(shear, max_size=4))
    return Whole(blocks, tuple((i, j, c) for (i, j), c in shears), draw(st.integers(1, 6)))


SMALL_DECOMPOSITIONS = [
    Whole(((a, 1), (b, 1)), shears, k)
    for k in (1, 2, 3)
    for a, b in itertools.product((0, 1, -1, 2, -2), repeat=2)
    for shears in ((), ((0, 1, 1),), ((1, 0, 1),))
]
"""2x2 matrices with an eigendecomposition: eigenvalues from -2 to 2, P the identity or with a 1 more; 1 to 3 steps."""


def _size(entries: tuple[int, ...]) -> tuple[int, int, list[int]]:
    """Sort by the number of nonzero entries, then of negative ones, then by their places."""
    return sum(map(abs, entries)), sum(x < 0 for x in entries), [-abs(x) for x in entries]


SMALL_MATRICES = [
    [list(entries[i * n : i * n + n]) for i in range(n)]
    for n in (1, 2)
    for entries in sorted(itertools.product((-1, 0, 1), repeat=n * n), key=_size)
]
"""All 1x1 and 2x2 matrices with the entries -1, 0 and 1, the smallest first."""


# Floating-point numbers -------------------------------------------------------------------------

KINDS = ("symmetric", "orthogonal", "random", "non-normal", "defective")


@dataclass(frozen=True)
class Drawn:
    """A real matrix of a kind with a known spectral radius, drawn by a seed.

    symmetric: orthonormal eigenvectors. orthogonal: a rotation or reflection times the radius. random: normally
    distributed entries. non-normal: real eigenvalues, and above them in Schur's form entries of up to 3.
    defective: a Jordan block in another orthonormal basis.

    >>> W = Drawn("orthogonal", 3, 0.9, seed=0).matrix
    >>> np.allclose(W @ W.T, 0.81 * np.eye(3))
    True
    """

    kind: str
    size: int
    radius: float
    seed: int

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The matrix, (size, size)."""
        rng = np.random.default_rng(self.seed)
        n, r = self.size, self.radius
        Q = np.linalg.qr(rng.normal(size=(n, n)))[0]
        eigenvalues = np.concatenate([[r], rng.uniform(-r, r, n - 1)])
        if self.kind == "orthogonal":
            return np.asarray(r * Q)
        if self.kind == "random":
            W = rng.normal(size=(n, n))
            return np.asarray(W * (r / np.abs(np.linalg.eigvals(W)).max()))
        if self.kind == "symmetric":
            T = np.diag(eigenvalues)
        elif self.kind == "non-normal":
            T = np.diag(eigenvalues) + np.triu(rng.uniform(-3, 3, (n, n)), 1)
        else:
            T = jordan_block(r, n)
        return np.asarray(Q @ T @ Q.T)

    def __str__(self) -> str:
        return f"{self.kind}, {self.size}x{self.size}, radius {self.radius}, seed {self.seed}"


SIZES = (1, 2, 3, 4)
SIDES = ("below 1", "1", "above 1")


def matrices(radii: tuple[float, ...], kinds: tuple[str, ...] = KINDS, sides: tuple[str, ...] | None = None) -> Domain:
    """Return a sample of matrices of every kind and size, with radii below, at and above 1, as far as given.

    sides: the sides of 1, see `SIDES`, that the sample promises to have radii on (default: those of the given ones).
    Seeds are drawn, and so are radii if several are on one side of 1. No 1x1 matrix is non-normal or defective. Each
    matrix is certified to be of its kind.

    >>> print(*matrices((0.5, 1.0), ("orthogonal", "defective")).examples(1)[:6], sep="\\n")
    orthogonal, 1x1, radius 0.5, seed 0
    orthogonal, 1x1, radius 1.0, seed 1
    orthogonal, 2x2, radius 0.5, seed 2
    defective, 2x2, radius 0.5, seed 3
    orthogonal, 2x2, radius 1.0, seed 4
    defective, 2x2, radius 1.0, seed 5
    """
    classes = [same for side in (-1, 0, 1) if (same := [r for r in radii if (r > 1) - (r < 1) == side])]
    strata = [
        (kind, size, same)
        for size in SIZES for same in classes for kind in kinds if size > 1 or kind not in ("non-normal", "defective")
    ]  # fmt: skip
    reaches: dict[str, Any] = {
        f"a matrix of {n} rows that is {kind}, of radius {radius}": partial(_is_drawn, kind, n, radius)
        for kind, n in itertools.product(kinds, range(1, 5)) if n >= 2 or kind in ("symmetric", "orthogonal", "random")
        for radius in sides or dict.fromkeys(map(_side, radii))
    }  # fmt: skip
    if len(classes) > 1 and "symmetric" in kinds:  # with fewer matrices chance might draw none
        reaches["a symmetric or non-normal matrix with a negative eigenvalue"] = _has_negative
    return stratified(strata, _drawn, reaches, lambda drawn: certify_kind(drawn.matrix, drawn.kind, drawn.radius))


def _side(radius: float) -> str:
    return "1" if radius == 1 else "below 1" if radius < 1 else "above 1"


def _is_drawn(kind: str, size: int, radius: str, drawn: Drawn) -> bool:
    return drawn.kind == kind and drawn.matrix.shape == (size, size) and _side(drawn.radius) == radius


def _has_negative(drawn: Drawn) -> bool:
    return drawn.kind in ("symmetric", "non-normal") and np.linalg.eigvals(drawn.matrix).real.min() < -1e-3


def _drawn(stratum: tuple[str, int, list[float]], seed: int) -> Drawn:
    kind, size, radii = stratum
    return Drawn(kind, size, radii[int(np.random.default_rng([seed, size]).integers(len(radii)))], seed)


@dataclass(frozen=True)
class Network:
    """Inputs and weights of a recurrent network, drawn by a seed: T steps, D inputs, H units.

    scale: of the recurrent weights. bias: of an LSTM's forget gates.

    >>> Network(T=5, D=2, H=3, scale=1.0, bias=0.0, seed=0).arrays(4)["Wx"].shape
    (2, 12)
    """

    T: int
    D: int
    H: int
    scale: float
    bias: float
    seed: int

    def arrays(self, blocks: int) -> dict[str, Any]:
        """x (T, D), h0 and c0 (H,), Wx (D, blocks H), Wh (H, blocks H), b (blocks H,)."""
        rng = np.random.default_rng(self.seed)
        T, D, H = self.T, self.D, self.H
        shapes = {"x": (T, D), "h0": (H,), "c0": (H,), "Wx": (D, blocks * H), "Wh": (H, blocks * H)}
        drawn = {name: rng.normal(size=shape) for name, shape in shapes.items()}
        drawn["Wh"] *= self.scale / np.sqrt(H)
        drawn["b"] = rng.normal(size=blocks * H) * 0.1
        return drawn


def networks(biases: tuple[float, ...] = (0.0, 1.0, 5.0)) -> st.SearchStrategy[Network]:
    """Draw networks of up to 8 steps, 3 inputs and 4 units, with one of these forget biases.

    >>> from hypothesis import find
    >>> find(networks(), lambda example: example.H > 1)
    Network(T=1, D=1, H=2, scale=0.5, bias=0.0, seed=0)
    """
    return st.builds(
        Network, st.integers(1, 8), st.integers(1, 3), st.integers(1, 4), st.sampled_from((0.5, 1.0, 3.0)),
        st.sampled_from(biases), st.integers(0, 2**20),
    )  # fmt: skip


# The domains of whole numbers and networks, and what they promise ---------------------------------


def _certify_whole(example: Whole) -> None:
    """W P = P J with P invertible in integers: W has the stated Jordan form."""
    W, P = example.matrix, example.vectors
    certified(checker.jordan_form, W.tolist(), P.tolist(), example.inverse.tolist(), example.blocks)
    for value in set(example.eigenvalues):
        missing = sum(size - 1 for v, size in example.blocks if v == value)
        found = missing_dimensions(W, value)
        require(found == missing, f"to {value} {found} eigenvectors are missing, by the blocks {missing}")


_WHOLE: dict[str, Any] = {
    "a matrix that is neither diagonal nor singular":
        lambda example: (example.matrix - np.diag(np.diag(example.matrix))).any() and 0 not in example.eigenvalues,
    "a negative eigenvalue": lambda example: min(example.eigenvalues) < 0,
    "an eigenvalue above 1": lambda example: max(map(abs, example.eigenvalues)) > 1,
    "an eigenvalue twice": lambda example: len(set(example.eigenvalues)) < len(example.eigenvalues),
    "different eigenvalues": lambda example: len(set(example.eigenvalues)) > 1,
    "5 steps or more": lambda example: example.k >= 5,
}  # fmt: skip

DIAGONAL = sampled(whole(), _WHOLE, _certify_whole)
"""Matrices with an eigendecomposition."""

JORDAN = sampled(
    whole(largest=3),
    {
        **_WHOLE,
        "a block of size 2": lambda example: any(size == 2 for _, size in example.blocks),
        "a block of size 3": lambda example: any(size == 3 for _, size in example.blocks),
        "no block larger than 1": lambda example: all(size == 1 for _, size in example.blocks),
        "two blocks of different sizes to one eigenvalue": lambda example: any(
            v == w and m != n for (v, m), (w, n) in itertools.combinations(example.blocks, 2)
        ),
        "a defective matrix of 4 rows": lambda example: len(example.eigenvalues) == 4 and len(example.blocks) < 4,
    },
    _certify_whole,
)  # fmt: skip
"""Matrices with any Jordan form."""


def _certify_network(example: Network) -> None:
    arrays = example.arrays(4)
    require(all((array != 0).all() for array in arrays.values()), "an entry is 0, which a drawn number is not")


_NETWORKS: dict[str, Any] = {
    "one unit": lambda network: network.H == 1, "4 units": lambda network: network.H == 4,
    "8 steps": lambda network: network.T == 8, "several inputs": lambda network: network.D > 1,
    "large recurrent weights": lambda network: network.scale > 1,
    "one unit and several steps": lambda network: network.H == 1 and network.T > 2,
}  # fmt: skip
RNNS = sampled(networks((0.0,)), _NETWORKS, _certify_network)
LSTMS = sampled(networks(), {**_NETWORKS, "a forget bias": lambda network: network.bias > 0}, _certify_network)

BIASES = enumerated((0, 1, 5), 3)
"""Forget biases."""

# Matrices by their spectral radius ---------------------------------------------------------------

RADII = (0.5, 0.8, 0.9, 1.0, 1.1, 1.2)

MATRICES = matrices(RADII, sides=SIDES)
SYMMETRIC = matrices(RADII, ("symmetric",), SIDES)
DIAGONALISABLE = matrices(RADII, ("symmetric", "orthogonal", "random"), SIDES)
BELOW_1, AT_1, NOT_AT_1 = matrices((0.5, 0.8, 0.9)), matrices((1.0,)), matrices((0.8, 0.9, 1.1, 1.2))

HUMPS = sampled(
    st.tuples(st.floats(0, 100), st.floats(-0.95, 0.95)),
    {
        "a growth to 10 or more": lambda hump: hump[0] / (4 * (1 - abs(hump[1]))) > 10,
        "no growth promised": lambda hump: 0 < hump[0] < 4 * (1 - abs(hump[1])),
        "a negative eigenvalue": lambda hump: hump[1] < -0.1,
    },
)
"""c and r of the matrix [[r, c], [0, r]]."""

ROTATION = every(((0, -1), (1, 0)))
"""The rows of W."""
ILL_CONDITIONED = enumerated([1, 10, 100, 300], 4)
"""The entry c of [[1, c], [0, 2]]."""
NILPOTENT = enumerated(range(1, 6), 5)
"""Sizes of Jordan blocks with the eigenvalue 0."""
DEPARTURE = every([[0.5, 3.0, 0.0], [0.0, 0.5, 4.0], [0.0, 0.0, 0.5]])
BLOCKS = sampled(
    st.tuples(st.sampled_from((1, -1)), st.integers(1, 5), st.integers(0, 40)),
    {
        "a block of size 5 and 10 steps or more": lambda block: block[1] == 5 and block[2] >= 10,
        "the eigenvalue -1": lambda block: block[0] == -1,
    },
)
"""The eigenvalue and size of a Jordan block, and the steps."""
