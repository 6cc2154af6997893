"""Derivatives of networks: the exact pieces of ReLU networks of one input, and Jacobians by vertex elimination.

`theory.learning.certificates` checks the pieces with other code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import minigrad as mg

__all__ = [
    "SMALLEST", "Edges", "Layer", "dense_network", "eliminate", "every_graph", "intermediates", "jacobians",
    "multiply_adds", "pieces", "skip_network", "slopes",
]  # fmt: skip

# ReLU networks of one input ------------------------------------------------------------------------

# The weights (D, M) and the biases (M,) of a layer, which computes h W + b.
Layer = tuple[tuple[tuple[int, ...], ...], tuple[int, ...]]


def slopes(layers: Sequence[Layer], x: ArrayLike) -> NDArray[np.float64]:
    """Return minigrad's derivatives, (N,), of linear layers with ReLU between them, at N inputs.

    >>> identity = ((((1, -1),), (0, 0)), (((1,), (-1,)), (0,)))
    >>> slopes(identity, [-1.0, 0.0, 1.0])
    array([1., 0., 1.])
    """
    modules: list[Any] = []
    for W, b in layers:
        linear: Any = mg.nn.Linear(*np.shape(W), dtype=np.float64)
        linear.weight.data[...], linear.bias.data[...] = W, b
        modules += [linear, mg.nn.ReLU()]
    network = mg.nn.Sequential(*modules[:-1])
    return np.array(mg.grad(lambda x: network(x[:, None]).sum())(np.array(x, np.float64)).numpy())


def pieces(layers: Sequence[Layer], bound: int) -> tuple[Fraction, ...]:
    """Return inputs from -bound to bound between which no unit of a network changes its sign.

    >>> pieces(((((2,),), (-1,)), (((1,),), (0,))), 3)
    (Fraction(-3, 1), Fraction(1, 2), Fraction(3, 1))
    """
    ends, k = [Fraction(-bound), Fraction(bound)], 0
    while k + 1 < len(ends):
        a, b = ends[k : k + 2]
        signs = zip(_units(layers, a), _units(layers, b), strict=True)
        crossing = next((p / (p - q) for p, q in signs if p * q < 0), None)  # of the first unit, which is affine
        if crossing is None:
            k += 1
        else:
            ends.insert(k + 1, a + (b - a) * crossing)
    return tuple(ends)


def _units(layers: Sequence[Layer], x: Fraction) -> list[Fraction]:
    """Return the input of each ReLU, first layer first."""
    h, entering = np.array([x]), np.array([], object)
    for W, b in layers[:-1]:
        z = h @ np.array(W, object) + np.array(b, object)
        h, entering = z * (z > 0), np.append(entering, z)
    return list(entering)


# Vertex elimination ------------------------------------------------------------------------------

# The edges (u, v) of a graph with u < v, so the numbers of the vertices are a topological order.
Edges = tuple[tuple[int, int], ...]

# The smallest graph on which neither forward nor reverse elimination is optimal: a connection skips a unit.
SMALLEST: Edges = ((0, 1), (1, 2), (1, 3), (2, 3), (3, 4))


def every_graph(n: int) -> Iterator[Edges]:
    """Yield all graphs on the vertices 0 … n-1 whose edges (u, v) have u < v: 2^(n(n-1)/2).

    >>> list(every_graph(2))
    [(), ((0, 1),)]
    """
    pairs = list(combinations(range(n), 2))
    return (edges for size in range(len(pairs) + 1) for edges in combinations(pairs, size))


def intermediates(edges: Edges) -> list[int]:
    """Return the vertices with both a predecessor and a successor, in increasing order.

    >>> intermediates(SMALLEST)
    [1, 2, 3]
    """
    return sorted({v for _, v in edges} & {u for u, _ in edges})


def eliminate(partials: dict[tuple[int, int], Any], order: Sequence[int]) -> tuple[dict[tuple[int, int], Any], int]:
    """Eliminate vertices by the chain rule; return the remaining partials, and the number of multiplications.

    partials: dv/du by edge (u, v). Eliminating v adds dv/du dw/dv to dw/du, for all predecessors u and successors w.
    Source: A. Griewank and A. Walther, Evaluating Derivatives (2008), chapter 9.

    >>> eliminate({(0, 1): 2, (1, 2): 3, (0, 2): 4}, [1])
    ({(0, 2): 10}, 1)
    """
    left, products = dict(partials), 0
    for v in order:
        before = {u: left.pop((u, v)) for u, w in list(left) if w == v}
        after = {w: left.pop((v, w)) for u, w in list(left) if u == v}
        products += len(before) * len(after)
        for u, p in before.items():
            for w, q in after.items():
                left[u, w] = left.get((u, w), 0) + p * q
    return left, products


def skip_network(weights: Sequence[float], x: Any) -> list[Any]:
    """Return the values of the vertices of `SMALLEST` as tanh units, with a weight for each edge.

    >>> [v.item() for v in skip_network([1.0] * 5, mg.tensor(0.0))]
    [0.0, 0.0, 0.0, 0.0, 0.0]
    """
    a = mg.tanh(weights[0] * x)
    b = mg.tanh(weights[1] * a)
    c = mg.tanh(weights[2] * a + weights[3] * b)
    return [x, a, b, c, mg.tanh(weights[4] * c)]


# Multiply-adds -----------------------------------------------------------------------------------


def dense_network(widths: Sequence[int]) -> Any:
    """Return a tanh network with layers of these widths, the number of inputs first.

    >>> len(list(dense_network((2, 3, 1)).parameters()))
    4
    """
    layers = [mg.nn.Linear(d, m, rng=0) for d, m in pairwise(widths)]
    return mg.nn.Sequential(*[module for layer in layers for module in (layer, mg.nn.Tanh())][:-1])


def multiply_adds(run: Callable[[], Any]) -> tuple[Any, int]:
    """Return the result of a calculation, and its multiply-adds of matrix products as minigrad records them.

    The count includes those of reverse passes.

    >>> multiply_adds(lambda: mg.tensor([[1.0, 2.0]]) @ mg.tensor([[3.0], [4.0]]))
    (tensor([[11.]]), 2)
    """
    with mg.create_graph(), mg.profile(lines=False) as profile:
        result = run()
    return result, sum(event.multiply_adds for event in profile.events)


def jacobians(widths: Sequence[int]) -> list[tuple[NDArray[np.float64], int]]:
    """Return a network's Jacobian (m, n) and its multiply-adds, in reverse mode and in forward mode.

    >>> [count for jacobian, count in jacobians((1, 1, 2))]
    [6, 3]
    """
    network, x = dense_network(widths), mg.tensor(np.ones((1, widths[0])))
    (_, pull), (_, push) = mg.vjp(network, x), mg.linearize(network, x)
    reverse = multiply_adds(lambda: np.array([pull(g)[0].numpy()[0] for g in np.eye(widths[-1])[:, None]]))
    forward = multiply_adds(lambda: np.array([push(v).numpy()[0] for v in np.eye(widths[0])[:, None]]).T)
    return [reverse, forward]
