"""Forward and backward of recurrent layers alone, with the gradients of inputs and weights, beside PyTorch's.

PyTorch's layers are its own, which run a whole sequence in one call; they are not compiled.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.job import Aim, Case, Rival, Work
from benchmarks.jobs.pulling import pulled_by_minigrad, pulled_by_pytorch

__all__ = ["cases"]

_GATES = {"rnn": 1, "lstm": 4, "gru": 3}
_AIMS = {
    "rnn": Aim("PyTorch", 1.0),
    "lstm": Aim("PyTorch", 1.3),  # of each size; 1.0 in the geometric mean
    "gru": Aim("PyTorch", 0.9),
}


@dataclass(frozen=True)
class Layer:
    """The kind, and the lengths of batch, time, input and state."""

    kind: str
    N: int
    T: int
    D: int
    H: int

    def arrays(self) -> tuple[dict[str, Any], Any]:
        """Inputs and weights in minigrad's layouts, and the cotangent of all states."""
        import numpy as np

        rng = np.random.default_rng(0)
        width = _GATES[self.kind] * self.H
        shapes = {"x": (self.N, self.T, self.D), "Wx": (self.D, width), "Wh": (self.H, width), "b": (width,)}
        inputs = {name: rng.standard_normal(shape, np.float32) / 16 for name, shape in shapes.items()}
        return inputs, rng.standard_normal((self.N, self.T, self.H), np.float32)


_SIZES = ((1, 50, 64, 64), (8, 100, 64, 64), (32, 50, 128, 256), (64, 20, 256, 512), (16, 200, 32, 128))


def cases(quick: bool = False) -> list[Case]:
    """Three kinds of layers at five sizes."""
    layers = [Layer(kind, *size) for kind in _GATES for size in _SIZES]
    return [
        Case(
            f"{layer.kind} of {layer.N}x{layer.T}, {layer.D} to {layer.H}",
            [
                Rival("minigrad", "minigrad", partial(_minigrad, layer)),
                Rival("PyTorch", "PyTorch", partial(_pytorch, layer), ("torch",)),
            ],
            [_AIMS[layer.kind]],
            flop=3 * 2 * layer.N * layer.T * (layer.D + layer.H) * _GATES[layer.kind] * layer.H,
        )
        for layer in layers[: 1 if quick else None]
    ]


def _minigrad(layer: Layer) -> Work:
    import numpy as np

    import minigrad as mg

    first = np.zeros((layer.N, layer.H), np.float32)

    def states(x: Any, Wx: Any, Wh: Any, b: Any) -> Any:
        biases = (b, b) if layer.kind == "gru" else (b,)
        out = getattr(mg.ops, layer.kind)(x, first, Wx, Wh, *biases)
        return out[0] if isinstance(out, tuple) else out

    return pulled_by_minigrad(states, *layer.arrays())


def _pytorch(layer: Layer) -> Work:
    import torch

    functions: dict[str, Any] = {"rnn": torch.rnn_tanh, "lstm": torch.lstm, "gru": torch.gru}
    first = torch.zeros(1, layer.N, layer.H)
    start = (first, first) if layer.kind == "lstm" else first
    H, lstm = layer.H, layer.kind == "lstm"
    order = torch.cat([torch.arange(H) + gate * H for gate in (0, 1, 3, 2)]) if lstm else slice(None)

    def states(x: Any, Wx: Any, Wh: Any, b: Any) -> Any:
        bias = b[order] if lstm else b
        weights = [Wx.t()[order], Wh.t()[order], bias, bias if layer.kind == "gru" else torch.zeros_like(b)]
        out, *_ = functions[layer.kind](x, start, weights, True, 1, 0.0, True, False, True)
        return out

    return pulled_by_pytorch(states, *layer.arrays())
