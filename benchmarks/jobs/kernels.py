"""Single functions with their gradients: norms, softmax, GELU, cross-entropy and attention; and a step of Adam.

PyTorch runs the functions eagerly and with ``torch.compile``, and Adam with ``fused=True``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.job import Aim, Case, Rival, Work
from benchmarks.jobs.pulling import pulled_by_minigrad, pulled_by_pytorch

__all__ = ["cases"]

_PARAMETERS = 3_700_000


@dataclass(frozen=True)
class Function:
    """A function of arrays in both frameworks, and the target for minigrad's time divided by PyTorch's."""

    minigrad: Callable[..., Any]
    pytorch: Callable[..., Any]
    aim: float


_FUNCTIONS = {
    "layer_norm": Function(
        lambda ops, x, w, b: ops.layer_norm(x, w, b), lambda f, x, w, b: f.layer_norm(x, x.shape[-1:], w, b), 1.0
    ),
    "rms_norm": Function(
        lambda ops, x, w: ops.rms_norm(x, w), lambda f, x, w: f.rms_norm(x, x.shape[-1:], w, 1e-6), 1.0
    ),
    "group_norm": Function(
        lambda ops, x, w, b: ops.group_norm(x, 8, w, b), lambda f, x, w, b: f.group_norm(x, 8, w, b), 1.0
    ),
    "batch_norm": Function(
        lambda ops, x, w, b: ops.batch_norm(x, w, b),
        lambda f, x, w, b: f.batch_norm(x, None, None, w, b, training=True), 1.0,
    ),
    "softmax": Function(lambda ops, x: ops.softmax(x), lambda f, x: f.softmax(x, -1), 0.8),
    "gelu, tanh": Function(lambda ops, x: ops.gelu(x, "tanh"), lambda f, x: f.gelu(x, approximate="tanh"), 0.45),
    "gelu, exact": Function(lambda ops, x: ops.gelu(x), lambda f, x: f.gelu(x), 1.0),
    "cross_entropy": Function(
        lambda ops, x: ops.cross_entropy(x, [i * 7 % x.shape[1] for i in range(len(x))]),
        lambda f, x: f.cross_entropy(x, _targets(*x.shape)), 0.5,
    ),
    "attention": Function(lambda ops, *x: ops.attention(*x), lambda f, *x: f.scaled_dot_product_attention(*x), 1.1),
    "causal attention": Function(
        lambda ops, *x: ops.attention(*x, causal=True),
        lambda f, *x: f.scaled_dot_product_attention(*x, is_causal=True), 1.1,
    ),
}  # fmt: skip
_CASES: tuple[Any, ...] = (  # a function, and the shapes of its inputs
    ("layer_norm", (32, 128, 512), 512, 512), ("layer_norm", (4096, 256), 256, 256),
    ("layer_norm", (64, 768), 768, 768), ("layer_norm", (25, 16, 512), 512, 512), ("rms_norm", (25, 16, 512), 512),
    ("batch_norm", (32, 64, 32, 32), 64, 64),
    ("batch_norm", (128, 256), 256, 256), ("group_norm", (32, 64, 32, 32), 64, 64), ("softmax", (4096, 256)),
    ("gelu, tanh", (1024, 1024)), ("gelu, exact", (1024, 1024)), ("cross_entropy", (400, 2917)),
    ("attention", (16, 8, 128, 32), (16, 8, 128, 32), (16, 8, 128, 32)),
    ("attention", (25, 1, 1, 256), (25, 1, 49, 256), (25, 1, 49, 256)),
    ("causal attention", (2, 8, 512, 64), (2, 8, 512, 64), (2, 8, 512, 64)),
    ("causal attention", (1, 4, 2000, 64), (1, 4, 2000, 64), (1, 4, 2000, 64)),
    ("causal attention", (64, 4, 32, 16), (64, 4, 32, 16), (64, 4, 32, 16)),
)  # fmt: skip


def _arrays(name: str, shapes: Any) -> tuple[dict[str, Any], Any]:
    """Return the inputs, and the cotangent of the result."""
    import numpy as np

    rng = np.random.default_rng(0)
    inputs = {f"input {i}": rng.standard_normal(shape, np.float32) for i, shape in enumerate(shapes)}
    return inputs, np.asarray(rng.standard_normal(() if name == "cross_entropy" else shapes[0], np.float32))


def cases(quick: bool = False) -> list[Case]:
    """Return a case for each function and size, and one for Adam."""
    functions = [
        Case(
            f"{name} {'x'.join(str(n) for n in shapes[0])}",
            [
                Rival("minigrad", "minigrad", partial(_minigrad, name, shapes)),
                Rival("PyTorch", "PyTorch", partial(_pytorch, name, shapes), ("torch",)),
                Rival("PyTorch, compiled", "PyTorch", partial(_pytorch, name, shapes, compile=True), ("torch",)),
            ],
            [Aim("PyTorch", _FUNCTIONS[name].aim)],
        )
        for name, *shapes in _CASES[: 1 if quick else None]
    ]
    rivals = [Rival("minigrad", "minigrad", _adam), Rival("fused", "PyTorch", _adam_in_pytorch, ("torch",))]
    return [*functions, Case(f"Adam, {_PARAMETERS:,} parameters", rivals, [Aim("PyTorch", 0.9)])]


def _minigrad(name: str, shapes: Any) -> Work:
    import minigrad as mg

    return pulled_by_minigrad(partial(_FUNCTIONS[name].minigrad, mg.ops), *_arrays(name, shapes))


def _pytorch(name: str, shapes: Any, compile: bool = False) -> Work:
    import torch

    function = partial(_FUNCTIONS[name].pytorch, torch.nn.functional)
    return pulled_by_pytorch(function, *_arrays(name, shapes), compile=compile)


def _targets(N: int, K: int) -> Any:
    import torch

    return torch.arange(N) * 7 % K


def _adam() -> Work:
    import numpy as np

    import minigrad as mg

    p = mg.nn.Parameter(np.zeros(_PARAMETERS, np.float32))
    p.grad = np.ones(_PARAMETERS, np.float32)
    return Work(mg.optim.Adam([p]).step)


def _adam_in_pytorch() -> Work:
    import torch

    p = torch.zeros(_PARAMETERS, requires_grad=True)
    p.grad = torch.ones(_PARAMETERS)
    return Work(torch.optim.Adam([p], fused=True).step)
