"""Training on many processors by MPI: gradients of shards of each batch, summed in a fixed order.

Needs mpi4py and MPI itself, both from the package index, where a launcher started several processes; a program that
runs alone needs neither.

    mpiexec -n 4 python train.py

Every process, a rank, runs the same program. What is here is thin: MPI's collectives on buffers, with its communicators.
"""

from .broadcasting import broadcast_parameters
from .communicators import world
from .data_parallel import DataParallel, Part
from .reducing import all_reduce_gradients
from .sharding import shard

__all__ = ["DataParallel", "Part", "all_reduce_gradients", "broadcast_parameters", "shard", "world"]
