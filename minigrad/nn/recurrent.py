"""Recurrent layers: RNN, LSTM and GRU, with one layer or several, in one direction or both.

The weights of a layer are ``Wx`` (D, gates H) and ``Wh`` (H, gates H), and a bias: ``b`` (gates H,), or ``bx`` and
``bh`` for a GRU. Above the first layer, their names end in ``_l1``, ``_l2``, …; for the backward direction, they end in
``_reverse``: ``Wh_l1_reverse``. The block of Wx for each gate starts Xavier-uniform, which preserves the size of
activations (Glorot and Bengio, 2010). The block of Wh starts orthogonal, so that its powers neither vanish nor explode
(Saxe et al., 2014). Biases start at 0. PyTorch starts all of them uniform on [-k, k] with k = 1 / sqrt(H).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any, ClassVar

import numpy as np

from .. import ops
from ..core import Tensor, plain, scope
from ..rng import generator
from . import init
from .layers import Initial, first_weight, positive, probability
from .module import Module, Parameter

__all__ = ["GRU", "LSTM", "RNN"]


class _Recurrent(Module):
    """The base class of recurrent layers: sizes, weights, zero initial states, directions, and final states.

    A subclass names its primitive, the number of its gates, and its biases.
    """

    function: ClassVar[Callable[..., Any]]  # of x, the states, the weights, lengths and indices
    gates: ClassVar[int]
    biases: ClassVar[tuple[str, ...]] = ("b",)
    Wx: Parameter
    Wh: Parameter

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, *, dropout: float = 0.0,
        bidirectional: bool = False, dtype: Any = None, rng: Any = None, initial: Initial | None = None,
    ) -> None:  # fmt: skip
        name = type(self).__name__
        positive(name, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        if not isinstance(bidirectional, (bool, np.bool_)):
            raise TypeError(f"{name}: bidirectional must be True or False, not {bidirectional!r}")
        if probability(f"{name}: dropout", dropout) and num_layers == 1:
            raise ValueError(f"{name}: dropout applies between layers, but num_layers is 1. Use more, or nn.Dropout.")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.dropout, self.bidirectional = dropout, bool(bidirectional)
        random = generator(rng)
        self.rng = None if rng is None else random
        wide = self.gates * hidden_size
        for layer, ending in self._endings():
            inputs = hidden_size * (1 + self.bidirectional) if layer else input_size
            for weight, width, start in (("Wx", inputs, init.xavier_uniform), ("Wh", hidden_size, init.orthogonal)):
                gates = partial(_side_by_side, start, (width, hidden_size), self.gates, dtype, random)
                setattr(self, weight + ending, first_weight(name, (width, wide), dtype, initial, gates))
            for bias in self.biases:
                setattr(self, bias + ending, Parameter(init.zeros((wide,), dtype)))

    def _endings(self) -> list[tuple[int, str]]:
        """Return the layer's number and the suffix of its weights' names, for each layer and direction."""
        directions = ("", "_reverse")[: 1 + self.bidirectional]
        layers = range(self.num_layers)
        return [(layer, (f"_l{layer}" if layer else "") + direction) for layer in layers for direction in directions]

    def _run(self, x: Any, given: list[Any], lengths: Any, indices: Any) -> tuple[Tensor, list[Tensor]]:
        """Run all layers; return the outputs of the last one, and each state after each sequence's last step.

        given: the initial states, None for zeros; with several layers or directions, each starts with an axis for them.
        """
        batch, endings = self._batch(x, indices), self._endings()
        starts = [self._starts(state, len(endings), batch, number == 0) for number, state in enumerate(given)]
        ends: list[list[Tensor]] = [[] for _ in given]
        outputs: list[Tensor] = []
        for number, (layer, ending) in enumerate(endings):
            if layer and not ending.endswith("_reverse"):  # the first direction of the next layer
                x, indices, outputs = _joined(outputs), None, []
                x = ops.dropout(x, self.dropout, self.training, self.rng) if self.dropout else x
            first = [start[number] if len(endings) > 1 and start is not None else start for start in starts]
            weights = [getattr(self, name + ending) for name in ("Wx", "Wh", *self.biases)]
            backwards = ending.endswith("_reverse")
            direction = ("reverse" if backwards else "forward") if self.bidirectional else ""
            frame = f"{f'layer {layer}' if self.num_layers > 1 else ''} {direction}".strip()
            with scope(frame) if frame else nullcontext():  # for drawings
                states, last = self._one_way(x, first, weights, lengths, indices, backwards)
            outputs.append(states)
            for end, state in zip(ends, last, strict=True):
                end.append(state)
        return _joined(outputs), [ops.stack(end) if len(end) > 1 else end[0] for end in ends]

    def _one_way(
        self, x: Any, first: list[Any], weights: list[Parameter], lengths: Any, indices: Any, backwards: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """Run one direction; return its states in the order of x, and its final states."""
        flipped = backwards and lengths is None and indices is None
        if flipped:
            x = ops.flip(x, 1)
        elif backwards:
            N, T = np.shape(plain(x))[:2] if indices is None else np.shape(plain(indices))
            turned, every = _turned(N, T, lengths), np.arange(N)[:, None]
            if indices is None:
                x, indices = ops.reshape(x, (N * T, np.shape(plain(x))[2])), every * T + turned
            else:
                indices = np.asarray(indices)[every, turned]
        computed = type(self).function(x, first[0], *weights, *first[1:], lengths, indices)
        states = computed if isinstance(computed, tuple) else (computed,)
        starts = [self._zeros(len(states[0])) if start is None else start for start in first]
        last = [_last(state, start, lengths) for state, start in zip(states, starts, strict=True)]
        if flipped:
            return ops.flip(states[0], 1), last
        return states[0][every, turned] if backwards else states[0], last

    def _starts(self, state: Any, number: int, batch: int, needed: bool) -> Any:
        """Return the initial states of all layers and directions; by default zeros, or None if they are not needed."""
        shape = (batch, self.hidden_size) if number == 1 else (number, batch, self.hidden_size)
        if state is None:
            return self._zeros(*shape[:-1]) if needed else None
        if number > 1 and np.shape(plain(state)) != shape:
            axes = f"(layers x directions = {number}, N, H) = {shape}"
            raise ValueError(f"{type(self).__name__}: an initial state must be {axes}, not {np.shape(plain(state))}")
        return state

    def _zeros(self, *shape: int) -> Tensor:
        return Tensor(np.zeros((*shape, self.hidden_size), self.Wh.dtype))

    def _batch(self, x: Any, indices: Any) -> int:
        """Return the number of sequences, N; raise unless x is (N, T, D), or rows (U, D) with indices (N, T)."""
        name, shape, places = type(self).__name__, np.shape(plain(x)), np.shape(plain(indices))
        if indices is None and (len(shape) != 3 or shape[2] != self.input_size):
            raise ValueError(f"{name}: x must be (N, T, {self.input_size}), but has shape {shape}")
        if indices is not None and len(places) != 2:
            raise ValueError(f"{name}: indices must be (N, T), but have shape {places}")
        if indices is not None and (len(shape) != 2 or shape[1] != self.input_size):
            raise ValueError(f"{name}: with indices x must be rows (U, {self.input_size}), but has shape {shape}")
        return int((shape if indices is None else places)[0])

    def forward(self, x: Any, h0: Any = None, lengths: Any = None, indices: Any = None) -> Any:
        """Return all states (N, T, H) and the last one (N, H)."""
        h, (h_n,) = self._run(x, [h0], lengths, indices)
        return h, h_n

    def extra_repr(self) -> str:
        usual = {"num_layers": 1, "dropout": 0, "bidirectional": False}
        options = [f"{name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *options])


def _side_by_side(start: Any, shape: tuple[int, int], gates: int, dtype: Any, random: Any) -> Tensor:
    """Initialise the weights of each gate separately, and put them side by side."""
    return Tensor(np.concatenate([start(shape, dtype=dtype, rng=random).data for _ in range(gates)], axis=1))


def _joined(outputs: list[Tensor]) -> Tensor:
    """Concatenate the outputs of both directions, or return those of the only one."""
    return outputs[0] if len(outputs) == 1 else ops.concatenate(outputs, axis=-1)


def _turned(N: int, T: int, lengths: Any) -> np.ndarray[Any, Any]:
    """Return the step to read at each position (N, T) if every sequence is reversed and its padding stays.

    >>> _turned(2, 3, [3, 2])
    array([[2, 1, 0],
           [1, 0, 2]])
    """
    steps = np.arange(T)
    ends = np.full((N, 1), T) if lengths is None else np.asarray(lengths).reshape(N, 1).astype(np.intp)
    return np.where(steps < ends, ends - 1 - steps, steps)


def _last(states: Tensor, initial: Any, lengths: Any) -> Tensor:
    """Return the state (N, H) after the last step of each sequence, or the initial one of a sequence without steps."""
    if not states.shape[1]:
        return initial if isinstance(initial, Tensor) else Tensor(initial)
    if lengths is None:
        return states[:, -1]
    ends = np.asarray(lengths).astype(np.intp, copy=False)  # an empty list has floats
    last = states[np.arange(len(ends)), np.maximum(ends, 1) - 1]
    return last if ends.all() else ops.where(ends[:, None] > 0, last, initial)


class RNN(_Recurrent):
    """h_t = tanh(x_t Wx + h_(t-1) Wh + b) for t = 1..T.

    The call ``layer(x, h0=None, lengths=None, indices=None)`` takes x (N, T, D) and optionally h0 (N, H), by default
    zeros. It returns all states (N, T, H) and the last one (N, H). Parameters: ``Wx`` (D, H), Xavier-uniform, ``Wh``
    (H, H), orthogonal, ``b`` (H,), zero. (PyTorch's are uniform on [-k, k], k = 1 / sqrt(H); the ones here preserve the
    size of activations and gradients.)

    Two options of the call save work without changing any meaningful result:

    - ``lengths``, (N,) integers from 0 to T: the number of steps to compute in each sequence. Later states are 0. The
      last state is the one after the sequence's own last step, or the initial state if the length is 0. (PyTorch does
      this for packed sequences.)
    - ``indices``, (N, T) integers in 0 … U-1: x is rows (U, D), and step t of sequence n takes x[indices[n, t]], as
      if x were ``embedding(indices, x)``, but each row is multiplied by ``Wx`` only once, however many steps use it.

    Args:
        num_layers: the number of stacked layers; the states of one are the inputs of the next.
        dropout: the fraction of these inputs that is dropped in training, between the layers.
        bidirectional: also run each layer from the end to the beginning, with weights of its own. The states of both
            directions are concatenated, (N, T, 2H).

    With several layers or directions, initial and last states are (layers x directions, N, H), with a layer's
    directions next to each other, as in PyTorch.

    Raises:
        ValueError: if x is not (N, T, D), or with indices not (U, D), if h0 is not (N, H), or if lengths or indices do
            not fit.
        IndexError: if an index is out of range. TypeError: if indices are not integers.

    >>> import minigrad as mg
    >>> layer = RNN(3, 4)
    >>> h, h_n = layer(mg.tensor(np.ones((2, 5, 3), np.float32)))
    >>> h.shape, h_n.shape
    ((2, 5, 4), (2, 4))
    >>> words, indices = np.unique([[7, 9, 7], [9, 0, 0]], return_inverse=True)
    >>> h, h_n = layer(np.eye(3, dtype=np.float32), lengths=[3, 1], indices=indices)
    >>> bool((h_n.data == h.data[[0, 1], [2, 0]]).all()), bool(h.data[1, 1:].any())
    (True, False)
    >>> h, h_n = RNN(3, 4, num_layers=2, bidirectional=True)(np.ones((2, 5, 3), np.float32))
    >>> h.shape, h_n.shape
    ((2, 5, 8), (4, 2, 4))
    """

    function, gates = ops.rnn, 1
    b: Parameter


class GRU(_Recurrent):
    """A gated recurrent unit, with the gates r, z and the candidate n side by side in that order.

    With p = x_t Wx + bx and a = h_(t-1) Wh + bh: r = sigma(p_r + a_r); z = sigma(p_z + a_z); n = tanh(p_n + r a_n);
    h_t = (1 - z) n + z h_(t-1)   (Cho et al., 2014, with the reset gate after the product, as in PyTorch).

    The call ``layer(x, h0=None, lengths=None, indices=None)`` takes x (N, T, D) and optionally h0 (N, H), by default
    zeros. It returns all states (N, T, H) and the last one (N, H). Parameters: ``Wx`` (D, 3H), for each gate
    Xavier-uniform, ``Wh`` (H, 3H), for each gate orthogonal, ``bx`` and ``bh`` (3H,), zero. (PyTorch's are uniform, see
    :class:`RNN`.) Options and errors are those of :class:`RNN`.

    >>> layer = GRU(3, 4)
    >>> h, h_n = layer(np.ones((2, 5, 3), np.float32))
    >>> h.shape, h_n.shape
    ((2, 5, 4), (2, 4))
    """

    function, gates, biases = ops.gru, 3, ("bx", "bh")
    bx: Parameter
    bh: Parameter


class LSTM(_Recurrent):
    """Long short-term memory, with the gates i, f, o and the candidate g side by side in that order:

    (i, f, o, g) = x_t Wx + h_(t-1) Wh + b;  c_t = sigma(f) c_(t-1) + sigma(i) tanh(g);
    h_t = sigma(o) tanh(c_t)   (Hochreiter and Schmidhuber, 1997; Gers et al., 2000).

    The call ``layer(x, state=None, lengths=None, indices=None)`` takes x (N, T, D) and optionally the state ``(h0,
    c0)``, each (N, H), by default zeros (c0 may be None). It returns all h (N, T, H) and ``(h_n, c_n)``, each (N, H).
    Parameters: ``Wx`` (D, 4H), for each gate Xavier-uniform, ``Wh`` (H, 4H), for each gate orthogonal, ``b`` (4H,),
    zero except for the forget gate, where it is ``forget_bias``: a memory that starts open learns long dependencies
    (Jozefowicz et al., 2015). (PyTorch's are uniform, including biases, see :class:`RNN`.) All other options are those
    of :class:`RNN`; with ``lengths``, ``(h_n, c_n)`` is the state after each sequence's own last step.

    Raises:
        ValueError: if x is not (N, T, D), or with indices not (U, D), if h0 or c0 is not (N, H), if the state is not a
            pair, or if lengths or indices do not fit.
        IndexError: if an index is out of range. TypeError: if indices are not integers.

    >>> import minigrad as mg
    >>> layer = LSTM(3, 4)
    >>> h, (h_n, c_n) = layer(mg.tensor(np.ones((2, 5, 3), np.float32)))
    >>> h.shape, h_n.shape, c_n.shape
    ((2, 5, 4), (2, 4), (2, 4))
    >>> h, (h_n, c_n) = layer(mg.tensor(np.ones((2, 5, 3), np.float32)), lengths=[5, 0])
    >>> bool((h_n.data[0] == h.data[0, 4]).all()), bool(h_n.data[1].any())
    (True, False)
    """

    function, gates = ops.lstm, 4
    b: Parameter

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, *, forget_bias: float = 1.0,
        dropout: float = 0.0, bidirectional: bool = False, dtype: Any = None, rng: Any = None,
        initial: Initial | None = None,
    ) -> None:  # fmt: skip
        if not isinstance(forget_bias, (int, float, np.number)):
            raise TypeError(f"LSTM: forget_bias must be a number, not {type(forget_bias).__name__}")
        super().__init__(
            input_size, hidden_size, num_layers, dropout=dropout, bidirectional=bidirectional, dtype=dtype, rng=rng,
            initial=initial,
        )  # fmt: skip
        for _, ending in self._endings():
            getattr(self, "b" + ending).data[hidden_size : 2 * hidden_size] = forget_bias

    def forward(
        self, x: Any, state: Any = None, lengths: Any = None, indices: Any = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return all h (N, T, H), and the pair of last states (h_n, c_n), each (N, H)."""
        if state is not None and not (isinstance(state, (tuple, list)) and len(state) == 2):
            raise ValueError("LSTM: the state must be a pair (h0, c0), each (N, H)")
        h, (h_n, c_n) = self._run(x, [None, None] if state is None else list(state), lengths, indices)
        return h, (h_n, c_n)
