"""Save memory: free a function's intermediate results, and recompute them in the backward pass.

`checkpoint` runs a function and keeps only the tensors that the function used from outside, arguments or not. They are
the inputs of one node. Its VJP runs the function again, with the same random numbers, and walks back through the new
graph. Run T steps in sqrt(T) checkpoints of sqrt(T) steps: they keep as much as 2 sqrt(T) steps, for one additional
forward pass.

Source: T. Chen et al., Training deep nets with sublinear memory cost (2016), arXiv:1604.06174.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import nullcontext
from typing import Any, cast
from weakref import WeakValueDictionary

import numpy as np

from .backward import Rule, reverse_pass
from .calls import is_plain
from .core import Boundary, Node, Tensor, enable_grad, grad_enabled, number_check, plain
from .higher_order import attached, create_graph, is_differentiating, rule_on_tensors
from .observers import Observer, observing, setting
from .primitives import Primitive, primitive
from .rng import Replay, replaying
from .spec import Array, Spec, describe
from .trees import leaves, replace_leaves
from .writes import arrays_in, checksum, clock, owner

__all__ = ["checkpoint"]


class _Collector(Observer):
    """Record what the calls of a function take from outside, without keeping the arrays that they make.

    Attributes:
        made: the numbers of the nodes that the calls made.
        taken: the arrays that calls took from other nodes, by node and index of the output.
        constants: the name of each primitive with its options; and of each untracked input, and each array in an
            option, that no call returned, the checksum with the name of the primitive that took it.
    """

    def __init__(self) -> None:
        self.begun = next(clock)  # the variable of a transform that begins later is not from outside
        self.made: set[int] = set()
        self.taken: dict[tuple[Node, int], Array] = {}
        self.constants: list[tuple[Any, str]] = []
        self._seen: dict[int, Any] = {}  # constants by id; the values keep them alive
        self._owners: WeakValueDictionary[int, Array] = WeakValueDictionary()  # of the outputs of calls

    def call(
        self,
        primitive: Primitive,
        params: Mapping[str, Any],
        inputs: Sequence[Any],
        outputs: Sequence[Array],
        node: Node | None,
    ) -> None:
        tracked: tuple[bool, ...] = (False,) * len(inputs)
        if node is not None:
            argnums, tracked, indices = node.edges
            self.made.add(node.born)
            for parent, argnum, index in zip(node.parents, argnums, indices, strict=True):
                if parent.born not in self.made:
                    self.taken[parent, index] = inputs[argnum]
        self.constants.append((_key(list(params.values())), primitive.name))
        for x in (*(x for x, t in zip(inputs, tracked, strict=True) if not t), *arrays_in(params)):
            if x is not None and id(x) not in self._seen and not self._is_made(x):
                self._seen[id(x)] = x
                self.constants.append((checksum(x), primitive.name))
        self._owners.update((id(memory), memory) for memory in map(owner, outputs))

    def _is_made(self, x: Any) -> bool:
        return isinstance(x, np.ndarray) and self._owners.get(id(owner(x))) is owner(x)

    def outside_inputs(self, outputs: Sequence[Tensor]) -> dict[tuple[Node, int], Array]:
        """Return the arrays that nodes on which the outputs depend took from other nodes, by node and output index."""
        found, stack, seen = {}, [y.node for y in outputs], set()
        while stack:
            node = stack.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            for parent, index in zip(node.parents, node.edges[2], strict=True):
                if parent.born in self.made:
                    stack.append(parent)
                elif not (type(parent) is Boundary and parent.born > self.begun and not parent.closed):
                    found[parent, index] = self.taken[parent, index]
        return found


def _key(option: Any) -> Any:
    """Return what identifies an option: of an array the dtype and shape, and of an object that may be new the type."""
    if is_plain(option) or isinstance(option, (np.generic, np.dtype, type)):
        return repr(option)
    if isinstance(option, dict):
        option = list(option.items())
    return (type(option), list(map(_key, option))) if isinstance(option, (Sequence, Set)) else describe(option)


_Rerun = Callable[[Any, "tuple[bool, ...]", "list[Any]", "Rule | None", bool], "tuple[Any, ...]"]
_CHANGED = "checkpoint: the function behaved differently when it ran again"


def _tensors(out: Any) -> list[Tensor]:
    return [y for _, y in leaves(out) if isinstance(y, Tensor)]


def _check_unchanged(outputs: Sequence[Tensor], specs: list[Spec]) -> None:
    """Raise if a second run returned other shapes or dtypes than the first, or constants instead."""
    if (found := [(y.shape, y.dtype) for y in outputs if y.node is not None]) != specs:
        first, now = (", ".join(f"{dtype} {shape}" for shape, dtype in them) for them in (specs, found))
        raise ValueError(f"{_CHANGED}: it returned {now or 'nothing'}, but {first} the first time")


def _check_used(used: Mapping[Any, Array], outside: Mapping[Any, Array]) -> None:
    """Raise if a second run used other tensors or arrays from outside than the first."""
    if used.keys() != outside.keys():
        raise ValueError(
            f"{_CHANGED}: it used other tensors from outside. Tensors that it computes in its own threads, or by "
            "transforms of outside tensors without mg.create_graph(), count as such."
        )
    if any(used[key] is not array for key, array in outside.items()):
        raise ValueError(
            f"{_CHANGED}: the .data of a tensor that it uses was replaced, for example by leaving ema.applied(). "
            "Replace it after the backward pass."
        )


def _check_constants(constants: Sequence[tuple[Any, str]], expected: Sequence[tuple[Any, str]]) -> None:
    """Raise if a second run made other calls or took other constants than the first."""
    if constants != expected:
        name = next((found[1] for found, first in zip(constants, expected, strict=False) if found != first), "it")
        raise ValueError(
            f"{_CHANGED}: {name} took other numbers or options, or was not called. Do not overwrite arrays or change "
            "options before the backward pass, nor switch between train() and eval(), and draw random numbers with "
            "minigrad's functions."
        )


@primitive(residuals=("constant", "outside"))
def _checkpoint(*outside: Array, rerun: _Rerun, outputs: Iterator[Array]) -> Any:
    """Return the function's outputs, as one node. The saved inputs let the pass detect writes.

    Outputs are an iterator, so that the options of the node do not keep the arrays.
    """
    return tuple(outputs), (rerun, list(outside))


@_checkpoint.vjp
def _(g: Any, needs: tuple[bool, ...], rerun: _Rerun, outside: list[Array]) -> Any:
    return rerun(g, needs, outside, None, False)


@_checkpoint.vjp_on_tensors
def _(g: Any, needs: tuple[bool, ...], rerun: _Rerun, outside: list[Any]) -> Any:
    return rerun(g, needs, outside, rule_on_tensors, True)


def checkpoint(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function without keeping what its gradient needs; each backward pass runs the function again.

    All tensors that the function uses from outside get their gradients: arguments, closures and parameters. The
    function must do the same each time and should have no side effects: a batch norm updates its statistics at each
    run. Random numbers drawn by minigrad's functions repeat, including those from generators that you pass to them. If
    the function draws others, a call that takes them raises an error. Derivatives of any order pass through.
    :meth:`Tensor.retain_grad` has no effect on tensors inside the function.

    Args:
        function: returns a tensor, or a structure of tensors and anything else.
        args, kwargs: the arguments of the function.

    Raises:
        ValueError: in the backward pass, if arrays or constants that the function passes to primitives were
            overwritten, or the ``.data`` of a tensor was replaced. Also if the function makes other calls, takes other
            options, returns other shapes, or uses other tensors from outside, when it runs again. A write through the
            ``.data`` of a tracked tensor is detected by :class:`minigrad.detect_anomaly` alone.

    >>> import minigrad as mg
    >>> W = mg.tensor([[0.5]], requires_grad=True)
    >>> x = mg.tensor([[2.0]])
    >>> for _ in range(3):
    ...     x = mg.checkpoint(lambda x: mg.tanh(x @ W), x)
    >>> x.sum().backward()
    >>> W.grad.round(4)
    array([[0.8479]], dtype=float32)
    """
    if not grad_enabled():
        return function(*args, **kwargs)
    collector, replay, differentiable = _Collector(), Replay(), is_differentiating()
    with observing(collector), replaying(replay):
        out = function(*args, **kwargs)
    replay.pass_on()
    tensors = _tensors(out)
    places = [i for i, y in enumerate(tensors) if y.node is not None and y.node.born in collector.made]
    if not places:
        return out
    made = [tensors[place] for place in places]
    specs, used = [(y.shape, y.dtype) for y in made], collector.outside_inputs(made)
    keys, constants = tuple(used), collector.constants  # without the arrays, which `rerun` would keep

    def rerun(g: Any, needs: tuple[bool, ...], outside: list[Any], rule: Rule | None, retain_graph: bool) -> Any:
        """Run the function again and compute the cotangents of the tensors that it used from outside."""
        calls, again = _Collector(), create_graph() if differentiable else nullcontext()
        unchecked = setting(number_check, lambda _: None)  # since the function is not a rule
        with unchecked, replaying(Replay(replay.begun)), enable_grad(), again, observing(calls):
            results = _tensors(function(*args, **kwargs))
        outputs = [results[place] for place in places if place < len(results)]
        _check_unchanged(outputs, specs)
        _check_used(calls.outside_inputs(outputs), dict(zip(keys, map(plain, outside), strict=True)))
        _check_constants(calls.constants, constants)
        cotangents = g if isinstance(g, tuple) else (g,)
        seeds = [(cast(Node, y.node), y.index, c) for y, c in zip(outputs, cotangents, strict=True) if c is not None]
        found = reverse_pass(seeds, retain_graph, {node for node, _ in keys}, rule, observe_sources=False)
        return tuple(
            found.get(key if key[1] else key[0], np.zeros(*key[0].outputs[key[1]])) if need else None
            for key, need in zip(keys, needs, strict=True)
        )

    inputs = [attached(array, *key) for key, array in used.items()]
    joined = _checkpoint(*inputs, rerun=rerun, outputs=iter([y.data for y in made]))
    replaced = dict(zip(places, joined, strict=True))
    values = iter(replaced.get(i, y) for i, y in enumerate(tensors))
    return replace_leaves(out, [next(values) if isinstance(y, Tensor) else y for _, y in leaves(out)])
