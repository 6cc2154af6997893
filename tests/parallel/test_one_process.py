"""What needs no MPI: launchers' words, shards, buckets, the sum over shards, and the process that sees deaths."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from minigrad.parallel import DataParallel, communicators, shard, witness_process, world
from minigrad.parallel.buckets import places_of
from minigrad.parallel.communicators import ALONE
from minigrad.parallel.launchers import Launch, launch_of
from minigrad.parallel.sharding import blocks_of_shards
from minigrad.parallel.top_sums import largest

ROOT = Path(__file__).parents[2]
RANK = """
import socket, sys
from minigrad.parallel.top_sums import largest
from minigrad.parallel.witness_process import GOODBYE, hello
connection = socket.socket(socket.AF_UNIX)
connection.connect(eval(sys.argv[1]))
connection.sendall(hello(int(sys.argv[2])))
input()
connection.sendall(GOODBYE)
"""
LAUNCHERS = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS", "WORLD_SIZE")


@pytest.mark.parametrize(
    ("environment", "launch"),
    [
        ({}, None),
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, None),  # a batch script, which is one process
        ({"PMI_SIZE": "4", "PMI_RANK": "2", "MPI_LOCALRANKID": "1"}, Launch("mpiexec", 4, 2, 1)),
        ({"SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "5", "SLURM_LOCALID": "1"}, Launch("srun", 8, 5, 1)),
        ({"SLURM_STEP_NUM_TASKS": "1", "PMI_SIZE": "4", "PMI_RANK": "1"}, Launch("mpiexec", 4, 1, 0)),
        ({"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}, Launch("torchrun", 2, 1, 1)),
    ],
)
def test_what_launchers_say(environment, launch):
    assert launch_of(environment) == launch


def test_a_launcher_that_says_no_number():
    with pytest.raises(ValueError, match="PMI_SIZE must be a number, as launchers set it; it is 'four'"):
        launch_of({"PMI_SIZE": "four"})


def test_without_a_launcher_nobody_needs_mpi(monkeypatch):
    for name in LAUNCHERS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.delitem(sys.modules, "mpi4py.MPI", raising=False)
    assert world() is ALONE
    monkeypatch.setenv("PMI_SIZE", "2")
    with pytest.raises(ModuleNotFoundError, match="this needs the package mpi4py: pip install mpi4py, or"):
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


def test_buckets_are_of_one_dtype_and_not_too_large():
    sizes = [("float32", 10), ("float32", 3), ("float64", 2), ("float32", 100), ("float32", 1), ("float32", 2)]
    params = [mg.tensor(np.zeros(size), dtype=dtype, requires_grad=True) for dtype, size in sizes]
    places = places_of(params, bucket_bytes=40)
    assert [place.bucket for place in places] == [4, 3, 2, 1, 0, 0]
    assert [place.where for place in places[-2:]] == [slice(2, 3), slice(0, 2)]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_tables_have_buckets_of_their_own(dtype):
    params = [mg.tensor(np.zeros((3, 2)), dtype=dtype, requires_grad=True) for _ in range(5)]
    assert [place.bucket for place in places_of(params)] == [0] * 5
    assert [place.bucket for place in places_of(params, tables=[1, 4])] == [3, 2, 1, 1, 0]
    assert [place.bucket for place in places_of(params, tables=range(5))] == [4, 3, 2, 1, 0]


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


@pytest.mark.parametrize("bytes", [0, -1, 2.0])
def test_a_size_of_buckets_that_is_none_is_refused_in_one_process_too(bytes):
    with pytest.raises(ValueError, match=rf"DataParallel: bucket_bytes must be an integer of at least 1, not {bytes}"):
        DataParallel(mg.nn.Linear(1, 1), bucket_bytes=bytes)


@pytest.mark.parametrize("shards", [0, 1.5, True, "2"])
def test_a_number_of_shards_that_is_none(shards):
    with pytest.raises(ValueError, match=f"DataParallel: shards must be an integer of at least 1, not {shards!r}"):
        DataParallel(mg.nn.Linear(2, 1), shards=shards)


@pytest.mark.parametrize("compress", ["float8", 0.0, 1.0, 1, True, float("nan"), np.zeros(2)])
def test_a_compression_that_is_none(compress):
    with pytest.raises(ValueError, match="DataParallel: compress must be 'float16', a share from above 0 to below 1"):
        DataParallel(mg.nn.Linear(2, 1), compress=compress)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_the_largest_are_those_of_a_stable_order(dtype):
    rng = np.random.default_rng(0)
    for count in range(1, 20):
        numbers = rng.integers(-4, 5, 19).astype(dtype) / 3
        numbers[rng.integers(19)] = rng.choice([np.nan, np.inf, -0.0])
        sizes = np.where(np.isnan(numbers), np.inf, np.abs(numbers))
        expected = np.sort(np.argsort(-sizes, kind="stable")[:count])
        np.testing.assert_array_equal(largest(numbers, count), expected)


@pytest.mark.skipif(not witness_process.can_watch(), reason="another platform: no epoll")
@pytest.mark.parametrize("word", [True, False])
def test_the_witness_tells_who_died_first_and_ends_the_others(word):
    """Ranks are programs that hold a connection until they read a line, and then leave with a good-bye."""
    address = f"\0minigrad-test-{os.getpid()}-{word}"
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(address)
        door.listen(3)
        told = {"listener": door.fileno(), "here": 3, "size": 6, "host": "here", "hint": "; go on", "grace": 0.5}
        command = [sys.executable, "-I", "-S", witness_process.__file__, json.dumps(told)]
        pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
        witness = subprocess.Popen(command, **pipes, pass_fds=[door.fileno()])
    program = [sys.executable, "-c", RANK, ascii(address)]
    ranks = [subprocess.Popen([*program, str(rank)], stdin=subprocess.PIPE, cwd=ROOT) for rank in (3, 4, 5)]
    witness.stdout.readline()
    if word:
        for process in ranks:
            process.communicate(b"\n")
        assert witness.communicate()[1] == b""
    else:
        ranks[1].kill()
        said = witness.communicate()[1].decode()
        assert said.strip() == f"rank 4 of 6 (process {ranks[1].pid} on here) died, and all others end; go on"
    assert [process.wait(30) for process in ranks] == [0 if word else -9] * 3
    for process in ranks:
        process.stdin.close()


def test_who_waits_asks_many_times_between_two_naps(monkeypatch):
    """MPI moves a piece of a message when it is asked: one question a nap would be slower than the network."""

    class Request:
        asked = 0

        def Test(self):  # noqa: N802
            self.asked += 1
            return self.asked == 100

    naps, request = [], Request()
    monkeypatch.setattr(communicators.time, "sleep", naps.append)
    communicators.wait(request)
    assert request.asked == 100
    assert len(naps) == 3
