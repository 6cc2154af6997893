"""How a module's weights lie in PyTorch's state of its twin: under which names, and turned or ordered how.

Most weights have the same name and the same layout in both: convolutions, embeddings, norms, and whatever a user's own
module holds. What differs is said here, a function for each class of modules:

==========  =============================================  ============================================================
module      minigrad                                       PyTorch
==========  =============================================  ============================================================
Linear      ``weight`` (in, out)                           ``weight`` (out, in)
RNN, LSTM   ``Wx`` (D, gates H), ``Wh`` (H, gates H)       ``weight_ih_l0`` and ``weight_hh_l0``, transposed
..          ``b`` (gates H,)                               ``bias_ih_l0`` + ``bias_hh_l0``, which are always added
LSTM        gates i f o g                                  gates i f g o
GRU         ``bx``, ``bh``; gates r z n                    ``bias_ih_l0``, ``bias_hh_l0``; gates r z n
..          ``Wx_l1``, ``Wx_reverse``                      ``weight_ih_l1``, ``weight_ih_l0_reverse``
attention   ``in_proj_weight`` (E, 3E), or one for each    the same names, transposed
            of q, k, v
==========  =============================================  ============================================================

A class of one's own that differs takes a place beside these:

>>> from minigrad import nn
>>> class Turned(nn.Module):
...     def __init__(self):
...         self.kernel = nn.Parameter(np.zeros((2, 3)))
>>> @layout(Turned)
... def _(module):
...     return [transposed("kernel", "weight")]
>>> correspondences(Turned())
[Correspondence(ours=('kernel',), theirs=('weight',))]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..nn import GRU, LSTM, RNN, Buffer, Linear, Module, MultiHeadAttention, Parameter
from ..nn.module import walk
from ..spec import Array

__all__ = ["Correspondence", "correspondences", "layout", "transposed", "weights"]

Arrays = tuple[Array, ...]


def _same(*arrays: Array) -> Arrays:
    return arrays


@dataclass(frozen=True)
class Correspondence:
    """Weights of a module that are made of weights of its twin, and the other way round.

    Args:
        ours: the names of the module's own parameters and buffers.
        theirs: the names in the twin's state, without those of the modules around it.
        load: our arrays of theirs.
        store: their arrays of ours; ``load(*store(*arrays))`` gives the same arrays, to the bit.
        optional: whether a state may lack them, as those from before PyTorch had them.
    """

    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    load: Callable[..., Arrays] = field(default=_same, repr=False)
    store: Callable[..., Arrays] = field(default=_same, repr=False)
    optional: bool = field(default=False, repr=False)


Layout = Callable[[Any], list[Correspondence]]
_LAYOUTS: dict[type[Module], Layout] = {}


def layout(kind: type[Module]) -> Callable[[Layout], Layout]:
    """Declare a function that lists which weights of a class's modules have another name or layout in PyTorch."""

    def declare(function: Layout) -> Layout:
        _LAYOUTS[kind] = function
        return function

    return declare


def correspondences(module: Module) -> list[Correspondence]:
    """Of what a module holds itself: what its class or the next one above says of it, and all else as it is.

    >>> from minigrad import nn
    >>> for found in correspondences(nn.LSTM(2, 3)):
    ...     print(found.ours, found.theirs)
    ('Wx',) ('weight_ih_l0',)
    ('Wh',) ('weight_hh_l0',)
    ('b',) ('bias_ih_l0', 'bias_hh_l0')
    """
    declared = next((_LAYOUTS[kind] for kind in type(module).__mro__ if kind in _LAYOUTS), None)
    special = declared(module) if declared else []
    first = {found.ours[0]: found for found in special}
    covered = {name for found in special for name in found.ours}
    rest = {name: Correspondence((name,), (name,)) for name in weights(module) if name not in covered}
    rest |= {name: _COUNT for name in rest if name == "num_batches_tracked"}
    return [(first | rest)[name] for name in weights(module) if name in first or name in rest]


