"""Forward and backward of normalisations, with the gradients of x, weight and bias.

PyTorch runs them eagerly, and compiled, by a compiler that makes one loop of what NumPy does in several.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.job import Aim, Case, Rival, Work
from benchmarks.jobs.compiling import compiled

__all__ = ["cases"]


@dataclass(frozen=True)
class Norm:
    """The kind, and x: (…, features) of layers, (batch, channels, …) of all others, which have 8 groups."""

    kind: str
    shape: tuple[int, ...]

    def arrays(self) -> tuple[list[Any], Any]:
        """x, weight, bias (not of rms_norm), and the cotangent of y."""
        import numpy as np

        rng = np.random.default_rng(0)
        features = self.shape[-1] if self.kind in ("layer_norm", "rms_norm") else self.shape[1]
        weights = [rng.standard_normal(features, np.float32) for _ in range(1 + (self.kind != "rms_norm"))]
        return [rng.standard_normal(self.shape, np.float32), *weights], rng.standard_normal(self.shape, np.float32)


_NORMS = {
    f"{kind} {'x'.join(map(str, shape))}": Norm(kind, shape)
    for kind, shape in (
        ("layer_norm", (32, 128, 512)),
        ("layer_norm", (64, 768)),
        ("layer_norm", (25, 16, 512)),
        ("batch_norm", (32, 64, 32, 32)),
        ("batch_norm", (128, 256)),
        ("group_norm", (32, 64, 32, 32)),
        ("rms_norm", (25, 16, 512)),
    )
}


def cases(quick: bool = False) -> list[Case]:
    """Seven arrays."""
    return [
        Case(
            name,
            [
                Rival("minigrad", "minigrad", partial(_minigrad, norm)),
                Rival("PyTorch", "PyTorch", partial(_pytorch, norm), ("torch",)),
                Rival("PyTorch, compiled", "PyTorch", partial(_pytorch, norm, compile=True), ("torch",)),
            ],
            [Aim("PyTorch", 1.0)],
        )
        for name, norm in list(_NORMS.items())[: 1 if quick else None]
    ]


def _work(leaves: list[Any], forget: Callable[[Any], None], function: Callable[..., Any], cotangent: Any) -> Work:
    def run() -> Any:
        for leaf in leaves:
            forget(leaf)
        y = function(*leaves)
        y.backward(cotangent)
        return y

    def outputs() -> dict[str, Any]:
        y = run()
        return {"y": y.detach(), **dict(zip(("dx", "dw", "db"), [leaf.grad for leaf in leaves], strict=False))}

    return Work(run, outputs)


def _minigrad(norm: Norm) -> Work:
    import minigrad as mg

    arrays, cotangent = norm.arrays()
    leaves = [mg.tensor(a, requires_grad=True) for a in arrays]
    function: Any = {
        "layer_norm": mg.ops.layer_norm,
        "rms_norm": mg.ops.rms_norm,
        "group_norm": lambda x, w, b: mg.ops.group_norm(x, 8, w, b),
        "batch_norm": mg.ops.batch_norm,
    }[norm.kind]
    return _work(leaves, lambda leaf: leaf.zero_grad(), function, cotangent)


def _pytorch(norm: Norm, compile: bool = False) -> Work:
    import torch

    arrays, cotangent = norm.arrays()
    *leaves, g = (torch.tensor(a) for a in (*arrays, cotangent))
    for leaf in leaves:
        leaf.requires_grad_()
    functions, features = torch.nn.functional, norm.shape[-1:]
    function: Any = {
        "layer_norm": lambda x, w, b: functions.layer_norm(x, features, w, b),
        "rms_norm": lambda x, w: functions.rms_norm(x, features, w, 1e-6),
        "group_norm": lambda x, w, b: functions.group_norm(x, 8, w, b),
        "batch_norm": lambda x, w, b: functions.batch_norm(x, None, None, w, b, training=True),
    }[norm.kind]
    function = compiled(function) if compile else function

    def forget(leaf: Any) -> None:
        leaf.grad = None

    return _work(leaves, forget, function, g)
