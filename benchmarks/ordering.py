"""Sorting a large graph given as an array of edges, against rustworkx: build and sort together.

A million vertices under a random labelling, in 24 wide levels, at random, and in a chain; rustworkx (in Rust) is given
its edges as a list of tuples, which it takes fastest, and making that list is not counted. Aims: ahead on the
first two, within 3 times on chains.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import timing  # first: it chooses the BLAS settings

import numpy as np
import rustworkx

from minigrad.graph import topological_order_of_edges

Edges = np.ndarray[Any, Any]


def upward(n: int, count: int, rng: np.random.Generator) -> Edges:
    """Pairs i < j drawn at random."""
    pairs = np.sort(rng.integers(0, n, (count, 2)), axis=1)
    return pairs[pairs[:, 0] < pairs[:, 1]]


def levels(n: int, count: int, rng: np.random.Generator) -> Edges:
    """Edges from each of 24 levels to the next."""
    width = n // 24
    parent = rng.integers(0, 23 * width, count)
    return np.stack([parent, (parent // width + 1) * width + rng.integers(0, width, count)], 1)


def path(n: int) -> Edges:
    return np.stack([np.arange(n - 1), np.arange(1, n)], 1)


def graphs(n: int) -> dict[str, Edges]:
    """Edges by the kind of graph."""
    rng = np.random.default_rng(0)
    chain = np.concatenate([path(n), upward(n, 2 * n, rng)])
    label = rng.permutation(n)
    made = {
        "24 levels": label[levels(n, 3 * n, rng)],
        "random pairs": label[upward(n, 3 * n, rng)],
        "a chain with shortcuts": label[chain],
        "a path": label[path(n)],
    }
    return {name: rng.permutation(edges) for name, edges in made.items()} | {"a path, numbered in order": path(n)}


def by_rustworkx(pairs: list[tuple[int, int]]) -> None:
    graph = rustworkx.PyDiGraph()
    graph.extend_from_edge_list(pairs)
    rustworkx.topological_sort(graph)


def main() -> None:
    """Compare and print ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vertices", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=2, help="rounds; the best one counts (default: 2)")
    options = parser.parse_args()
    for name, edges in graphs(options.vertices).items():
        pairs = list(map(tuple, edges.tolist()))
        rivals = {
            "minigrad": lambda edges=edges: topological_order_of_edges(options.vertices, edges),
            "rustworkx": lambda pairs=pairs: by_rustworkx(pairs),
        }
        timing.print_ratios({name: timing.compare(rivals, options.repeats, warmup=0)}, "rustworkx")


if __name__ == "__main__":
    main()
