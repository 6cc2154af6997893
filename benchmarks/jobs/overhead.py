"""What the graph costs in everyday code: operations on 16 entries, and whole programs on small arrays.

Each operation is timed twice: forward only (recording a graph), and forward and backward. PyTorch runs eagerly; JAX,
where it is installed, compiles the programs. The programs are written without layers for a whole sequence or a whole
norm.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.job import Aim, Case, Rival, Work
from benchmarks.jobs import small_programs
from benchmarks.jobs.mlp import minigrad_step, pytorch_step
from benchmarks.jobs.pulling import pulled_by_minigrad, pulled_by_pytorch, repeated

__all__ = ["OPERATIONS", "cases"]

_UNITS = 100  # operations in one run
_STEPS = {"2-16-16-2": (2, 16, 16, 2), "784-128-10": (784, 128, 10)}
_NOTE = (
    "Aims of the geometric means: 0.8 forward, 0.9 forward and backward. "
    "Aims of single operations: 1.3; of programs: 1."
)

# A parameter m is the library, F is torch.nn.functional, and the others are the arrays of `_arrays`. PyTorch's version
# is given where it differs.
OPERATIONS: dict[str, tuple[Callable[..., Any], ...]] = {
    "a + b": (lambda a, b: a + b,),
    "a - b": (lambda a, b: a - b,),
    "a * b": (lambda a, b: a * b,),
    "a / b": (lambda a, p: a / p,),
    "a * 2.0": (lambda a: a * 2.0,),
    "a ** 2": (lambda a: a**2,),
    "-a": (lambda a: -a,),
    "exp": (lambda m, a: m.exp(a),),
    "log": (lambda m, p: m.log(p),),
    "tanh": (lambda m, a: m.tanh(a),),
    "sigmoid": (lambda m, a: m.sigmoid(a),),
    "relu": (lambda m, a: m.relu(a),),
    "sqrt": (lambda m, p: m.sqrt(p),),
    "maximum": (lambda m, a, b: m.maximum(a, b),),
    "where": (lambda m, a, b: m.where(a > b, a, b),),
    "matmul": (lambda A, B: A @ B,),
    "linear": (lambda m, A, W, v: m.affine(A, W, v), lambda F, A, W, v: F.linear(A, W, v)),
    "reshape": (lambda a: a.reshape(4, 4),),
    "transpose": (lambda A: A.T,),
    "a[1]": (lambda a: a[1],),
    "a[:, 1:]": (lambda A: A[:, 1:],),
    "a[index array]": (lambda i, a: a[i],),
    "sum": (lambda a: a.sum(),),
    "sum over an axis": (lambda A: A.sum(0),),
    "mean": (lambda a: a.mean(),),
    "max": (lambda a: a.max(),),
    "var": (lambda a: a.var(), lambda a: a.var(correction=0)),
    "std": (lambda a: a.std(), lambda a: a.std(correction=0)),
    "stack": (lambda m, a, b: m.stack([a, b]),),
    "concatenate": (lambda m, a, b: m.concatenate([a, b]), lambda m, a, b: m.cat([a, b])),
    "split": (lambda m, a: m.split(a, 4)[1],),
    "softmax": (lambda m, a: m.softmax(a, -1),),
    "log_softmax": (lambda m, a: m.log_softmax(a, -1),),
    "logsumexp": (lambda m, a: m.logsumexp(a, -1),),
    "layer_norm": (lambda m, A, v, w: m.layer_norm(A, v, w), lambda F, A, v, w: F.layer_norm(A, (4,), v, w)),
    "cross_entropy": (lambda m, i, A: m.cross_entropy(A, i), lambda F, i, A: F.cross_entropy(A, i)),
    "mse_loss": (lambda m, a, b: m.mse_loss(a, b), lambda F, a, b: F.mse_loss(a, b)),
    "gelu": (lambda m, a: m.gelu(a), lambda F, a: F.gelu(a)),
    "silu": (lambda m, a: m.silu(a), lambda F, a: F.silu(a)),
    "embedding": (lambda m, i, B: m.embedding(i, B), lambda F, i, B: F.embedding(i, B)),
    # p is so small that nothing is dropped, and the results agree
    "dropout": (lambda m, a: m.dropout(a, 1e-9), lambda F, a: F.dropout(a, 1e-9)),
    "cumsum": (lambda m, a: m.cumsum(a, 0),),
    "norm": (lambda m, a: m.norm(a), lambda m, a: m.linalg.norm(a)),
}


def cases(quick: bool = False) -> list[Case]:
    """Return the cases of all operations and programs. If ``quick``, return one case of each kind."""
    forward = [_case("forward", name, _operation, (name, False)) for name in OPERATIONS]
    backward = [_case("forward and backward", name, _operation, (name, True)) for name in OPERATIONS]
    programs = [_case("program", name, small_programs.make, (name,), in_jax=True) for name in small_programs.PROGRAMS]
    steps = [_case("program", f"training step of {name}", _step, (sizes,)) for name, sizes in _STEPS.items()]
    return [*forward[:1], *backward[:1], *programs[:1]] if quick else [*forward, *backward, *programs, *steps]


def _case(group: str, name: str, make: Callable[..., Work], arguments: tuple[Any, ...], in_jax: bool = False) -> Case:
    """Return a case of rivals `make(library, *arguments)`; if ``in_jax``, JAX is one of them where it is installed."""
    rivals = [
        Rival("minigrad", "minigrad", partial(make, "minigrad", *arguments)),
        Rival("PyTorch", "PyTorch", partial(make, "torch", *arguments), ("torch",)),
    ]
    if in_jax and importlib.util.find_spec("jax"):  # or each row would say that it is missing
        rivals.append(Rival("JAX", "JAX", partial(make, "jax", *arguments)))
    aim = Aim("PyTorch", 1.0 if group == "program" else 1.3)
    return Case(f"{name}, {group}", rivals, [aim], threads=(1,), note=_NOTE, group=group)


def _step(library: str, sizes: tuple[int, ...]) -> Work:
    return minigrad_step(sizes) if library == "minigrad" else pytorch_step(sizes, fused=True)


def _arrays() -> dict[str, Any]:
    """Vectors a, b and p > 0 of 16 entries; matrices A, B, W of 4 x 4; v and w of 4, and four indices i."""
    import numpy as np

    rng = np.random.default_rng(0)
    shapes: dict[str, Any] = {"a": 16, "b": 16, "p": 16, "A": (4, 4), "B": (4, 4), "W": (4, 4), "v": 4, "w": 4}
    arrays: dict[str, Any] = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
    return {**arrays, "p": np.abs(arrays["p"]) + np.float32(0.5), "i": np.array([0, 2, 2, 3])}


def _operation(library: str, name: str, backward: bool) -> Work:
    """Return the work of one operation. Parameters `m`, `F` and `i` must come first in its lambda."""
    import numpy as np

    m: Any = importlib.import_module(library)
    arrays, function = _arrays(), OPERATIONS[name][0]
    constants = {"m": m, "i": arrays.pop("i")}
    if library == "torch":
        function, arrays["W"] = OPERATIONS[name][-1], arrays["W"].T  # its linear layers have the transposed weight
        constants |= {"F": m.nn.functional, "i": m.tensor(constants["i"])}
    names = inspect.signature(function).parameters
    function = partial(function, *(constants[n] for n in names if n in constants))
    inputs = {n: arrays[n] for n in names if n in arrays}
    shape = tuple(function(*map(m.tensor, inputs.values())).shape)
    g = np.random.default_rng(1).standard_normal(shape, np.float32) if shape else None
    work = (pulled_by_pytorch if library == "torch" else pulled_by_minigrad)(function, inputs, g, backward=backward)

    def outputs() -> dict[str, Any]:
        return {n: a.T if library == "torch" and n == "dW" else a for n, a in work.outputs().items()}

    return Work(partial(repeated, work.run, _UNITS), outputs, _UNITS)
