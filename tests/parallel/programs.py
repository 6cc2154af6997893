"""What tests run on ranks: `python -m tests.parallel.programs NAME …` calls the function of that name.

Rank 0 prints; an assertion that fails on any rank ends all.
"""

from __future__ import annotations

import os
import signal
import sys
import zlib

import numpy as np

import minigrad as mg
from minigrad import parallel
from minigrad.parallel.gradient_sums import Buckets

comm = parallel.world()


def say(*words):
    if comm.rank == 0:
        print(*words, flush=True)


class Net(mg.nn.Module):
    """Weights of three dtypes, one parameter that no loss depends on, one that some shards leave out, one frozen."""

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
    """Train a little, on batches that are no multiple of anything, one of them with fewer rows than shards."""
    net = Net(comm.rank)  # others' weights become those of rank 0
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


def reducing():
    """Gradients that are there are summed in place, in the order of ranks."""
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
    say("same")


def travelling():
    """Buckets leave while the reverse pass goes on, the last layers' first."""
    net = mg.nn.Sequential(*(mg.nn.Linear(40, 40, rng=0) for _ in range(6)))
    left = []
    advance = Buckets._advance

    def noting(self):
        advance(self)
        left.append(self._sent)

    Buckets._advance = noting
    data_parallel = parallel.DataParallel(net, bucket_bytes=4 * 41 * 40)
    for _ in data_parallel.parts(np.arange(comm.size)):
        net(np.ones((2, 40), np.float32)).sum().backward()
    assert sorted(left) == left
    assert left[:12:2] == [0, 1, 2, 3, 4, 5], left
    assert left[-1] == 6
    say("on the way")


def mistakes():
    """Errors that all ranks have."""
    others = mg.nn.Linear(2 + comm.rank, 3)
    told = []
    try:
        parallel.broadcast_parameters(others)
    except ValueError as error:
        told.append(str(error))
    net = mg.nn.Linear(2, 1)
    data_parallel = parallel.DataParallel(net, bucket_bytes=1)
    try:
        for _ in data_parallel.parts(np.arange(comm.size)):
            net(np.ones((1, 2), np.float32)).sum().backward()
            net(np.ones((1, 2), np.float32)).sum().backward()
    except ValueError as error:
        told.append(str(error))
    try:
        next(data_parallel.parts(np.arange(comm.size)))
    except RuntimeError as error:
        told.append(str(error))
    try:
        parallel.DataParallel(net, shards=1)
    except ValueError as error:
        told.append(str(error))
    try:
        with parallel.agreed():
            if comm.rank:
                raise OSError(f"no disk at rank {comm.rank}")
    except (parallel.OtherRankError, OSError) as error:
        told.append(f"{type(error).__name__}: {error}")
    say("\n".join(told))


def unlike():
    """Options and arrays that differ from rank to rank are errors on all of them; so are parameters made anew."""
    told = []
    for options in ({"shards": 2 + 2 * comm.rank}, {"bucket_bytes": 100 + comm.rank}):
        told.append(_told(lambda options=options: parallel.DataParallel(mg.nn.Linear(2, 1), **options)))
    p = mg.tensor(np.ones(2 + comm.rank), requires_grad=True)
    told.append(_told(lambda: parallel.all_reduce_gradients([p])))
    told.append(_told(lambda: parallel.broadcast_parameters(mg.nn.Linear(2, 1), root=7)))
    net = mg.nn.Linear(2, 1)
    data_parallel = parallel.DataParallel(net)
    net.weight = mg.nn.Parameter(np.zeros((1, 2), np.float32))
    told.append(_told(lambda: list(data_parallel.parts(np.arange(4)))))
    say("\n".join(told))


def _told(action):
    try:
        action()
    except (ValueError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def speechless():
    class SpeechlessError(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    with parallel.together():
        if comm.rank:
            raise SpeechlessError
        parallel.gather(comm, [1])


def stopped_in_agreed():
    with parallel.agreed():
        if comm.rank:
            raise KeyboardInterrupt


def merging():
    numbers = np.zeros(5)
    numbers[comm.rank :: comm.size] = np.arange(5.0)[comm.rank :: comm.size] + 0.1
    assert parallel.merge(comm, numbers).tolist() == [0.1, 1.1, 2.1, 3.1, 4.1]
    content = b"of rank 0" if comm.rank == 0 else b""
    assert parallel.broadcast_bytes(content, 0, comm) == b"of rank 0"
    assert parallel.shard(np.arange(10)).tolist() == list(range(comm.rank, 10, comm.size))
    say("whole")


def threads():
    """Processors are divided by the ranks that may use them, unless somebody asked for a number."""
    here = len(os.sched_getaffinity(0))
    assert parallel.fair_threads(comm, {}) == max(1, here // comm.size)
    assert parallel.fair_threads(comm, {"OMP_NUM_THREADS": "1"}) == mg.get_num_threads()
    assert parallel.fair_threads(comm, {"SLURM_CPUS_PER_TASK": "7"}) == 7
    if here >= comm.size:  # each on a processor of its own
        os.sched_setaffinity(0, [sorted(os.sched_getaffinity(0))[comm.rank]])
        assert parallel.fair_threads(comm, {}) == 1
    say("divided")


def ending(how, rank):
    """One rank ends as it is told to, while the others go on."""
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
    """All ranks, or one of them, are stopped as by Ctrl-C while they do something together."""
    with parallel.watched():
        if rank in ("all", str(comm.rank)):
            os.kill(os.getpid(), signal.SIGINT)
        parallel.gather(comm, [0])
        while True:
            parallel.gather(comm, [1])


def leaving():
    """An error that all ranks have at once is raised as it is."""
    try:
        with parallel.together(alike=(ZeroDivisionError,)):
            raise ZeroDivisionError
    except ZeroDivisionError:
        say("left")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
