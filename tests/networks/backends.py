"""The operations that networks are written in, by minigrad and by PyTorch: the same network runs on both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import minigrad as mg

__all__ = ["Minigrad", "PyTorch"]

Array = np.ndarray


class Minigrad:
    """By the primitives that are to be checked."""

    conv = staticmethod(mg.ops.conv2d)
    conv_transpose = staticmethod(mg.ops.conv_transpose2d)
    max_pool = staticmethod(mg.ops.max_pool2d)
    relu = staticmethod(mg.ops.relu)
    leaky_relu = staticmethod(mg.ops.leaky_relu)
    gelu = staticmethod(mg.ops.gelu)
    tanh = staticmethod(mg.ops.tanh)
    sigmoid = staticmethod(mg.ops.sigmoid)
    sqrt = staticmethod(mg.ops.sqrt)
    matmul = staticmethod(mg.ops.matmul)
    reshape = staticmethod(mg.ops.reshape)
    transpose = staticmethod(mg.ops.transpose)
    stack = staticmethod(mg.ops.stack)
    concatenate = staticmethod(mg.ops.concatenate)
    cross_entropy = staticmethod(mg.ops.cross_entropy)
    binary_cross_entropy = staticmethod(mg.ops.binary_cross_entropy_with_logits)
    constant = staticmethod(lambda a: a)

    @staticmethod
    def mean(x: Any, axes: Sequence[int]) -> Any:
        return mg.ops.mean(x, axis=tuple(axes), keepdims=True)

    @staticmethod
    def softmax(x: Any) -> Any:
        return mg.ops.softmax(x, axis=-1)

    @staticmethod
    def embedding(indices: Array, W: Any) -> Any:
        return mg.ops.embedding(indices, W)

    @staticmethod
    def lstm(x: Any, Wx: Any, Wh: Any, b: Any) -> Any:
        return mg.ops.lstm(x, np.zeros((x.shape[0], Wh.shape[0]), x.dtype), Wx, Wh, b)[0]

    @staticmethod
    def gradients(loss: Callable[..., Any], weights: dict[str, Array]) -> tuple[float, dict[str, Array]]:
        leaves = {name: mg.tensor(w, requires_grad=True) for name, w in weights.items()}
        value = loss(Minigrad, leaves)
        value.backward()
        return float(value.data), {name: leaf.grad for name, leaf in leaves.items()}


class PyTorch:
    """By the peer, whose names and orders of axes these functions take care of."""

    @staticmethod
    def _functional() -> Any:
        import torch

        return torch.nn.functional

    conv = staticmethod(lambda *a, **k: PyTorch._functional().conv2d(*a, **k))
    conv_transpose = staticmethod(lambda *a, **k: PyTorch._functional().conv_transpose2d(*a, **k))
    max_pool = staticmethod(lambda *a: PyTorch._functional().max_pool2d(*a))
    relu = staticmethod(lambda x: x.relu())
    leaky_relu = staticmethod(lambda x, slope: PyTorch._functional().leaky_relu(x, slope))
    gelu = staticmethod(lambda x: PyTorch._functional().gelu(x))
    tanh = staticmethod(lambda x: x.tanh())
    sigmoid = staticmethod(lambda x: x.sigmoid())
    sqrt = staticmethod(lambda x: x.sqrt())
    matmul = staticmethod(lambda a, b: a @ b)
    reshape = staticmethod(lambda x, shape: x.reshape(shape))
    transpose = staticmethod(lambda x, axes: x.permute(axes))
    softmax = staticmethod(lambda x: x.softmax(-1))

    @staticmethod
    def constant(a: Array) -> Any:
        import torch

        return torch.tensor(a)

    @staticmethod
    def stack(xs: Sequence[Any], axis: int) -> Any:
        import torch

        return torch.stack(list(xs), axis)

    @staticmethod
    def concatenate(xs: Sequence[Any], axis: int) -> Any:
        import torch

        return torch.cat(list(xs), axis)

    @staticmethod
    def mean(x: Any, axes: Sequence[int]) -> Any:
        return x.mean(tuple(axes), keepdim=True)

    @staticmethod
    def cross_entropy(logits: Any, targets: Array) -> Any:
        import torch

        rows = logits.reshape(-1, logits.shape[-1])
        return PyTorch._functional().cross_entropy(rows, torch.tensor(targets).flatten())

    @staticmethod
    def binary_cross_entropy(logits: Any, targets: Array) -> Any:
        import torch

        return PyTorch._functional().binary_cross_entropy_with_logits(logits, torch.tensor(targets, dtype=logits.dtype))

    @staticmethod
    def embedding(indices: Array, W: Any) -> Any:
        import torch

        return PyTorch._functional().embedding(torch.tensor(indices), W)

    @staticmethod
    def lstm(x: Any, Wx: Any, Wh: Any, b: Any) -> Any:
        """Its own module, whose gates are in the order i, f, g, o instead of i, f, o, g."""
        import torch

        D, H = Wx.shape[0], Wh.shape[0]
        i, f, o, g = (torch.arange(4 * H)[k * H : (k + 1) * H] for k in range(4))
        order = torch.cat([i, f, g, o])
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        values = (Wx[:, order].T, Wh[:, order].T, b[order], torch.zeros(4 * H, dtype=x.dtype))
        module = torch.nn.LSTM(D, H, batch_first=True, dtype=x.dtype)
        return torch.func.functional_call(module, dict(zip(names, values, strict=True)), (x,))[0]

    @staticmethod
    def gradients(loss: Callable[..., Any], weights: dict[str, Array]) -> tuple[float, dict[str, Array]]:
        import torch

        leaves = {name: torch.tensor(w, requires_grad=True) for name, w in weights.items()}
        value = loss(PyTorch, leaves)
        value.backward()
        return value.item(), {name: leaf.grad.numpy() for name, leaf in leaves.items()}
