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
from minigrad.parallel import lifelines
from minigrad.parallel.buckets import Buckets

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


def tables():
    """Rows of tables add up to the bits of whole tables: with -0.0 and NaN, rows of nobody, and ranks without any."""
    rng = np.random.default_rng([1, comm.rank])
    for shape, shards in (((40, 3), comm.size), ((1, 2), comm.size + 1), ((0, 4), comm.size)):
        blocks = parallel.blocks_of_shards(shards, comm.size)
        p = mg.tensor(np.zeros(shape), dtype="float32", requires_grad=True)
        both = [Buckets([p], blocks, comm, tables=tables) for tables in ([], [0])]
        for _ in range(2):
            for number in blocks[comm.rank]:
                g = rng.standard_normal(shape).astype(np.float32)
                g[rng.random(shape[0]) < 0.8] = 0
                g[rng.random(shape[0]) < 0.2] *= -0.0
                g[:1] = np.nan if number == 1 else -0.0
                for buckets in both:
                    if comm.rank != 1 or shards > comm.size:
                        buckets.put(0, g)
                    buckets.close()
            whole, rows = (buckets.sums()[0] for buckets in both)
            assert whole.tobytes() == rows.tobytes()
    say("rows")


def compressing():
    """Half precision on the way costs what it says, and all ranks still have the same sums."""
    net = mg.nn.Sequential(mg.nn.Linear(30, 20, rng=0), mg.nn.Linear(20, 3, dtype="float64", rng=1))
    x = np.random.default_rng(comm.rank).standard_normal((5, 30)).astype(np.float32)
    found = []
    for how in (None, "float16"):
        data_parallel = parallel.DataParallel(net, compress=how)
        for _ in data_parallel.parts(np.arange(comm.size)):
            (net(x) ** 2).sum().backward()
        found.append(np.concatenate([p.grad.reshape(-1) for p in net.parameters()]))
        assert len({tuple(row) for row in parallel.gather(comm, found[-1])}) == 1
        assert (data_parallel.compression_error > 0) == (how is not None)
    exact, rounded = found
    lost = np.linalg.norm(rounded - exact) / np.linalg.norm(exact)
    assert 1e-5 < lost < 2e-3
    assert 1e-5 < data_parallel.compression_error < 1e-3
    for _ in data_parallel.parts(np.arange(comm.size)):
        (1e6 * net(x) ** 2).sum().backward()
    assert data_parallel.compression_error == np.inf
    say("half")


class Two(mg.nn.Module):
    """A layer in two buckets, a table, and a layer that every third shard leaves out."""

    def __init__(self):
        self.embed, self.head = mg.nn.Embedding(9, 4, rng=0), mg.nn.Linear(4, 30, rng=1)
        self.seldom = mg.nn.Linear(30, 30, dtype="float64", rng=2)

    def forward(self, ids, number):
        scores = self.head(self.embed(ids))
        return self.seldom(scores) if number % 3 else scores


def keeping(shards):
    """The largest numbers travel, the others later: as in formulas, and the same on any number of ranks."""
    shards, share, net = int(shards), 0.1, Two()
    data_parallel = parallel.DataParallel(net, shards, bucket_bytes=500, compress=share)
    dense = [name for name, _ in net.named_parameters() if name != "embed.weight"]
    rests = {name: [0.0] * shards for name in dense}
    ids, told = np.arange(4 * shards).reshape(-1, 2) % 9, []
    for step in range(6):
        rows = np.arange(shards if step == 2 else 2 * shards)  # every time as many rows, and once none of some shards
        rows = rows[: shards // 2] if step == 3 else rows
        for part in data_parallel.parts(rows):
            (part.share * (net(ids[part.rows], part.number) ** 2).sum() * (1 + step)).backward()
        kept = data_parallel.compression_error
        assert 0 < kept < 1
        exact = expected(net, ids, rows, shards, step)
        for name, p in net.named_parameters():
            if name in dense:
                assert p.grad.tobytes() == top(exact[name], rests[name], share).tobytes(), (step, name)
            else:
                assert p.grad.tobytes() == exact[name][-1].tobytes()
        told.append(checksum([p.grad for p in net.parameters()]))
    say(*told)


def expected(net, ids, rows, shards, step):
    """Of each parameter the gradients of all shards, None where one has none; of the table their sum, too."""
    after = {name: p.grad for name, p in net.named_parameters()}
    found = {name: [] for name in after}
    for number in range(shards):
        own = parallel.shard(rows, number, shards)
        for p in net.parameters():
            p.grad = None
        if len(own):
            (len(own) / len(rows) * (net(ids[own], number) ** 2).sum() * (1 + step)).backward()
        for name, p in net.named_parameters():
            found[name].append(None if p.grad is None else p.grad.copy())
    there = [g for g in found["embed.weight"] if g is not None]
    total = there[0].copy()
    for g in there[1:]:
        total += g
    found["embed.weight"].append(total)
    for name, p in net.named_parameters():
        p.grad = after[name]
    return found


def top(gradients, rests, share):
    """The sum over shards of their largest numbers, by the formulas; what is left is put into rests."""
    shape = next(g.shape for g in gradients if g is not None)
    total = None
    for number, g in enumerate(gradients):
        whole = rests[number] + (np.zeros(shape) if g is None else g)
        whole = whole.astype(next(g.dtype for g in gradients if g is not None))
        sent = np.zeros(whole.size, whole.dtype)
        places = np.argsort(-np.abs(whole).reshape(-1), kind="stable")[: max(1, round(share * whole.size))]
        sent[places] = whole.reshape(-1)[places]
        rests[number] = whole - sent.reshape(shape)
        total = sent if total is None else total + sent
    return total.reshape(shape)


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
    for options in ({"shards": 2 + 2 * comm.rank}, {"bucket_bytes": 100 + comm.rank},
                    {"compress": "float16" if comm.rank else None}):  # fmt: skip
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


def recovering():
    """A batch that was not finite spoils its own sums, and none after it."""
    net = mg.nn.Linear(64, 4)
    data_parallel = parallel.DataParallel(net, compress=0.1)
    found = []
    for step in range(3):
        x = np.full((comm.size, 64), np.nan if step == 0 else 1.0, np.float32)
        for part in data_parallel.parts(np.arange(comm.size)):
            (part.share * net(x[part.rows]).sum()).backward()
        found.append(all(np.isfinite(p.grad).all() for p in net.parameters()))
    assert found == [False, True, True], found
    say("whole")


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
                if how == "exit":
                    sys.exit(3)
                lifelines._PATIENCE = 0.5
                return


def stopping(rank):
    """All ranks, or one of them, are stopped as by Ctrl-C while they do something together."""
    with parallel.watched():
        if rank in ("all", str(comm.rank)):
            os.kill(os.getpid(), signal.SIGINT)
        parallel.gather(comm, [0])
        while True:
            parallel.gather(comm, [1])


def leaving():
    """A witness has nothing to say of ranks that leave together, by an error that all have, too."""
    try:
        with parallel.together(alike=(ZeroDivisionError,)):
            raise ZeroDivisionError
    except ZeroDivisionError:
        say("left")


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
