"""A reverse pass that follows its definition, to test `minigrad.backward` against.

It frees nothing, checks nothing, and takes quadratic time.
"""

from __future__ import annotations

import numpy as np


def gradients(*seeds, order=None):
    """The gradient of each leaf behind some tensors, given (tensor, cotangent) for each of them."""
    return {node: sum for (node, _), sum in cotangents(*seeds, order=order).items() if node.primitive is None}


def cotangents(*seeds, order=None):
    """The cotangent of each output behind some tensors, by node and index of the output.

    Another order in which uses come first changes the order of sums, and so their rounding, and nothing else.
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
    """Some nodes, their parents, those of these, and so on."""
    found = list(dict.fromkeys(nodes))
    for node in found:  # which grows meanwhile
        found += [parent for parent in dict.fromkeys(node.parents) if parent not in found]
    return found


def uses_first(nodes):
    """Again and again a node that no other one uses any more."""
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
