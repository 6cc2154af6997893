"""The examples on which claim 3-2 is checked: matrices with known eigenvalues, and small networks.

`Whole` is a matrix of whole numbers with a known Jordan form, so that everything about it is exact. `Drawn` is one
of floating-point numbers with a known spectral radius, of a kind: the kinds differ in how far they are from normal.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from theory.powers import jordan_block

__all__ = [
    "KINDS", "SMALL_DECOMPOSITIONS", "SMALL_MATRICES", "Drawn", "Network", "Whole", "matrices", "networks", "whole",
]  # fmt: skip

@dataclass(frozen=True)
class Whole:
    """W = P J P^-1, all of whole numbers, and k steps.

    blocks: the Jordan blocks of J as (eigenvalue, size), n rows together.
    shears: (i, j, c) adds c times row j to row i, one after the other, which makes P from the identity.

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
            J[i - 1, i] = 1  # a block goes on
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
    """A strategy for matrices of 2 rows or more, of 2 or 3 Jordan blocks of size 1 to `largest`, up to (9, 9).

    Eigenvalues are -2 to 2; k is 1 to 6. With `largest` at 1 there is an eigendecomposition, in whole numbers.

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
    """Few entries that are not 0 come first, then few negative ones, then those at the top."""
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


def matrices(radii: tuple[float, ...], kinds: tuple[str, ...] = KINDS) -> st.SearchStrategy[Drawn]:
    """A strategy for matrices with one of these radii, of one of these kinds, (1, 1) to (4, 4).

    >>> from hypothesis import find
    >>> print(find(matrices((0.5, 0.9), ("orthogonal",)), lambda example: example.size > 1))
    orthogonal, 2x2, radius 0.5, seed 0
    """
    seeds = st.integers(0, 2**20)
    return st.builds(Drawn, st.sampled_from(kinds), st.integers(1, 4), st.sampled_from(radii), seeds)


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
    """A strategy for networks of up to 8 steps, 3 inputs and 4 units, with one of these forget biases.

    >>> from hypothesis import find
    >>> find(networks(), lambda example: example.H > 1)
    Network(T=1, D=1, H=2, scale=0.5, bias=0.0, seed=0)
    """
    return st.builds(
        Network, st.integers(1, 8), st.integers(1, 3), st.integers(1, 4), st.sampled_from((0.5, 1.0, 3.0)),
        st.sampled_from(biases), st.integers(0, 2**20),
    )  # fmt: skip
