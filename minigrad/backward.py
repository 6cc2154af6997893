"""The reverse pass: walk the graph from the outputs to the leaves and sum cotangents.

The cotangent of a node's output is g = dL/d(output). By the chain rule it is the sum, over the uses of the output, of
(dL/d(use)) (d(use)/d(output)). A primitive's VJP computes the term of one use. The pass visits children first, so every
sum is complete when the pass reaches its node.

The cotangents are arrays, or arrays with an additional first axis, or tensors (:mod:`minigrad.higher_order`). The pass
sums in place and frees residuals as it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from operator import attrgetter
from typing import Any, TypeAlias

import numpy as np

from . import writes
from .core import Boundary, Node, Tensor, plain
from .graph.order import Cycle, Order, dependents, topological_order, with_late_leaves
from .observers import Observer, add_location, pass_observers
from .primitives import Primitive
from .spec import Array, describe, refuse_masked
from .summation import block_sum
from .writes import arrays_in, check_unwritten, owner

__all__ = ["fit", "graph_of", "parents_until", "refuse_boundaries", "reverse_pass", "seed_of", "unbroadcast"]

_Cotangents: TypeAlias = "dict[Any, Any]"
"""Sums of cotangents so far. The key is the node for its first output, and ``(node, index)`` for another one."""
Rule: TypeAlias = "Callable[[Node, Any, tuple[bool, ...]], Any]"
"""``rule(node, g, needs)`` maps the cotangent of a node's output (a tuple if several) to those of its inputs."""

_parents = attrgetter("parents")
_half = np.dtype(np.float16)
_SMALL = 2**12  # entries that are copied in less time than _is_fresh takes


def graph_of(nodes: list[Node], parents: Callable[[Node], tuple[Node, ...]] = _parents) -> Order[Node]:
    """Sort some nodes and everything that they depend on, parents first.

    Raises:
        ValueError: if the graph has a cycle, which the message shows. Only a graph built by hand can have one.
    """
    result = topological_order(nodes, parents)
    if isinstance(result, Cycle):
        raise ValueError(f"the graph has a cycle: {' -> '.join(map(repr, result.nodes))} -> back to the first")
    return result


def parents_until(sources: Collection[Node]) -> Callable[[Node], tuple[Node, ...]]:
    """Return a `parents` function that stops at the sources and at nodes older than all of them."""
    oldest = _oldest(sources)
    return lambda node: node.parents if node.born > oldest and node not in sources else ()


def _oldest(sources: Collection[Node]) -> int:
    return min((source.born for source in sources), default=0)


def refuse_boundaries(nodes: Iterable[Node], sources: Collection[Node] = ()) -> None:
    """Raise if a pass to some sources (none: to all leaves) would have to go through a closed boundary.

    Nothing behind a boundary that is older than all sources depends on them.
    """
    oldest = _oldest(sources)
    for node in nodes:
        if type(node) is Boundary and node.closed and node.born > oldest and node not in sources:
            raise TypeError(
                "backward reached a tensor that mg.grad or another transform computed without a graph: its result, or "
                "a tensor that its function stored elsewhere. To differentiate it, call the transform within "
                "mg.create_graph(). For a constant, call .detach() on it."
            )


