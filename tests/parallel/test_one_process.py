"""Without MPI: environment variables of launchers, shards, buckets and the sum over shards."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import minigrad as mg
from minigrad.parallel import DataParallel, blocks_of_shards, shard, world
from minigrad.parallel.communicators import ALONE, Launch, launch_of
from minigrad.parallel.gradient_sums import groups_of

LAUNCHERS = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS", "WORLD_SIZE")


@pytest.mark.parametrize(
    ("environment", "launch"),
    [
        ({}, None),
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, None),  # a batch script is one process
        ({"PMI_SIZE": "4", "PMI_RANK": "2"}, Launch("mpiexec", 4, 2)),
        ({"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5"}, Launch("srun", 8, 5)),
        ({"SLURM_STEP_NUM_TASKS": "1", "PMI_SIZE": "4", "PMI_RANK": "1"}, Launch("mpiexec", 4, 1)),
        ({"WORLD_SIZE": "2", "RANK": "1"}, Launch("torchrun", 2, 1)),
    ],
)
def test_environment_variables_of_launchers(environment, launch):
    assert launch_of(environment) == launch


def test_one_process_needs_no_mpi(monkeypatch):
    for name in LAUNCHERS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.delitem(sys.modules, "mpi4py.MPI", raising=False)
    assert world() is ALONE
    monkeypatch.setenv("PMI_SIZE", "2")
    with pytest.raises(ModuleNotFoundError, match=r"this needs the package mpi4py: pip install .*\[mpi\]"):
        world()


def test_every_row_is_in_one_shard():
    rows = np.random.default_rng(0).permutation(23)
    parts = [shard(rows, number, of=5) for number in range(5)]
    assert sorted(np.concatenate(parts)) == sorted(rows)
    assert {len(part) for part in parts} == {4, 5}
    with pytest.raises(ValueError, match="number must be from 0 to below 5, the number of shards; got 5"):
        shard(rows, 5, of=5)


@pytest.mark.parametrize(("shards", "ranks"), [(1, 1), (5, 2), (5, 4), (8, 8)])
def test_every_shard_has_a_rank(shards, ranks):
    blocks = blocks_of_shards(shards, ranks)
    assert [number for block in blocks for number in block] == list(range(shards))
    assert min(map(len, blocks)) >= 1


def test_buckets_have_one_dtype_and_a_limited_size():
    sizes = [("float32", 10), ("float32", 3), ("float64", 2), ("float32", 100), ("float32", 1), ("float32", 2)]
    params = [mg.tensor(np.zeros(size), dtype=dtype, requires_grad=True) for dtype, size in sizes]
    assert groups_of(params, bucket_bytes=40) == [[5, 4], [3], [2], [1], [0]]


def test_shards_add_up_to_the_mean_over_the_batch():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((13, 4)), rng.integers(3, size=13)
    net = mg.nn.Sequential(mg.nn.Linear(4, 8, dtype="float64", rng=0), mg.nn.Tanh(), mg.nn.Linear(8, 3, rng=1))
    mg.cross_entropy(net(x), y).backward()
    whole = [p.grad for p in net.parameters()]
    losses = []
    for part in DataParallel(net, shards=4).parts(np.arange(13)):
        loss = part.share * mg.cross_entropy(net(x[part.rows]), y[part.rows])
        loss.backward()
        losses.append(loss.item())
    assert len(losses) == 4
    assert sum(losses) == pytest.approx(mg.cross_entropy(net(x), y).item())
    for p, expected in zip(net.parameters(), whole, strict=True):
        np.testing.assert_allclose(p.grad, expected, rtol=1e-5, atol=1e-7)


def test_shards_without_rows_are_left_out():
    net = mg.nn.Linear(2, 1)
    assert [part.number for part in DataParallel(net, shards=4).parts([7, 8])] == [0, 1]
    assert list(DataParallel(net, shards=4).parts([])) == []


@pytest.mark.parametrize(
    ("name", "value"), [("shards", 0), ("shards", 1.5), ("shards", True), ("bucket_bytes", 0), ("bucket_bytes", 2.0)]
)
def test_wrong_arguments(name, value):
    with pytest.raises(ValueError, match=f"DataParallel: {name} must be an integer of at least 1, not {value!r}"):
        DataParallel(mg.nn.Linear(2, 1), **{name: value})
