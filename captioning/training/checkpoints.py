"""What a checkpoint of a training holds, as one flat dict of arrays: where it stands, the model and the optimiser.

| entries | what they are |
|---|---|
| `solver/iteration` | how many iterations are done; what is drawn at random follows from it, and the learning rate |
| `solver/best_iteration`, `solver/best` | when the best validation was (0: none yet), its two figures |
| `model/…` | the model's `state_dict` |
| `optimiser/…` | the optimiser's: moments, step counts, options |
| `average/…` | the average of the weights, where there is one: its `state_dict` |

Older ones have `solver/best_epoch` instead: there was no validation but at the end of an epoch.

The history is in its own file, which is cut back to the iteration, and the best weights are those of the run folder.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Checkpoint"]

Arrays = Mapping[str, NDArray[Any]]


class Checkpoint(NamedTuple):
    """A training at the end of an iteration. best: None, and best_iteration 0, if nothing was validated yet.

    >>> held = Checkpoint(7, 5, (0.25, -3.0), {"W": np.ones(2)}, {"m.0": np.zeros(2)})
    >>> list(held.arrays())
    ['solver/iteration', 'solver/best_iteration', 'solver/best', 'model/W', 'optimiser/m.0']
    >>> Checkpoint.of(held.arrays(), epoch_length=5).best
    (0.25, -3.0)
    """

    iteration: int
    best_iteration: int
    best: tuple[float, float] | None
    model: Arrays
    optimiser: Arrays
    average: Arrays = MappingProxyType({})

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The entries, ready to be saved."""
        best = (math.nan, math.nan) if self.best is None else self.best
        return {
            "solver/iteration": np.array(self.iteration),
            "solver/best_iteration": np.array(self.best_iteration),
            "solver/best": np.array(best),
            **{f"model/{name}": array for name, array in self.model.items()},
            **{f"optimiser/{name}": array for name, array in self.optimiser.items()},
            **{f"average/{name}": array for name, array in self.average.items()},
        }

    @classmethod
    def of(cls, arrays: Arrays, epoch_length: int) -> Checkpoint:
        """What `arrays` gave. epoch_length: the iterations of an epoch.

        A missing entry is a KeyError, one that is no number a TypeError or ValueError.
        """
        if "solver/best_epoch" in arrays:
            best_iteration = int(arrays["solver/best_epoch"]) * epoch_length
        else:
            best_iteration = int(arrays["solver/best_iteration"])
        first, second = arrays["solver/best"].tolist()
        best = None if best_iteration == 0 else (first, second)
        parts = (_under(f"{part}/", arrays) for part in ("model", "optimiser", "average"))
        return cls(int(arrays["solver/iteration"]), best_iteration, best, *parts)


def _under(prefix: str, arrays: Arrays) -> dict[str, NDArray[Any]]:
    """The entries below a prefix, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
