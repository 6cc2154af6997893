"""A module's weights from a ``state_dict`` of PyTorch, and as one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np

from ..core import Tensor
from ..nn import Buffer, LoadReport, Module, Parameter
from ..nn.module import submodules
from ..runtime.extras import require
from ..spec import Array, as_array, describe
from .layouts import Correspondence, correspondences, weights

__all__ = ["load_torch", "to_torch"]


def load_torch(module: Module, state: Mapping[str, Any], strict: bool = True) -> LoadReport:
    """Write the weights of a module's twin in PyTorch into the module, in place: all of them, or none.

    Both are made of the same layers under the same names: a ``Sequential``, or a module of one's own whose attributes
    are called as there. Weights that lie otherwise in PyTorch (:mod:`minigrad.interop.layouts`) are turned and ordered,
    and two biases that are always added become one.

    A tied weight may appear in the state under further names, if its values are equal.

    Args:
        state: PyTorch's tensors, or arrays as :func:`minigrad.interop.read_torch` gives them, by PyTorch's names; each
            of the shape that the twin has. As by PyTorch, floats are rounded to the module's dtype, and integers
            converted to its integers.
        strict: refuse missing and unexpected names too; what does not fit is always refused.

    Returns:
        the names left out, those of PyTorch, as ``(missing, unexpected)``; both empty if ``strict``. A weight that is
        made of several is left out unless all of them are there.

    Raises:
        ValueError: names every missing, unexpected and misshaped entry, and those that differ where the module has one
            weight under several names; nothing has been written.
        TypeError: if the state is no mapping, or the module none of :mod:`minigrad.nn`.

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
      weight must be (3, 2), it is float64 (2, 3)
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
    for prefix, held, found in _all(module):
        theirs = [prefix + name for name in found.theirs]
        known.update(theirs)
        lacking = [name for name in theirs if name not in state]
        if lacking:
            missing += [] if found.optional else lacking
            continue
        tensors = [held[name] for name in found.ours]
        templates = found.store(*(tensor.data for tensor in tensors))
        try:
            arrays = [_fitting(n, state[n], template) for n, template in zip(theirs, templates, strict=True)]
        except ValueError as error:
            misfits.append((names[id(tensors[0])], theirs[0], str(error)))
            continue
        for tensor, array in zip(tensors, found.load(*arrays), strict=True):
            name, source = names[id(tensor)], " and ".join(theirs)
            if not np.array_equal(loaded.setdefault(name, array), array, equal_nan=True):
                complaints.append(f"{source} differs from {sources[name]}, and {type(module).__name__} has one of both")
            sources.setdefault(name, source)
    for name, source, complaint in misfits:
        first = sources.get(name)  # set if another name of a tied weight was loaded
        if first is None:
            complaints.append(complaint)
        elif not _same_matrix(state, source, first):
            complaints.append(f"{source} differs from {first}, and {type(module).__name__} has one of both")
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
    """Copies of a module's weights as the ``state_dict`` of its twin in PyTorch, which loads it.

    Where PyTorch has two biases for one, the second is 0. What :func:`load_torch` makes of it are the same weights, to
    the bit.

    Args:
        tensors: PyTorch's tensors, which its ``load_state_dict`` wants; false for ndarrays, without PyTorch, which
            :func:`minigrad.save` writes for PyTorch's programs to read.

    Raises:
        ModuleNotFoundError: if PyTorch is not installed and tensors are wanted; says how to install it.
        ValueError: if two weights would have the same name.
        TypeError: if it is no module of :mod:`minigrad.nn`; or as ``state_dict`` does.

    >>> from minigrad import nn
    >>> state = to_torch(nn.LSTM(2, 3), tensors=False)
    >>> {name: array.shape for name, array in state.items()}
    {'weight_ih_l0': (12, 2), 'weight_hh_l0': (12, 3), 'bias_ih_l0': (12,), 'bias_hh_l0': (12,)}
    """
    torch = require("torch", "peers") if tensors else None
    _names("to_torch", module)
    state: dict[str, Any] = {}
    for prefix, held, found in _all(module):
        arrays = found.store(*(held[name].data for name in found.ours))
        for name, array in zip(found.theirs, arrays, strict=True):
            if prefix + name in state:
                raise ValueError(
                    f"to_torch: two weights of {type(module).__name__} would have the name {prefix + name}"
                )
            copy = np.array(array, order="C")
            state[prefix + name] = copy if torch is None else torch.from_numpy(copy)
    return state


def _names(caller: str, module: Any) -> dict[int, str]:
    """The name of each parameter and buffer, by its identity; raises where one would be lost (see ``Module``)."""
    if not isinstance(module, Module):
        raise TypeError(f"{caller}: the module must be one of minigrad.nn, not {describe(module)}")
    return {id(tensor): name for name, tensor in chain(module.named_parameters(), module.named_buffers())}


def _all(module: Module) -> Iterator[tuple[str, dict[str, Parameter | Buffer], Correspondence]]:
    """All correspondences, each with what its names begin with and the weights of its module.

    A module that is held twice comes twice, since PyTorch's states have it under both names.
    """
    stack: list[tuple[str, Module, tuple[int, ...]]] = [("", module, ())]
    while stack:
        prefix, owner, above = stack.pop()
        if id(owner) in above:  # a reference back to a parent
            continue
        held = weights(owner)
        for found in correspondences(owner):
            yield prefix, held, found
        path = (*above, id(owner))
        stack.extend((f"{prefix}{name}.", child, path) for name, child in reversed(list(submodules(owner))))


def _fitting(name: str, value: Any, template: Array) -> Array:
    """An entry of a state as an array of the template's shape and dtype; a ValueError if it does not fit."""
    try:
        array = _plain(value)
    except (TypeError, ValueError, RuntimeError) as error:  # PyTorch has each of them, for sparse tensors and others
        raise ValueError(f"{name}: {error}") from None
    if array.shape != template.shape:
        raise ValueError(f"{name} must be {template.shape}, it is {describe(array)}")
    if (array.dtype.kind == "f") != (template.dtype.kind == "f"):
        raise ValueError(f"{name} must be {template.dtype}, it is {describe(array)}")
    with np.errstate(over="ignore"):  # a float beyond the dtype becomes infinite, as in PyTorch
        return array.astype(template.dtype)


def _same_matrix(state: Mapping[str, Any], name: str, other: str) -> bool:
    """Whether two entries are the same matrix, as a tied weight is under its second name; matrices of zeros are not."""
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
    """The numbers of a tensor of either framework, or of an array; bfloat16 becomes float32."""
    if isinstance(value, Tensor):
        return value.data
    if isinstance(value, Mapping):
        raise TypeError("it is no tensor but a dict")
    if hasattr(value, "detach"):
        tensor = value.detach().cpu()
        value = (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
    return as_array(value, rounded=False)


def _unexpected(name: str, value: Any) -> str:
    """A complaint about a name; of a whole checkpoint also where its weights will be."""
    inside = isinstance(value, Mapping) and value and all(hasattr(entry, "shape") for entry in value.values())
    return f"{name} is unexpected" + (f"; it is a dict of tensors: pass state[{name!r}]" if inside else "")
