"""Attention: products, a mask that may be an input, and a softmax."""

from __future__ import annotations

import math

import numpy as np

from ....core import plain
from ..graphs import GraphWriter
from ..tracing import Call
from .table import writes


@writes("attention")
def _(graph: GraphWriter, call: Call, q: str, k: str, v: str) -> str:
    (*_, T, features), ndim = np.shape(call.inputs[0]), np.ndim(call.inputs[1])
    scale = call.option("scale")
    scale = 1 / math.sqrt(max(features, 1)) if scale is None else scale
    turned = graph.op("Transpose", k, perm=[*range(ndim - 2), ndim - 1, ndim - 2])
    scores = graph.op("MatMul", graph.op("Mul", q, graph.constant(scale, call.outputs[0].dtype)), turned)
    earlier = ""
    if call.option("causal"):  # two ranges rather than a matrix, so that a dynamic axis can extend them
        rows, columns = (graph.constant(np.arange(n), np.int64) for n in (T, np.shape(call.inputs[1])[-2]))
        earlier = graph.op("GreaterOrEqual", graph.op("Unsqueeze", rows, graph.ints(1)), columns)
    return graph.op("MatMul", _weights(graph, scores, call, earlier), v)


@writes("additive_attention")
def _(graph: GraphWriter, call: Call, q: str, k: str, v: str, Wq: str, Wk: str, w: str) -> tuple[str, str]:
    """The score of a query and a key is that of the hidden units which see both; the weights come out too."""
    queries = graph.op("Unsqueeze", graph.op("MatMul", q, Wq), graph.ints(-2))
    keys = graph.op("Unsqueeze", graph.op("MatMul", k, Wk), graph.ints(-3))
    scores = graph.op("MatMul", graph.op("Tanh", graph.op("Add", queries, keys)), w)
    weights = graph.op("Expand", _weights(graph, scores, call, ""), graph.ints(*call.outputs[1].shape))
    return graph.op("MatMul", weights, v), weights


def _weights(graph: GraphWriter, scores: str, call: Call, earlier: str) -> str:
    """The softmax of each query's scores over what it may look at; 0 for one that may look nowhere."""
    mask, dtype = plain(call.option("mask")), call.outputs[0].dtype
    if mask is None and not earlier:
        return graph.op("Softmax", scores, axis=-1)
    hidden, zero = (graph.constant(number, dtype) for number in (-np.inf, 0))
    if mask is None:
        allowed = earlier
    else:
        if mask.dtype.kind == "f":
            added = graph.value(mask, dtype)
            top = graph.op("ReduceMax", added, graph.ints(-1), keepdims=1)
            added = graph.op("Sub", added, graph.op("Where", graph.op("Equal", top, hidden), zero, top))
            allowed = graph.op("Not", graph.op("Equal", added, hidden))
            scores = graph.op("Add", scores, added)
        else:
            allowed = graph.value(mask)
        allowed = graph.op("And", allowed, earlier) if earlier else allowed
        anywhere = graph.op("ReduceMax", graph.cast(allowed, bool, np.int32), graph.ints(-1), keepdims=1)
        hidden = graph.op("Where", graph.cast(anywhere, np.int32, bool), hidden, zero)
    p = graph.op("Softmax", graph.op("Where", allowed, scores, hidden), axis=-1)
    return graph.op("Where", allowed, p, zero)
