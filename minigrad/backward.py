"""The reverse pass: walk the graph from the outputs to the leaves and sum cotangents.

For a function built from primitives, the chain rule in reverse gives each node the cotangent
g = dL/d(output) as the sum over the node's uses of (dL/d(use)) (d(use)/d(output)); a primitive's VJP
computes one use's term. Nodes are visited children first, so every sum is complete when it is used.

:func:`pull_back` is this walk for cotangents of any kind: tensors, or arrays with a leading axis.
:func:`reverse_pass` is the same for arrays, written out for speed; it also frees residuals and sums in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, TypeAlias, cast

import numpy as np

from . import observers, writes
from .core import Leaf, Node, Retained, Tensor, plain, retaining
from .graph.order import Cycle, Order, dependents, topological_order, with_late_sources
from .observers import Observer, add_location
from .primitives import Primitive
from .spec import Array, describe, refuse_masked
from .summation import block_sum
from .writes import arrays_in, check_unwritten, owner

__all__ = ["fit", "graph_of", "pull_back", "reverse_pass", "seed_of", "unbroadcast"]

# The sums of cotangents so far. A key is a node, which stands for its first output, or (node, index) for a later one.
_Cotangents: TypeAlias = "dict[Any, Any]"
Rule: TypeAlias = "Callable[[Node, Any, tuple[bool, ...]], Any]"
"""``rule(node, g, needs)``: the cotangents of a node's inputs, from that of its output (a tuple if it has several)."""

_parents = attrgetter("parents")
_half = np.dtype(np.float16)


def graph_of(nodes: list[Node], parents: Callable[[Node], tuple[Node, ...]] = _parents) -> Order[Node]:
    """Everything behind some nodes, parents first.

    Raises:
        ValueError: if the graph has a cycle (only hand-made graphs can), which the message shows.
    """
    result = topological_order(nodes, parents)
    if isinstance(result, Cycle):
        raise ValueError(f"the graph has a cycle: {' -> '.join(map(repr, result.nodes))} -> the first again")
    return result


def unbroadcast(g: Any, shape: tuple[int, ...], batch: int = 0) -> Any:
    """Sum a cotangent over the axes along which an input of ``shape`` was broadcast; float16 in float32.

    It may be a tensor, and have some more axes in front (``batch``), which stay.

    Raises:
        ValueError: if ``shape`` does not broadcast to the cotangent's shape.

    >>> unbroadcast(np.ones((2, 3)), (3,))
    array([2., 2., 2.])
    """
    if g.dtype == np.float16:
        g = g.astype(np.float32)  # float16 cannot count past 2,048
    lead = g.ndim - len(shape)
    if 0 < lead < g.ndim and g.shape[lead:] == shape and not batch and type(g) is np.ndarray:  # a bias
        return block_sum(g, tuple(range(lead)))
    if lead < batch or any(n not in (1, m) for n, m in zip(shape, g.shape[lead:], strict=True)):
        raise ValueError(f"cannot sum {g.shape} to {shape}")
    stretched = tuple(lead + i for i, n in enumerate(shape) if n == 1 and g.shape[lead + i] != 1)
    axes = (*range(batch, lead), *stretched)
    return (block_sum(g, axes) if isinstance(g, np.ndarray) else g.sum(axis=axes)).reshape(g.shape[:batch] + shape)


def fit(
    primitive: Primitive, argnum: int, grad: Any, shape: tuple[int, ...], dtype: Any, batch: tuple[int, ...] = ()
) -> Any:
    """A cotangent in its input's shape (behind that of a batch) and dtype, or an error that names the primitive."""
    if grad is None:
        raise ValueError(f"the VJP of {primitive.name} gave None for {primitive.input_name(argnum)}, which needs one")
    grad = grad if isinstance(grad, Tensor) else np.asarray(grad)
    if grad.dtype.kind not in "fiub":
        raise TypeError(f"{_misfit(primitive, argnum, grad, shape, dtype, batch)}: cotangents are real numbers")
    if grad.shape != (*batch, *shape):
        try:
            if not primitive.broadcasts or grad.shape[: len(batch)] != batch:
                raise ValueError("nothing is summed")
            grad = unbroadcast(grad, shape, len(batch))
        except ValueError:
            raise ValueError(_misfit(primitive, argnum, grad, shape, dtype, batch)) from None
    return grad if grad.dtype == dtype else grad.astype(dtype)


def _misfit(primitive: Primitive, argnum: int, grad: Any, shape: Any, dtype: Any, batch: Any) -> str:
    of = f", of {batch[0]} cotangents," if batch else ""
    input = primitive.input_name(argnum)
    return f"the VJP of {primitive.name}{of} gave {describe(grad)} for {input}, which is {dtype} {shape}"


