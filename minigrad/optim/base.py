"""What all optimisers share, and gradient clipping.

An optimiser writes into the arrays of its parameters, never replaces them, and keeps what it remembers in
their dtype. Parameters of half precision are the exception: squares of gradients leave its range (1e-4 becomes 0, 300
infinite), and small steps add up only where they are not rounded. So what is remembered of them is of single
precision, each step is computed in it, and rounded once, into the parameter.

It works through large parameters in blocks of 128K entries, so that the five or so arrays of
one update stay in the processor's cache while a dozen NumPy calls pass over them; the threads share the blocks.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.lib.array_utils import byte_bounds

from ..core import Leaf, Tensor, plain
from ..overwrites import written
from ..runtime.contexts import errstate
from ..runtime.threads import run_in_parallel
from ..spec import Array, DType, Spec, as_array, describe

__all__ = ["Optimizer", "clip_grad_norm"]

_BLOCK = 131072  # entries; 256K and 512K take as long, 64K and fewer longer, on one thread and on two


class _Scratch(threading.local):
    """A block for each purpose and dtype; each thread has its own."""

    def __init__(self) -> None:
        self.arrays: dict[tuple[int, Any], Array] = {}


_scratch = _Scratch()


def _tensors(caller: str, params: Iterable[Tensor]) -> list[Tensor]:
    """The parameters as a list, each once; leaves of a floating dtype, or constants (frozen ones)."""
    if isinstance(params, Tensor):
        raise TypeError(f"{caller}: params must be an iterable of tensors, not one tensor: pass [tensor]")
    if not isinstance(params, Iterable):
        raise TypeError(f"{caller}: params must be an iterable of tensors, not {_advice(params)}")
    unique = list({id(p): p for p in params}.values())
    for i, p in enumerate(unique):
        if not isinstance(p, Tensor):
            raise TypeError(f"{caller}: parameter {i} must be a Tensor, not {type(p).__name__}")
        if p.node is not None and not isinstance(p.node, Leaf):
            raise ValueError(f"{caller}: parameter {i} ({describe(p)}) is the result of an operation, not a leaf")
        if p.node is not None and (p.node.shape, p.node.dtype) != (p.shape, p.dtype):
            raise TypeError(
                f"{caller}: parameter {i} is {p.node.dtype} {p.node.shape}, its .data was replaced by {describe(p)}: "
                "write into .data, or make a new parameter"
            )
        if p.dtype.kind != "f":
            raise TypeError(f"{caller}: parameter {i} must be of a floating dtype, not {describe(p)}")
    return unique


def _advice(params: Any) -> str:
    """What was given for parameters, and what was meant."""
    if hasattr(params, "parameters"):
        return f"a {type(params).__name__}: pass its .parameters()"
    return f"a {type(params).__name__}: call it" if callable(params) else describe(params)


def as_number(caller: str, name: str, value: Any) -> float:
    """A float of a number, or of a 0-d array or tensor; too large an integer becomes infinite.

    Raises:
        TypeError: if it is none: text is not read as a number.
    """
    single = isinstance(value, (np.ndarray, Tensor)) and value.ndim == 0 and value.dtype.kind in "biuf"
    if not (single or isinstance(value, (bool, int, float, np.number))) or isinstance(value, np.complexfloating):
        raise TypeError(f"{caller}: {name} must be a number, not {describe(value)}")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _precise(dtype: DType) -> DType:
    """The dtype in which the steps of a parameter are computed and remembered."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def _blocks(arrays: list[Array]) -> Iterator[list[Array]]:
    """Corresponding flat pieces of arrays of one shape; the whole arrays if they are not contiguous."""
    if not all(a.flags.c_contiguous for a in arrays):
        yield arrays
        return
    flat = [a.reshape(-1) for a in arrays]
    for start in range(0, flat[0].size, _BLOCK):
        yield [a[start : start + _BLOCK] for a in flat]


def _one_after_the_other(updates: list[Callable[[], None]]) -> None:
    for update in updates:
        update()


