"""Convert a module's weights from and to a ``state_dict`` of PyTorch.

Most weights have the same name and layout in both: convolutions, embeddings, norms, and the user's own parameters. The
table :data:`LAYOUTS` lists the classes of modules whose weights differ:

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

Add your own class if its weights differ:

>>> from minigrad import nn
>>> class Turned(nn.Module):
...     def __init__(self):
...         self.kernel = nn.Parameter(np.zeros((2, 3)))
>>> LAYOUTS[Turned] = lambda module: [transposed("kernel", "weight")]
>>> list(to_torch(Turned(), tensors=False))
['weight']
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np

from ..core import Tensor
from ..nn import GRU, LSTM, RNN, Buffer, Linear, LoadReport, Module, MultiHeadAttention, Parameter
from ..nn.module import submodules, walk
from ..runtime.extras import require
from ..spec import Array, as_array, describe

__all__ = ["LAYOUTS", "Correspondence", "load_torch", "to_torch", "transposed"]


@dataclass(frozen=True)
class Correspondence:
    """A weight of a module and the corresponding weights of its PyTorch twin.

    Args:
        ours: the name of the module's own parameter or buffer.
        theirs: the names in the twin's state, without the names of the modules that contain it.
        load: converts their arrays to ours.
        store: converts our array to theirs; ``load(*store(array))`` returns the same array, bit for bit.
        optional: whether they may be missing from a state.
    """

    ours: str
    theirs: tuple[str, ...]
    load: Callable[..., Array] = field(default=lambda array: array, repr=False)
    store: Callable[[Array], tuple[Array, ...]] = field(default=lambda array: (array,), repr=False)
    optional: bool = field(default=False, repr=False)


def load_torch(module: Module, state: Mapping[str, Any], strict: bool = True) -> LoadReport:
    """Load the weights of a module's PyTorch twin into the module, in place: all of them, or none.

    Both consist of the same layers under the same names: a ``Sequential``, or your own module with the same attribute
    names. Weights of another layout (:data:`LAYOUTS`) are converted, and two biases that are always added become one.

    A tied weight may appear in the state under several names, if its values are equal.

    Args:
        state: PyTorch's tensors, or arrays as :func:`minigrad.interop.read_torch` returns them, by PyTorch's names;
            each of the twin's shape. As in PyTorch, floats are rounded to the module's dtype, and integers converted to
            its integers.
        strict: also raise for missing and unexpected names; values that do not fit always raise.

    Returns:
        PyTorch's names that were not loaded, as ``(missing, unexpected)``; both empty if ``strict``. A weight that
        combines several is loaded only if all of them are present.

    Raises:
        ValueError: names every missing, unexpected and misshaped entry, and those that differ although the module
            shares one weight under several names; nothing is written.
        TypeError: if the state is not a mapping, or the module is not a minigrad module.

    >>> from minigrad import nn
    >>> layer = nn.Linear(2, 3)
    >>> load_torch(layer, {"weight": np.arange(6.0).reshape(3, 2), "bias": np.zeros(3)})
    LoadReport(missing=[], unexpected=[])
    >>> layer.weight.data
    array([[0., 2., 4.],
           [1., 3., 5.]], dtype=float32)
    >>> load_torch(layer, {"weight": np.zeros((2, 3)), "scale": np.ones(3)})
    Traceback (most recent call last):
    ValueError: load_torch: nothing was loaded into Linear:
      bias is missing
      scale is unexpected
      weight must be (3, 2), but is float64 (2, 3)
    """
    if not isinstance(state, Mapping):
        advice = ": pass its .state_dict()" if hasattr(state, "state_dict") else ""
        raise TypeError(f"load_torch: the state must map names to tensors, not be {describe(state)}{advice}")
    names = _names("load_torch", module)
    loaded: dict[str, Array] = {}
    missing: list[str] = []
    complaints: list[str] = []
    known: set[str] = set()
    sources: dict[str, str] = {}
    misfits: list[tuple[str, str, str]] = []

    def differ(source: str, first: str) -> None:
        complaints.append(f"{source} differs from {first}, but {type(module).__name__} shares one weight for both")

    for tensor, theirs, found in _all(module):
        name, source = names[id(tensor)], " and ".join(theirs)
        known.update(theirs)
        lacking = [key for key in theirs if key not in state]
        if lacking:
            missing += [] if found.optional else lacking
            continue
        try:
            templates = zip(theirs, found.store(tensor.data), strict=True)
            array = found.load(*(_fitting(key, state[key], template) for key, template in templates))
        except ValueError as error:
            misfits.append((name, theirs[0], str(error)))
            continue
        if not np.array_equal(loaded.setdefault(name, array), array, equal_nan=True):
            differ(source, sources[name])
        sources.setdefault(name, source)
    for name, source, complaint in misfits:
        first = sources.get(name)  # set if a tied weight was already loaded under another name
        if first is None:
            complaints.append(complaint)
        elif not _same_matrix(state, source, first):
            differ(source, first)
    others = [name for name in state if name not in known]
    unexpected = [name for name in others if not any(_same_matrix(state, name, tied) for tied in known)]
    if strict:
        complaints = [f"{n} is missing" for n in missing] + [_unexpected(n, state[n]) for n in unexpected] + complaints
    if complaints:
        what = f"load_torch: nothing was loaded into {type(module).__name__}:"
        raise ValueError("\n  ".join([what, *complaints]))
    module.load_state_dict(loaded, strict=False)
    return LoadReport(missing, unexpected)


def to_torch(module: Module, *, tensors: bool = True) -> dict[str, Any]:
    """Return copies of a module's weights as a ``state_dict`` that its PyTorch twin can load.

    If PyTorch has two biases for one, the second is 0. :func:`load_torch` restores the same weights bit for bit.

    Args:
        tensors: whether to return PyTorch's tensors, which its ``load_state_dict`` needs. If false, return ndarrays,
            which need no PyTorch; :func:`minigrad.save` writes them to files that PyTorch programs can read.

    Raises:
        ModuleNotFoundError: if PyTorch is not installed and tensors are wanted; says how to install it.
        ValueError: if two weights would have the same name.
        TypeError: if it is not a minigrad module, or as ``state_dict`` does.

    >>> from minigrad import nn
    >>> state = to_torch(nn.LSTM(2, 3), tensors=False)
    >>> {name: array.shape for name, array in state.items()}
    {'weight_ih_l0': (12, 2), 'weight_hh_l0': (12, 3), 'bias_ih_l0': (12,), 'bias_hh_l0': (12,)}
    """
    torch = require("torch") if tensors else None
    _names("to_torch", module)
    state: dict[str, Any] = {}
    for tensor, theirs, found in _all(module):
        for name, array in zip(theirs, found.store(tensor.data), strict=True):
            if name in state:
                raise ValueError(f"to_torch: two weights of {type(module).__name__} would have the name {name}")
            copy = np.array(array, order="C")
            state[name] = copy if torch is None else torch.from_numpy(copy)
    return state


def _names(caller: str, module: Any) -> dict[int, str]:
    """Return the name of each parameter and buffer, by its identity; raise if one would be lost (see ``Module``)."""
    if not isinstance(module, Module):
        raise TypeError(f"{caller}: the module must be one of minigrad.nn, not {describe(module)}")
    return {id(tensor): name for name, tensor in chain(module.named_parameters(), module.named_buffers())}


def _all(module: Module) -> Iterator[tuple[Tensor, list[str], Correspondence]]:
    """Iterate over all weights, each with its full names in PyTorch and its correspondence.

    A module with two names comes twice, because PyTorch's states have it under both names.
    """
    stack: list[tuple[str, Module, tuple[int, ...]]] = [("", module, ())]
    while stack:
        prefix, owner, above = stack.pop()
        if id(owner) in above:  # a reference back to a parent
            continue
        held = _weights(owner)
        for found in _correspondences(owner, held):
            yield held[found.ours], [prefix + name for name in found.theirs], found
        path = (*above, id(owner))
        stack.extend((f"{prefix}{name}.", child, path) for name, child in reversed(list(submodules(owner))))


def _fitting(name: str, value: Any, template: Array) -> Array:
    """Return an entry of a state as an array of the template's shape and dtype; raise if it does not fit."""
    try:
        array = _plain(value)
    except (TypeError, ValueError, RuntimeError) as error:  # PyTorch has each of them, for sparse tensors and others
        raise ValueError(f"{name}: {error}") from None
    if array.shape != template.shape:
        raise ValueError(f"{name} must be {template.shape}, but is {describe(array)}")
    if (array.dtype.kind == "f") != (template.dtype.kind == "f"):
        raise ValueError(f"{name} must be {template.dtype}, but is {describe(array)}")
    with np.errstate(over="ignore"):  # a float beyond the dtype becomes infinite, as in PyTorch
        return array.astype(template.dtype)


