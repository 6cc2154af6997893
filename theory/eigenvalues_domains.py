"""The examples on which claim 3-2 is checked: matrices with known eigenvalues, and small networks.

`Whole` is a matrix of whole numbers with a known Jordan form, so that everything about it is exact. `Drawn` is one
of floating-point numbers with a known spectral radius, of a kind: the kinds differ in how far they are from normal.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from theory.powers import jordan_block

__all__ = ["KINDS", "Drawn", "Network", "Whole", "matrices", "networks", "small_matrices", "whole"]

ROTATION = np.array([[0, -1], [1, 0]], dtype=object)
"""Eigenvalues i and -i: a pair of complex ones in a real matrix."""


@dataclass(frozen=True)
class Whole:
    """W = P J P^-1, all of whole numbers, and k steps.

    blocks: the Jordan blocks of J as (eigenvalue, size); for the eigenvalue None the pair i, -i, of 2 size rows.
    shears: (i, j, c) adds c times row j to row i, one after the other, which makes P from the identity.
    """

    blocks: tuple[tuple[int | None, int], ...]
    shears: tuple[tuple[int, int, int], ...]
    k: int = 1

    @property
    def jordan_form(self) -> NDArray[Any]:
        """J, (n, n); the matrix D if all blocks have size 1."""
        parts = [_block(*block) for block in self.blocks]
        whole = np.zeros((sum(map(len, parts)),) * 2, dtype=object)
        at = 0
        for part in parts:
            whole[at : at + len(part), at : at + len(part)] = part
            at += len(part)
        return whole

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
        """The diagonal of D, if all blocks are whole numbers of size 1."""
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


def _block(eigenvalue: int | None, size: int) -> NDArray[Any]:
    if eigenvalue is not None:
        return jordan_block(eigenvalue, size).astype(object)
    pair = np.kron(np.eye(size, dtype=int), ROTATION) + np.kron(np.eye(size, k=1, dtype=int), np.eye(2, dtype=int))
    return np.asarray(pair, dtype=object)


@st.composite
def whole(draw: Any, largest: int = 1, pairs: bool = False) -> Whole:
    """Matrices of 2 to 4 or more rows with blocks of size 1 to `largest`, with complex pairs if asked for."""
    eigenvalue = st.integers(-2, 2)
    block = st.tuples(st.one_of(eigenvalue, st.none()) if pairs else eigenvalue, st.integers(1, largest))
    blocks = tuple(draw(st.lists(block, min_size=2 if largest == 1 else 1, max_size=3)))
    n = sum(size if value is not None else 2 * size for value, size in blocks)
    places = list(itertools.permutations(range(n), 2)) or [(0, 0)]
    shear = st.tuples(st.sampled_from(places), st.sampled_from([1, -1, 2]))
    shears = draw(st.lists(shear, max_size=4 if n > 1 else 0))
    return Whole(blocks, tuple((i, j, c) for (i, j), c in shears), draw(st.integers(1, 6)))


def small_matrices(max_examples: int) -> Iterator[list[list[int]]]:
    """Matrices of whole numbers, the smallest first: all 1x1 and 2x2 with entries -1, 0 and 1, at most so many."""
    every = (
        [list(entries[i * n : i * n + n]) for i in range(n)]
        for n in (1, 2)
        for entries in sorted(itertools.product((-1, 0, 1), repeat=n * n), key=_size)
    )
    return itertools.islice(every, max_examples)


def _size(entries: tuple[int, ...]) -> tuple[int, int, list[int]]:
    """Few entries that are not 0 come first, then few negative ones, then those at the top."""
    return sum(map(abs, entries)), sum(x < 0 for x in entries), [-abs(x) for x in entries]


# Floating-point numbers -------------------------------------------------------------------------

KINDS = ("symmetric", "orthogonal", "random", "non-normal", "defective")


@dataclass(frozen=True)
class Drawn:
    """A real matrix of a kind with a known spectral radius, drawn by a seed.

    symmetric: orthonormal eigenvectors. orthogonal: a rotation or reflection times the radius. random: normally
    distributed entries. non-normal: real eigenvalues, and above them in Schur's form entries of up to 3.
    defective: a Jordan block in another orthonormal basis.
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
    """Matrices with one of these radii, of one of these kinds, of 1 to 4 rows."""
    seeds = st.integers(0, 2**20)
    return st.builds(Drawn, st.sampled_from(kinds), st.integers(1, 4), st.sampled_from(radii), seeds)


@dataclass(frozen=True)
class Network:
    """Inputs and weights of a recurrent network, drawn by a seed: T steps, D inputs, H units.

    scale: of the recurrent weights. bias: of an LSTM's forget gates.
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
    """Networks of up to 8 steps, 3 inputs and 4 units."""
    return st.builds(
        Network, st.integers(1, 8), st.integers(1, 3), st.integers(1, 4), st.sampled_from((0.5, 1.0, 3.0)),
        st.sampled_from(biases), st.integers(0, 2**20),
    )  # fmt: skip
