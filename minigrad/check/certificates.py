"""What proves a reverse pass, and a check of it by the definition alone.

The chain rule in reverse says of every output y behind a loss L that its cotangent is the sum over its uses,

    dL/dy = sum over the edges y -> u of (dL/du) (du/dy),

and one more term, the gradient that the pass begins with, if y is the loss. A :class:`Certificate` is a pass as it ran:
which nodes were visited, in which order, what each was given and what it carried along each of its edges.
:func:`check_certificate` compares that with the graph. It shares no code with the pass, nor with the sort that ordered
it. What a VJP computes is not its matter, but :func:`minigrad.gradcheck`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ..core import Leaf, Node, Tensor
from ..runtime.contexts import errstate
from ..spec import Array, DType, describe

__all__ = ["Carried", "Certificate", "Visit", "check_certificate"]

# What was carried to each output.
_Terms: TypeAlias = "dict[tuple[Node, int], list[Array]]"


@dataclass(frozen=True, slots=True)
class Carried:
    """One term of a sum: what the VJP of ``child`` computed for its input number ``argnum``.

    That input is the output number ``index`` of ``parent``, whose shape and dtype the cotangent has.
    """

    child: Node
    argnum: int
    parent: Node
    index: int
    cotangent: Array


@dataclass(frozen=True, slots=True)
class Visit:
    """A node's turn in a pass.

    cotangents: what it was given for each of its outputs, None for one that nobody used.
    carried: what its VJP computed for its inputs; a leaf has no inputs.
    """

    node: Node
    cotangents: tuple[Array | None, ...]
    carried: tuple[Carried, ...] = ()


@dataclass(frozen=True, slots=True)
class Certificate:
    """A reverse pass: the visits of nodes as they followed each other, and the gradient of each leaf."""

    visits: tuple[Visit, ...]
    gradients: dict[Leaf, Array]


def check_certificate(
    certificate: Certificate, loss: Tensor, gradient: Any = None, sources: Sequence[Tensor] | None = None
) -> bool:
    """Check a reverse pass by the definition of what it computes.

    - Every node behind the loss was visited once, and every edge behind it carried one cotangent, of the shape
      and dtype of the output that it belongs to. So none was without a cotangent: each is used by one that has one.
    - The order of the visits is topological: a node comes after all its uses have delivered.
    - What a node was given for an output is the sum of what the output's uses carried, and of the gradient if it is
      the loss, to rounding (exactly, if it is one term); for an output without uses it is None.
    - The gradient of each leaf is the same sum.

    Args:
        certificate: from :func:`minigrad.check.certify_backward`.
        loss: where the pass began. gradient: its cotangent; 1 in each entry if None.
        sources: the leaves to which the pass was restricted: then "behind the loss" means between it and one of
            them, and nothing else may have been visited or carried.

    Returns:
        True; a certificate that is wrong raises.

    Raises:
        ValueError: names the node or edge at which it is wrong.

    >>> import minigrad as mg
    >>> x = mg.tensor([3.0], requires_grad=True)
    >>> loss = x * x
    >>> certificate = mg.check.certify_backward(loss)
    >>> last = certificate.visits[-1]
    >>> check_certificate(Certificate((Visit(loss.node, last.cotangents), last), certificate.gradients), loss)
    Traceback (most recent call last):
    ValueError: check_certificate: <multiply float32 (1,)> carried nothing to its input a, <leaf float32 (1,)>
    """
    if loss.node is None:
        raise ValueError("check_certificate: the loss does not depend on anything that requires a gradient")
    nodes = _between(loss.node, None if sources is None else [source.node for source in sources])
    _check_visits(certificate.visits, nodes)
    terms: _Terms = {(loss.node, loss.index): [_seed(loss, gradient)]}
    for visit in certificate.visits:
        _check_edges(visit, nodes)
        for edge in visit.carried:
            terms.setdefault((edge.parent, edge.index), []).append(edge.cotangent)
    _check_order(certificate.visits)
    for visit in certificate.visits:
        _check_sums(visit, terms)
    _check_gradients(certificate.gradients, nodes, terms)
    return True


def _between(end: Node, sources: Iterable[Node | None] | None) -> set[Node]:
    """The nodes behind a node, and of them those that lead to a source, if there are any to lead to."""
    uses: dict[Node, list[Node]] = {end: []}
    waiting = [end]
    while waiting:
        node = waiting.pop()
        for parent in node.parents:
            if parent not in uses:
                uses[parent] = []
                waiting.append(parent)
            uses[parent].append(node)
    if sources is None:
        return set(uses)
    found: set[Node] = set()
    for source in sources:
        if not isinstance(source, Leaf) or source not in uses:
            raise ValueError(f"check_certificate: the source {source!r} is no leaf behind the loss")
        waiting.append(source)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += uses[node]
    return found


def _check_visits(visits: Sequence[Visit], nodes: set[Node]) -> None:
    """Every node was visited once."""
    seen: set[Node] = set()
    for visit in visits:
        if visit.node not in nodes:
            raise _wrong(f"{visit.node!r} was visited, which is not behind the loss")
        if visit.node in seen:
            raise _wrong(f"{visit.node!r} was visited twice")
        seen.add(visit.node)
    for node in nodes - seen:
        raise _wrong(f"{node!r} was not visited")


def _check_edges(visit: Visit, nodes: set[Node]) -> None:
    """Every edge of the visited node carried one cotangent, to the output that it comes from."""
    node, (argnums, _, indices) = visit.node, visit.node.edges
    edges = zip(argnums, node.parents, indices, strict=True)
    left = {argnum: (parent, index) for argnum, parent, index in edges if parent in nodes}
    seen: set[int] = set()
    for edge in visit.carried:
        if edge.child is not node:
            raise _wrong(f"an edge of {edge.child!r} carried something while {node!r} was visited")
        if edge.argnum in seen:
            raise _wrong(f"{node!r} carried two cotangents to its {_input(node, edge.argnum, edge.parent)}")
        if left.pop(edge.argnum, None) != (edge.parent, edge.index):
            raise _wrong(
                f"{node!r} carried something from its input {edge.argnum} to output {edge.index} of "
                f"{edge.parent!r}, and there is no such edge behind the loss"
            )
        seen.add(edge.argnum)
        if (edge.cotangent.shape, edge.cotangent.dtype) != edge.parent.outputs[edge.index]:
            what = describe(edge.cotangent)
            raise _wrong(f"{node!r} carried {what} to its {_input(node, edge.argnum, edge.parent)}")
    for argnum, (parent, _) in left.items():
        raise _wrong(f"{node!r} carried nothing to its {_input(node, argnum, parent)}")


def _check_order(visits: Sequence[Visit]) -> None:
    """What an edge carries arrives before the visit of the node that it goes to."""
    seen: set[Node] = set()
    for visit in visits:
        seen.add(visit.node)
        for edge in visit.carried:
            if edge.parent in seen:
                raise _wrong(f"{edge.parent!r} was visited before its use by {edge.child!r} had delivered")


def _seed(loss: Tensor, gradient: Any) -> Array:
    if gradient is None:
        return np.ones(loss.shape, loss.dtype)
    return np.asarray(gradient.data if isinstance(gradient, Tensor) else gradient).astype(loss.dtype)


def _check_sums(visit: Visit, terms: _Terms) -> None:
    """A node was given the sums of what was carried to its outputs."""
    node, outputs = visit.node, visit.node.outputs
    hidden = node.primitive is not None and node.primitive.first_hidden  # which may have joined the outputs since
    if not (hidden or len(outputs)) <= len(visit.cotangents) <= len(outputs):
        raise _wrong(f"{node!r} was given {len(visit.cotangents)} cotangents: it has {len(outputs)} outputs")
    for index, (cotangent, (_, dtype)) in enumerate(zip(visit.cotangents, outputs, strict=False)):
        several, what = terms.get((node, index), []), f"output {index} of {node!r}"
        if (cotangent is None) != (not several):
            raise _wrong(f"{what} has {len(several)} terms but was given {'nothing' if several else 'a cotangent'}")
        if cotangent is not None:
            _check_sum(what, cotangent, several, dtype if len(several) == 1 else np.result_type(dtype, np.float32))


def _check_gradients(gradients: dict[Leaf, Array], nodes: set[Node], terms: _Terms) -> None:
    """The gradients are those of the leaves, and each is the sum of what was carried to its leaf."""
    leaves = {node for node in nodes if isinstance(node, Leaf)}
    for leaf in leaves | gradients.keys():
        if leaf not in leaves:
            raise _wrong(f"{leaf!r} has a gradient, and is no leaf behind the loss")
        if leaf not in gradients:
            raise _wrong(f"{leaf!r} has no gradient")
        _check_sum(f"the gradient of {leaf!r}", gradients[leaf], terms[leaf, 0], leaf.dtype)


def _check_sum(what: str, found: Array, terms: Sequence[Array], dtype: DType) -> None:
    """An array of a dtype is the sum of others, to rounding; exactly, if it is one.

    n numbers summed in any order are wrong by at most (n - 1) u times the sum of their magnitudes, u half an eps: of
    single precision at least. Here and there makes twice that. A gradient in half precision is rounded once more.
    """
    if found.shape != terms[0].shape or found.dtype != dtype:
        raise _wrong(f"{what} is {describe(found)}")
    several = [term.astype(np.result_type(dtype, np.float64)) for term in terms]
    with errstate(all="ignore"):
        total = sum(several[1:], several[0])
        size = sum(np.where(np.isfinite(term), np.abs(term), 0) for term in several)
        info, eps = np.finfo(dtype), float(np.finfo(np.result_type(dtype, np.float32)).eps)
        rounding = len(terms) * eps * size + float(info.eps) * np.abs(total) + float(info.smallest_subnormal)
        allowed = 0.0 if len(terms) == 1 else rounding
        good = (found == total) | (np.isnan(found) & np.isnan(total)) | (np.abs(found - total) <= allowed)
        good |= (len(terms) > 1) & (size >= float(info.max))  # in one order they may overflow, in another not
    if not good.all():
        at = tuple(int(i) for i in np.argwhere(~good)[0])
        raise _wrong(
            f"{what} is {found[at]:.9g}{f' at entry {list(at)}' if at else ''}, "
            f"and the sum of its {len(terms)} terms {total[at]:.9g}"
        )


def _input(node: Node, argnum: int, parent: Node) -> str:
    assert node.primitive is not None  # leaves have no inputs
    return f"input {node.primitive.input_name(argnum)}, {parent!r}"


def _wrong(what: str) -> ValueError:
    return ValueError(f"check_certificate: {what}")
