"""Checks of tinygrad."""

import importlib.util

import numpy as np
from common import raises


def checks():
    """Return a check for each feature, by its name on the page: does the framework have it?"""
    from tinygrad import Tensor, dtypes, helpers, nn

    def gradient(f, at=(1.0, 2.0)):
        x = Tensor(list(at))
        return f(x).sum().gradient(x)[0].tolist()

    def third():
        x = Tensor([0.3])
        y = x.sin()
        for _ in range(3):
            y = y.sum().gradient(x)[0]
        return bool(np.isclose(y.item(), -np.cos(0.3)))

    def in_place(x):
        y = x * x
        y[0] = x[1]
        return y

    def watched():
        x = Tensor([1.0, 2.0]).realize()
        y = (x * x).sum()
        x.assign(Tensor([5.0, 5.0])).realize()
        return y.gradient(x)[0].tolist() == [2, 4]

    def steps():
        w = Tensor([1.0])
        sgd = nn.optim.SGD([w], lr=0.5)
        helpers.TRAINING.value = 1
        (w * w).sum().backward()
        sgd.step()
        return w.item() == 0

    return {
        "derivatives of derivatives": third,
        "NumPy functions accept tensors": lambda: isinstance(np.exp(Tensor([1.0])), Tensor),
        "gradients through in-place writes": lambda: gradient(in_place) == [0, 5],
        "complex numbers": lambda: not raises(RuntimeError, lambda: Tensor([1j])),
        "error if you overwrite a value that a gradient needs": watched,
        "drawings of a graph": lambda: importlib.util.find_spec("tinygrad.viz.serve") is not None,
        "layers with parameters and state": lambda: set(nn.state.get_state_dict(nn.Linear(2, 3))) == {"weight", "bias"},
        "RNN, LSTM and GRU over sequences": lambda: hasattr(nn, "LSTMCell") and not hasattr(nn, "LSTM"),
        "memory-efficient attention": lambda: importlib.util.find_spec("tinygrad.llm.kernels") is not None,
        "optimisers": steps,
        "reads PyTorch files without PyTorch": lambda: callable(nn.state.torch_load),
        "PyTorch weights, with layouts converted": lambda: nn.Linear(2, 3).weight.shape != (3, 2),
        "ONNX import": lambda: importlib.util.find_spec("tinygrad.nn.onnx") is not None,
        "bfloat16": lambda: hasattr(dtypes, "bfloat16"),
    }
