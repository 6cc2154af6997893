"""Training on many processors by MPI: gradients of shards of each batch, summed in a fixed order.

Needs mpi4py and MPI itself, both from the package index, where a launcher started several processes; a program that
runs alone needs neither.

    mpiexec -n 4 python train.py

Every process, a rank, runs the same program. What is here is thin: MPI's collectives on buffers, and its communicators.
"""

from .broadcasting import broadcast_arrays, broadcast_bytes, broadcast_parameters
from .communicators import ALONE, gather, gather_bytes, merge, world
from .data_parallel import DataParallel, Part
from .lifelines import OtherRankError, agreed, together, watched
from .placement import fair_threads
from .reducing import all_reduce_gradients
from .sharding import blocks_of_shards, shard

__all__ = [
    "ALONE", "DataParallel", "OtherRankError", "Part", "agreed", "all_reduce_gradients", "blocks_of_shards",
    "broadcast_arrays", "broadcast_bytes", "broadcast_parameters", "fair_threads", "gather", "gather_bytes",
    "merge", "shard", "together", "watched", "world",
]  # fmt: skip
