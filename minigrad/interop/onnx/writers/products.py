"""Products and reductions, and what is made of both."""

from __future__ import annotations

import numpy as np

from ..graphs import GraphWriter
from ..tracing import Call
from .table import axes_of, refuse, writes

_REDUCTIONS = {"sum": "ReduceSum", "mean": "ReduceMean", "prod": "ReduceProd", "max": "ReduceMax", "min": "ReduceMin",
               "logsumexp": "ReduceLogSumExp"}  # fmt: skip


@writes("matmul")
def _(graph: GraphWriter, call: Call, a: str, b: str) -> str:
    return graph.op("MatMul", a, b)


@writes("affine", "temporal_affine")
def _(graph: GraphWriter, call: Call, x: str, W: str, b: str = "") -> str:
    y = graph.op("MatMul", x, W)
    return graph.op("Add", y, b) if b else y


@writes("einsum")
def _(graph: GraphWriter, call: Call, *operands: str) -> str:
    """An ellipsis stands for as many axes in each operand: some of length 1 are added."""
    terms = call.option("subscripts").replace(" ", "").partition("->")[0].split(",")
    ranks = [
        np.ndim(x) - len(term.replace("...", "")) if "..." in term else 0
        for x, term in zip(call.inputs, terms, strict=True)
    ]
    names = []
    for x, name, term, rank in zip(call.inputs, operands, terms, ranks, strict=True):
        if "..." in term and rank < max(ranks):
            place, shape = term.index("..."), np.shape(x)
            name = graph.reshape(name, (*shape[:place], *(1,) * (max(ranks) - rank), *shape[place:]))
        names.append(name)
    return graph.op("Einsum", *names, equation=call.option("subscripts"))


# --- reductions ---------------------------------------------------------------------------------------


def _reduce(graph: GraphWriter, kind: str, call: Call, x: str) -> str:
    axes = axes_of(call)
    if not axes:  # of no axes ONNX reduces all
        return graph.op("Identity", x)
    return graph.op(kind, x, graph.ints(*axes), keepdims=int(call.option("keepdims")))


@writes(*_REDUCTIONS)
def _(graph: GraphWriter, call: Call, x: str) -> str:
    return _reduce(graph, _REDUCTIONS[call.name], call, x)


@writes("any", "all", promoted=False)
def _(graph: GraphWriter, call: Call, x: str) -> str:
    x = graph.cast(graph.value(call.inputs[0], bool), bool, np.int32)
    return graph.cast(_reduce(graph, "ReduceMax" if call.name == "any" else "ReduceMin", call, x), np.int32, bool)


@writes("argmax", "argmin", promoted=False)
def _(graph: GraphWriter, call: Call, x: str) -> str:
    kind = "ArgMax" if call.name == "argmax" else "ArgMin"
    axis, keep = call.option("axis"), int(call.option("keepdims"))
    if axis is None:
        y = graph.op(kind, graph.reshape(x, (-1,)), axis=0, keepdims=0)
        return graph.reshape(y, call.outputs[0].shape)
    return graph.op(kind, x, axis=int(axis), keepdims=keep)


@writes("cumsum")
def _(graph: GraphWriter, call: Call, x: str) -> str:
    axis = call.option("axis")
    x = graph.reshape(x, (-1,)) if axis is None else x
    return graph.op("CumSum", x, graph.constant(axis or 0, np.int64))


@writes("softmax", "log_softmax")
def _(graph: GraphWriter, call: Call, x: str) -> str:
    """Over one axis an operator; over several, these as one axis at the end."""
    kind = "Softmax" if call.name == "softmax" else "LogSoftmax"
    axes, shape = axes_of(call), np.shape(call.inputs[0])
    if len(axes) == 1:
        return graph.op(kind, x, axis=axes[0])
    order = [i for i in range(len(shape)) if i not in axes] + list(axes)
    turned = [shape[i] for i in order]
    rows = graph.reshape(graph.op("Transpose", x, perm=order), (*turned[: len(shape) - len(axes)], -1))
    y = graph.reshape(graph.op(kind, rows, axis=-1), tuple(turned))
    return graph.op("Transpose", y, perm=np.argsort(order).tolist())


@writes("topk", "sort", "argsort", promoted=False)
def _(graph: GraphWriter, call: Call, x: str) -> str | tuple[str, ...]:
    axis, shape = call.option("axis"), np.shape(call.inputs[0])
    if axis is None:
        raise refuse(f"{call.name} of a flattened array")
    k, largest = (call.option("k"), call.option("largest")) if call.name == "topk" else (shape[axis], False)
    both = graph.ops("TopK", 2, x, graph.ints(k), axis=int(axis), largest=int(largest), sorted=1)
    return tuple(both) if call.name == "topk" else both[call.name == "argsort"]
