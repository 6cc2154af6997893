"""The operators and methods of :class:`~minigrad.core.Tensor` that are primitives, attached from one table.

``TensorMethods`` declares their signatures for type checkers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import Tensor, extend_tensor, plain
from ..spec import describe
from . import elementwise, indexing, products, reductions, shaping

if TYPE_CHECKING:

    class TensorMethods:
        """The methods that this module attaches to Tensor. Binary operators share one signature, as do comparisons."""

        T: Tensor
        mT: Tensor  # noqa: N815 (NumPy's name)

        def __add__(self, other: Any, /) -> Tensor: ...

        __sub__ = __mul__ = __truediv__ = __floordiv__ = __mod__ = __pow__ = __matmul__ = __add__
        __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __rpow__ = __rmatmul__ = __add__
        __and__ = __or__ = __xor__ = __rand__ = __ror__ = __rxor__ = __lt__ = __le__ = __gt__ = __ge__ = __add__

        def __eq__(self, other: Any, /) -> Tensor: ...  # type: ignore[override]
        def __ne__(self, other: Any, /) -> Tensor: ...  # type: ignore[override]
        def __neg__(self) -> Tensor: ...

        __pos__ = __abs__ = __invert__ = copy = flatten = ravel = __neg__

        def __getitem__(self, index: Any, /) -> Tensor: ...
        def sum(self, axis: Any = None, keepdims: bool = False) -> Tensor: ...

        mean = max = min = prod = all = any = argmax = argmin = sum

        def std(self, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> Tensor: ...

        var = std

        def cumsum(self, axis: int | None = None) -> Tensor: ...

        cumprod = cumsum

        def sort(self, axis: int | None = -1) -> Tensor: ...

        argsort = sort

        def clip(self, min: Any = None, max: Any = None) -> Tensor: ...
        def round(self, decimals: int = 0) -> Tensor: ...
        def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor: ...
        def dot(self, b: Any) -> Tensor: ...
        def repeat(self, repeats: Any, axis: int | None = None) -> Tensor: ...
        def reshape(self, *shape: Any) -> Tensor: ...
        def transpose(self, *axes: Any) -> Tensor: ...
        def squeeze(self, axis: Any = None) -> Tensor: ...
        def swapaxes(self, axis1: int, axis2: int) -> Tensor: ...
        def astype(self, dtype: Any) -> Tensor: ...


def _on_booleans(symbol: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a logical operator that raises for numbers: NumPy's operators work on the bits of integers."""

    def call(*operands: Any) -> Any:
        for operand in operands:
            if np.asarray(plain(operand)).dtype != bool:
                raise TypeError(f"{symbol} is for booleans, not {describe(operand)}: compare it with something")
        return function(*operands)

    return call


LOGICAL = {
    "and": _on_booleans("&", elementwise.logical_and), "or": _on_booleans("|", elementwise.logical_or),
    "xor": _on_booleans("^", elementwise.logical_xor), "invert": _on_booleans("~", elementwise.logical_not),
}  # fmt: skip


