"""Forward and backward of convolutions and transposed convolutions of images, with all three gradients.

PyTorch runs them eagerly: compiled, it calls the same oneDNN kernels. "channels last" is PyTorch with its images and
filters in the memory format (N, H, W, C), in which its kernels are mostly faster; minigrad has no such choice, so
that it is a peer of its own, with a weaker aim.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.job import Aim, Case, Rival, Work

__all__ = ["cases"]


@dataclass(frozen=True)
class Layer:
    """Images (batch, channels, size, size), filters of kernel x kernel, and the options of the layer."""

    batch: int
    channels: int
    size: int
    filters: int
    kernel: int
    padding: int
    stride: int = 1
    groups: int = 1
    transposed: bool = False

    @property
    def output(self) -> int:
        """Rows and columns of what comes out."""
        if self.transposed:
            return (self.size - 1) * self.stride - 2 * self.padding + self.kernel
        return (self.size + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def flop(self) -> float:
        """Of three products of one size: the output, and the gradients of images and filters."""
        windows = (self.size if self.transposed else self.output) ** 2
        return 3 * 2.0 * self.batch * windows * self.filters * self.channels // self.groups * self.kernel**2

    @property
    def options(self) -> dict[str, int]:
        """As both libraries take them."""
        return {"stride": self.stride, "padding": self.padding, "groups": self.groups}

    def arrays(self) -> tuple[list[Any], Any]:
        """x, w, b, and the cotangent of y."""
        import numpy as np

        rng = np.random.default_rng(0)
        ends = (self.channels, self.filters) if self.transposed else (self.filters, self.channels)
        kernel = (ends[0], ends[1] // self.groups, self.kernel, self.kernel)
        shapes = [(self.batch, self.channels, self.size, self.size), kernel, (self.filters,)]
        cotangent = rng.standard_normal((self.batch, self.filters, self.output, self.output), np.float32)
        return [rng.standard_normal(shape, np.float32) for shape in shapes], cotangent


_LAYERS = {
    "conv2d 32x3x32x32, 16 filters 3x3": Layer(32, 3, 32, 16, 3, padding=1),
    "conv2d 8x64x56x56, 64 filters 3x3": Layer(8, 64, 56, 64, 3, padding=1),
    "conv2d 8x96x56x56, depthwise 3x3": Layer(8, 96, 56, 96, 3, padding=1, groups=96),
    "conv2d 8x64x56x56, 64 filters 1x1": Layer(8, 64, 56, 64, 1, padding=0),
    "conv_transpose2d 32x16x16x16 to 3, 4x4, stride 2": Layer(32, 16, 16, 3, 4, 1, stride=2, transposed=True),
    "conv_transpose2d 8x64x28x28 to 64, 4x4, stride 2": Layer(8, 64, 28, 64, 4, 1, stride=2, transposed=True),
}


def cases(quick: bool = False) -> list[Case]:
    """Six layers."""
    last = "PyTorch, channels last"
    default = Aim("PyTorch", 0.9)
    better = Aim(last, 1.2)
    return [
        Case(
            name,
            [
                Rival("minigrad", "minigrad", partial(_minigrad, layer)),
                Rival("PyTorch", "PyTorch", partial(_pytorch, layer), ("torch",)),
                Rival(last, last, partial(_pytorch, layer, channels_last=True), ("torch",)),
            ],
            [default, better],
            flop=layer.flop,
        )
        for name, layer in list(_LAYERS.items())[: 1 if quick else None]
    ]


def _named(y: Any, gradients: list[Any]) -> dict[str, Any]:
    return {"y": y, **dict(zip(("dx", "dw", "db"), gradients, strict=True))}


def _minigrad(layer: Layer) -> Work:
    import minigrad as mg

    arrays, cotangent = layer.arrays()
    leaves = [mg.tensor(a, requires_grad=True) for a in arrays]
    function = mg.ops.conv_transpose2d if layer.transposed else mg.ops.conv2d

    def run() -> Any:
        for leaf in leaves:
            leaf.zero_grad()
        y = function(*leaves, **layer.options)
        y.backward(cotangent)
        return y

    return Work(run, lambda: _named(run().data, [leaf.grad for leaf in leaves]))


def _pytorch(layer: Layer, channels_last: bool = False) -> Work:
    import torch

    arrays, cotangent = layer.arrays()
    *leaves, g = (_in_format(torch.tensor(a), channels_last) for a in (*arrays, cotangent))
    for leaf in leaves:
        leaf.requires_grad_()
    functions = torch.nn.functional
    function: Any = functions.conv_transpose2d if layer.transposed else functions.conv2d

    def run() -> Any:
        for leaf in leaves:
            leaf.grad = None
        y = function(*leaves, **layer.options)
        y.backward(g)
        return y

    return Work(run, lambda: _named(run().detach(), [leaf.grad for leaf in leaves]))


def _in_format(tensor: Any, channels_last: bool) -> Any:
    """A tensor of images or filters in one of PyTorch's memory formats."""
    import torch

    return tensor.contiguous(memory_format=torch.channels_last) if channels_last and tensor.ndim == 4 else tensor
