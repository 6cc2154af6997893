"""A reverse pass that follows its definition, to test `minigrad.backward` against.

It frees nothing, checks nothing, and takes quadratic time.
"""

from __future__ import annotations

import numpy as np


def gradients(*seeds, order=None):
    """The gradient of each leaf that some tensors depend on, given a (tensor, cotangent) pair for each tensor."""
    return {node: sum for (node, _), sum in cotangents(*seeds, order=order).items() if node.primitive is None}


def cotangents(*seeds, order=None):
    """The cotangent of each output that some tensors depend on, by node and index of the output.

    Another order in which uses come first changes only the order of sums, and so their rounding.
    """
    sums = {}  # of cotangents, by node and output

    def add(node, index, term):
        sums[node, index] = sums[node, index] + term if (node, index) in sums else term

    for tensor, cotangent in seeds:
        add(tensor.node, tensor.index, cotangent)
    for node in order or uses_first(behind(tensor.node for tensor, _ in seeds)):
        if node.primitive is not None:
            cotangents = tuple(sums.get((node, index)) for index in range(len(node.outputs)))
            argnums, needs, indices = node.edges
            terms = node.primitive.vjp(cotangents if node.later_outputs else cotangents[0], needs, *node.residuals)
            for parent, argnum, index in zip(node.parents, argnums, indices, strict=True):
                add(parent, index, fitted(terms[argnum], *parent.outputs[index]))
    return sums


def behind(nodes):
    """Some nodes and all their ancestors."""
    found = list(dict.fromkeys(nodes))
    for node in found:  # the list grows during the loop
        found += [parent for parent in dict.fromkeys(node.parents) if parent not in found]
    return found


def uses_first(nodes):
    """Repeatedly yield a node that no remaining node uses."""
    left = list(nodes)
    while left:
        node = next(node for node in left if not any(node in other.parents for other in left))
        left.remove(node)
        yield node


def fitted(term, shape, dtype):
    """A cotangent of an input: summed over the axes along which the input was broadcast, and in its dtype."""
    term = np.asarray(term)
    lead = term.ndim - len(shape)
    axes = tuple(i for i in range(term.ndim) if i < lead or shape[i - lead] != term.shape[i])
    return term.sum(axis=axes).reshape(shape).astype(dtype)
