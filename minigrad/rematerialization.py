"""Save memory: free a function's intermediate results, and recompute them in the backward pass.

`checkpoint` runs a function and keeps only the tensors that the function used from outside, arguments or not. They are
the inputs of one vertex. Its VJP runs the function again, with the same random numbers, and walks back through the new
graph. Run T steps in sqrt(T) checkpoints of sqrt(T) steps: they keep as much as 2 sqrt(T) steps, for one additional
forward pass.

Source: T. Chen et al., Training deep nets with sublinear memory cost (2016), arXiv:1604.06174.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np

from .backward import Rule, generic_pass
from .core import Node, Tensor, current_scope, enable_grad, number_check
from .higher_order import attached, differentiating, is_differentiating, rule_on_tensors
from .observers import Observer, observing, setting
from .primitives import Primitive, primitive
from .rng import Replay, replaying
from .spec import Array, Spec
from .trees import leaves, replace_leaves
from .writes import Guard

__all__ = ["checkpoint"]


class _Collector(Observer):
    """Keep the nodes that calls make, with the arrays of the calls."""

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

    def outside_inputs(self, outputs: Sequence[Tensor]) -> dict[tuple[Node, int], Array]:
        """Return the arrays that nodes on which the outputs depend took from other nodes, by node and output index."""
        found, stack, seen = {}, [y.node for y in outputs], set()
        while stack:
            node = stack.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            for parent, argnum, index in zip(node.parents, node.edges[0], node.edges[2], strict=True):
                if parent in self.inputs:
                    stack.append(parent)
                else:
                    found[parent, index] = self.inputs[node][argnum]
        return found

    def constants(self) -> list[Array]:
        """Return the untracked arrays among the inputs."""
        calls = [zip(inputs, node.edges[1], strict=True) for node, inputs in self.inputs.items()]
        untracked = [x for call in calls for x, tracked in call if isinstance(x, np.ndarray) and not tracked]
        return list({id(x): x for x in untracked}.values())


_Rerun = Callable[[Any, "tuple[bool, ...]", Rule, bool], "tuple[Any, ...]"]
_CHANGED = "checkpoint: the function behaved differently when it ran again"


def _tensors(out: Any) -> list[Tensor]:
    return [y for _, y in leaves(out) if isinstance(y, Tensor)]


def _check_unchanged(outputs: Sequence[Tensor], specs: Sequence[Spec], used: Any, outside: Sequence[Any]) -> None:
    """Raise if a second run returned other shapes or dtypes, or used other tensors from outside, than the first."""
    if (found := [(y.shape, y.dtype) for y in outputs]) != specs:
        first, now = (", ".join(f"{dtype} {shape}" for shape, dtype in them) for them in (specs, found))
        raise ValueError(f"{_CHANGED}: it returned {now or 'nothing'}, but {first} the first time")
    if used.keys() != set(outside):
        raise ValueError(
            f"{_CHANGED}: it used other tensors from outside. (Tensors that it computes in its own threads "
            "count as outside tensors, because they cannot be recomputed.)"
        )


@primitive(residuals=("constant", "outside", "constant"))
def _checkpoint(*outside: Array, rerun: _Rerun, outputs: Iterator[Array], constants: Iterator[Array]) -> Any:
    """Return the function's outputs, as one vertex. Its residuals, the arrays that the function read, detect writes.

    Outputs and constants are iterators, so that the options of the vertex neither keep the arrays nor are guarded.
    """
    return tuple(outputs), (rerun, list(outside), list(constants))


@_checkpoint.vjp
def _(g: Any, needs: tuple[bool, ...], rerun: _Rerun, outside: list[Array], constants: list[Array]) -> Any:
    return rerun(g, needs, _rule_on_arrays, False)


@_checkpoint.vjp_on_tensors
def _(g: Any, needs: tuple[bool, ...], rerun: _Rerun, outside: list[Any], constants: list[Array]) -> Any:
    return rerun(g, needs, rule_on_tensors, True)


def _rule_on_arrays(node: Node, g: Any, needs: tuple[bool, ...]) -> Any:
    return cast(Primitive, node.primitive).vjp(g, needs, *cast("tuple[Any, ...]", node.residuals))


def checkpoint(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function without keeping what its gradient needs; each backward pass runs the function again.

    All tensors that the function uses from outside get their gradients: arguments, closures and parameters. The
    function must do the same each time and should have no side effects. Random numbers drawn by minigrad's functions
    repeat, including those from generators that you pass to them. Random numbers that the function draws itself do not.
    Derivatives of any order pass through. :meth:`Tensor.retain_grad` has no effect on tensors inside the function.

    Args:
        function: returns a tensor, or a structure of tensors and anything else.
        args, kwargs: the arguments of the function.

    Raises:
        ValueError: in the backward pass, if the arrays that the function used were overwritten. Also if the function
            returns other shapes, or uses other tensors from outside, when it runs again.

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
    collector, replay, differentiable = _Collector(), Replay(), is_differentiating()
    with observing(collector), replaying(replay):
        out = function(*args, **kwargs)
    replay.pass_on()
    tensors = _tensors(out)
    places = [i for i, y in enumerate(tensors) if y.node in collector.inputs]
    if not places:
        return out
    made = [tensors[place] for place in places]
    specs, used = [(y.shape, y.dtype) for y in made], collector.outside_inputs(made)
    outside = tuple(used)  # without the arrays, which `rerun` would keep

    def rerun(g: Any, needs: tuple[bool, ...], rule: Rule, retain_graph: bool) -> tuple[Any, ...]:
        """Run the function again and compute the cotangents of the tensors that it used from outside."""
        calls, again = _Collector(), differentiating(differentiable or is_differentiating())
        unchecked = setting(number_check, lambda _: None)  # since the function is not a rule
        with unchecked, replaying(Replay(replay.begun)), enable_grad(), again, observing(calls):
            results = _tensors(function(*args, **kwargs))
        outputs = [results[place] for place in places if place < len(results)]
        _check_unchanged(outputs, specs, calls.outside_inputs(outputs), outside)
        cotangents = g if isinstance(g, tuple) else (g,)
        seeds = [(cast(Node, y.node), y.index, c) for y, c in zip(outputs, cotangents, strict=True) if c is not None]
        found = generic_pass(seeds, {node for node, _ in outside}, rule, (), False, retain_graph)
        return tuple(
            found.get(key, np.zeros(*key[0].outputs[key[1]])) if need else None
            for key, need in zip(outside, needs, strict=True)
        )

    constants = [*collector.constants(), *(x for _, x in leaves((args, kwargs)) if isinstance(x, np.ndarray))]
    inputs = [attached(array, *key) for key, array in used.items()]
    joined = _checkpoint(*inputs, rerun=rerun, outputs=iter([y.data for y in made]), constants=iter(constants))
    if not hasattr(joined[0].node, "guard"):  # no copies: the function reads the arrays themselves again
        Guard(joined[0].node, constants, sampled=True)
    replaced = dict(zip(places, joined, strict=True))
    values = iter(replaced.get(i, y) for i, y in enumerate(tensors))
    return replace_leaves(out, [next(values) if isinstance(y, Tensor) else y for _, y in leaves(out)])