class Optimizer:
    """What all optimisers share: parameters, the learning rate ``lr``, and state by parameter.

    A subclass names its options and the arrays it keeps, and defines ``_update`` for one block.
    Options are attributes and may be changed between steps. A parameter that is listed twice counts once. State has
    the dtype of its parameter, but float32 for float16, whose steps are computed in float32 and rounded once.
    """

    _options: ClassVar[tuple[str, ...]] = ("lr", "weight_decay")
    _state_names: ClassVar[tuple[str, ...]] = ()  # one array of the parameter's shape for each name
    _squares: ClassVar[tuple[str, ...]] = ()  # those of them that are means of squares, and so never negative
    lr: float

    def __init__(self, params: Iterable[Tensor], **options: Any) -> None:
        self.params = _tensors(type(self).__name__, params)
        if not self.params:
            raise ValueError(f"{type(self).__name__}: there are no parameters")
        for name, value in options.items():
            self._check_option(name, value)
            setattr(self, name, self._as_numbers(name, value))
        self._specs: list[Spec] = [(p.shape, p.dtype) for p in self.params]
        self.steps: list[int] = [0] * len(self.params)  # how often each parameter was updated
        self.state: dict[str, list[Array]] = {
            name: [np.zeros(p.shape, _precise(p.dtype)) for p in self.params] for name in self._state_names
        }

    def _number(self, name: str, value: Any) -> float:
        return as_number(type(self).__name__, name, value)

    def _as_numbers(self, name: str, value: Any) -> Any:
        """An option as a float; the two ``betas`` as a tuple of them, and the flag ``nesterov`` as it is."""
        if name == "betas":
            return tuple(self._number(name, number) for number in value)
        return value if name == "nesterov" else self._number(name, value)

    def _check_option(self, name: str, value: Any) -> None:
        """Everything is finite and not negative; the decay rates of averages are below 1."""
        low_one = name in ("betas", "momentum", "alpha")
        numbers = tuple(self._number(name, number) for number in (value if isinstance(value, tuple) else (value,)))
        for number in numbers:
            if not (0 <= number < (1 if low_one else math.inf)):
                raise ValueError(
                    f"{type(self).__name__}: {name} must be {'in [0, 1)' if low_one else 'finite and at least 0'}, "
                    f"not {value}"
                )

    def _buffer(self, like: Array, number: int = 0) -> Array:
        """Scratch space of an array's shape and dtype; its content is whatever was left there."""
        if like.ndim != 1 or like.size > _BLOCK:
            return np.empty_like(like)
        key = (number, like.dtype)
        if key not in _scratch.arrays:
            _scratch.arrays[key] = np.empty(_BLOCK, like.dtype)
        return _scratch.arrays[key][: like.size]

    def _decayed(self, p: Array, g: Array, weight_decay: float) -> Array:
        """The gradient of the loss plus weight_decay/2 |p|^2, in scratch space 1 if there is a decay."""
        if not weight_decay:
            return g
        total = np.multiply(p, weight_decay, out=self._buffer(p, 1))
        total += g
        return total

    def _coefficients(self, t: int) -> tuple[float, ...]:
        """The numbers that an update needs at a parameter's t-th step (from 1)."""
        raise NotImplementedError

    def _update(self, coefficients: tuple[float, ...], p: Array, g: Array, *state: Array) -> None:
        """Change one block of a parameter, and of what is remembered of it, in place."""
        raise NotImplementedError

    def _update_in_single(self, coefficients: tuple[float, ...], p: Array, g: Array, *state: Array) -> None:
        """The same for a parameter and a gradient of half precision."""
        precise = p.astype(np.float32)
        self._update(coefficients, precise, g.astype(np.float32), *state)
        p[...] = precise

    def step(self) -> None:
        """Update every parameter that has a gradient, in place.

        If it is interrupted (Ctrl-C), some parameters, and blocks of large ones, have been updated and some have not.
        Every one that was touched has been counted in `steps`. Training can go on from there, though not as if nothing
        had happened: for that, go back to a state that was saved.

        Raises:
            TypeError: if ``.data`` of a parameter is no ndarray, or an option no number.
            ValueError: if an option has become impossible; if ``.data`` of a parameter was replaced by an array of
                another shape or dtype, or is read-only. Nothing has been written.
        """
        for name in self._options:
            self._check_option(name, getattr(self, name))
        found = [(i, p, plain(p.grad)) for i, p in enumerate(self.params) if p.grad is not None]
        for i, p, g in found:
            self._check_parameter(i, p, g)
        coefficients = [self._coefficients(self.steps[i] + 1) for i, _, _ in found]
        updates: list[Callable[[], None]] = []
        for (i, p, g), numbers in zip(found, coefficients, strict=True):
            self.steps[i] += 1
            blocks = _blocks([p.data, g, *(kept[i] for kept in self.state.values())])
            update = self._update if p.dtype != np.float16 else self._update_in_single
            updates += [partial(update, numbers, *block) for block in blocks]
        if sum(p.size for _, p, _ in found) < 2 * _BLOCK:  # too little to wake a thread for
            updates = [partial(_one_after_the_other, updates)]
        for _, p, _ in found:  # said first: an interrupt may end the updates, but cannot unsay it
            written(p.data)
        run_in_parallel(updates)

    def _check_parameter(self, i: int, p: Tensor, g: Array) -> None:
        """A parameter can be written into, and is what it was when the optimiser was made, as its gradient is."""
        name, (shape, dtype) = type(self).__name__, self._specs[i]
        if not isinstance(p.data, np.ndarray):
            raise TypeError(f"{name}: .data of parameter {i} must be an ndarray, not {type(p.data).__name__}")
        if p.data.shape != shape or p.data.dtype != dtype:
            raise ValueError(
                f"{name}: parameter {i} was {dtype} {shape} when the optimiser was made, its data is "
                f"{describe(p.data)} now: write into .data instead of replacing it"
            )
        if g.shape != shape or g.dtype != dtype:
            raise ValueError(f"{name}: parameter {i} is {dtype} {shape}, its gradient {describe(g)}")
        if not p.data.flags.writeable:
            raise ValueError(f"{name}: .data of parameter {i} ({describe(p)}) is read-only: replace it by a copy")

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for p in self.params:
            p.zero_grad()

    def state_dict(self) -> dict[str, Array]:
        """Copies of options, step counts and state as a flat dict of arrays, ready for :func:`minigrad.save`.

        >>> import minigrad as mg
        >>> list(mg.optim.SGD([mg.tensor([1.0], requires_grad=True)], lr=0.1, momentum=0.9).state_dict())
        ['lr', 'momentum', 'nesterov', 'weight_decay', 'step.0', 'velocity.0']
        """
        state = {name: np.array(getattr(self, name), np.float64) for name in self._options}
        for i, count in enumerate(self.steps):
            state[f"step.{i}"] = np.array(count, np.int64)
            state.update({f"{name}.{i}": arrays[i].copy() for name, arrays in self.state.items()})
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over options, step counts and state: all of them, or nothing.

        Raises:
            TypeError: if the state is no mapping.
            ValueError: names every missing, unexpected, misshaped or impossible entry: a mean of squares below 0, for
                example, or a state that is NaN, from which no step could come.
        """
        caller = f"{type(self).__name__}.load_state_dict"
        arrays = validated(type(self).__name__, self.state_dict(), state)
        options = {name: _as_option(caller, name, getattr(self, name), arrays[name]) for name in self._options}
        for name, value in options.items():
            self._check_option(name, value)
        for i in range(len(self.params)):
            if arrays[f"step.{i}"] < 0:
                raise ValueError(f"{caller}: step counts must not be negative, step.{i} is {arrays[f'step.{i}']}")
            for name in self.state:
                if np.isnan(arrays[f"{name}.{i}"]).any():
                    raise ValueError(f"{caller}: {name}.{i} has entries that are NaN")
                if name in self._squares and (arrays[f"{name}.{i}"] < 0).any():
                    raise ValueError(f"{caller}: {name}.{i} is a mean of squares and has entries below 0")
        for name, value in options.items():
            setattr(self, name, value)
        for i in range(len(self.params)):
            self.steps[i] = int(arrays[f"step.{i}"])
            for name, kept in self.state.items():
                kept[i][...] = arrays[f"{name}.{i}"]

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={getattr(self, name)}" for name in self._options)
        return f"{type(self).__name__}({len(self.params)} parameters, {options})"


def _as_option(caller: str, name: str, current: Any, value: Array) -> Any:
    """An option read from an array: a pair or a flag if it is one now, else a float."""
    if isinstance(current, tuple):
        return tuple(value.tolist())
    if isinstance(current, bool):
        if value not in (0, 1):
            raise ValueError(f"{caller}: {name} must be 0 or 1, not {value}")
        return bool(value)
    return float(value)


def validated(caller: str, expected: Mapping[str, Array], state: Mapping[str, Any]) -> dict[str, Array]:
    """Copies of a state's arrays in native byte order, which have the expected names, shapes and dtypes."""
    if not isinstance(state, Mapping):
        raise TypeError(f"{caller}.load_state_dict: the state must map names to arrays, not be {describe(state)}")
    complaints = [f"{name} is missing" for name in expected if name not in state]
    complaints += [f"{name} is unexpected" for name in state if name not in expected]
    arrays: dict[str, Array] = {}
    for name, like in expected.items():
        if name not in state:
            continue
        value = state[name]
        try:
            array = np.array(value.data if isinstance(value, Tensor) else _as_given(value))
        except (TypeError, ValueError) as error:
            complaints.append(f"{name}: {error}")
            continue
        arrays[name] = array = array.astype(array.dtype.newbyteorder("="), copy=False)
        if array.shape != like.shape or array.dtype != like.dtype:
            complaints.append(f"{name} is {describe(like)} here, {describe(array)} in the state")
    if complaints:
        raise ValueError("\n  ".join([f"{caller}.load_state_dict: nothing was loaded:", *complaints]))
    return arrays


