"""The base class of optimisers: parameter groups with options, steps, and state.

An optimiser writes into the arrays of its parameters and never replaces them. It keeps its state in the dtype of the
parameter, except for half precision, where squares of gradients underflow or overflow and small steps get lost. The
state of a half-precision parameter is float32. Its steps are computed in float32 and rounded once, into the parameter.

A step does a dozen NumPy calls, which take longer than their work on a small array. So a step copies the small
parameters of a group and their gradients into one array each, updates that, and copies the parameters back. Their state
is kept as views of one array. The formulas are elementwise, so NumPy computes the same bits as for each alone.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np

from ..compiler import worth_compiling
from ..core import Leaf, Tensor, plain
from ..nn.module import matching_arrays
from ..runtime.threads import run_in_parallel
from ..spec import Array, Spec, as_whole, describe
from ..writes import written

__all__ = ["Optimizer"]

Group = dict[str, Any]
Params = Iterable[Tensor] | Iterable[Mapping[str, Any]]
Run = list[tuple[int, Array, Array]]  # number, data and gradient of the parameters that are updated together

_NEVER_NEGATIVE = ("step", "sum", "v", "v_max")  # counts, and sums or means of squares
_ARRAYS = {"amsgrad": "v_max", "centered": "mean", "momentum": "velocity"}  # kept for each parameter if an option is on
_BLOCK = 262144  # entries; smaller blocks cost more calls, larger ones leave the cache
_SMALL = 4096  # entries; a parameter of up to so many is updated together with others

_RANGES: dict[str, Callable[[float], bool]] = {
    "finite and at least 0": lambda x: 0 <= x < math.inf,
    "finite and above 0": lambda x: 0 < x < math.inf,
    "at least 0": lambda x: x >= 0,
    "above 0": lambda x: x > 0,
    "in [0, 1)": lambda x: 0 <= x < 1,
    "in [0, 1]": lambda x: 0 <= x <= 1,
}

# The valid values of an option: a range, a positive integer, or one of several values. Any other option must be finite
# and at least 0.
_OPTIONS: dict[str, Any] = {
    "alpha": "in [0, 1)",
    "amsgrad": (False, True),
    "betas": "in [0, 1)",  # each of the two
    "centered": (False, True),
    "history_size": int,
    "line_search_fn": (None, "strong_wolfe"),
    "max_eval": int,
    "max_iter": int,
    "maximize": (False, True),
    "momentum": "in [0, 1)",
    "nesterov": (False, True),
}


def as_number(caller: str, name: str, value: Any, wanted: str = "") -> float:
    """Return a number, 0-d array or 0-d tensor as a float in the range ``wanted``; too large integers become infinite.

    Raises:
        TypeError: if it is not a number; text is not read as one.
        ValueError: if it is out of the range.
    """
    single = isinstance(value, (np.ndarray, Tensor)) and value.ndim == 0 and value.dtype.kind in "biuf"
    if not (single or isinstance(value, (int, float, np.number))) or isinstance(value, np.complexfloating):
        raise TypeError(f"{caller}: {name} must be a number, not {describe(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    if wanted and not _RANGES[wanted](number):
        raise ValueError(f"{caller}: {name} must be {wanted}, not {number}")
    return number


def as_choice(caller: str, name: str, value: Any, choices: Sequence[Any]) -> Any:
    """Return the choice that equals a value; raise if there is none."""
    if value not in choices:
        raise ValueError(f"{caller}: {name} must be one of {', '.join(map(repr, choices))}, not {value!r}")
    return choices[choices.index(value)]


def as_option(caller: str, name: str, value: Any) -> Any:
    """Return an option of an optimiser in its own type, checked by the table above."""
    kind = _OPTIONS.get(name, "finite and at least 0")
    if isinstance(kind, tuple):
        return as_choice(caller, name, value, kind)
    if kind is int:
        return as_whole(caller, name, value)
    if name != "betas":
        return as_number(caller, name, value, kind)
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise ValueError(f"{caller}: betas must be two numbers, not {value!r}")
    return tuple(as_number(caller, name, beta, kind) for beta in value)


def tensors(caller: str, params: Any) -> list[Tensor]:
    """Return the parameters as a list, each once: leaves of a floating dtype, or constants (frozen parameters)."""
    if isinstance(params, Tensor) or not isinstance(params, Iterable):
        raise TypeError(
            f"{caller}: params must be an iterable of tensors, not {describe(params)}. "
            "Pass a list such as [tensor], or module.parameters()."
        )
    unique = list({id(p): p for p in params}.values())
    for i, p in enumerate(unique):
        if not isinstance(p, Tensor):
            raise TypeError(
                f"{caller}: parameter {i} must be a Tensor, not {type(p).__name__}. Pass model.parameters()."
            )
        if p.node is not None and not isinstance(p.node, Leaf):
            raise ValueError(f"{caller}: parameter {i} ({describe(p)}) is the result of an operation, not a leaf")
        if p.dtype.kind != "f":
            raise TypeError(f"{caller}: parameter {i} must be of a floating dtype, not {describe(p)}")
    return unique


def run_pieces(pieces: Sequence[Callable[[], None]], entries: int) -> None:
    """Call functions that update this many entries in total, on several threads if that is faster.

    Compiled functions run one after another, because threads share the loop inside each of them.
    """
    run_in_parallel(pieces, worth=entries >= _BLOCK and not worth_compiling(_BLOCK))


def blocks(arrays: Sequence[Array], compiled: bool = False) -> Iterator[Sequence[Array]]:
    """Yield corresponding blocks of equally shaped arrays, as 1-d views; the whole arrays if they are not contiguous.

    The arrays of a block stay in the processor's cache during a dozen NumPy calls. ``compiled`` says that the compiler,
    if it is installed, makes one loop of these calls. Then there is one block, the whole arrays.
    """
    if (compiled and worth_compiling(_BLOCK)) or not all(a.flags.c_contiguous for a in arrays):
        yield arrays
        return
    flat = [a.reshape(-1) for a in arrays]
    for start in range(0, flat[0].size, _BLOCK):
        yield [a[start : start + _BLOCK] for a in flat]


def _attribute(name: str) -> property:
    """Return a property for an option of the optimiser: the value that all groups share."""

    def read(self: Optimizer) -> Any:
        first, *others = (group.get(name) for group in self.param_groups)
        if any(value != first for value in others):
            raise ValueError(
                f"{type(self).__name__}: {name} is {', '.join(map(str, (first, *others)))} in its {len(others) + 1} "
                f"groups. Use param_groups[i][{name!r}]."
            )
        return first

    def write(self: Optimizer, value: Any) -> None:
        read(self)
        for group in self.param_groups:
            group[name] = value

    return property(read, write)


class Optimizer:
    """The base class of optimisers: parameter groups, each with options such as the rate ``lr``, and state.

    ``params`` is an iterable of parameters, or of groups. A group is a dict of ``params`` and of options that override
    those of the optimiser. ``param_groups`` are dicts with every option, which you may change between steps. Each
    option is also an attribute, such as ``optimizer.lr``; if groups differ in it, reading or setting it raises a
    ValueError. A parameter that is listed twice in a group counts once. State has the dtype of its parameter, but
    float32 for float16, whose steps are computed in float32 and rounded once.

    A subclass names its options (``_options``) and the arrays it keeps for each parameter (``_state_names``), passes
    the options to ``__init__``, and defines ``_update``. ``momentum`` adds the array ``velocity``. ``maximize`` negates
    the gradients.

    >>> import minigrad as mg
    >>> w, b = mg.tensor([1.0], requires_grad=True), mg.tensor([1.0], requires_grad=True)
    >>> sgd = mg.optim.SGD([{"params": [w], "weight_decay": 0.5}, {"params": [b], "lr": 1.0}], lr=0.1)
    >>> [(group["lr"], group["weight_decay"]) for group in sgd.param_groups]
    [(0.1, 0.5), (1.0, 0.0)]
    >>> sgd.momentum
    0.0
    >>> sgd.lr
    Traceback (most recent call last):
    ValueError: SGD: lr is 0.1, 1.0 in its 2 groups. Use param_groups[i]['lr'].
    """

    _options: ClassVar[tuple[str, ...]] = ("lr", "weight_decay")
    _state_names: ClassVar[tuple[str, ...]] = ()  # each an array of the parameter's shape
    _decoupled_decay: ClassVar[bool] = False  # whether weights decay apart from the gradient
    lr: float

    def __init_subclass__(cls) -> None:
        for name in cls._options:
            setattr(cls, name, _attribute(name))

    def __init__(self, params: Params, **options: Any) -> None:
        name = type(self).__name__
        self.defaults = {option: as_option(name, option, value) for option, value in options.items()}
        self.param_groups: list[Group] = []
        self.params: list[Tensor] = []  # of all groups, in order
        self.steps: list[int] = []  # the number of updates of each parameter
        self.state: dict[str, dict[int, Array]] = {}  # by name, and by the number of the parameter
        self._specs: list[Spec] = []
        self._checked: dict[int, Group] = {}  # the options of each group at the last step
        self._joined: dict[Any, tuple[list[Array], list[tuple[Array, Array]]]] = {}  # see _join
        self._reductions = 0  # how often ReduceOnPlateau changed the rates; a Schedule raises if this changes
        given: Any = params if isinstance(params, Tensor) or not isinstance(params, Iterable) else list(params)
        several = isinstance(given, list) and any(isinstance(group, Mapping) for group in given)
        for group in given if several else [{"params": given}]:
            self.add_param_group(group)
        if not self.params:
            raise ValueError(f"{name}: there are no parameters")

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add a parameter group; options default to those of the optimiser.

        Existing schedules do not include the group, and their next step raises an error.

        Raises:
            TypeError: if the group is not a mapping with ``params``, or these are not an iterable of tensors.
            ValueError: if an option is unknown or invalid, or a parameter is in another group. Nothing is added.
        """
        caller = type(self).__name__ + (f": group {len(self.param_groups)}" if self.param_groups else "")
        if not isinstance(group, Mapping) or "params" not in group:
            raise TypeError(f"{caller}: a group must be a dict with 'params' and options, not {group!r:.60}")
        if unknown := [name for name in group if name not in ("params", *self._options)]:
            raise ValueError(f"{caller}: unknown option {unknown[0]!r}. Options are {', '.join(self._options)}.")
        params = tuple(tensors(caller, group["params"]))
        elsewhere = set(map(id, self.params))
        if known := [p for p in params if id(p) in elsewhere]:
            raise ValueError(f"{caller}: a parameter ({describe(known[0])}) is in another group")
        options = {name: as_option(caller, name, group.get(name, self.defaults[name])) for name in self._options}
        self._check_options(options)
        self.param_groups.append({"params": params, **options})
        for i, p in enumerate(params, len(self.params)):
            self._specs.append((p.shape, p.dtype))
            self._state_of(i, options)
        self.params += params
        self.steps += [0] * len(params)

    def _check_options(self, options: Group) -> None:
        """Raise if options contradict each other."""

    def _arrays_of(self, options: Group) -> tuple[str, ...]:
        """Return the names of the arrays kept for each parameter."""
        return (*self._state_names, *[array for option, array in _ARRAYS.items() if options.get(option)])

    def _state_of(self, i: int, options: Group) -> list[Array]:
        """Return the arrays kept for a parameter; create the missing ones."""
        (shape, dtype), start = self._specs[i], options.get("initial_accumulator_value", 0.0)
        for name in (names := self._arrays_of(options)):
            if i not in self.state.setdefault(name, {}):
                self.state[name][i] = np.full(shape, start, np.result_type(dtype, np.float32))
        return [self.state[name][i] for name in names]

    def _join(self, run: Run, options: Group) -> tuple[list[Array], list[tuple[Array, Array]]]:
        """Return one array each for the data, gradients and states of small parameters, and views of the first two.

        The arrays in ``state`` become views, too, until another run includes their parameter.
        """
        numbers, names = [i for i, _, _ in run], self._arrays_of(options)
        joined = self._joined.get(key := (*numbers, *names))
        if joined is None or joined[1][0][0].base is not joined[0][0]:  # in a deep copy, views own their memory
            self._joined = {other: kept for other, kept in self._joined.items() if not {*other} & {*numbers}}
            rows = [(array, g, *self._state_of(i, options)) for i, array, g in run]
            wholes = [np.concatenate(arrays, axis=None) for arrays in zip(*rows, strict=True)]
            ends, shapes = np.cumsum([row[0].size for row in rows]), [row[0].shape for row in rows]
            views = [list(map(np.reshape, np.split(whole, ends[:-1]), shapes)) for whole in wholes]
            for name, kept in zip(names, views[2:], strict=True):
                self.state[name].update(zip(numbers, kept, strict=True))
            joined = self._joined[key] = wholes, list(zip(*views[:2], strict=True))
        return joined

    def _update(self, options: Group, t: int, p: Array, g: Array, *state: Array) -> None:
        """Do step t (from 1), with weight decay, in place, for entries of a parameter, or of several small ones."""
        raise NotImplementedError

    def _decay(self, options: Group) -> float | None:
        """Return the weight decay or None; if it is decoupled from the gradient, the factor for the weights."""
        decay = options["weight_decay"] or None  # 0 times an infinite weight would be NaN
        return 1 - options["lr"] * decay if decay and self._decoupled_decay else decay

    def _step_block(self, options: Group, t: int, p: Array, g: Array, *state: Array) -> None:
        """Update one block, in float32 for half precision."""
        g = -g if options.get("maximize") else g
        if p.dtype == np.float16:
            single = p.astype(np.float32)
            self._update(options, t, single, g.astype(np.float32), *state)
            p[...] = single
        else:
            self._update(options, t, p, g, *state)

    def _step_joined(
        self, options: Group, t: int, run: Run, wholes: list[Array], views: list[tuple[Array, Array]]
    ) -> None:
        """Update small parameters as one array, through their copies."""
        for (_, array, g), (p_copy, g_copy) in zip(run, views, strict=True):
            p_copy[...], g_copy[...] = array, g
        self._step_block(options, t, *wholes)
        for (_, array, _), (p_copy, _) in zip(run, views, strict=True):
            array[...] = p_copy

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient, in place; warn if none has one.

        After an interrupt (Ctrl-C), some parameters, and blocks of large ones, are updated and some are not; `steps`
        counts every parameter that may have changed. To recover, load a saved state.

        Args:
            closure: called first to compute the gradients; its result, the loss, is returned.

        Raises:
            TypeError: if an option is not a number.
            ValueError: if an option is now out of range, or ``.data`` of a parameter is read-only or was replaced by
                an array of another shape or dtype. Nothing is written.
        """
        loss = None if closure is None else closure()
        runs, pieces = self._runs(), []  # checks everything before anything changes
        for (k, *_), run in runs.items():
            for i, array, _ in run:
                self.steps[i] += 1
                written(array)
            options = self._checked[k]
            if len(run) > 1:
                pieces.append(partial(self._step_joined, options, self.steps[i], run, *self._join(run, options)))
            else:
                work = partial(self._step_block, options, self.steps[i])
                arrays = [*run[0][1:], *self._state_of(i, options)]
                pieces += [partial(work, *block) for block in blocks(arrays, compiled=True)]
        if not pieces:
            warnings.warn(
                f"{type(self).__name__}.step: no parameter has a gradient, so nothing changed. Call backward() after "
                "zero_grad(), before step().",
                stacklevel=2,
            )
        run_pieces(pieces, sum([array.size for run in runs.values() for _, array, _ in run]))
        return loss

    def _runs(self) -> dict[tuple[Any, ...], Run]:
        """Return the parameters with a gradient, by keys that begin with the number of their group.

        Small parameters of one group, dtype and step count are together; 64 of them fit into a block. Large ones, and
        those that may share memory with others, are alone.
        """
        runs: dict[tuple[Any, ...], Run] = {}
        owners: dict[int, int] = {}  # the number of the parameter, by the id of its array
        i = -1
        for k, group in enumerate(self.param_groups):
            self._checked[k] = self._options_of(group, self._checked.get(k, {}))
            for p in group["params"]:
                i += 1
                if not (i < len(self.params) and p is self.params[i]):
                    raise ValueError(f"{type(self).__name__}: param_groups has other parameters. Use add_param_group.")
                if (g := p.grad) is not None:
                    array = p.data
                    self._check_parameter(i, array)
                    small = array.size <= _SMALL and array.base is None and owners.setdefault(id(array), i) == i
                    key = (k, self.steps[i], array.dtype, len(owners) // 64) if small else (k, i)
                    runs.setdefault(key, []).append((i, array, plain(g)))
        return runs

    def _options_of(self, group: Group, checked: Group) -> Group:
        """Return the current options of a group, checked unless they are equal to ``checked``."""
        now, known = [group.get(name) for name in self._options], list(checked.values())
        if [*map(type, now)] != [*map(type, known)] or now != known:  # the types first: arrays do not compare to a bool
            checked = {name: as_option(type(self).__name__, name, group.get(name)) for name in self._options}
            self._check_options(checked)
        return checked

    def _check_parameter(self, i: int, array: Array) -> None:
        """Raise unless the array of a parameter is writeable, and has its original shape and dtype."""
        if (array.shape, array.dtype) != (spec := self._specs[i]):  # while frozen, it may have been replaced
            raise ValueError(
                f"{type(self).__name__}: parameter {i} was {spec[1]} {spec[0]} when the optimiser was created, but its "
                f"data is now {describe(array)}. Write into .data instead of replacing it."
            )
        if not array.flags.writeable:
            raise ValueError(
                f"{type(self).__name__}: .data of parameter {i} ({describe(array)}) is read-only. Replace it by a copy."
            )

    def zero_grad(self) -> None:
        """Set the gradients of all parameters to None."""
        for p in self.params:
            p.zero_grad()

    # --- saved state -------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Array]:
        """Return copies of options, step counts and state as a flat dict of arrays, for :func:`minigrad.save`.

        The options of a single group have their own names. Those of several groups are ``group.0.lr``,
        ``group.1.lr``, …, next to ``group.0.params``, the numbers of the parameters. To resume training bit for bit,
        also save the random state with :func:`minigrad.rng_state`.

        >>> import minigrad as mg
        >>> list(mg.optim.SGD([mg.tensor([1.0], requires_grad=True)], lr=0.1, momentum=0.9).state_dict())
        ['lr', 'momentum', 'nesterov', 'weight_decay', 'maximize', 'step.0', 'velocity.0']
        """
        state = self._saved_options()
        for i, count in enumerate(self.steps):
            state[f"step.{i}"] = np.array(count, np.int64)
            state.update({f"{name}.{i}": arrays[i].copy() for name, arrays in self.state.items() if i in arrays})
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load options, step counts and state; on an error, nothing changes.

        A missing switch, such as ``maximize``, is off: states of earlier versions lack some.

        Raises:
            TypeError: if the state is not a mapping.
            ValueError: if entries are missing, unexpected, misshaped or invalid, such as a mean of squares below 0 or a
                NaN.
        """
        caller = f"{type(self).__name__}.load_state_dict"
        off = {key: np.array(0.0) for key, _, name in self._option_names() if _OPTIONS.get(name) == (False, True)}
        state = {**off, **state} if isinstance(state, Mapping) else state
        arrays = matching_arrays(caller, self.state_dict(), state)
        options = self._loaded_options(caller, arrays)
        for name, array in arrays.items():
            lowest = 0 if name.partition(".")[0] in _NEVER_NEGATIVE else -math.inf
            if not (array >= lowest).all():
                raise ValueError(f"{caller}: {name} has entries that are NaN or below {lowest}")
        for group, new in zip(self.param_groups, options, strict=True):
            group.update(new)
        self.steps = [int(arrays[f"step.{i}"]) for i in range(len(self.params))]
        for name, kept in self.state.items():
            for i, array in kept.items():
                array[...] = arrays[f"{name}.{i}"]

    def _option_names(self) -> list[tuple[str, int, str]]:
        """Return the name in a state, the number of the group and the own name of each option."""
        several = len(self.param_groups) > 1
        numbers = range(len(self.param_groups))
        return [(f"group.{k}.{name}" if several else name, k, name) for k in numbers for name in self._options]

    def _saved_options(self) -> dict[str, Array]:
        state: dict[str, Array] = {}
        for key, k, name in self._option_names():
            kind, value = _OPTIONS.get(name), self.param_groups[k][name]
            state[key] = np.array(kind.index(value) if isinstance(kind, tuple) else value, np.float64)
        numbers = iter(range(len(self.params)))
        for k, group in enumerate(self.param_groups if len(self.param_groups) > 1 else []):
            state[f"group.{k}.params"] = np.array([next(numbers) for _ in group["params"]], np.int64)
        return state

    def _loaded_options(self, caller: str, arrays: Mapping[str, Array]) -> list[Group]:
        """Return the options of each group, read from their arrays and checked."""
        options: list[Group] = [{} for _ in self.param_groups]
        for key, k, name in self._option_names():
            kind, value = _OPTIONS.get(name), arrays[key].tolist()
            if isinstance(kind, tuple):
                value = kind[int(as_choice(caller, name, value, range(len(kind))))]
            options[k][name] = int(value) if kind is int and value.is_integer() else value
        return [self._options_of(group, {}) for group in options]

    def __repr__(self) -> str:
        parts = [
            ", ".join([f"{len(group['params'])} parameters", *(f"{name}={group[name]}" for name in self._options)])
            for group in self.param_groups
        ]
        return f"{type(self).__name__}({'; '.join(parts)})"