def unbroadcast(g: Any, shape: tuple[int, ...], batch: int = 0) -> Any:
    """Sum a cotangent over the axes along which an input of ``shape`` was broadcast; sum float16 in float32.

    The cotangent is an array or a tensor. Its first ``batch`` axes are kept.

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
    """Convert a cotangent to its input's shape (after any batch axes) and dtype.

    Raises:
        ValueError: if it is None, masked or of a wrong shape.
        TypeError: if its entries are not real numbers.
    """
    if grad is None:
        raise ValueError(
            f"the VJP of {primitive.name} returned None for {primitive.input_name(argnum)}, which needs a cotangent"
        )
    refuse_masked(grad)
    grad = grad if isinstance(grad, Tensor) else np.asarray(grad)
    if grad.dtype.kind not in "biuf":
        raise TypeError(f"{_misfit(primitive, argnum, grad, shape, dtype, batch)}: cotangents must be real numbers")
    if grad.shape != (*batch, *shape):
        of_batch, of_each = grad.shape[: len(batch)], grad.shape[len(batch) :]
        stretched = (
            of_batch == batch
            and len(shape) <= len(of_each)
            and all(n in (1, m) for n, m in zip(shape[::-1], of_each[::-1], strict=False))
        )
        if not (stretched and primitive.broadcasts):
            hint = f". If {primitive.name} broadcasts its inputs, declare it with broadcasts=True." if stretched else ""
            raise ValueError(_misfit(primitive, argnum, grad, shape, dtype, batch) + hint)
        grad = unbroadcast(grad, shape, len(batch))
    return grad if grad.dtype == dtype else grad.astype(dtype)


def _misfit(primitive: Primitive, argnum: int, grad: Any, shape: Any, dtype: Any, batch: Any) -> str:
    of = f", of {batch[0]} cotangents," if batch else ""
    input = primitive.input_name(argnum)
    return f"the VJP of {primitive.name}{of} returned {describe(grad)} for {input}, which is {dtype} {shape}"


def _is_fresh(grad: Array, argnum: int, grads: Any, others: Any) -> bool:
    """Return whether the pass may add to a VJP's result in place: it is writeable and shares memory with nothing else.

    It must not share memory with the other entries of ``grads`` or with ``others`` (the cotangent and the residuals).
    Half precision is never fresh, because the pass sums it in single precision.
    """
    if type(grad) is not np.ndarray or not grad.flags.writeable or grad.dtype is _half:
        return False
    memory = owner(grad)
    if memory.size != grad.size or not memory.flags.owndata:
        return False
    return all(memory is not owner(array) for array in arrays_in([*others, *grads[:argnum], *grads[argnum + 1 :]]))


def reverse_pass(
    seeds: Iterable[tuple[Node, int, Any]],
    retain_graph: bool = False,
    sources: Iterable[Node] | None = None,
    rule: Rule | None = None,
    batch: tuple[int, ...] = (),
    observe_sources: bool = True,
) -> dict[Any, Any]:
    """Compute the cotangents of the leaves, or of some sources, given those of some outputs.

    Args:
        seeds: (node, output index, cotangent) for each output; the cotangent has the output's dtype and its shape,
            after any batch axes.
        retain_graph: keep the residuals for another pass.
        sources: the nodes of interest, at which the pass stops; None for all leaves. The pass skips nodes that lead to
            none of them.
        rule: called instead of each node's VJP; None for arrays.
        batch: the shape of the additional first axes of the cotangents.
        observe_sources: whether to pass the cotangents of the sources to observers, such as hooks.

    Returns:
        the cotangent of each leaf or source reached, by its key. Without a rule, it is in an array that shares memory
        with nothing else.

    Raises:
        ValueError: if residuals were freed by an earlier pass or overwritten, or a VJP returns a wrong shape.
        TypeError: if a VJP does not return a tuple with an entry for each input, or entries that are not real numbers.
            Also if the pass would go through a closed boundary.
        Every error, including those of VJPs and hooks, gets a note that says where the forward pass created the node,
        if known.
    """
    seeds, sources = list(seeds), None if sources is None else set(sources)
    parents = _parents if sources is None else parents_until(sources)
    order = graph_of([node for node, _, _ in seeds], parents)
    if sources is not None:
        refuse_boundaries(order.nodes, sources)
    observers = pass_observers()
    if observers:  # so that hooks are called as soon as a cotangent is complete
        order = with_late_leaves(order, parents)
    live = None if sources is None else dependents(order, sources, parents)
    cotangents: _Cotangents = {}
    for node, index, g in seeds:
        key = (node, index) if index else node
        cotangents[key] = _sum(cotangents[key], g) if key in cotangents else g
    for observer in observers:
        observer.start({key if type(key) is tuple else (key, 0): plain(g) for key, g in cotangents.items()})
    source_observers = observers if observe_sources else ()
    unshared = _walk_back(order, cotangents, sources, live, rule, batch, retain_graph, observers, source_observers)
    if sources is None:
        refuse_boundaries(cotangents)
    found = {}
    for key, g in cotangents.items():
        node, index = key if type(key) is tuple else (key, 0)
        if sources is None or node in sources:
            dtype = node.outputs[index][1]  # half precision was summed in single
            if rule is not None:
                found[key] = g if g.dtype == dtype else g.astype(dtype)
            else:  # asarray, since NumPy's sums of 0-d arrays are scalars
                found[key] = np.asarray(g, dtype) if key in unshared else np.array(g, dtype)
    return found


def _walk_back(
    order: Order[Node],
    cotangents: _Cotangents,
    sources: set[Node] | None,
    live: set[Node] | None,
    rule: Rule | None,
    batch: tuple[int, ...],
    retain_graph: bool,
    observers: Sequence[Observer],
    source_observers: Sequence[Observer],
) -> set[Any]:
    """Visit the nodes, children first; at the end ``cotangents`` holds those of the leaves or sources.

    Returns:
        the keys of cotangents in unshared arrays, to which the pass may add in place.

    The loop runs once for each node and edge, so it inlines everything that most of them need.
    """
    unshared: set[Any] = set()
    node: Any = None
    try:
        for node in reversed(order.nodes):
            if live is not None and node not in live:
                continue
            primitive = node.primitive
            if primitive is None or (sources and node in sources):
                if source_observers:
                    g = cotangents[node]
                    g = g if rule is None or g.dtype == node.dtype else g.astype(node.dtype)
                    cotangents[node] = _observe(node, g, source_observers, bool(batch))
                continue
            residuals = node.residuals
            if residuals is None:
                _raise_freed(primitive)
            g = cotangents.pop(node, None)
            if node.later_outputs:
                g = (g, *(cotangents.pop((node, i + 1), None) for i in range(len(node.later_outputs))))
            parents = node.parents
            argnums, needs, indices = node.edges
            if live is not None and not live.issuperset(parents):
                parents, argnums, needs, indices = _live_edges(node, live)
            vjp = primitive.vjp if rule is None else partial(rule, node)
            if observers:
                g = _observe(node, g, observers, bool(batch))
                for observer in observers:
                    vjp = observer.around(primitive, vjp, node)
            if node.born < writes.last_write:  # a hook or a VJP may have written
                check_unwritten(node)
            # `vjp` is bound above because `primitive.vjp(…)` in the call costs 5 % of an `np.add`.
            grads = vjp(g, needs) if rule is not None or not residuals else vjp(g, needs, *residuals)
            if type(grads) is not tuple or len(grads) != len(needs):
                raise TypeError(_miscounted(primitive, len(needs), grads))
            for observer in observers:
                if type(observer).after_vjp is not Observer.after_vjp:
                    observer.after_vjp(node, _fitted(node, needs, grads, batch), bool(batch))
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
                known = type(grad) is np.ndarray or type(grad) is Tensor or isinstance(grad, np.generic)
                if not known or batch or grad.shape != shape or grad.dtype is not dtype:
                    grad = fit(primitive, argnum, grad, shape, dtype, batch)
                if key not in cotangents:
                    cotangents[key] = grad
                    # A leaf may keep its first cotangent. Copying a small one is faster than checking.
                    if (
                        parent.primitive is None
                        and grad.size > _SMALL
                        and _is_fresh(grad, argnum, grads, (g, residuals))
                    ):
                        unshared.add(key)
                elif key in unshared:
                    cotangents[key] += grad
                else:
                    cotangents[key] = _sum(cotangents[key], grad) if dtype is _half else cotangents[key] + grad
                    unshared.add(key)
            if not retain_graph:
                node.residuals = None
                node.inputs = ()
    except BaseException as error:
        add_location(error, node)
        raise
    return unshared


def _sum(total: Any, g: Any) -> Any:
    """Add cotangents; half precision is summed in single, since sums of ones would stop at 2,048."""
    return (total.astype(np.float32) if total.dtype is _half else total) + g


def _observe(node: Node, g: Any, observers: Sequence[Observer], batched: bool) -> Any:
    """Pass a node's complete cotangent to observers, and return the final one."""
    for observer in observers:
        changed = observer.cotangent(node, g, batched)
        g = g if changed is None else changed
    return g


