"""What all optimisers share: groups of parameters with their options, steps, and state.

An optimiser writes into the arrays of its parameters, never replaces them, and keeps what it remembers in
their dtype. Parameters of half precision are the exception: squares of gradients leave its range (1e-4 becomes 0, 300
infinite), and small steps add up only where they are not rounded. So what is remembered of them is of single
precision, each step is computed in it, and rounded once, into the parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..core import Tensor, plain
from ..spec import Array, Spec, describe
from ..writes import written
from .groups import Shared, groups_of, tensors
from .options import as_array_of_floats, as_option, option_in
from .pieces import blocks, precise, run, scratch
from .states import validated

__all__ = ["Optimizer"]

Group = dict[str, Any]


class _Made(NamedTuple):
    """What a group was when it was added: its parameters, and the names of the arrays that are kept of each."""

    params: tuple[Tensor, ...]
    names: tuple[str, ...]


class Optimizer:
    """What all optimisers share: parameters in groups, each with options such as the rate ``lr``, and state.

    ``params`` is an iterable of parameters, or of groups: dicts of ``params`` and of options that are other than those
    given to the optimiser. ``param_groups`` are dicts with every option, which may be changed between steps. An option
    is also an attribute, ``optimizer.lr``: that of all groups. Where they differ it raises a ValueError, if read or
    set. A parameter that is listed twice in a group counts once. State has the dtype of its parameter, but float32 for
    float16, whose steps are computed in float32 and rounded once.

    A subclass names its options and the arrays it keeps, and defines ``_coefficients`` for a step and ``_update`` for
    one block.

    >>> import minigrad as mg
    >>> w, b = mg.tensor([1.0], requires_grad=True), mg.tensor([1.0], requires_grad=True)
    >>> sgd = mg.optim.SGD([{"params": [w], "weight_decay": 0.5}, {"params": [b], "lr": 1.0}], lr=0.1)
    >>> [(group["lr"], group["weight_decay"]) for group in sgd.param_groups]
    [(0.1, 0.5), (1.0, 0.0)]
    >>> sgd.momentum
    0.0
    >>> sgd.lr
    Traceback (most recent call last):
    ValueError: SGD: lr is 0.1, 1.0 in its 2 groups: ask for, or set, param_groups[i]['lr']
    """

    _options: ClassVar[tuple[str, ...]] = ("lr", "weight_decay")
    _state_names: ClassVar[tuple[str, ...]] = ()  # one array of the parameter's shape for each name
    _squares: ClassVar[tuple[str, ...]] = ()  # those of them that are means or sums of squares, and so never negative
    lr: float

    def __init_subclass__(cls) -> None:
        for name in cls._options:
            setattr(cls, name, Shared(name))

    def __init__(self, params: Iterable[Tensor] | Iterable[Mapping[str, Any]], **options: Any) -> None:
        name = type(self).__name__
        self.defaults = {option: as_option(name, option, value) for option, value in options.items()}
        if missing := [option for option in self._options if option not in self.defaults]:
            raise TypeError(f"{name}: {', '.join(missing)} must be passed to Optimizer.__init__, as its options")
        self.param_groups: list[Group] = []
        self.params: list[Tensor] = []  # of all groups, one after the other
        self.steps: list[int] = []  # how often each parameter was updated
        self.state: dict[str, dict[int, Array]] = {}  # by name, and by the number of the parameter
        self._reductions = 0  # how often a ReduceOnPlateau has set the rates, which a Schedule must not undo
        self._made: list[_Made] = []
        self._specs: list[Spec] = []
        given = groups_of(name, params)
        for group in given:
            self._add(group, f"{name}: group {len(self.param_groups)}" if len(given) > 1 else name)
        if not self.params:
            raise ValueError(f"{name}: there are no parameters")

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Train more parameters from now on, with options that default to those the optimiser was made with.

        Schedules that were made before do not know the group, and say so in their next step.

        Raises:
            TypeError: if the group is no mapping, or its parameters no iterable of tensors.
            ValueError: if an option is unknown or impossible, or a parameter is in another group. Nothing was added.
        """
        self._add(group, f"{type(self).__name__}: group {len(self.param_groups)}")

    def _add(self, group: Mapping[str, Any], caller: str) -> None:
        if not isinstance(group, Mapping):
            raise TypeError(f"{caller}: a group must be a dict with 'params', not {describe(group)}")
        if "params" not in group:
            found = f"{', '.join(map(repr, group))} alone" if group else "nothing"
            raise TypeError(f"{caller}: a group must have 'params', not {found}")
        for name in group:
            if name != "params" and name not in self._options:
                raise ValueError(f"{caller}: {name!r} is no option: it may have {', '.join(self._options)}")
        params = tuple(tensors(caller, group["params"]))
        elsewhere = {id(p) for p in self.params}
        for i, p in enumerate(params):
            if id(p) in elsewhere:
                raise ValueError(f"{caller}: parameter {i} ({describe(p)}) is in another group")
        options = {name: as_option(caller, name, group.get(name, self.defaults[name])) for name in self._options}
        names = self._remembered(options)
        numbered = list(enumerate(params, len(self.params)))
        kept = {name: {i: self._initial(name, p, options) for i, p in numbered} for name in names}
        for name, arrays in kept.items():
            self.state.setdefault(name, {}).update(arrays)
        self.param_groups.append({"params": params, **options})
        self._made.append(_Made(params, names))
        self.params += params
        self.steps += [0] * len(params)
        self._specs += [(p.shape, p.dtype) for p in params]

    def _remembered(self, options: Group) -> tuple[str, ...]:
        """The names of what is kept of each parameter of a group; an error if its options do not go together."""
        return self._state_names

    def _initial(self, name: str, p: Tensor, options: Group) -> Array:
        """What is kept of a parameter before its first step."""
        return np.zeros(p.shape, precise(p.dtype))

    def _decayed(self, p: Array, g: Array, weight_decay: float) -> Array:
        """The gradient of the loss plus weight_decay/2 |p|^2, in scratch space 1 if there is a decay."""
        if not weight_decay:
            return g
        total = np.multiply(p, weight_decay, out=scratch(p, 1))
        total += g
        return total

    def _coefficients(self, options: Group, t: int) -> tuple[float, ...]:
        """The numbers that an update needs at the t-th step (from 1) of a parameter with these options."""
        raise NotImplementedError

    def _update(self, coefficients: tuple[float, ...], p: Array, g: Array, *state: Array) -> None:
        """Change one block of a parameter, and of what is remembered of it, in place."""
        raise NotImplementedError

    def _update_in_single(self, coefficients: tuple[float, ...], p: Array, g: Array, *state: Array) -> None:
        """The same for a parameter and a gradient of half precision."""
        single = p.astype(np.float32)
        self._update(coefficients, single, g.astype(np.float32), *state)
        p[...] = single

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient, in place.

        If it is interrupted (Ctrl-C), some parameters, and blocks of large ones, have been updated and some have not.
        Every one that was touched has been counted in `steps`. Training can go on from there, though not as if nothing
        had happened: for that, go back to a state that was saved.

        Args:
            closure: if given it is called first, to compute the gradients, and what it returns, the loss, is returned.

        Raises:
            TypeError: if ``.data`` of a parameter is no ndarray, or an option no number.
            ValueError: if an option has become impossible; if ``.data`` of a parameter was replaced by an array of
                another shape or dtype, or is read-only. Nothing has been written.
        """
        loss = None if closure is None else closure()
        found = self._to_update()
        updates: list[Callable[[], None]] = []
        for i, p, g, numbers in found:
            self.steps[i] += 1
            kept = [arrays[i] for arrays in self.state.values() if i in arrays]
            update = self._update if p.dtype != np.float16 else self._update_in_single
            updates += [partial(update, numbers, *block) for block in blocks([p.data, g, *kept])]
        for _, p, _, _ in found:  # said first: an interrupt may end the updates, but cannot unsay it
            written(p.data)
        run(updates, sum(p.size for _, p, _, _ in found))
        return loss

    def _to_update(self) -> list[tuple[int, Tensor, Array, tuple[float, ...]]]:
        """The number, itself, the gradient and the coefficients of each parameter with a gradient, all checked."""
        found, i = [], 0
        for k, made in enumerate(self._made):
            options = self._options_of(k)
            numbers: dict[int, tuple[float, ...]] = {}  # by the count of the step, which most parameters share
            for p in made.params:
                if p.grad is not None:
                    g, t = plain(p.grad), self.steps[i] + 1
                    self._check_parameter(i, p, g)
                    if t not in numbers:
                        numbers[t] = self._coefficients(options, t)
                    found.append((i, p, g, numbers[t]))
                i += 1
        return found

    def _options_of(self, k: int) -> Group:
        """The options of a group as they are now; an error if they are impossible, or it was changed otherwise."""
        name, made = type(self).__name__, self._made[k]
        if len(self.param_groups) != len(self._made) or self.param_groups[k].get("params") is not made.params:
            raise ValueError(f"{name}: parameters are added by add_param_group, not in param_groups")
        group = self.param_groups[k]
        for option in self._options:
            if option not in group:
                raise ValueError(f"{name}: group {k} has lost its {option}")
        options = {option: as_option(name, option, group[option]) for option in self._options}
        for lacking in set(self._remembered(options)) - set(made.names):
            needs = {"velocity": "momentum"}.get(lacking, lacking)
            raise ValueError(f"{name}: a {needs} must be given when the optimiser is made, which keeps {lacking} then")
        return options

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

    # --- what a file keeps -------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Array]:
        """Copies of options, step counts and state as a flat dict of arrays, ready for :func:`minigrad.save`.

        The options of one group have their own names. Those of several are ``group.0.lr``, ``group.1.lr``, …, beside
        ``group.0.params``, the numbers of the parameters. Training resumes to the bit if random numbers, such as those
        of dropout, go on as well: :func:`minigrad.rng_state`.

        >>> import minigrad as mg
        >>> list(mg.optim.SGD([mg.tensor([1.0], requires_grad=True)], lr=0.1, momentum=0.9).state_dict())
        ['lr', 'momentum', 'nesterov', 'weight_decay', 'step.0', 'velocity.0']
        """
        state = self._state_of_options()
        for i, count in enumerate(self.steps):
            state[f"step.{i}"] = np.array(count, np.int64)
            state.update({f"{name}.{i}": arrays[i].copy() for name, arrays in self.state.items() if i in arrays})
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
        options = self._read_options(arrays)
        for i in range(len(self.params)):
            if arrays[f"step.{i}"] < 0:
                raise ValueError(f"{caller}: step counts must not be negative, step.{i} is {arrays[f'step.{i}']}")
        for name, i, _ in self._kept():
            if np.isnan(arrays[f"{name}.{i}"]).any():
                raise ValueError(f"{caller}: {name}.{i} has entries that are NaN")
            if name in self._squares and (arrays[f"{name}.{i}"] < 0).any():
                what = "sum" if name == "sum" else "mean"
                raise ValueError(f"{caller}: {name}.{i} is a {what} of squares and has entries below 0")
        for group, new in zip(self.param_groups, options, strict=True):
            group.update(new)
        self.steps = [int(arrays[f"step.{i}"]) for i in range(len(self.params))]
        for name, i, array in self._kept():
            array[...] = arrays[f"{name}.{i}"]

    def _kept(self) -> Iterator[tuple[str, int, Array]]:
        """Every array of the state: its name, its parameter's number, itself."""
        for name, arrays in self.state.items():
            for i, array in arrays.items():
                yield name, i, array

    def _prefixes(self) -> list[str]:
        """What the names of each group's options begin with in a state; nothing if there is but one group."""
        return [f"group.{k}." for k in range(len(self._made))] if len(self._made) > 1 else [""]

    def _state_of_options(self) -> dict[str, Array]:
        state: dict[str, Array] = {}
        first = 0
        for prefix, group in zip(self._prefixes(), self.param_groups, strict=True):
            for name in self._options:
                state[prefix + name] = as_array_of_floats(name, group[name])
            if prefix:
                state[f"{prefix}params"] = np.arange(first, first + len(group["params"]), dtype=np.int64)
                first += len(group["params"])
        return state

    def _read_options(self, arrays: Mapping[str, Array]) -> list[Group]:
        """The options of each group, read from their arrays and checked."""
        caller = f"{type(self).__name__}.load_state_dict"
        expected = self._state_of_options()
        for prefix in self._prefixes():
            if prefix and not np.array_equal(arrays[f"{prefix}params"], expected[f"{prefix}params"]):
                raise ValueError(
                    f"{caller}: {prefix}params is {expected[f'{prefix}params']} here, {arrays[f'{prefix}params']} "
                    "in the state"
                )
        options = [
            {name: option_in(caller, name, arrays[prefix + name]) for name in self._options}
            for prefix in self._prefixes()
        ]
        for each in options:
            self._remembered(each)  # complains of options that do not go together
        return options

    def __repr__(self) -> str:
        parts = [
            ", ".join([f"{len(group['params'])} parameters", *(f"{name}={group[name]}" for name in self._options)])
            for group in self.param_groups
        ]
        return f"{type(self).__name__}({'; '.join(parts)})"