def _is_fresh(grad: Array, argnum: int, grads: Any, others: Any) -> bool:
    """Whether a VJP's result can be kept as it is and added to: writeable, and its memory shared with nothing else.

    ``others`` are the cotangent and the residuals; siblings among ``grads`` count too. Half precision is not added to.
    """
    if type(grad) is not np.ndarray or not grad.flags.writeable or grad.dtype is _half:
        return False
    memory = owner(grad)
    if memory.size != grad.size or not memory.flags.owndata:
        return False
    return all(memory is not owner(array) for array in arrays_in([*others, *grads[:argnum], *grads[argnum + 1 :]]))


# --- the walk ----------------------------------------------------------------------------------------


def pull_back(
    seeds: Iterable[tuple[Node, int, Any]],
    sources: Iterable[Node],
    rule: Rule,
    batch: tuple[int, ...] = (),
    attend_sources: bool = True,
    retain_graph: bool = True,
) -> dict[Any, Any]:
    """Cotangents of all outputs of some sources, given those of some outputs. It does not go behind a source.

    Args:
        seeds: node, output index and cotangent.
        rule: calls a rule of the node's primitive.
        batch: the shape of the axes that cotangents have in front of their output's shape.
        attend_sources: whether to tell observers (hooks) the cotangents of the sources, too.
        retain_graph: keep the residuals for another pass.

    Returns:
        the cotangents, by node and index of the output, and by `Retained` those of inner tensors that retain theirs.

    Raises:
        ValueError: if residuals were freed or written into, or a rule returns a wrong shape.
        TypeError: if a rule returns anything but a tuple with an entry for each input.
        An error in the walk carries a note of where the forward made the node, if known.
    """
    ends, watching = set(sources), observers.of_passes()
    attended = bool(watching) or len(retaining) > 0

    def parents(node: Node) -> tuple[Node, ...]:
        return () if node in ends else node.parents

    order = graph_of([node for node, _, _ in seeds], parents)
    live = dependents(order, ends, parents)
    cotangents: _Cotangents = {}
    found: dict[Any, Any] = {}
    for node, index, g in seeds:
        _add(cotangents, (node, index), g)
    for observer in watching:
        observer.start({key: plain(g) for key, g in cotangents.items()})
    for node in reversed(order.nodes):
        outputs = range(1 + len(node.later_outputs))
        gs = tuple(cotangents.pop((node, index), None) for index in outputs)
        if node not in live or all(g is None for g in gs):
            continue
        try:
            if node in ends:
                pairs = zip(gs, node.outputs, strict=True)
                gs = tuple(g if g is None or g.dtype == dtype else g.astype(dtype) for g, (_, dtype) in pairs)
            if attended and (node not in ends or attend_sources):
                gs = _attend(node, gs, watching, found, bool(batch))
            if node in ends:
                found.update({(node, i): g for i, g in enumerate(gs) if g is not None})
                continue
            parents_, argnums, needs, indices = _live_edges(node, live)
            grads = _pull(node, gs if len(gs) > 1 else gs[0], needs, rule, batch, watching)
        except BaseException as error:
            add_location(error, node)
            raise
        if not retain_graph:
            node.residuals = None
        for parent, argnum, index in zip(parents_, argnums, indices, strict=True):
            _add(cotangents, (parent, index), grads[argnum])
    return found


def _add(cotangents: _Cotangents, key: tuple[Node, int], g: Any) -> None:
    """Add a cotangent; half precision is summed in single, since sums of ones would stop at 2,048."""
    if key in cotangents:
        total = cotangents[key]
        g = (total.astype(np.float32) if total.dtype == _half else total) + g
    cotangents[key] = g


def _attend(node: Node, gs: Any, watching: Sequence[Observer], found: dict[Any, Any], batched: bool = False) -> Any:
    """Tell observers of the complete cotangents of a node, find those that it retains, return the ones that go on."""
    several = type(gs) is tuple and len(gs) > 1
    g = gs if several or type(gs) is not tuple else gs[0]
    for observer in watching:
        g = observer.cotangent(node, g, batched)
    for index, retained in getattr(node, "retained", {}).items():
        kept = g[index] if several else g
        if kept is not None:
            found[retained] = kept
    return g if several or type(gs) is not tuple else (g,)


