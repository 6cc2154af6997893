"""A running mean of weights, which often does better than the last ones (Polyak and Juditsky, 1992)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from ..runtime.blas import axpby
from ..spec import Array, describe
from ..writes import written
from .groups import tensors
from .options import as_number
from .pieces import blocks, precise, run
from .states import validated

__all__ = ["EMA"]


class EMA:
    """An exponential moving average of parameters: average <- decay average + (1 - decay) parameter at each `update`.

    It starts at what the parameters are when it is made; the average of parameters of half precision is kept in
    float32, where small changes add up. Buffers, such as running statistics, are not averaged.

    Args:
        params: a module, or an iterable of parameters.
        decay: in [0, 1]; an average over the last 1 / (1 - decay) updates or so.

    Raises:
        TypeError: if the parameters are no tensors, or ``decay`` no number.
        ValueError: if there are no parameters, or ``decay`` is not in [0, 1].

    >>> import minigrad as mg
    >>> p = mg.tensor([0.0], requires_grad=True)
    >>> ema = EMA([p], decay=0.75)
    >>> p.data[...] = 4
    >>> ema.update()
    >>> with ema.applied():
    ...     print(p.data)
    [1.]
    >>> p.data
    array([4.], dtype=float32)
    """

    def __init__(self, params: Any, decay: float = 0.999) -> None:
        named = getattr(params, "named_parameters", None)
        if named is not None:  # a module
            self._params = dict(named())
            tensors("EMA", self._params.values())
        else:
            self._params = {str(i): p for i, p in enumerate(tensors("EMA", params))}
        if not self._params:
            raise ValueError("EMA: there are no parameters")
        self.decay = _decay("EMA", decay)
        self.updates = 0
        self._applied = 0  # contexts in which the parameters hold the averages
        self.averages: dict[str, Array] = {
            name: p.data.astype(precise(p.dtype)) for name, p in self._params.items()
        }  # by a module's names of its parameters, or their numbers

    def update(self) -> None:
        """Take the parameters as they are now into the average.

        Raises:
            RuntimeError: within `applied`, where the parameters are the averages themselves.
            ValueError: if ``decay`` has become impossible, or a parameter's data are of another shape or dtype now.
        """
        if self._applied:
            raise RuntimeError("EMA.update: the parameters hold the averages within applied(): update before or after")
        decay = _decay("EMA.update", self.decay)
        self._check("update")
        changes: list[Callable[[], None]] = []
        for name, p in self._params.items():
            now = p.data.astype(self.averages[name].dtype, copy=False)
            changes += [partial(axpby, 1 - decay, new, decay, mean) for new, mean in blocks([now, self.averages[name]])]
        self.updates += 1
        run(changes, sum(p.size for p in self._params.values()))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Return a context manager in which the parameters hold copies of the averages.

        Afterwards the parameters have their own arrays back. What you write into them within the context is lost.

        Raises:
            ValueError: on entry, if the shape or dtype of a parameter has changed.
        """
        self._check("applied")
        pairs = [(p, p.data, self.averages[name].astype(p.dtype)) for name, p in self._params.items()]
        self._applied += 1
        try:
            for p, _, average in pairs:
                p.data = average
            yield
        finally:
            for p, own, _ in pairs:
                p.data = own
            self._applied -= 1

    def copy_to(self, params: Any = None) -> None:
        """Write the averages into the arrays of the parameters, or of another module or as many other parameters.

        Raises:
            ValueError: if shapes do not fit; nothing has been written.
        """
        others = params.parameters() if hasattr(params, "parameters") else params
        targets = list(self._params.values()) if params is None else tensors("EMA.copy_to", others)
        averages = list(self.averages.values())
        if len(targets) != len(averages) or any(p.shape != a.shape for p, a in zip(targets, averages, strict=False)):
            raise ValueError(
                f"EMA.copy_to: averages are of shapes {', '.join(str(a.shape) for a in averages)}, parameters of "
                f"{', '.join(str(p.shape) for p in targets)}"
            )
        for p, average in zip(targets, averages, strict=True):
            written(p.data)
            p.data[...] = average

    def _check(self, caller: str) -> None:
        """Parameters are what they were when the average was made."""
        for name, p in self._params.items():
            average = self.averages[name]
            if p.shape != average.shape or precise(p.dtype) != average.dtype:
                raise ValueError(f"EMA.{caller}: parameter {name} is {describe(p)}, its average {describe(average)}")

    def state_dict(self) -> dict[str, Array]:
        """Copies of the averages, the decay and the number of updates, ready for :func:`minigrad.save`.

        >>> import minigrad as mg
        >>> list(EMA(mg.nn.Linear(2, 3)).state_dict())
        ['decay', 'updates', 'average.weight', 'average.bias']
        """
        return {
            "decay": np.array(self.decay, np.float64),
            "updates": np.array(self.updates, np.int64),
            **{f"average.{name}": average.copy() for name, average in self.averages.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over averages, decay and number of updates: all of them, or nothing.

        Raises:
            TypeError: if the state is no mapping.
            ValueError: names every missing, unexpected, misshaped or impossible entry.
        """
        arrays = validated("EMA", self.state_dict(), state)
        decay = _decay("EMA.load_state_dict", arrays["decay"])
        if arrays["updates"] < 0:
            raise ValueError(f"EMA.load_state_dict: updates must not be negative, it is {arrays['updates']}")
        self.decay, self.updates = decay, int(arrays["updates"])
        for name, average in self.averages.items():
            average[...] = arrays[f"average.{name}"]

    def __repr__(self) -> str:
        return f"EMA({len(self._params)} parameters, decay={self.decay}, updates={self.updates})"


def _decay(caller: str, value: Any) -> float:
    number = as_number(caller, "decay", value)
    if not 0 <= number <= 1:
        raise ValueError(f"{caller}: decay must be in [0, 1], not {value}")
    return number