def _swapped(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return the operator for a tensor on the right."""
    return lambda self, other: function(other, self)


def _reshape(self: Tensor, *shape: Any) -> Any:
    """Return the entries in another shape, as :func:`.shaping.reshape`: ``x.reshape(2, 3)`` or with a tuple."""
    return shaping.reshape(self, shape[0] if len(shape) == 1 else shape)


def _transpose(self: Tensor, *axes: Any) -> Any:
    """Return x with its axes in another order, as :func:`.shaping.transpose`; without arguments, reversed."""
    order = axes[0] if len(axes) == 1 and not isinstance(axes[0], (int, np.integer)) else axes
    return shaping.transpose(self, None if order is None or len(order) == 0 else order)


def _copy(self: Tensor) -> Any:
    """Return a tensor with its own memory, through which gradients flow."""
    return elementwise.astype(self, self.dtype)


def _flatten(self: Tensor) -> Any:
    """Return the entries as a vector with its own memory, as in NumPy; :func:`.shaping.ravel` may share it."""
    return shaping.ravel(_copy(self))


_BINARY: dict[str, Callable[..., Any]] = {
    "add": elementwise.add, "sub": elementwise.subtract, "mul": elementwise.multiply, "truediv": elementwise.divide,
    "floordiv": elementwise.floor_divide, "mod": elementwise.remainder, "pow": elementwise.power,
    "matmul": products.matmul, "and": LOGICAL["and"], "or": LOGICAL["or"], "xor": LOGICAL["xor"],
}  # fmt: skip

_METHODS = {
    **{f"__{name}__": function for name, function in _BINARY.items()},
    **{f"__r{name}__": _swapped(function) for name, function in _BINARY.items()},
    "__invert__": LOGICAL["invert"], "__neg__": elementwise.negative, "__pos__": _copy, "__abs__": elementwise.absolute,
    "__lt__": elementwise.less, "__le__": elementwise.less_equal, "__gt__": elementwise.greater,
    "__ge__": elementwise.greater_equal, "__eq__": elementwise.equal, "__ne__": elementwise.not_equal,
    "__getitem__": indexing.getitem, "diagonal": indexing.diagonal,
    "sum": reductions.sum, "mean": reductions.mean, "max": reductions.max, "min": reductions.min,
    "prod": reductions.prod, "std": reductions.std, "var": reductions.var, "all": reductions.all,
    "any": reductions.any, "argmax": reductions.argmax, "argmin": reductions.argmin, "cumsum": reductions.cumsum,
    "cumprod": reductions.cumprod, "argsort": reductions.argsort, "sort": reductions.sort, "dot": products.dot,
    "astype": elementwise.astype, "clip": elementwise.clip, "round": elementwise.round, "copy": _copy,
    "flatten": _flatten, "ravel": shaping.ravel, "repeat": shaping.repeat,
    "reshape": _reshape,
    "squeeze": shaping.squeeze, "swapaxes": shaping.swapaxes, "transpose": _transpose,
    "T": property(lambda self: shaping.transpose(self), doc="The tensor with its axes reversed."),
    "mT": property(lambda self: shaping.swapaxes(self, -1, -2), doc="The tensor with its last two axes exchanged."),
}  # fmt: skip

# What to write instead of names that other frameworks have.
_FOREIGN_METHODS = {
    "chunk": "mg.split(x, n)", "clamp": "x.clip(low, high)", "clone": "x.copy()",
    "contiguous": "x itself", "cpu": "x itself: every tensor is on the CPU",
    "cuda": "x itself: every tensor is on the CPU",
    "dim": "x.ndim", "double": 'x.astype("float64")', "expand": "mg.broadcast_to(x, shape)",
    "float": 'x.astype("float32")', "gather": "mg.take_along_axis", "masked_fill": "mg.where(mask, value, x)",
    "mm": "x @ y", "numel": "x.size", "permute": "x.transpose(axes)", "pow": "x ** y", "t": "x.T",
    "to": "x.astype(dtype), or a layer's dtype=; every tensor is on the CPU",
    "unbind": "list(x), after mg.moveaxis for another axis", "unsqueeze": "mg.expand_dims(x, axis)",
    "view": "x.reshape(shape)",
    **{name: f"mg.{name}(x)" for name in ("exp", "log", "norm", "relu", "sigmoid", "softmax", "sqrt", "tanh")},
}  # fmt: skip
_FOREIGN = {
    **_FOREIGN_METHODS,
    "arange": "mg.tensor(np.arange(n))", "autograd": "mg.grad, or x.backward()",
    "BCEWithLogitsLoss": "mg.binary_cross_entropy_with_logits",
    "bmm": "x @ y", "cat": "mg.concatenate", "concat": "mg.concatenate", "CrossEntropyLoss": "mg.cross_entropy",
    "from_numpy": "mg.tensor",
    "device": "no device: every tensor is on the CPU", "float32": '"float32" or np.float32',
    "eye": "mg.tensor(np.eye(n, dtype=np.float32))",
    "functional": "the functions of mg, such as mg.relu", "GRUCell": "mg.nn.GRU, or mg.gru_step",
    "jacfwd": "mg.jacobian", "jacrev": "mg.jacobian",
    "LSTMCell": "mg.nn.LSTM, or mg.lstm_step", "MSELoss": "mg.mse_loss",
    "ones": "mg.tensor(np.ones(shape, np.float32))", "rand": "mg.tensor(rng.random(shape, np.float32))",
    "RNNCell": "mg.nn.RNN, or mg.rnn_step",
    "randn": "mg.tensor(rng.standard_normal(shape, np.float32))", "zeros": "mg.tensor(np.zeros(shape, np.float32))",
    "vmap": "a batch axis, over which most functions broadcast", "zeros_like": "mg.tensor(np.zeros_like(x))",
}  # fmt: skip


def missing(owner: str, name: str) -> AttributeError:
    """Return the error for a missing attribute; it tells users of other frameworks what to write.

    >>> missing("module 'minigrad'", "cat")
    AttributeError("module 'minigrad' has no attribute 'cat'. Use mg.concatenate.")
    """
    problem = f"{owner} has no attribute {name!r}"
    # Python suggests a similar name, unless the error has a name.
    return (
        AttributeError(f"{problem}. Use {_FOREIGN[name]}.", name=name) if name in _FOREIGN else AttributeError(problem)
    )


class Missing:
    """A method that tensors or modules do not have. A ``__getattr__`` would slow down every attribute."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        raise missing(f"{owner.__name__!r} object", self.name)


extend_tensor({**_METHODS, **{name: Missing(name) for name in _FOREIGN_METHODS}})
