"""Checks of MyGrad."""

from pathlib import Path

import numpy as np
from common import raises


def checks():
    """Return a check for each feature, by its name on the page: does the framework have it?"""
    import mygrad

    def gradient(f, at=(1.0, 2.0)):
        x = mygrad.tensor(at)
        f(x).sum().backward()
        return x.grad

    def in_place(x):
        y = x * 1
        y[0] = x[1]
        return y

    def guarded():
        array = np.array([1.0, 2.0])
        x = mygrad.tensor(array, copy=False)
        y = x * x
        return y is not None and raises(ValueError, lambda: array.__setitem__(0, 4.0))

    def drawn():
        from mygrad.computational_graph import build_graph

        return "->" in build_graph(mygrad.tensor(1.0) * 2).source

    return {
        "derivatives of derivatives": lambda: not isinstance(gradient(lambda x: x**3), np.ndarray),
        "NumPy functions accept tensors": lambda: (
            gradient(lambda x: np.exp(np.concatenate([x, x])), (0.0,)).tolist() == [2]
        ),
        "gradients through in-place writes": lambda: gradient(in_place).tolist() == [0, 2],
        "complex numbers": lambda: not raises(TypeError, lambda: mygrad.tensor(1j)),
        "error if you overwrite a value that a gradient needs": guarded,
        "drawings of a graph": drawn,
        "layers with parameters and state": lambda: hasattr(mygrad.nnet.layers, "Linear"),
        "RNN, LSTM and GRU over sequences": lambda: (Path(mygrad.__file__).parent / "nnet/layers/gru.py").exists(),
        "dynamic shapes": lambda: [gradient(lambda x: x, np.ones(n)).size for n in (1, 2)] == [1, 2],
    }
