"""Layers with weights, and dropout. All are batch first: N batch, T steps, D input, H hidden, C and F channels.

Weights multiply from the right: ``Linear`` computes x W + b with W of shape (in, out). PyTorch keeps
the transpose, and orders an LSTM's gates i f g o where minigrad has i f o g.
Every layer takes ``dtype`` (the default is :func:`minigrad.get_default_dtype`) and ``rng``, a generator or
seed for its initial weights (the default is the library's, see :func:`minigrad.manual_seed`). One with weights also
takes ``initial``, a function that gives the first numbers of a weight for its shape, instead of the numbers that its
page names; biases are then 0 at first, but for an LSTM's forget gate.

>>> import minigrad as mg
>>> random = np.random.default_rng(0)
>>> layer = Linear(4, 2, initial=lambda shape: random.standard_normal(shape) / np.sqrt(shape[0]))
>>> layer.weight.shape, layer.bias
((4, 2), Parameter(tensor([0., 0.], requires_grad=True)))
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..core import Tensor
from ..ops.kernels.windows import pair as pair_of
from ..rng import generator
from . import init
from .module import Module
from .parameters import Parameter

__all__ = ["LSTM", "RNN", "Conv2d", "Dropout", "Embedding", "Linear"]


def _positive(layer: str, **sizes: Any) -> None:
    """Sizes must be whole numbers above zero."""
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(f"{layer}: {name} must be a positive integer, not {size!r}")


Initial = Callable[[tuple[int, ...]], Any]


def _initial(layer: str, initial: Initial, shape: tuple[int, ...], dtype: Any) -> Tensor:
    """What an initialiser that was given says of a weight, if it has the weight's shape."""
    weight = init.as_weight(initial(shape), dtype)
    if weight.shape != shape:
        raise ValueError(f"{layer}: initial gave numbers of shape {weight.shape} for a weight of shape {shape}")
    return weight


def _affine_weights(
    layer: str, shape: tuple[int, ...], outputs: int, bias: bool, fan_in: int, dtype: Any, rng: Any,
    initial: Initial | None,
) -> tuple[Parameter, Parameter | None]:  # fmt: skip
    """Weight and bias, uniform on [-k, k] with k = 1 / sqrt(fan_in), as PyTorch starts Linear and Conv2d."""
    if initial is not None:
        weight = Parameter(_initial(layer, initial, shape, dtype))
        return weight, Parameter(init.zeros(outputs, dtype)) if bias else None
    random, k = generator(rng), 1 / math.sqrt(fan_in)
    weight = Parameter(init.uniform(shape, -k, k, dtype, random))
    return weight, Parameter(init.uniform(outputs, -k, k, dtype, random)) if bias else None