def _same_matrix(state: Mapping[str, Any], name: str, other: str) -> bool:
    """Return whether two entries are the same matrix, as for tied weights; zero matrices do not count."""
    a: Any = state.get(name)
    b: Any = state.get(other)
    try:
        if len(np.shape(a)) < 2 or np.shape(a) != np.shape(b) or not np.array_equal(_plain(a[:1]), _plain(b[:1])):
            return False  # the first row tells almost all others apart
        matrix = _plain(a)
        return bool((matrix != matrix.flat[0]).any()) and np.array_equal(matrix, _plain(b))
    except (TypeError, ValueError, RuntimeError):
        return False


def _plain(value: Any) -> Array:
    """Return the entries of a tensor of either framework, or of an array; bfloat16 becomes float32."""
    if isinstance(value, Tensor):
        return value.data
    if isinstance(value, Mapping):
        raise TypeError("it is a dict, not a tensor")
    if hasattr(value, "detach"):
        tensor = value.detach().cpu()
        value = (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
    return as_array(value, rounded=False)


def _unexpected(name: str, value: Any) -> str:
    """Return a complaint about a name; for a whole checkpoint, also the key of its weights."""
    inside = isinstance(value, Mapping) and value and all(hasattr(entry, "shape") for entry in value.values())
    return f"{name} is unexpected" + (f"; it is a dict of tensors: pass state[{name!r}]" if inside else "")


# --- layouts -------------------------------------------------------------------------------------------


def transposed(ours: str, theirs: str) -> Correspondence:
    """Return the correspondence of a matrix whose twin is its transpose."""
    return Correspondence(ours, (theirs,), lambda a: a.T, lambda a: (a.T,))


def _recurrent(module: Any, order: tuple[int, ...]) -> list[Correspondence]:
    """All layers and directions; ``order`` lists PyTorch's place of each of our gates."""
    back = tuple(np.argsort(order).tolist())
    found = []
    for layer in range(module.num_layers):
        for ending in ("", "_reverse")[: 1 + module.bidirectional]:
            ours, theirs = (f"_l{layer}" if layer else "") + ending, f"_l{layer}{ending}"
            found += [
                Correspondence(
                    w + ours, (t + theirs,), lambda a: _ordered(a, order).T, lambda a: (_ordered(a.T, back),)
                )
                for w, t in (("Wx", "weight_ih"), ("Wh", "weight_hh"))
            ]
            biases = f"bias_ih{theirs}", f"bias_hh{theirs}"
            if len(module.biases) == 2:
                found += [Correspondence(b + ours, (t,)) for b, t in zip(module.biases, biases, strict=True)]
            else:  # one bias for two that are added: load their sum, and store zeros for the second
                found += [
                    Correspondence(
                        f"b{ours}", biases,
                        lambda a, b: _ordered(np.where(b == 0, a, a + b), order),  # a + 0 would lose the sign of a = -0
                        lambda a: (_ordered(a, back), np.zeros_like(a)),
                    )
                ]  # fmt: skip
    return found


def _ordered(array: Array, order: tuple[int, ...]) -> Array:
    """Return the blocks of the first axis in another order. (Concatenated, they keep the array's order in memory.)

    >>> _ordered(np.arange(8), (0, 1, 3, 2))
    array([0, 1, 2, 3, 6, 7, 4, 5])
    """
    blocks = np.split(array, len(order))
    return np.concatenate([blocks[gate] for gate in order])


_PROJECTIONS = "in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"
LAYOUTS: dict[type[Module], Callable[[Any], list[Correspondence]]] = {
    Linear: lambda module: [transposed("weight", "weight")],
    MultiHeadAttention: lambda module: [transposed(name, name) for name in _PROJECTIONS],
    RNN: lambda module: _recurrent(module, (0,)),
    GRU: lambda module: _recurrent(module, (0, 1, 2)),
    LSTM: lambda module: _recurrent(module, (0, 1, 3, 2)),  # i f o g, of i f g o
}
"""By class: a function that lists the weights of a module that have another name or layout in PyTorch."""


def _correspondences(module: Module, held: Mapping[str, Any]) -> list[Correspondence]:
    """List how the weights that a module itself holds correspond to PyTorch's, in order.

    >>> from minigrad import nn
    >>> layer = nn.LSTM(2, 3)
    >>> for found in _correspondences(layer, _weights(layer)):
    ...     print(found.ours, found.theirs)
    Wx ('weight_ih_l0',)
    Wh ('weight_hh_l0',)
    b ('bias_ih_l0', 'bias_hh_l0')
    """
    layout = next((LAYOUTS[kind] for kind in type(module).__mro__ if kind in LAYOUTS), lambda module: [])
    special = {found.ours: found for found in layout(module)}
    # States from before PyTorch 0.4.1 have no count of batches, and PyTorch loads them too.
    same = {name: Correspondence(name, (name,), optional=name == "num_batches_tracked") for name in held}
    return [(same | special)[name] for name in held]


def _weights(module: Module) -> dict[str, Parameter | Buffer]:
    """Return the parameters and persistent buffers that a module holds itself, also in lists and dicts, by name."""
    named: dict[str, Parameter | Buffer] = {}
    for attribute, value in vars(module).items():
        for name, entry, hiding in walk(attribute, value):
            if hiding is None and isinstance(entry, (Parameter, Buffer)) and getattr(entry, "persistent", True):
                if name in named:  # only possible with dots as keys of a dict
                    raise ValueError(f"{type(module).__name__}: two weights have the name {name}")
                named[name] = entry
    return named
