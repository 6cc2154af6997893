"""The same steps by PyTorch's DistributedDataParallel with gloo: `python -m benchmarks.scale.steps_in_torch WORK`.

RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT say what a launcher of PyTorch says. Rank 0 prints figures. As users
write it: the usual buckets of 25 MB, the fused Adam, and the vocabulary product of the words that count alone.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.jobs.captioner_in_torch import TorchCaptioner
from benchmarks.scale.work import WARM_UP, Work, timed

__all__ = ["measured"]


def measured(work: Work, rank: int, ranks: int) -> dict[str, Any]:
    """Figures of the steps, by the names of `steps.measured`, on every rank."""
    torch.set_num_threads(1)
    net, alone = (TorchCaptioner(work.sizes.weights(), rows="unmasked") for _ in range(2))
    whole_net = net if ranks == 1 else torch.nn.parallel.DistributedDataParallel(net)
    whole = timed(_step(work, whole_net, net, rank, ranks), work.steps)
    _gathered([0.0], ranks)  # all begin together
    apart = timed(_step(work, alone, alone, rank, ranks), work.steps)
    sent = 2.0 * (ranks - 1) * sum(p.numel() * p.element_size() for p in net.trained())  # by a ring
    of_ranks = _gathered([whole["processor"], apart["processor"], float(np.median(apart["seconds"]))], ranks)
    return {
        "seconds": whole["seconds"],
        "losses": _gathered(whole["losses"], ranks).sum(axis=0).tolist(),
        "apart": float(of_ranks[:, 2].mean()),
        "processor": float(of_ranks[:, 0].sum()),
        "processor apart": float(of_ranks[:, 1].sum()),
        "sent": sent,
        "sent in all": (WARM_UP + work.steps + 0.5) * sent,  # with the weights of rank 0 at the start
    }


def _step(work: Work, net: Any, inner: TorchCaptioner, rank: int, ranks: int) -> Callable[[int], float]:
    """A step of one rank, which returns its part of the loss; every rank has as many captions."""
    adam = torch.optim.Adam(inner.trained(), lr=1e-3, fused=True)
    features = torch.tensor(work.sizes.pictures()[rank::ranks])
    captions = [torch.tensor(ids[rank::ranks]) for ids in work.sizes.captions()]

    def step(i: int) -> float:
        adam.zero_grad()
        loss = net(features, captions[i % len(captions)])
        loss.backward()
        adam.step()
        return float(loss) / ranks

    return step


def _gathered(numbers: list[float], ranks: int) -> Any:
    """The numbers of all ranks, (ranks, n)."""
    own = torch.tensor(numbers, dtype=torch.float64)
    if ranks == 1:
        return own.numpy()[None]
    every = [torch.empty_like(own) for _ in range(ranks)]
    torch.distributed.all_gather(every, own)
    return torch.stack(every).numpy()


def _main(work: Work) -> None:
    rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if ranks > 1:
        torch.distributed.init_process_group("gloo")
    found = measured(work, rank, ranks)
    if rank == 0:
        print(json.dumps(found), flush=True)
    if ranks > 1:
        torch.distributed.barrier()
        sys.stdout.flush()
        os._exit(0)  # gloo's threads now and then abort a process that ends in the usual way


if __name__ == "__main__":
    _main(Work.of(sys.argv[1]))
