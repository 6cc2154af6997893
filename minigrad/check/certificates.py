"""Certify a reverse pass: record the pass, and check the record against the chain rule.

Let the loss L depend on an output y. By the chain rule, the cotangent of y is the sum over its uses u,

    dL/dy = sum over the edges y -> u of (dL/du) (du/dy),

plus the initial gradient of the pass, if y is the loss. A :class:`Certificate` records the order of the visits, the
cotangents that each node received, and those that its VJP returned. :func:`check_certificate` compares this with the
graph. It shares no code with the pass or with the sort. It does not check the VJPs; :func:`minigrad.gradcheck` does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from ..backward import reverse_pass, seed_of
from ..core import Leaf, Node, Tensor, plain
from ..observers import Observer, observing
from ..primitives import Primitive
from ..spec import Array, DType, describe

__all__ = ["Carried", "Certificate", "Visit", "certify_backward", "check_certificate"]


@dataclass(frozen=True, slots=True)
class Carried:
    """One term of a sum: the cotangent that the VJP of ``child`` returned for its input number ``argnum``.

    That input is the output number ``index`` of ``parent``. The cotangent has the shape and dtype of this output.
    """

    child: Node
    argnum: int
    parent: Node
    index: int
    cotangent: Array


@dataclass(frozen=True, slots=True)
class Visit:
    """The visit of a node in a pass.

    cotangents: one for each output; None for an output that nothing used.
    carried: the cotangents that its VJP returned for its inputs; empty for a leaf.
    """

    node: Node
    cotangents: tuple[Array | None, ...]
    carried: tuple[Carried, ...] = ()


@dataclass(frozen=True, slots=True)
class Certificate:
    """A reverse pass: its visits in order, and the gradient of each leaf."""

    visits: tuple[Visit, ...]
    gradients: dict[Leaf, Array]


# --- the record -------------------------------------------------------------------------------------


class _Visits(Observer):
    """Record the visits of a pass. It copies arrays, since the pass may add to them later."""

    def __init__(self) -> None:
        self.visits: list[Visit] = []

    def cotangent(self, node: Node, g: Any, batched: bool = False) -> Any:
        several = g if type(g) is tuple else (g,)
        self.visits.append(Visit(node, tuple(None if part is None else np.array(part) for part in several)))
        return g

    def after_vjp(self, node: Node, grads: Mapping[int, Array], batched: bool = False) -> None:
        carried = tuple(Carried(node, argnum, *_inputs(node)[argnum], np.array(g)) for argnum, g in grads.items())
        self.visits[-1] = replace(self.visits[-1], carried=carried)


def certify_backward(
    loss: Tensor, gradient: Any = None, *, retain_graph: bool = True, sources: Sequence[Tensor] | None = None
) -> Certificate:
    """Run a reverse pass and prove that it summed as the chain rule says: each edge once, in a valid order.

    It runs the pass of ``loss.backward()``, but changes no ``.grad``. It keeps residuals unless ``retain_graph`` is
    False, so that ``loss.backward()`` can follow. It does not check VJPs; :func:`minigrad.gradcheck` does.

    Args:
        loss: a tensor of any shape that depends on something that requires a gradient.
        gradient: the cotangent of the loss, of its shape; 1 by default if it is a single number.
        retain_graph: keep the residuals for another pass.
        sources: leaves on which the loss depends; the pass computes only their gradients. None for all leaves.

    Returns:
        the certificate, which :func:`check_certificate` has accepted. It holds a copy of every cotangent.

    Raises:
        ValueError: if the certificate is wrong, if a source is not a leaf on which the loss depends, or for the reasons
            of ``loss.backward()``.

    >>> import minigrad as mg
    >>> x = mg.tensor([3.0], requires_grad=True)
    >>> certificate = certify_backward(x * x)
    >>> [visit.node for visit in certificate.visits]
    [<multiply float32 (1,)>, <leaf float32 (1,)>]
    >>> [edge.cotangent.tolist() for edge in certificate.visits[0].carried], certificate.gradients[x.node]
    ([[3.0], [3.0]], array([6.], dtype=float32))
    """
    leaves = None if sources is None else [cast(Leaf, source.node) for source in sources]
    observer = _Visits()
    with observing(observer):
        found = reverse_pass([seed_of(loss, gradient)], retain_graph, leaves)
    certificate = Certificate(tuple(observer.visits), found)
    try:
        check_certificate(certificate, loss, gradient, sources)
    except ValueError as error:
        for node in {visit.node for visit in certificate.visits if hasattr(visit.node, "hooks")}:
            error.add_note(f"hooks of {node!r} may change its cotangent, so the pass cannot be certified")
        raise
    return certificate


# --- the check --------------------------------------------------------------------------------------


def check_certificate(
    certificate: Certificate, loss: Tensor, gradient: Any = None, sources: Sequence[Tensor] | None = None
) -> bool:
    """Check a reverse pass against the chain rule.

    - The pass visited each node on which the loss depends once. Each of their edges carried one cotangent, of the shape
      and dtype of the parent's output.
    - The pass visited a node after all its uses.
    - For each output, a node received the sum of what the output's uses carried; for the loss, plus the initial
      gradient of the pass. The sum is right to rounding, or exactly if there is one term. For an output without uses,
      the node received None.
    - The gradient of each leaf is the same sum.

    Args:
        certificate: from :func:`minigrad.check.certify_backward`.
        loss: the tensor with which the pass began.
        gradient: the cotangent of the loss; 1 in each entry if None.
        sources: the leaves whose gradients the pass computed; None for all. The pass must visit exactly the nodes
            between the loss and one of them.

    Returns:
        True; a wrong certificate raises an error.

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
        raise _wrong("the loss does not depend on anything that requires a gradient")
    nodes = _between(loss.node, None if sources is None else [source.node for source in sources])
    visited: set[Node] = set()
    seed = np.ones(loss.shape) if gradient is None else np.asarray(plain(gradient))
    terms = {(loss.node, loss.index): [seed.astype(loss.dtype)]}
    for visit in certificate.visits:
        if visit.node not in nodes:
            raise _wrong(f"{visit.node!r} was visited, but is not between the loss and a source")
        if visit.node in visited:
            raise _wrong(f"{visit.node!r} was visited twice")
        visited.add(visit.node)
        _check_edges(visit, nodes)
        for edge in visit.carried:
            if edge.parent in visited:
                raise _wrong(f"{edge.parent!r} was visited before {edge.child!r}, which uses it")
            terms.setdefault((edge.parent, edge.index), []).append(edge.cotangent)
    for node in nodes - visited:
        raise _wrong(f"{node!r} was not visited")
    for visit in certificate.visits:
        _check_sums(visit, terms)
    leaves = {node for node in nodes if isinstance(node, Leaf)}
    for leaf in leaves ^ certificate.gradients.keys():
        raise _wrong(f"{leaf!r} has {'no gradient' if leaf in leaves else 'a gradient, but is not a source'}")
    for leaf, found in certificate.gradients.items():
        _check_sum(f"the gradient of {leaf!r}", found, terms[leaf, 0], leaf.dtype)
    return True


