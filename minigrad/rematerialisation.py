"""Memory for time: what a function computes on its way is not kept for the backward pass, but computed again in it.

`checkpoint` runs a function and keeps the edge of its graph alone: the tensors, arguments or not, that it took from
outside. They are the inputs of one vertex, whose VJP runs the function again, with the same random numbers, and pulls
back through the graph that this leaves. T steps in sqrt(T) pieces of sqrt(T) steps so keep what 2 sqrt(T) steps keep,
for one forward more. Source: T. Chen et al., Training deep nets with sublinear memory cost (2016), arXiv:1604.06174.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from .backward import Rule, pull_back
from .core import Node, Tensor, current_scope, enable_grad, number_check
from .higher_order import attached, differentiating, is_differentiating, pull_tensors
from .observers import Observer, observing, setting
from .primitives import Primitive, primitive
from .rng import Draws, drawing
from .spec import Array, Spec
from .trees import filled, leaves
from .writes import Guard

__all__ = ["checkpoint"]


class _Collector(Observer):
    """Keeps the nodes that are made, with the arrays of their calls."""

    def __init__(self) -> None:
        self.inputs: dict[Node, Sequence[Any]] = {}

    def call(
        self,
        primitive: Primitive,
        params: Mapping[str, Any],
        inputs: Sequence[Any],
        outputs: Sequence[Array],
        node: Node | None,
    ) -> None:
        if node is not None:
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

    def constants(self) -> list[Array]:
        """The arrays that met without being tracked."""
        calls = [zip(inputs, node.edges[1], strict=True) for node, inputs in self.inputs.items()]
        untracked = [x for call in calls for x, tracked in call if isinstance(x, np.ndarray) and not tracked]
        return list({id(x): x for x in untracked}.values())


@dataclass(eq=False)
class _Run:
    """A function with its arguments, to be run again.

    edge: node and output index of what it took from outside. places: which of the tensors that it returns depend on
    that, of which shapes and dtypes. outputs: their arrays. constants: the untracked arrays that it read.
    draws: its random numbers. differentiating: whether reverse passes in it leave a graph.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    edge: tuple[tuple[Node, int], ...] = ()
    places: tuple[int, ...] = ()
    outputs: tuple[Array, ...] = ()
    constants: Sequence[Array] = ()
    draws: Draws = field(default_factory=Draws)
    specs: tuple[Spec, ...] = ()  # of these tensors
    differentiating: bool = field(default_factory=is_differentiating)

    def pull(self, g: Any, needs: tuple[bool, ...], rule: Rule, retain_graph: bool) -> tuple[Any, ...]:
        """Run it again, and pull cotangents of its outputs back to the edge."""
        collector, again = _Collector(), differentiating(self.differentiating or is_differentiating())
        outside = setting(number_check, lambda _: None)  # for the function is no rule
        with outside, drawing(Draws(self.draws.begun)), enable_grad(), again, observing(collector):
            tensors = _tensors(self.function(*self.args, **self.kwargs))
        cotangents = g if isinstance(g, tuple) else (g,)
        outputs = [tensors[place] for place in self.places if place < len(tensors)]
        self._refuse_changes(outputs, collector)
        seeds = [(cast(Node, y.node), y.index, c) for y, c in zip(outputs, cotangents, strict=True) if c is not None]
        found = pull_back(seeds, {node for node, _ in self.edge}, rule, (), False, retain_graph)
        return tuple(
            found.get(key, np.zeros(*key[0].outputs[key[1]])) if need else None
            for key, need in zip(self.edge, needs, strict=True)
        )

    def _refuse_changes(self, outputs: Sequence[Tensor], collector: _Collector) -> None:
        """Raise if the function did something else than at first, as far as its outputs and the edge show."""
        specs = [(y.shape, y.dtype) for y in outputs]
        if specs != list(self.specs):
            first, now = (", ".join(f"{dtype} {shape}" for shape, dtype in them) for them in (self.specs, specs))
            raise ValueError(f"{_CHANGED}: it returned {now or 'nothing'} where it had returned {first}")
        if collector.edge(outputs).keys() != set(self.edge):
            raise ValueError(
                f"{_CHANGED}: it took other tensors from outside. (What it computes in threads of its own counts as "
                "from outside: it cannot be computed again.)"
            )


_CHANGED = "checkpoint: the function did something else when it was run again"


def _tensors(out: Any) -> list[Tensor]:
    return [y for _, y in leaves(out) if isinstance(y, Tensor)]


@primitive(residuals=("constant", "edge", "constant"))
def _checkpoint(*edge: Array, run: _Run) -> Any:
    """What a function computed, as one vertex: it holds the arrays that it took, so that nobody writes into them."""
    computed, run.outputs = run.outputs, ()  # the vertex does not keep them
    return computed, (run, list(edge), run.constants)


@_checkpoint.vjp
def _(g: Any, needs: tuple[bool, ...], run: _Run, edge: list[Array], constants: Sequence[Array]) -> Any:
    return run.pull(g, needs, _vjp, retain_graph=False)


@_checkpoint.vjp_on_tensors
def _(g: Any, needs: tuple[bool, ...], run: _Run, edge: list[Any], constants: Sequence[Array]) -> Any:
    return run.pull(g, needs, pull_tensors, retain_graph=True)


def _vjp(node: Node, g: Any, needs: tuple[bool, ...]) -> Any:
    return cast(Primitive, node.primitive).vjp(g, needs, *cast("tuple[Any, ...]", node.residuals))


def checkpoint(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a function returns, without keeping what its gradient needs: it is computed again when that is wanted.

    Whatever the function takes from outside gets its gradient, arguments and tensors of closures and modules alike.
    Random numbers that minigrad's functions draw are drawn again as they were, also from generators that they are
    given; those that the function draws itself are not. It must do the same when it is run again, and should do nothing
    else: it is run each time a backward pass comes to it. Derivatives of any order pass through it.

    Args:
        function: returns a tensor, or a structure of tensors and anything else.
        args, kwargs: what it is called with.

    Raises:
        ValueError: in the backward pass, if what it took was written into since, or it does something else when it is
            run again, as far as its outputs and what it takes from outside show.

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
    with observing(collector), drawing(run.draws):
        out = function(*args, **kwargs)
    run.draws.pass_on()
    tensors = _tensors(out)
    run.places = tuple(i for i, y in enumerate(tensors) if y.node in collector.inputs)
    made = [tensors[place] for place in run.places]
    run.specs = tuple((y.shape, y.dtype) for y in made)
    edge = collector.edge(made)
    if not made:
        return out
    run.edge, run.outputs = tuple(edge), tuple(y.data for y in made)
    run.constants = [*collector.constants(), *(x for _, x in leaves((args, kwargs)) if isinstance(x, np.ndarray))]
    joined = _checkpoint(*(attached(array, *key) for key, array in edge.items()), run=run)
    if not hasattr(joined[0].node, "guard"):  # copies would not help: the function reads the arrays themselves again
        Guard(joined[0].node, run.constants, sampled=True)
    replaced = dict(zip(run.places, joined, strict=True))
    values = iter(replaced.get(i, y) for i, y in enumerate(tensors))
    return filled(out, [next(values) if isinstance(y, Tensor) else y for _, y in leaves(out)])
