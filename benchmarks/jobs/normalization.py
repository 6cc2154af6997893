"""Forward and backward of normalisations, with the gradients of x, weight and bias.

PyTorch runs them eagerly, and compiled, by a compiler that makes one loop of what NumPy does in several.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.job import Aim, Case, Rival, Work
from benchmarks.jobs.pulling import pulled_by_minigrad, pulled_by_pytorch

__all__ = ["cases"]


@dataclass(frozen=True)
class Norm:
    """The kind, and x: (…, features) of layers, (batch, channels, …) of all others, which have 8 groups."""

    kind: str
    shape: tuple[int, ...]

    def arrays(self) -> tuple[dict[str, Any], Any]:
        """x, weight, bias (not of rms_norm), and the cotangent of y."""
        import numpy as np

        rng = np.random.default_rng(0)
        features = self.shape[-1] if self.kind in ("layer_norm", "rms_norm") else self.shape[1]
        inputs = {"x": rng.standard_normal(self.shape, np.float32), "w": rng.standard_normal(features, np.float32)}
        if self.kind != "rms_norm":
            inputs["b"] = rng.standard_normal(features, np.float32)
        return inputs, rng.standard_normal(self.shape, np.float32)


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


def _minigrad(norm: Norm) -> Work:
    import minigrad as mg

    function: Any = {
        "layer_norm": mg.ops.layer_norm,
        "rms_norm": mg.ops.rms_norm,
        "group_norm": lambda x, w, b: mg.ops.group_norm(x, 8, w, b),
        "batch_norm": mg.ops.batch_norm,
    }[norm.kind]
    return pulled_by_minigrad(function, *norm.arrays())


def _pytorch(norm: Norm, compile: bool = False) -> Work:
    import torch

    functions, features = torch.nn.functional, norm.shape[-1:]
    function: Any = {
        "layer_norm": lambda x, w, b: functions.layer_norm(x, features, w, b),
        "rms_norm": lambda x, w: functions.rms_norm(x, features, w, 1e-6),
        "group_norm": lambda x, w, b: functions.group_norm(x, 8, w, b),
        "batch_norm": lambda x, w, b: functions.batch_norm(x, None, None, w, b, training=True),
    }[norm.kind]
    return pulled_by_pytorch(function, *norm.arrays(), compile=compile)