def _as_given(value: Any) -> Array:
    """Numbers as NumPy reads them: Python floats are float64, as options are."""
    array = np.asarray(value)
    as_array(array)  # complains of anything but numbers
    return array


def clip_grad_norm(params: Iterable[Tensor], max_norm: float) -> float:
    """Scale all gradients together, in place, so that their joint Euclidean norm is at most ``max_norm``.

    Args:
        params: tensors; those without a gradient are skipped, repeated ones count once.
        max_norm: above 0; infinity measures and scales nothing.

    Returns:
        the norm before clipping, summed in float64. If it is not finite, nothing is scaled: no factor
        would help, and the caller can skip the step. An array that is the gradient of two parameters counts twice in
        the norm, since both will move by it, and is scaled once; so is memory in which gradients overlap.

    Raises:
        TypeError: if ``max_norm`` is no number, or ``params`` no iterable of tensors.
        ValueError: if ``max_norm`` is not above 0, or a gradient is read-only; nothing has been scaled.

    >>> import minigrad as mg
    >>> p = mg.tensor([0.0, 0.0], requires_grad=True)
    >>> p.grad = np.array([3.0, 4.0], np.float32)
    >>> clip_grad_norm([p], 1.0), p.grad.round(6)
    (5.0, array([0.6, 0.8], dtype=float32))
    """
    max_norm = as_number("clip_grad_norm", "max_norm", max_norm)
    if not max_norm > 0:
        raise ValueError(f"clip_grad_norm: max_norm must be above 0, not {max_norm}")
    tensors = _tensors("clip_grad_norm", params)
    for p in tensors:
        if isinstance(p.grad, Tensor):  # of a pass that left a graph, whose arrays must not be written into
            p.grad = p.grad.data.copy()
    for i, p in enumerate(tensors):
        if p.grad is not None and not p.grad.flags.writeable:
            raise ValueError(f"clip_grad_norm: the gradient of parameter {i} ({describe(p)}) is read-only")
    grads = list({id(p.grad): p.grad for p in tensors if p.grad is not None}.values())
    times = Counter(id(p.grad) for p in tensors if p.grad is not None)
    norms = {id(g): math.hypot(*(_norm(block) for (block,) in _blocks([g]))) for g in grads}
    norm = math.hypot(*(norms[key] * math.sqrt(count) for key, count in times.items()))
    if max_norm < norm < math.inf:
        for g in grads:
            written(g)
        for group in _overlapping(grads):
            if len(group) == 1:
                _scale(group[0], max_norm, norm)
                continue
            scaled = [g.copy() for g in group]  # of all, before any is written
            for g in scaled:
                _scale(g, max_norm, norm)
            for g, new in zip(group, scaled, strict=True):
                g[...] = new
    return norm