def _pull(
    node: Node, g: Any, needs: tuple[bool, ...], rule: Rule, batch: tuple[int, ...], watching: Sequence[Observer]
) -> dict[int, Any]:
    """The cotangents of the needed inputs by their number, each in the shape and dtype of its input."""
    _check_residuals(node)
    primitive = cast(Primitive, node.primitive)
    pull: Callable[..., Any] = partial(rule, node)
    for observer in watching:
        pull = observer.around(primitive, pull, node)
    grads = pull(g, needs)
    if type(grads) is not tuple or len(grads) != len(needs):
        raise TypeError(_miscounted(primitive, len(needs), grads))
    fitted = _fitted(node, needs, grads, batch)
    for observer in watching:
        observer.pulled(node, {argnum: plain(g) for argnum, g in fitted.items()}, bool(batch))
    return fitted


def _fitted(node: Node, needs: tuple[bool, ...], grads: Any, batch: tuple[int, ...] = ()) -> dict[int, Any]:
    """What a VJP sends to each input, by the input's number, in the input's shape and dtype."""
    edges = zip(node.parents, *node.edges[::2], strict=True)
    primitive = cast(Primitive, node.primitive)
    return {
        argnum: fit(primitive, argnum, grads[argnum], *parent.outputs[index], batch)
        for parent, argnum, index in edges
        if needs[argnum]
    }


# --- the walk on arrays ------------------------------------------------------------------------------


def reverse_pass(
    seeds: list[tuple[Node, int, Array]], retain_graph: bool = False, sources: list[Leaf] | None = None
) -> dict[Leaf | Retained, Array]:
    """Cotangents of the leaves, given those of some outputs.

    Args:
        seeds: node, output index and cotangent, of that output's shape and dtype.
        retain_graph: keep the residuals for another pass.
        sources: the leaves of interest; all if None. What does not lead to one is not computed.

    Returns:
        for each leaf reached, an array that nothing else holds; without ``sources`` also by `Retained` for each inner
        tensor that retains its gradient.

    Raises:
        ValueError: if residuals were freed by an earlier pass, or a VJP returns a wrong shape.
        An error in the pass, also of a VJP or a hook, carries a note of where the forward made the node, if known.
    """
    order = graph_of([node for node, _, _ in seeds])
    watching = observers.of_passes()
    if watching:  # hooks are called as soon as a cotangent is complete
        order = with_late_sources(order, _parents)
    live = None if sources is None else dependents(order, sources, _parents)
    cotangents: _Cotangents = {}
    for node, index, g in seeds:
        key: Any = (node, index) if index else node
        cotangents[key] = cotangents[key] + g if key in cotangents else g
    for observer in watching:
        observer.start({key if type(key) is tuple else (key, 0): g for key, g in cotangents.items()})
    ends, owned = _walk_back(order, cotangents, live, retain_graph, watching)
    return {
        # NumPy's sums of 0-d arrays are scalars, hence asarray; those of half precision are in single
        end: np.asarray(cotangents[end], end.dtype) if end in owned else np.array(cotangents[end], end.dtype)
        for end in ends
        if end in cotangents and (sources is None or end in sources)
    }


