"""What a launcher says of the process that it started: one of how many it is, and which.

Launchers say so in the environment, each under names of its own. They are read before MPI is: a program that nobody
launched needs none, and where a launcher and MPI disagree on how many there are, every process would be alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["Launch", "launch_of"]

_LAUNCHERS = {
    "mpiexec of Open MPI": ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK"),
    "mpiexec": ("PMI_SIZE", "PMI_RANK", "MPI_LOCALRANKID"),
    "srun": ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID"),
    "torchrun": ("WORLD_SIZE", "RANK", "LOCAL_RANK"),
}
"""Of each launcher the variables of size, rank and rank on the machine. MPI's come first: srun starts them, too."""


class Launch(NamedTuple):
    """by: the launcher. size: how many processes it started. rank, local_rank: which one this is, in all and of its
    machine; 0 where that is not said.
    """

    by: str
    size: int
    rank: int
    local_rank: int


def launch_of(environment: Mapping[str, str] = os.environ) -> Launch | None:
    """What a launcher says of this process; None if none started it.

    Raises:
        ValueError: if a launcher's variable is no number.

    >>> launch_of({"WORLD_SIZE": "4", "RANK": "2", "LOCAL_RANK": "0"})
    Launch(by='torchrun', size=4, rank=2, local_rank=0)
    >>> launch_of({}) is None
    True
    """
    for by, (size, *others) in _LAUNCHERS.items():
        if size in environment:
            return Launch(by, *(_number(environment, name) for name in (size, *others)))
    return None


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "0")
    if not text.isdecimal():
        raise ValueError(f"{name} must be a number, as launchers set it; it is {text!r}")
    return int(text)
