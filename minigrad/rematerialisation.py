"""Memory for time: what a function computes on its way is not kept for the backward pass, but computed again in it.

`checkpoint` runs a function and keeps the edge of its graph alone: the tensors, arguments or not, that it took from
outside. They are the inputs of one vertex, whose VJP runs the function again, with the same random numbers, and pulls
back through the graph that this leaves. T steps in sqrt(T) pieces of sqrt(T) steps so keep what 2 sqrt(T) steps keep,
for one forward more. Source: T. Chen et al., Training deep nets with sublinear memory cost (2016), arXiv:1604.06174.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from .core import Node, Tensor, current_scope, recording, untracked
from .higher_order import pull_tensors
from .keeping import CALLS, differentiating, level
from .primitives import Primitive, primitive
from .recording import Recorder, using
from .rng import States, noting, replaying
from .spec import Array
from .structures import filled, leaves
from .walk import Pull, pull_back_to_edge, pull_through

__all__ = ["checkpoint"]


class _Collector(Recorder):
    """Keeps the nodes that are made, with the arrays that met there."""

    def __init__(self) -> None:
        super().__init__(values=False, gradients=False, lines=False)
        self.inputs: dict[Node, Sequence[Any]] = {}

    def call(self, node: Node, inputs: Sequence[Any], outputs: Sequence[Array]) -> None:
        self.inputs[node] = inputs

    def edge(self, outputs: Sequence[Tensor]) -> dict[tuple[Node, int], Array]:
        """What nodes behind some outputs took from others than these: node, index of its output, and array."""
        edge, stack, seen = {}, [y.node for y in outputs], set()
        while stack:
            node = stack.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            for parent, argnum, index in zip(node.parents, node.edges[0], node.edges[2], strict=True):
                if parent in self.inputs:
                    stack.append(parent)
                else:
                    edge[parent, index] = self.inputs[node][argnum]
        return edge


@dataclass(eq=False)
class _Run:
    """A function with its arguments, to be run again.

    edge: node and output index of what it took from outside. places: which of the tensors that it returns depend on
    that. states: of the generators that it drew from.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    edge: tuple[tuple[Node, int], ...] = ()
    places: tuple[int, ...] = ()
    states: States = field(default_factory=dict)
    level: int = field(default_factory=level)  # of the first run

    def pull(self, g: Any, needs: tuple[bool, ...], pull: Pull) -> tuple[Any, ...]:
        """Run it again, and pull cotangents of its outputs back to the edge."""
        with replaying(self.states), recording(), differentiating(max(self.level, level())):
            tensors = _tensors(self.function(*self.args, **self.kwargs))
        cotangents = g if isinstance(g, tuple) else (g,)
        outputs = [tensors[place] for place in self.places]
        seeds = [(cast(Node, y.node), y.index, c) for y, c in zip(outputs, cotangents, strict=True) if c is not None]
        found = pull_back_to_edge(seeds, list({node for node, _ in self.edge}), pull)
        return tuple(
            found.get(key, np.zeros(*key[0].outputs[key[1]])) if need else None
            for key, need in zip(self.edge, needs, strict=True)
        )


def _tensors(out: Any) -> list[Tensor]:
    return [y for _, y in leaves(out) if isinstance(y, Tensor)]


@primitive(residuals=("constant", "edge"))
def _checkpoint(*edge: Array, run: _Run, outputs: list[Array]) -> Any:
    """What a function computed, as one vertex: it holds the arrays of the edge, so that nobody writes into them."""
    computed = tuple(outputs)
    outputs.clear()  # the vertex does not keep them
    return computed, (run, list(edge))


@_checkpoint.vjp
def _(g: Any, needs: tuple[bool, ...], run: _Run, edge: list[Array]) -> Any:
    return run.pull(g, needs, _pull_arrays)


@_checkpoint.vjp_on_tensors
def _(g: Any, needs: tuple[bool, ...], run: _Run, edge: list[Any]) -> Any:
    with differentiating(CALLS):
        return run.pull(g, needs, pull_tensors)


def _pull_arrays(node: Node, cotangents: tuple[Any, ...], needs: tuple[bool, ...]) -> Sequence[Any]:
    """The VJP of a node, whose residuals are freed."""
    fitted = pull_through(node, cotangents, needs, _usual_rule)
    node.residuals = None
    return fitted


def _usual_rule(node: Node, g: Any, needs: tuple[bool, ...]) -> Any:
    return cast(Primitive, node.primitive).vjp(g, needs, *cast("tuple[Any, ...]", node.residuals))


def checkpoint(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a function returns, without keeping what its gradient needs: it is computed again when that is wanted.

    Whatever the function takes from outside gets its gradient, arguments and tensors of closures and modules alike.
    Random numbers are drawn again as they were, also from generators of your own. The function must do the same when it
    is run again, and should do nothing else: it is, each time a backward pass comes to it. Derivatives of any order
    pass through it.

    Args:
        function: returns a tensor, or a structure of tensors and anything else.
        args, kwargs: what it is called with.

    Raises:
        ValueError: in the backward pass, if what it took was written into since.

    >>> import minigrad as mg
    >>> W = mg.tensor([[0.5]], requires_grad=True)
    >>> x = mg.tensor([[2.0]])
    >>> for _ in range(3):
    ...     x = mg.checkpoint(lambda x: mg.tanh(x @ W), x)
    >>> x.sum().backward()
    >>> W.grad.round(4)
    array([[0.8479]], dtype=float32)
    """
    if current_scope() is None:
        return function(*args, **kwargs)
    collector, run = _Collector(), _Run(function, args, kwargs)
    with using(collector), noting(run.states):
        out = function(*args, **kwargs)
    tensors = _tensors(out)
    run.places = tuple(i for i, y in enumerate(tensors) if y.node in collector.inputs)
    made = [tensors[place] for place in run.places]
    edge = collector.edge(made)
    if not made:
        return out
    run.edge = tuple(edge)
    joined = _checkpoint(*map(_on_edge, edge.items()), run=run, outputs=[y.data for y in made])
    replaced = dict(zip(run.places, joined, strict=True))
    values = iter(replaced.get(i, y) for i, y in enumerate(tensors))
    return filled(out, [next(values) if isinstance(y, Tensor) else y for _, y in leaves(out)])


def _on_edge(item: tuple[tuple[Node, int], Array]) -> Tensor:
    """A tensor that was taken from outside, again."""
    (node, index), array = item
    tensor = untracked(array)
    tensor.node, tensor.index = node, index
    return tensor
