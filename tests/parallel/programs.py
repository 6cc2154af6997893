"""Programs for tests on ranks: `python -m tests.parallel.programs NAME …` calls the function of that name.

Rank 0 prints; a failing assertion on any rank ends all ranks.
"""

from __future__ import annotations

import os
import signal
import sys
import zlib

import numpy as np

import minigrad as mg
from minigrad import parallel

comm = parallel.world()


def say(*words):
    if comm.rank == 0:
        print(*words, flush=True)


class Net(mg.nn.Module):
    """Weights of three dtypes, an unused one, one that only some shards use, and a frozen one."""

    def __init__(self, seed):
        self.embed = mg.nn.Embedding(50, 8, rng=np.random.default_rng(seed))
        self.lstm, self.head = mg.nn.LSTM(8, 16, rng=seed + 1), mg.nn.Linear(16, 50, rng=seed + 2)
        self.half = mg.nn.Parameter(np.ones(3, np.float16))
        self.double = mg.nn.Parameter(np.ones((1, 50)))
        self.seldom, self.unused = mg.nn.Linear(50, 50, rng=seed), mg.nn.Linear(3, 3, rng=seed)
        self.frozen = mg.nn.Parameter(np.ones(2, np.float32))
        self.frozen.requires_grad = False

    def forward(self, ids, number, rng):
        states, _ = self.lstm(mg.dropout(self.embed(ids), 0.5, rng=rng))
        scores = self.head(states) * self.half.sum() * self.double
        return scores + self.seldom(scores) if number % 2 else scores


def checksum(arrays):
    return zlib.crc32(b"".join(array.tobytes() for array in arrays))


def training(shards):
    """Train on a few batches of odd sizes, one of them with fewer rows than shards."""
    net = Net(comm.rank)  # all ranks take the weights of rank 0
    data_parallel = parallel.DataParallel(net, shards=int(shards), bucket_bytes=3000)
    adam = mg.optim.Adam(net.parameters(), lr=1e-2)
    rng = np.random.default_rng(0)
    ids = rng.integers(50, size=(37, 6))
    for iteration, size in enumerate((21, 2, 20, 7)):
        rows = rng.permutation(37)[:size]
        for part in data_parallel.parts(rows):
            x = ids[part.rows]
            own = np.random.default_rng([iteration, part.number])
            loss = mg.cross_entropy(net(x[:, :-1], part.number, own), x[:, 1:])
            (part.share * loss).backward()
        assert net.unused.weight.grad is None
        assert (net.seldom.weight.grad is None) == (int(shards) == 1)
        gradients = [p.grad for p in net.parameters() if p.grad is not None]
        adam.step()
    for told in parallel.gather(comm, [checksum(gradients), checksum(net.state_dict().values())]):
        say(*told)


def summing():
    """`all_reduce_gradients` sums gradients in place, in the order of ranks."""
    numbers = [np.random.default_rng(rank).standard_normal(1000).astype(np.float32) for rank in range(comm.size)]
    p, q, r = (mg.tensor(np.zeros(1000), dtype="float32", requires_grad=True) for _ in range(3))
    p.grad = numbers[comm.rank].copy()
    q.grad = numbers[1].copy() if comm.rank == 1 else None
    parallel.all_reduce_gradients([p, q, r])
    expected = numbers[0].copy()
    for other in numbers[1:]:
        expected += other
    assert p.grad.tobytes() == expected.tobytes()
    assert q.grad.tobytes() == numbers[1].tobytes()
    assert r.grad is None


def merging():
    numbers = np.zeros(5)
    numbers[comm.rank :: comm.size] = np.arange(5.0)[comm.rank :: comm.size] + 0.1
    assert parallel.merge(comm, numbers).tolist() == [0.1, 1.1, 2.1, 3.1, 4.1]
    content = b"of rank 0" if comm.rank == 0 else b""
    assert parallel.broadcast_bytes(content, 0, comm) == b"of rank 0"
    assert parallel.shard(np.arange(10)).tolist() == list(range(comm.rank, 10, comm.size))


def threads():
    """Ranks share the processors, unless somebody asked for a number of threads."""
    here = len(os.sched_getaffinity(0))
    assert parallel.fair_threads(comm, {}) == max(1, here // comm.size)
    assert parallel.fair_threads(comm, {"OMP_NUM_THREADS": "1"}) == mg.get_num_threads()
    assert parallel.fair_threads(comm, {"SLURM_CPUS_PER_TASK": "7"}) == 7


def errors():
    """Print errors that all ranks have, because their arguments differ or they misuse `DataParallel`."""
    net, p = mg.nn.Linear(2, 1), mg.tensor(np.ones(2 + comm.rank), requires_grad=True)
    data_parallel, replaced = parallel.DataParallel(net, bucket_bytes=1), mg.nn.Linear(2, 1)
    stale = parallel.DataParallel(replaced)
    replaced.weight = mg.nn.Parameter(np.zeros((1, 2), np.float32))

    def twice():
        for _ in data_parallel.parts(np.arange(comm.size)):
            net(np.ones((1, 2), np.float32)).sum().backward()
            net(np.ones((1, 2), np.float32)).sum().backward()

    def alike():
        with parallel.together(alike=(ZeroDivisionError,)):
            raise ZeroDivisionError("on all")

    def other_rank():
        with parallel.agreed():
            if comm.rank:
                raise OSError(f"no disk at rank {comm.rank}")

    for action in (
        lambda: parallel.DataParallel(net, shards=2 + 2 * comm.rank),
        lambda: parallel.DataParallel(net, bucket_bytes=100 + comm.rank),
        lambda: parallel.broadcast_parameters(mg.nn.Linear(2 + comm.rank, 3)),
        lambda: parallel.broadcast_parameters(mg.nn.Linear(2, 1), root=7),
        lambda: parallel.all_reduce_gradients([p]),
        lambda: parallel.DataParallel(net, shards=1),
        twice,
        lambda: next(data_parallel.parts(np.arange(comm.size))),
        lambda: list(stale.parts(np.arange(4))),
        alike,
        other_rank,
    ):
        try:
            action()
            raise AssertionError("no error, and further actions might wait forever")
        except (ValueError, RuntimeError, OSError, ZeroDivisionError) as error:
            say(f"{type(error).__name__}: {error}")


def together():
    for program in (summing, merging, threads, errors):
        program()


def stopped_in_agreed():
    with parallel.agreed():
        if comm.rank:
            raise KeyboardInterrupt


def ending(how, rank):
    """One rank ends while the others go on."""
    with parallel.together(hint="; go on so"):
        for turn in range(10_000):
            parallel.gather(comm, [turn])
            if turn == 100 and comm.rank == int(rank):
                if how == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                if how == "raise":
                    raise MemoryError("there is none left")
                sys.exit(3)


def stopping(rank):
    """Ctrl-C stops all ranks, or one of them, while they communicate."""
    with parallel.watched():
        if rank in ("all", str(comm.rank)):
            os.kill(os.getpid(), signal.SIGINT)
        parallel.gather(comm, [0])
        while True:
            parallel.gather(comm, [1])


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
