"""MyGrad, tried."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from trying import Tries, raises


def tries() -> Tries:
    import mygrad
    from mygrad.operation_base import Operation

    def gradient(f: Callable[[Any], Any], at: Any = (1.0, 2.0), dtype: Any = None) -> Any:
        x = mygrad.tensor(at, dtype=dtype)
        f(x).sum().backward()
        return x.grad

    class Twice(Operation):
        def __call__(self, x: Any) -> Any:
            self.variables = (x,)
            return 2 * x.data

        def backward_var(self, grad: Any, index: int, **options: Any) -> Any:
            return 5 * grad

    def in_place(x: Any) -> Any:
        y = x * 1
        y[0] = x[1]
        return y

    def guarded() -> bool:
        array = np.array([1.0, 2.0])
        x = mygrad.tensor(array, copy=False)
        y = x * x
        return y is not None and raises(ValueError, lambda: array.__setitem__(0, 4.0))

    def drawn() -> bool:
        from mygrad.computational_graph import build_graph

        return "->" in build_graph(mygrad.tensor(1.0) * 2).source

    return {
        "reverse mode": lambda: gradient(lambda x: x**3).tolist() == [3, 12],
        "derivatives of derivatives": lambda: not isinstance(gradient(lambda x: x**3), np.ndarray),
        "a derivative of one's own": lambda: gradient(lambda x: mygrad.execute_op(Twice, x)).tolist() == [5, 5],
        "NumPy's functions take tensors": lambda: (
            gradient(lambda x: np.exp(np.concatenate([x, x])), (0.0,)).tolist() == [2]
        ),
        "gradients through writes in place": lambda: gradient(in_place).tolist() == [0, 2],
        "complex numbers": lambda: not raises(TypeError, lambda: mygrad.tensor(1j)),
        "values that a gradient needs cannot change unseen": guarded,
        "drawings of a graph": drawn,
        "layers with parameters and state": lambda: hasattr(mygrad.nnet.layers, "Linear"),
        "RNN, LSTM and GRU over sequences": lambda: (Path(mygrad.__file__).parent / "nnet/layers/gru.py").exists(),
        "DLPack": lambda: hasattr(mygrad.Tensor, "__dlpack__"),
        "other shapes in each call": lambda: [gradient(lambda x: x, np.ones(n)).size for n in (1, 2)] == [1, 2],
        "float16": lambda: gradient(lambda x: x * x, dtype="float16").dtype == "float16",
        "promotion of dtypes": lambda: (mygrad.tensor(np.ones(1, "float32")) * np.ones(1)).dtype == "float64",
    }