class Linear(Module):
    """y = x W + b on the last axis: (..., in_features) -> (..., out_features).

    ``weight`` is (in_features, out_features), ``bias`` (out_features,) or None. Both start uniform on
    [-k, k] with k = 1 / sqrt(in_features), as in PyTorch.

    Raises:
        ValueError: if x has no axes, or its last one is not ``in_features``.

    >>> import minigrad as mg
    >>> layer = Linear(2, 3)
    >>> layer
    Linear(in_features=2, out_features=3, bias=True)
    >>> layer(mg.tensor([[1.0, 2.0]])).shape
    (1, 3)
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, *, dtype: Any = None, rng: Any = None,
        initial: Initial | None = None,
    ) -> None:  # fmt: skip
        _positive("Linear", in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        shape = in_features, out_features
        self.weight, self.bias = _affine_weights("Linear", shape, out_features, bias, in_features, dtype, rng, initial)

    def forward(self, x: Any) -> Tensor:
        shape = np.shape(x)
        if not shape or shape[-1] != self.in_features:
            raise ValueError(f"Linear: the last axis of x must be {self.in_features}, x has shape {shape}")
        return ops.affine(x, self.weight, self.bias)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Embedding(Module):
    """A row of ``weight`` (num, dim) for each index: integers (...) -> (..., dim).

    The rows start normal with mean 0 and standard deviation 1, as in PyTorch.

    >>> Embedding(10, 4)(np.array([[1, 2, 2]])).shape
    (1, 3, 4)
    """

    def __init__(
        self, num: int, dim: int, *, dtype: Any = None, rng: Any = None, initial: Initial | None = None
    ) -> None:
        _positive("Embedding", num=num, dim=dim)
        self.num, self.dim = num, dim
        if initial is None:
            self.weight = Parameter(init.normal((num, dim), dtype=dtype, rng=rng))
        else:
            self.weight = Parameter(_initial("Embedding", initial, (num, dim), dtype))

    def forward(self, indices: Any) -> Tensor:
        return ops.embedding(indices, self.weight)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"{self.num}, {self.dim}"


class _Recurrent(Module):
    """What RNN and LSTM share: sizes, an initial state of zeros, and the state that a sequence ends in."""

    input_size: int
    hidden_size: int
    Wx: Parameter
    Wh: Parameter
    b: Parameter

    def _start(self, inputs: int, hidden: int, gates: int, dtype: Any, rng: Any, initial: Initial | None) -> None:
        """Wx (D, gates H) and Wh (H, gates H): for each gate Xavier-uniform and orthogonal, side by side; b is 0."""
        name = type(self).__name__
        _positive(name, input_size=inputs, hidden_size=hidden)
        self.input_size, self.hidden_size = inputs, hidden
        if initial is None:
            random = generator(rng)
            wx = [init.xavier_uniform((inputs, hidden), dtype=dtype, rng=random).data for _ in range(gates)]
            wh = [init.orthogonal((hidden, hidden), dtype=dtype, rng=random).data for _ in range(gates)]
            self.Wx, self.Wh = Parameter(np.concatenate(wx, axis=1)), Parameter(np.concatenate(wh, axis=1))
        else:
            self.Wx = Parameter(_initial(name, initial, (inputs, gates * hidden), dtype))
            self.Wh = Parameter(_initial(name, initial, (hidden, gates * hidden), dtype))
        self.b = Parameter(init.zeros((gates * hidden,), dtype))

    def _batch(self, x: Any, indices: Any) -> int:
        """The number of sequences, N; raise unless x is (N, T, D), or with indices (N, T) rows (U, D)."""
        name, shape, places = type(self).__name__, np.shape(x), np.shape(indices)
        if indices is None and (len(shape) != 3 or shape[2] != self.input_size):
            raise ValueError(f"{name}: x must be (N, T, {self.input_size}), it has shape {shape}")
        if indices is not None and len(places) != 2:
            raise ValueError(f"{name}: indices must be (N, T), they have shape {places}")
        if indices is not None and (len(shape) != 2 or shape[1] != self.input_size):
            raise ValueError(f"{name}: with indices x must be rows (U, {self.input_size}), it has shape {shape}")
        return int((shape if indices is None else places)[0])

    def _zeros(self, batch: int, like: Tensor) -> Tensor:
        return Tensor(np.zeros((batch, self.hidden_size), like.dtype))

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}"


def _last(states: Tensor, initial: Any, lengths: Any) -> Tensor:
    """Of states (N, T, H) that after the last step of each sequence, (N, H); of one without steps the initial one."""
    if not states.shape[1]:
        return initial if isinstance(initial, Tensor) else Tensor(initial)
    if lengths is None:
        return states[:, -1]
    ends = np.asarray(lengths).astype(np.intp, copy=False)  # an empty list has floats
    last = states[np.arange(len(ends)), np.maximum(ends, 1) - 1]
    return last if ends.all() else ops.where(ends[:, None] > 0, last, initial)


class RNN(_Recurrent):
    """h_t = tanh(x_t Wx + h_(t-1) Wh + b) for t = 1..T.

    Called with x (N, T, D) and optionally h0 (N, H), zeros by default; returns all states (N, T, H) and the
    last one (N, H). Parameters: ``Wx`` (D, H), Xavier-uniform, ``Wh`` (H, H), orthogonal, ``b`` (H,), zero.

    Two options spare work, and change no result that is of any use:

    - ``lengths``, (N,) integers from 0 to T: of each sequence only so many steps are computed. The states behind are 0,
      and the last state is that after each sequence's own last step; of length 0 it is the initial one. (PyTorch does
      so for packed sequences.)
    - ``indices``, (N, T) integers in 0 … U-1: x is rows (U, D), and step t of sequence n takes x[indices[n, t]], as
      if x were ``embedding(indices, x)``; but each row meets ``Wx`` once, however many steps take it.

    Raises:
        ValueError: if x is not (N, T, D), or with indices not (U, D), if h0 is not (N, H), or if lengths or indices do
            not fit.
        IndexError, TypeError: for an index of no row; for indices that are not integers.

    >>> import minigrad as mg
    >>> layer = RNN(3, 4)
    >>> h, h_n = layer(mg.tensor(np.ones((2, 5, 3), np.float32)))
    >>> h.shape, h_n.shape
    ((2, 5, 4), (2, 4))
    >>> words, indices = np.unique([[7, 9, 7], [9, 0, 0]], return_inverse=True)
    >>> h, h_n = layer(np.eye(3, dtype=np.float32), lengths=[3, 1], indices=indices)
    >>> bool((h_n.data == h.data[[0, 1], [2, 0]]).all()), bool(h.data[1, 1:].any())
    (True, False)
    """

    def __init__(
        self, input_size: int, hidden_size: int, *, dtype: Any = None, rng: Any = None, initial: Initial | None = None
    ) -> None:
        self._start(input_size, hidden_size, 1, dtype, rng, initial)

    def forward(self, x: Any, h0: Any = None, lengths: Any = None, indices: Any = None) -> tuple[Tensor, Tensor]:
        batch = self._batch(x, indices)
        h0 = self._zeros(batch, self.Wh) if h0 is None else h0
        h = ops.rnn(x, h0, self.Wx, self.Wh, self.b, lengths, indices)
        return h, _last(h, h0, lengths)


class LSTM(_Recurrent):
    """Long short-term memory, with the gates i, f, o and the candidate g side by side in that order:

    (i, f, o, g) = x_t Wx + h_(t-1) Wh + b;  c_t = sigma(f) c_(t-1) + sigma(i) tanh(g);
    h_t = sigma(o) tanh(c_t)   (Hochreiter and Schmidhuber, 1997; Gers et al., 2000).

    Called with x (N, T, D) and optionally ``(h0, c0)``, each (N, H), zeros by default (c0 may be None);
    returns all h (N, T, H) and ``(h_n, c_n)``, each (N, H). Parameters: ``Wx`` (D, 4H), for each gate Xavier-uniform,
    ``Wh`` (H, 4H), for each gate orthogonal, ``b`` (4H,), zero but for the forget gate, where it is
    ``forget_bias``: a memory that starts open learns long dependencies (Jozefowicz et al., 2015).
    ``lengths`` and ``indices`` spare work as in :class:`RNN`: ``(h_n, c_n)`` is then the state after each sequence's
    own last step.

    Raises:
        ValueError: if x is not (N, T, D), or with indices not (U, D), if h0 or c0 is not (N, H), if the state is no
            pair, or if lengths or indices do not fit.
        IndexError, TypeError: for an index of no row; for indices that are not integers.

    >>> import minigrad as mg
    >>> layer = LSTM(3, 4)
    >>> h, (h_n, c_n) = layer(mg.tensor(np.ones((2, 5, 3), np.float32)))
    >>> h.shape, h_n.shape, c_n.shape
    ((2, 5, 4), (2, 4), (2, 4))
    >>> h, (h_n, c_n) = layer(mg.tensor(np.ones((2, 5, 3), np.float32)), lengths=[5, 0])
    >>> bool((h_n.data[0] == h.data[0, 4]).all()), bool(h_n.data[1].any())
    (True, False)
    """

    def __init__(
        self, input_size: int, hidden_size: int, forget_bias: float = 1.0, *, dtype: Any = None, rng: Any = None,
        initial: Initial | None = None,
    ) -> None:  # fmt: skip
        self._start(input_size, hidden_size, 4, dtype, rng, initial)
        if not isinstance(forget_bias, (int, float, np.number)):
            raise TypeError(f"LSTM: forget_bias must be a number, not {type(forget_bias).__name__}")
        self.b.data[hidden_size : 2 * hidden_size] = forget_bias

    def forward(
        self, x: Any, state: Any = None, lengths: Any = None, indices: Any = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        batch = self._batch(x, indices)
        if state is not None and not (isinstance(state, (tuple, list)) and len(state) == 2):
            raise ValueError("LSTM: the state must be a pair (h0, c0), each (N, H)")
        h0, c0 = (None, None) if state is None else state
        h0 = self._zeros(batch, self.Wh) if h0 is None else h0
        h, c = ops.lstm(x, h0, self.Wx, self.Wh, self.b, c0, lengths, indices)
        return h, (_last(h, h0, lengths), _last(c, self._zeros(batch, self.Wh) if c0 is None else c0, lengths))


class Conv2d(Module):
    """Cross-correlation of images with filters, plus a bias: (N, C, H, W) -> (N, F, H', W').

    ``weight`` is (out_channels, in_channels / groups, kh, kw), ``bias`` (out_channels,) or None. Both start
    uniform on [-k, k] with k = 1 / sqrt(fan_in), as in PyTorch. See ``mg.ops.conv2d`` for the options;
    ``kernel_size`` is one number or a pair.

    Raises:
        ValueError: if a size, stride or dilation is not positive, the padding negative, or ``groups`` does not divide
            the channels.
        TypeError: if one of them is no integer or pair of integers.

    >>> Conv2d(3, 8, 3, padding=1)
    Conv2d(3, 8, kernel_size=(3, 3), stride=1, padding=1, dilation=1, groups=1, bias=True)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        dtype: Any = None,
        rng: Any = None,
        initial: Initial | None = None,
    ) -> None:
        pair = tuple(kernel_size) if isinstance(kernel_size, (tuple, list)) else (kernel_size, kernel_size)
        if len(pair) != 2:
            raise ValueError(f"Conv2d: kernel_size must be one number or two, not {kernel_size!r}")
        _positive("Conv2d", in_channels=in_channels, out_channels=out_channels, groups=groups)
        for size in pair:
            _positive("Conv2d", kernel_size=size)
        for name, value, least in (("stride", stride, 1), ("padding", padding, 0), ("dilation", dilation, 1)):
            pair_of(f"Conv2d: {name}", value, least)
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"Conv2d: groups ({groups}) must divide in_channels ({in_channels}) and out_channels ({out_channels})"
            )
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, pair
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        shape = out_channels, in_channels // groups, *pair
        fan_in = init.fans(shape)[0]
        self.weight, self.bias = _affine_weights("Conv2d", shape, out_channels, bias, fan_in, dtype, rng, initial)

    def forward(self, x: Any) -> Tensor:
        options = {name: getattr(self, name) for name in ("stride", "padding", "dilation", "groups")}
        return ops.conv2d(x, self.weight, self.bias, **options)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        options = [f"{n}={getattr(self, n)}" for n in ("kernel_size", "stride", "padding", "dilation", "groups")]
        return ", ".join(map(str, [self.in_channels, self.out_channels, *options, f"bias={self.bias is not None}"]))


class Dropout(Module):
    """In training, zero each entry with the probability ``p`` and divide the others by 1 - p.

    In evaluation mode it returns x itself. The mean of an entry is the same in both (Srivastava et al., 2014).

    Args:
        p: in [0, 1).
        rng: a generator, or a seed for one of its own; the library's by default.

    Raises:
        ValueError: if ``p`` is not in [0, 1).

    >>> import minigrad as mg
    >>> Dropout(0.5).eval()(mg.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """

    def __init__(self, p: float = 0.5, *, rng: Any = None) -> None:
        if not isinstance(p, (int, float, np.number)) or not 0 <= p < 1:
            raise ValueError(f"Dropout: p must be a number in [0, 1), not {p!r}")
        self.p = p
        self.rng = None if rng is None else generator(rng)

    def forward(self, x: Any) -> Tensor:
        return ops.dropout(x, self.p, self.training, self.rng)

    def extra_repr(self) -> str:
        return f"p={self.p}"
