"""The reverse pass: walk the graph from the outputs to the leaves and sum cotangents.

For a function built from primitives, the chain rule in reverse gives each node the cotangent
g = dL/d(output) as the sum over the node's uses of (dL/d(use)) (d(use)/d(output)); a primitive's VJP
computes one use's term. Nodes are visited children first, so every sum is complete when it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeAlias, cast

import numpy as np

from . import hooks, overwrites
from .anomaly.fingerprints import Fingerprinted
from .core import Leaf, Node, Tensor
from .graph.order import Cycle, Order, dependents, topological_order, with_late_sources
from .graph_levels import Kept
from .overwrites import arrays_in, overwritten, owner
from .primitives import Primitive
from .recording import place_of, recorder, say_where
from .spec import Array, describe, refuse_masked
from .summation import block_sum

__all__ = ["check_residuals", "fit", "graph_of", "miscounted", "needed_edges", "reverse_pass", "unbroadcast"]

# The sums of cotangents so far. A key is a node, which stands for its first output, or (node, index) for a later one.
_Cotangents: TypeAlias = "dict[Any, Any]"

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
    """Sum a cotangent over the axes along which an input of ``shape`` was broadcast; half precision in single.

    It may be a tensor, and have some more axes in front (``batch``), which stay.

    Raises:
        ValueError: if ``shape`` does not broadcast to the cotangent's shape.

    >>> unbroadcast(np.ones((2, 3)), (3,))
    array([2., 2., 2.])
    """
    if g.dtype == np.float16:
        g = g.astype(np.float32)  # adding ones to 2,048 would leave it there
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


def _fitted(primitive: Primitive, parents: Any, argnums: Any, indices: Any, grads: Any) -> dict[int, Array]:
    """What a VJP sends to each input, by the input's number, in the input's shape and dtype."""
    edges = zip(parents, argnums, indices, strict=True)
    return {argnum: fit(primitive, argnum, grads[argnum], *parent.outputs[index]) for parent, argnum, index in edges}


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


def _gather(cotangents: dict[Any, Any], node: Node, first: Any) -> tuple[Any, ...] | None:
    """The cotangents of a node with several outputs, None for each that nobody used."""
    gs = (first, *(cotangents.pop((node, index), None) for index in range(1, len(node.later_outputs) + 1)))
    return None if all(g is None for g in gs) else gs


def reverse_pass(
    seeds: list[tuple[Node, int, Array]], retain_graph: bool = False, sources: list[Leaf] | None = None
) -> dict[Leaf, Array]:
    """Cotangents of the leaves, given those of some outputs.

    Args:
        seeds: node, output index and cotangent, of that output's shape and dtype.
        retain_graph: keep the residuals for another pass.
        sources: the leaves of interest; all if None. What does not lead to one is not computed.

    Returns:
        for each leaf reached, an array that nothing else holds; without ``sources`` also for what holds the ``grad`` of
        each inner tensor that retains it.

    Raises:
        ValueError: if residuals were freed by an earlier pass, or a VJP returns a wrong shape.
        An error in the pass, also of a VJP or a hook, carries a note of where the forward made the node, if known.
    """
    order = graph_of([node for node, _, _ in seeds])
    if hooks.present():  # which are to be called as soon as a cotangent is complete
        order = with_late_sources(order, _parents)
    live = None if sources is None else dependents(order, sources, _parents)
    cotangents: _Cotangents = {}
    for node, index, g in seeds:
        key: Any = (node, index) if index else node
        cotangents[key] = cotangents[key] + g if key in cotangents else g
    leaves, owned = _walk_back(order, cotangents, live, retain_graph)
    return {
        # NumPy's sums of 0-d arrays are scalars, hence asarray; those of half precision are in single
        leaf: np.asarray(cotangents[leaf], leaf.dtype) if leaf in owned else np.array(cotangents[leaf], leaf.dtype)
        for leaf in leaves
        if leaf in cotangents and (sources is None or leaf in sources)
    }


def _walk_back(
    order: Order[Node], cotangents: _Cotangents, live: set[Node] | None, retain_graph: bool
) -> tuple[list[Leaf], set[Any]]:
    """Visit nodes, children first; in the end ``cotangents`` holds those of the leaves.

    Returns the leaves, and what else is to have a ``grad``; and the keys of those cotangents whose arrays nothing else
    holds: the pass may add to them.
    The loop is written out, without a function for each part, as it runs once for each node and edge.
    """
    owned: set[Any] = set()  # keys
    leaves: list[Leaf] = []
    observer = recorder()
    if observer is not None:
        observer.start(cotangents)
    attended = observer is not None or hooks.present()
    now = overwrites.clock
    node: Any = None
    try:
        for node in reversed(order.nodes):
            primitive = node.primitive
            if primitive is None:
                leaves.append(cast(Leaf, node))
                if attended and node in cotangents:
                    cotangents[node] = hooks.attend(node, cotangents[node], observer, cotangents, leaves)
                continue
            residuals = node.residuals
            if type(residuals) is not tuple:
                _refuse_gone(primitive, residuals)
            g = cotangents.pop(node, None)
            if node.later_outputs:
                g = _gather(cotangents, node, g)
            parents = node.parents
            argnums, needs, indices = node.edges
            if live is not None:
                parents, argnums, needs, indices = needed_edges(node, live)
            if g is None or not parents:
                if not retain_graph:
                    node.residuals = None
                continue
            if attended:
                g = hooks.attend(node, g, observer, cotangents, leaves)
                now = overwrites.clock  # a hook may have written
            if node.born != now:
                _refuse_overwritten(node, residuals)
            vjp = primitive.vjp  # calling primitive.vjp(…) itself takes longer by 0.05 of an np.add
            grads = vjp(g, needs, *residuals) if residuals else vjp(g, needs)
            if type(grads) is not tuple or len(grads) != len(needs):
                raise TypeError(miscounted(primitive, len(needs), grads))
            if observer is not None:
                observer.flows(node, _fitted(primitive, parents, argnums, indices, grads))
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
                    if dtype is _half:  # whose sums of ones stop at 2,048
                        total = total.astype(np.float32)
                    cotangents[key] = total + grad
                    owned.add(key)
            if not retain_graph:
                node.residuals = None
    except BaseException as error:
        if not retain_graph:
            _mark_failed(order, node)
        say_where(error, node)
        raise
    return leaves, owned


def _mark_failed(order: Order[Node], last: Node) -> None:
    """Leave word at the nodes that a pass had freed when it failed at a node."""
    for node in reversed(order.nodes):
        if node is last:
            break
        if node.residuals is None:
            node.residuals = f"a backward pass that failed at {last!r}"


def check_residuals(node: Node) -> None:
    """Raise unless the residuals of a node are there, and nothing that a gradient needs was written into."""
    primitive, residuals = cast(Primitive, node.primitive), node.residuals
    if type(residuals) is not tuple:
        _refuse_gone(primitive, residuals)
    if node.born != overwrites.clock:
        _refuse_overwritten(node, residuals)


def _refuse_gone(primitive: Primitive, residuals: Any) -> None:
    """Raise if residuals are not there any more."""
    if isinstance(residuals, Kept):
        return
    if residuals is None:
        raise ValueError(
            f"the residuals of {primitive.name} were freed by an earlier backward pass: "
            "run the forward again, or pass retain_graph=True to the first pass"
        )
    if isinstance(residuals, str):
        raise ValueError(f"the residuals of {primitive.name} were freed by {residuals}: run the forward again")
    raise TypeError(f"the forward of {primitive.name} must return a tuple of residuals, not {describe(residuals)}")


def miscounted(primitive: Primitive, inputs: int, grads: Any) -> str:
    if type(grads) is not tuple:
        return f"the VJP of {primitive.name} must return a tuple of cotangents, not {describe(grads)}"
    names = ", ".join(map(primitive.input_name, range(inputs)))
    return (
        f"the VJP of {primitive.name} returned {len(grads)} entries: it must return {inputs}, "
        f"one for each input ({names}), None where none is needed"
    )


def _refuse_overwritten(node: Node, residuals: Any) -> None:
    """Raise if an array that a VJP needs was written into since its node was made."""
    array = overwritten(residuals, residuals.born if isinstance(residuals, Fingerprinted) else node.born)
    if array is not None:
        name = f"{cast(Primitive, node.primitive).name}{place_of(node)}"
        raise ValueError(
            f"backward: {name} saved {describe(array)} for its gradient, and it, or another part of the same "
            "memory, was written into since: by tensor[...] = ..., an optimiser's step, load_state_dict, or another "
            "pass that added to a .grad; go backward before writing, run the forward again after it, or make a new "
            "tensor (a copy of x.detach(), mg.ops.put)"
        )
    if isinstance(residuals, Fingerprinted):
        residuals.verify(node)


def needed_edges(node: Node, live: set[Node]) -> tuple[Any, tuple[int, ...], tuple[bool, ...], tuple[int, ...]]:
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