def _between(end: Node, sources: Iterable[Any] | None) -> set[Node]:
    """Return the nodes on which a node depends, and itself; if there are sources, only those that depend on one."""
    uses: dict[Node, list[Node]] = defaultdict(list)
    ancestors = [end]
    for node in ancestors:
        for parent in node.parents:
            if parent not in uses:
                ancestors.append(parent)
            uses[parent].append(node)
    pending = list(ancestors if sources is None else sources)
    for source in () if sources is None else pending:
        if not isinstance(source, Leaf) or source not in {*ancestors}:
            raise _wrong(f"the source {source!r} is not a leaf on which the loss depends")
    found: set[Node] = set()
    while pending:
        node = pending.pop()
        if node not in found:
            found.add(node)
            pending += uses[node]
    return found


def _check_edges(visit: Visit, nodes: set[Node]) -> None:
    """Check that every edge of the visited node carried one cotangent to its parent's output."""
    node, inputs = visit.node, _inputs(visit.node)
    left = {argnum: end for argnum, end in inputs.items() if end[0] in nodes}
    for edge in visit.carried:
        if edge.child is not node:
            raise _wrong(f"an edge of {edge.child!r} carried a cotangent while {node!r} was visited")
        if left.pop(edge.argnum, None) != (edge.parent, edge.index):
            raise _wrong(
                f"{node!r} carried a cotangent from its input {edge.argnum} to output {edge.index} of {edge.parent!r}, "
                "but the edge already carried a cotangent or is not between the loss and a source"
            )
        if (edge.cotangent.shape, edge.cotangent.dtype) != edge.parent.outputs[edge.index]:
            raise _wrong(f"{node!r} carried {describe(edge.cotangent)} to its {_described(node, edge.argnum)}")
    for argnum in left:
        raise _wrong(f"{node!r} carried nothing to its {_described(node, argnum)}")


