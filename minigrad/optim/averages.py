"""A running mean of weights, which often performs better than the last ones (Polyak and Juditsky, 1992)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from ..compiler import fused
from ..nn.module import matching_arrays
from ..spec import Array, describe
from ..writes import written
from .optimizer import as_number, blocks, run_pieces, tensors

__all__ = ["EMA"]


class EMA:
    """Keep an exponential moving average of parameters: average <- decay average + (1 - decay) parameter.

    Each `update` does one such step. The average starts at the current values of the parameters. For half precision it
    is kept in float32, so that small changes add up. Buffers, such as running statistics, are not averaged.

    Args:
        params: a module, or an iterable of parameters.
        decay: in [0, 1]; the average covers about the last 1 / (1 - decay) updates.

    Raises:
        TypeError: if the parameters are not tensors, or ``decay`` is not a number.
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
        self.updates = self._applied = 0  # _applied: the number of active `applied` contexts
        self.averages: dict[str, Array] = {
            name: p.data.astype(np.result_type(p.dtype, np.float32)) for name, p in self._params.items()
        }  # by the parameters' names in a module, or by their numbers

    def update(self) -> None:
        """Update the average with the current parameters.

        Raises:
            RuntimeError: inside `applied`, where the parameters are the averages themselves.
            ValueError: if ``decay`` is now out of range, or if the shape or dtype of a parameter's data has changed.
        """
        if self._applied:
            raise RuntimeError("EMA.update: the parameters hold the averages inside applied(). Update before or after.")
        decay = as_number("EMA.update", "decay", self.decay, "in [0, 1]")

        pieces = [
            partial(_move, *block, decay)
            for p, mean in self._pairs("update")
            for block in blocks([mean, p.data.astype(mean.dtype, copy=False)], compiled=True)
        ]
        self.updates += 1
        run_pieces(pieces, sum(mean.size for mean in self.averages.values()))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Return a context manager in which the parameters hold copies of the averages.

        On exit, also after an error, the parameters get their own arrays back. Writes into the parameters inside the
        context are lost.

        Raises:
            ValueError: on entry, if the shape or dtype of a parameter's data has changed.
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
        """Return each parameter and its average; raise if they no longer fit."""
        for name, p in self._params.items():
            mean = self.averages[name]
            if p.shape != mean.shape or np.result_type(p.dtype, np.float32) != mean.dtype:
                raise ValueError(f"EMA.{caller}: parameter {name} is {describe(p)}, its average {describe(mean)}")
        return list(zip(self._params.values(), self.averages.values(), strict=True))

    def copy_to(self, params: Any = None) -> None:
        """Write the averages into the arrays of the parameters, or of another module or list of parameters.

        Raises:
            ValueError: if shapes do not fit; nothing is written.
        """
        others = self._params.values() if params is None else params
        targets = tensors("EMA.copy_to", params.parameters() if hasattr(params, "parameters") else others)
        shapes, wanted = [p.shape for p in targets], [mean.shape for mean in self.averages.values()]
        if shapes != wanted:
            raise ValueError(f"EMA.copy_to: the averages have shapes {wanted}, but the parameters have {shapes}")
        for p, average in zip(targets, self.averages.values(), strict=True):
            written(p.data)
            p.data[...] = average

    def state_dict(self) -> dict[str, Array]:
        """Return copies of the averages, the decay and the number of updates, for :func:`minigrad.save`.

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
        """Load averages, decay and number of updates; on an error, nothing changes.

        Raises:
            TypeError: if the state is not a mapping.
            ValueError: if entries are missing, unexpected, misshaped or invalid.
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


@fused(writes=(0,))
def _move(mean: Array, now: Array, decay: float) -> None:
    mean *= decay
    mean += (1 - decay) * now