def _walk_back(
    order: Order[Node],
    cotangents: _Cotangents,
    live: set[Node] | None,
    retain_graph: bool,
    watching: Sequence[Observer],
) -> tuple[list[Any], set[Any]]:
    """Visit nodes, children first; in the end ``cotangents`` holds those of the leaves.

    Returns the leaves and `Retained` objects, and the keys of the cotangents whose arrays the pass may modify, since
    nothing else holds them. The loop calls no function for each part, since it runs once for each node and edge.
    """
    owned: set[Any] = set()  # keys
    ends: list[Any] = []
    attended = bool(watching) or len(retaining) > 0
    listening = [observer for observer in watching if type(observer).pulled is not Observer.pulled] if watching else ()
    now = writes.clock
    node: Any = None
    found: dict[Any, Any] = {}
    try:
        for node in reversed(order.nodes):
            primitive = node.primitive
            if primitive is None:
                ends.append(node)
                if attended and node in cotangents:
                    cotangents[node] = _attend(node, cotangents[node], watching, found)
                continue
            residuals = node.residuals
            if type(residuals) is not tuple:
                _refuse_gone(primitive, residuals)
            g = cotangents.pop(node, None)
            if node.later_outputs:
                g = (g, *(cotangents.pop((node, i + 1), None) for i in range(len(node.later_outputs))))
                if all(part is None for part in g):
                    g = None
            parents = node.parents
            argnums, needs, indices = node.edges
            if live is not None:
                parents, argnums, needs, indices = _live_edges(node, live)
            if g is None or not parents:
                if not retain_graph:
                    node.residuals = None
                continue
            vjp = primitive.vjp  # calling primitive.vjp(…) itself takes longer by 0.05 of an np.add
            if attended:
                g = _attend(node, g, watching, found)
                now = writes.clock  # a hook may have written
                for observer in watching:
                    vjp = observer.around(primitive, vjp, node)
            if node.born != now:
                check_unwritten(node)
            grads = vjp(g, needs, *residuals) if residuals else vjp(g, needs)
            if type(grads) is not tuple or len(grads) != len(needs):
                raise TypeError(_miscounted(primitive, len(needs), grads))
            for observer in listening:
                observer.pulled(node, _fitted(node, needs, grads))
            i = 0
            for parent in parents:
                index, argnum = indices[i], argnums[i]
                i += 1  # noqa: SIM113 (a counter is measurably faster than enumerate or zip)
                grad = grads[argnum]
                key = parent
                shape, dtype = parent.shape, parent.dtype
                if index:
                    key = parent, index
                    shape, dtype = parent.later_outputs[index - 1]
                # An add passes g on as it is: then the same shape and dtype objects show that it fits, without
                # comparing them, which saves 0.1 of an np.add.
                if grad is not g or shape is not node.shape or dtype is not node.dtype:
                    try:
                        fits = grad.shape == shape and grad.dtype is dtype
                    except AttributeError:  # None, or a number of Python's
                        fits = False
                    if not fits:
                        grad = fit(primitive, argnum, grad, shape, dtype)
                if key not in cotangents:
                    cotangents[key] = grad
                    if parent.primitive is None and _is_fresh(grad, argnum, grads, (g, residuals)):
                        owned.add(key)
                elif key in owned:
                    cotangents[key] += grad
                else:
                    total = cotangents[key]
                    if dtype is _half:  # float16 cannot count past 2,048
                        total = total.astype(np.float32)
                    cotangents[key] = total + grad
                    owned.add(key)
            if not retain_graph:
                node.residuals = None
                if primitive.keeps_inputs:
                    node.inputs = ()
    except BaseException as error:
        add_location(error, node)
        raise
    cotangents.update(found)
    return [*ends, *found], owned


def _check_residuals(node: Node) -> None:
    """Raise unless the residuals of a node are there, and nothing that a gradient needs was written into."""
    if type(node.residuals) is not tuple:
        _refuse_gone(cast(Primitive, node.primitive), node.residuals)
    if node.born != writes.clock:
        check_unwritten(node)


def _refuse_gone(primitive: Primitive, residuals: Any) -> None:
    """Raise if residuals are not there any more."""
    if residuals is None:
        raise ValueError(
            f"the residuals of {primitive.name} were freed by an earlier backward pass: "
            "run the forward again, or pass retain_graph=True to the first pass"
        )
    raise TypeError(f"the forward of {primitive.name} must return a tuple of residuals, not {describe(residuals)}")


def _miscounted(primitive: Primitive, inputs: int, grads: Any) -> str:
    if type(grads) is not tuple:
        return f"the VJP of {primitive.name} must return a tuple of cotangents, not {describe(grads)}"
    names = ", ".join(map(primitive.input_name, range(inputs)))
    return (
        f"the VJP of {primitive.name} returned {len(grads)} entries: it must return {inputs}, "
        f"one for each input ({names}), None where none is needed"
    )


def _live_edges(node: Node, live: set[Node]) -> tuple[Any, tuple[int, ...], tuple[bool, ...], tuple[int, ...]]:
    """A node's parents and edges without the parents that lead to no source, and so are not live."""
    argnums, needs, indices = node.edges
    kept = [edge for edge in zip(node.parents, argnums, indices, strict=True) if edge[0] in live]
    parents, argnums, indices = zip(*kept, strict=True) if kept else ((), (), ())
    return parents, argnums, tuple(i in argnums for i in range(len(needs))), indices


def seed_of(output: Tensor, gradient: Any = None) -> tuple[Node, int, Array]:
    """The start of a reverse pass at a tensor: its node, index and cotangent (1 for a single entry)."""
    if output.node is None:
        raise ValueError("backward: this tensor does not depend on anything that requires a gradient")
    if gradient is None:
        if output.size != 1:
            raise ValueError(
                f"backward: a tensor of shape {output.shape} needs a gradient of that shape; "
                "only a single number has the default 1"
            )
        return output.node, output.index, np.ones(output.shape, output.dtype)
    refuse_masked(gradient)
    g = gradient.data if isinstance(gradient, Tensor) else np.asarray(gradient)
    if g.dtype.kind not in "biuf":
        raise TypeError(f"backward: the gradient must be of real numbers, not {describe(g)}")
    if g.shape != output.shape:
        raise ValueError(f"backward: the gradient has shape {g.shape}, the tensor {output.shape}")
    return output.node, output.index, g.astype(output.dtype, copy=False)
