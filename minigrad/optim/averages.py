"""A running mean of weights, which often does better than the last ones (Polyak and Juditsky, 1992)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..nn.module import matching_arrays
from ..runtime.blas import axpby
from ..spec import Array, describe
from ..writes import written
from .optimizer import as_number, run_in_blocks, tensors

__all__ = ["EMA"]


class EMA:
    """An exponential moving average of parameters: average <- decay average + (1 - decay) parameter at each `update`.

    The average starts at the values the parameters have when it is made. For half precision it is kept in float32,
    where small changes add up. Buffers, such as running statistics, are not averaged.

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
        named = (
            enumerate(tensors("EMA", params)) if not hasattr(params, "named_parameters") else params.named_parameters()
        )
        self._params = {str(name): p for name, p in named}
        tensors("EMA", self._params.values())
        if not self._params:
            raise ValueError("EMA: there are no parameters")
        self.decay = as_number("EMA", "decay", decay, "in [0, 1]")
        self.updates = self._applied = 0  # _applied: how many contexts hold the averages in the parameters
        self.averages: dict[str, Array] = {
            name: p.data.astype(np.result_type(p.dtype, np.float32)) for name, p in self._params.items()
        }  # by a module's names of its parameters, or their numbers

    def update(self) -> None:
        """Take the parameters as they are now into the average.

        Raises:
            RuntimeError: within `applied`, where the parameters are the averages themselves.
            ValueError: if ``decay`` has become impossible, or a parameter's data now have another shape or dtype.
        """
        if self._applied:
            raise RuntimeError("EMA.update: the parameters hold the averages within applied(). Update before or after.")
        decay = as_number("EMA.update", "decay", self.decay, "in [0, 1]")

        def move(now: Array, mean: Array) -> None:
            axpby(1 - decay, now, decay, mean)

        work = [(move, [p.data.astype(mean.dtype, copy=False), mean]) for p, mean in self._pairs("update")]
        self.updates += 1
        run_in_blocks(work)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """A context in which the parameters hold copies of the averages; their own arrays are back when it ends.

        An error ends it too. What is written into the parameters within it is lost.

        Raises:
            ValueError: on entry, if a parameter's data now have another shape or dtype.
        """
        held = [(p, p.data, mean.astype(p.dtype)) for p, mean in self._pairs("applied")]
        self._applied += 1
        try:
            for p, _, mean in held:
                p.data = mean
            yield
        finally:
            for p, own, _ in held:
                p.data = own
            self._applied -= 1

    def _pairs(self, caller: str) -> list[tuple[Any, Array]]:
        """Each parameter and its average; an error if they no longer fit."""
        for name, p in self._params.items():
            mean = self.averages[name]
            if p.shape != mean.shape or np.result_type(p.dtype, np.float32) != mean.dtype:
                raise ValueError(f"EMA.{caller}: parameter {name} is {describe(p)}, its average {describe(mean)}")
        return list(zip(self._params.values(), self.averages.values(), strict=True))

    def copy_to(self, params: Any = None) -> None:
        """Write the averages into the arrays of the parameters, or of another module or as many other parameters.

        Raises:
            ValueError: if shapes do not fit; nothing has been written.
        """
        others = self._params.values() if params is None else params
        targets = tensors("EMA.copy_to", params.parameters() if hasattr(params, "parameters") else others)
        shapes, wanted = [p.shape for p in targets], [mean.shape for mean in self.averages.values()]
        if shapes != wanted:
            raise ValueError(f"EMA.copy_to: the averages have shapes {wanted}, the parameters {shapes}")
        for p, average in zip(targets, self.averages.values(), strict=True):
            written(p.data)
            p.data[...] = average

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
        caller = "EMA.load_state_dict"
        arrays = matching_arrays(caller, self.state_dict(), state)
        decay = as_number(caller, "decay", arrays["decay"], "in [0, 1]")
        self.updates = int(as_number(caller, "updates", arrays["updates"], "at least 0"))
        self.decay = decay
        for name, average in self.averages.items():
            average[...] = arrays[f"average.{name}"]

    def __repr__(self) -> str:
        return f"EMA({len(self._params)} parameters, decay={self.decay}, updates={self.updates})"
