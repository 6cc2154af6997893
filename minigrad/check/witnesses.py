"""Who watches a reverse pass and tells what it did: the certificate of :mod:`minigrad.check.certificates`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np

from ..backward import reverse_pass, seed_of
from ..core import Leaf, Node, Tensor
from ..observers import Observer, observing
from ..spec import Array
from .certificates import Carried, Certificate, Visit, check_certificate

__all__ = ["certify_backward"]


class _Witness(Observer):
    """Notes a pass as it runs. Arrays are copied: the pass may add to its own later."""

    def __init__(self) -> None:
        self.visits: list[Visit] = []

    def cotangent(self, node: Node, g: Any, batched: bool = False) -> Any:
        several = g if type(g) is tuple else (g,)
        self.visits.append(Visit(node, tuple(None if g is None else np.array(g) for g in several)))
        return g

    def pulled(self, node: Node, grads: Mapping[int, Array], batched: bool = False) -> None:
        argnums, _, indices = node.edges
        inputs = {argnum: (parent, index) for argnum, parent, index in zip(argnums, node.parents, indices, strict=True)}
        carried = tuple(Carried(node, argnum, *inputs[argnum], np.array(g)) for argnum, g in grads.items())
        self.visits[-1] = replace(self.visits[-1], carried=carried)


def certify_backward(
    loss: Tensor, gradient: Any = None, *, retain_graph: bool = True, sources: Sequence[Tensor] | None = None
) -> Certificate:
    """Run a reverse pass and prove that it summed what the chain rule says: each edge once, in a right order.

    It is the pass of ``loss.backward()``, watched; but no ``.grad`` is changed, and residuals are kept unless
    ``retain_graph`` is False, so that ``loss.backward()`` can follow. That VJPs are right is not certified:
    :func:`minigrad.gradcheck` does that.

    Args:
        loss: a tensor of any shape that depends on something that requires a gradient.
        gradient: the cotangent of the loss, of its shape; 1 by default if it is a single number.
        retain_graph: keep the residuals, so that another pass can follow.
        sources: leaves behind the loss, to which the pass is restricted, as those of :func:`minigrad.grad` are.

    Returns:
        the certificate, which :func:`check_certificate` has accepted. It holds a copy of every cotangent.

    Raises:
        ValueError: if the certificate is wrong; or as ``loss.backward()`` does, and if a source is no leaf
            behind the loss.

    >>> import minigrad as mg
    >>> x = mg.tensor([3.0], requires_grad=True)
    >>> certificate = certify_backward(x * x)
    >>> [visit.node for visit in certificate.visits]
    [<multiply float32 (1,)>, <leaf float32 (1,)>]
    >>> [edge.cotangent.tolist() for edge in certificate.visits[0].carried], certificate.gradients[x.node]
    ([[3.0], [3.0]], array([6.], dtype=float32))
    """
    seed = seed_of(loss, gradient)
    leaves = None if sources is None else [cast(Leaf, source.node) for source in sources]
    witness = _Witness()
    with observing(witness):
        found = reverse_pass([seed], retain_graph, leaves)
    gradients = {leaf: grad for leaf, grad in found.items() if isinstance(leaf, Leaf)}  # not what `retain_grad` keeps
    certificate = Certificate(tuple(witness.visits), gradients)
    try:
        check_certificate(certificate, loss, gradient, sources)
    except ValueError as error:
        for visit in witness.visits:
            if hasattr(visit.node, "hooks"):
                error.add_note(f"hooks of {visit.node!r} may change what goes on from it, which no certificate allows")
        raise
    return certificate