def _scale(g: Array, max_norm: float, norm: float) -> None:
    """g <- g max_norm / norm, in a wider dtype if g's own cannot hold the factor well (halves, and near 0)."""
    factor = max_norm / norm
    if g.dtype.itemsize > 2 and factor >= np.finfo(g.dtype).tiny:
        g *= factor
        return
    for (block,) in _blocks([g]):
        block[...] = block.astype(np.result_type(block, np.float64)) / norm * max_norm


def _overlapping(arrays: list[Array]) -> list[list[Array]]:
    """The arrays in groups whose stretches of memory touch no other group's; most groups are of one."""
    if all(a.base is None for a in arrays):  # different arrays with memory of their own
        return [[a] for a in arrays]
    spans = sorted(((*byte_bounds(a), i) for i, a in enumerate(arrays)), key=lambda span: span[:2])
    groups: list[list[Array]] = []
    reached = 0
    for begin, end, i in spans:
        if groups and begin < reached:
            groups[-1].append(arrays[i])
        else:
            groups.append([arrays[i]])
        reached = max(reached, end)
    return groups


def _norm(block: Array) -> float:
    """The Euclidean norm in float64, scaled first if squares would overflow or vanish."""
    wide = block.astype(np.float64).reshape(-1)
    with errstate(over="ignore", under="ignore", invalid="ignore"):
        norm = math.sqrt(wide @ wide)
        if norm < 1e-150 or norm == math.inf:
            largest = float(np.abs(wide).max(initial=0.0))
            if largest == 0 or not math.isfinite(largest):
                return largest
            wide /= largest
            norm = largest * math.sqrt(wide @ wide)
    return norm