def _fitted(node: Node, needs: tuple[bool, ...], grads: Any, batch: tuple[int, ...]) -> dict[int, Array]:
    """Convert a VJP's cotangents to arrays of the shapes and dtypes of their inputs; return them by input number."""
    edges = zip(node.parents, *node.edges[::2], strict=True)
    return {
        argnum: plain(fit(node.primitive, argnum, grads[argnum], *parent.outputs[index], batch))
        for parent, argnum, index in edges
        if needs[argnum]
    }


def _raise_freed(primitive: Primitive) -> None:
    raise ValueError(
        f"the residuals of {primitive.name} were freed by an earlier backward pass, perhaps one that failed: "
        "run the forward pass again, or pass retain_graph=True to the first backward pass. Detach a state that you "
        "carry from one batch to the next."
    )


def _miscounted(primitive: Primitive, inputs: int, grads: Any) -> str:
    if type(grads) is not tuple:
        return f"the VJP of {primitive.name} must return a tuple of cotangents, not {describe(grads)}"
    names = ", ".join(map(primitive.input_name, range(inputs)))
    return (
        f"the VJP of {primitive.name} returned {len(grads)} entries: it must return {inputs}, "
        f"one for each input ({names}), with None for inputs that need no cotangent"
    )


def _live_edges(node: Node, live: set[Node]) -> tuple[Any, tuple[int, ...], tuple[bool, ...], tuple[int, ...]]:
    """Return a node's parents and edges, without the parents that lead to no source."""
    argnums, needs, indices = node.edges
    kept = [edge for edge in zip(node.parents, argnums, indices, strict=True) if edge[0] in live]
    parents, argnums, indices = zip(*kept, strict=True) if kept else ((), (), ())
    return parents, argnums, tuple(i in argnums for i in range(len(needs))), indices


def seed_of(output: Tensor, gradient: Any = None) -> tuple[Node, int, Array]:
    """Return the seed of a reverse pass that starts at a tensor: its node, index and cotangent."""
    if output.node is None:
        raise ValueError(
            "backward: this tensor does not depend on anything that requires a gradient. Create its inputs with "
            "mg.tensor(x, requires_grad=True). Values from .data, .numpy(), mg.tensor(y) and mg.no_grad() have no "
            "gradient."
        )
    if gradient is None:
        if output.size != 1:
            raise ValueError(
                f"backward: a tensor of shape {output.shape} needs an explicit gradient of that shape; "
                "the default of 1 is only for a single number"
            )
        return output.node, output.index, np.ones(output.shape, output.dtype)
    refuse_masked(gradient)
    g = gradient.data if isinstance(gradient, Tensor) else np.asarray(gradient)
    if g.dtype.kind not in "biuf":
        raise TypeError(f"backward: the gradient must contain real numbers, not {describe(g)}")
    if g.shape != output.shape:
        raise ValueError(f"backward: the gradient has shape {g.shape}, but the tensor has shape {output.shape}")
    return output.node, output.index, g.astype(output.dtype, copy=False)