def weights(module: Module) -> dict[str, Parameter | Buffer]:
    """The parameters and persistent buffers that a module holds itself, also in lists and dicts, by name.

    Raises:
        ValueError: if two of them have the same name.

    >>> from minigrad import nn
    >>> list(weights(nn.Linear(2, 3)))
    ['weight', 'bias']
    """
    named: dict[str, Parameter | Buffer] = {}
    for attribute, value in vars(module).items():
        for name, entry, hiding in walk(attribute, value):
            held = isinstance(entry, (Parameter, Buffer)) and hiding is None
            if not held or not getattr(entry, "persistent", True):
                continue
            if name in named:  # only possible with dots as keys of a dict
                raise ValueError(f"{type(module).__name__}: two weights have the name {name}")
            named[name] = entry
    return named


_COUNT = Correspondence(("num_batches_tracked",), ("num_batches_tracked",), optional=True)
"""Of batch norms; states from before PyTorch 0.4.1 have none, and PyTorch too loads them without."""


def transposed(ours: str, theirs: str) -> Correspondence:
    """A matrix that is the other one's transpose."""
    return Correspondence((ours,), (theirs,), lambda a: (a.T,), lambda a: (a.T,))


@layout(MultiHeadAttention)
def _(module: MultiHeadAttention) -> list[Correspondence]:
    names = "in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"
    return [transposed(name, name) for name in names]


@layout(Linear)
def _(module: Linear) -> list[Correspondence]:
    return [transposed("weight", "weight")]


def _recurrent(module: Any, order: tuple[int, ...]) -> list[Correspondence]:
    """All layers and directions; ``order`` says at which place PyTorch has each of our gates."""
    found = []
    back = tuple(order.index(gate) for gate in range(len(order)))
    for layer in range(module.num_layers):
        for ending in ("", "_reverse")[: 1 + module.bidirectional]:
            ours, theirs = (f"_l{layer}" if layer else "") + ending, f"_l{layer}{ending}"
            found += [_gates(f"W{x}{ours}", f"weight_{x}h{theirs}".replace("_x", "_i"), order, back) for x in "xh"]
            biases = f"bias_ih{theirs}", f"bias_hh{theirs}"
            if len(module.biases) == 2:
                found += [Correspondence((b + ours,), (t,)) for b, t in zip(module.biases, biases, strict=True)]
            else:
                found.append(_sum_of_biases(f"b{ours}", biases, order, back))
    return found


def _ordered(array: Array, order: tuple[int, ...]) -> Array:
    """The blocks of the first axis in another order. (Concatenated, they keep the array's order in memory.)

    >>> _ordered(np.arange(8), (0, 1, 3, 2))
    array([0, 1, 2, 3, 6, 7, 4, 5])
    """
    blocks = np.split(array, len(order))
    return np.concatenate([blocks[gate] for gate in order])


def _gates(ours: str, theirs: str, order: tuple[int, ...], back: tuple[int, ...]) -> Correspondence:
    """A weight whose gates lie side by side, of which PyTorch has the transpose."""
    return Correspondence((ours,), (theirs,), lambda a: (_ordered(a, order).T,), lambda a: (_ordered(a.T, back),))


def _sum_of_biases(ours: str, theirs: tuple[str, str], order: tuple[int, ...], back: tuple[int, ...]) -> Correspondence:
    """One bias for two that are added: loaded as their sum, stored as itself and zeros."""

    def load(a: Array, b: Array) -> Arrays:
        return (_ordered(np.where(b == 0, a, a + b), order),)  # a + 0 would lose the sign of a -0

    def store(a: Array) -> Arrays:
        return _ordered(a, back), np.zeros_like(a)

    return Correspondence((ours,), theirs, load, store)


@layout(RNN)
def _(module: RNN) -> list[Correspondence]:
    return _recurrent(module, (0,))


@layout(GRU)
def _(module: GRU) -> list[Correspondence]:
    return _recurrent(module, (0, 1, 2))


@layout(LSTM)
def _(module: LSTM) -> list[Correspondence]:
    return _recurrent(module, (0, 1, 3, 2))  # i f o g, of i f g o
