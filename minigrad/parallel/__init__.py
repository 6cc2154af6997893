"""Train on many processors with MPI: each rank computes shards of every batch; their gradients are summed in order::

    mpiexec -n 4 python train.py

Every process (rank) runs the same program. Several processes need mpi4py and MPI; a single process needs neither.
"""

from .communicators import ALONE, fair_threads, gather, gather_bytes, merge, world
from .data_parallel import DataParallel, Part, shard
from .failures import OtherRankError, agreed, together, watched
from .gradient_sums import all_reduce_gradients, blocks_of_shards
from .replicas import broadcast_arrays, broadcast_bytes, broadcast_parameters

__all__ = [
    "ALONE", "DataParallel", "OtherRankError", "Part", "agreed", "all_reduce_gradients", "blocks_of_shards",
    "broadcast_arrays", "broadcast_bytes", "broadcast_parameters", "fair_threads", "gather", "gather_bytes",
    "merge", "shard", "together", "watched", "world",
]  # fmt: skip