def _check_sums(visit: Visit, terms: Mapping[tuple[Node, int], list[Array]]) -> None:
    """Check that a node received the sums of what was carried to its outputs."""
    node, outputs = visit.node, visit.node.outputs
    hidden = node.primitive is not None and node.primitive.first_hidden  # may have been added after the pass
    if not (hidden or len(outputs)) <= len(visit.cotangents) <= len(outputs):
        raise _wrong(f"{node!r} received {len(visit.cotangents)} cotangents, but has {len(outputs)} outputs")
    for index, (cotangent, (_, dtype)) in enumerate(zip(visit.cotangents, outputs, strict=False)):
        several, what = terms.get((node, index), []), f"output {index} of {node!r}"
        if (cotangent is None) != (not several):
            raise _wrong(f"{what} has {len(several)} terms but received {'nothing' if several else 'a cotangent'}")
        if cotangent is not None:
            _check_sum(what, cotangent, several, dtype if len(several) == 1 else np.result_type(dtype, np.float32))


def _check_sum(what: str, found: Array, terms: Sequence[Array], dtype: DType) -> None:
    """Check that an array has a dtype and is the sum of some terms: to rounding, or exactly if there is one.

    A sum of n numbers, in any order, is off by at most (n - 1) u times the sum of their magnitudes. Here u is half an
    eps, of at least single precision. Both the pass and this check round. A gradient in half precision is rounded once
    more.
    """
    if found.shape != terms[0].shape or found.dtype != dtype:
        raise _wrong(f"{what} is {describe(found)}")
    several = [term.astype(np.result_type(dtype, np.float64)) for term in terms]
    with np.errstate(all="ignore"):
        total = sum(several[1:], several[0])
        size = sum(np.where(np.isfinite(term), np.abs(term), 0) for term in several)
        info, eps = np.finfo(dtype), float(np.finfo(np.result_type(dtype, np.float32)).eps)
        rounding = len(terms) * eps * size + float(info.eps) * np.abs(total) + float(info.smallest_subnormal)
        good = (found == total) | (np.isnan(found) & np.isnan(total))
        if len(terms) > 1:  # the sum may overflow in one order and not in another
            good |= (np.abs(found - total) <= rounding) | (size >= float(info.max))
    if not good.all():
        at = tuple(int(i) for i in np.argwhere(~good)[0])
        raise _wrong(
            f"{what} is {found[at]:.9g}{f' at entry {list(at)}' if at else ''}, "
            f"and the sum of its {len(terms)} terms {total[at]:.9g}"
        )


def _inputs(node: Node) -> dict[int, tuple[Node, int]]:
    """The node and the index of each tracked input, by the input's number."""
    argnums, _, indices = node.edges
    return dict(zip(argnums, zip(node.parents, indices, strict=True), strict=True))


def _described(node: Node, argnum: int) -> str:
    return f"input {cast(Primitive, node.primitive).input_name(argnum)}, {_inputs(node)[argnum][0]!r}"


def _wrong(what: str) -> ValueError:
    return ValueError(f"check_certificate: {what}")
