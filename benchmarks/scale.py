"""The cost of training on ranks, compared with PyTorch's DistributedDataParallel: ``python -m benchmarks.scale``.

A captioner with an LSTM trains on a batch that the ranks divide, one thread per rank. minigrad's ranks are started by
``mpiexec``, PyTorch's by this script, with gloo. Both learn from the same first weights and batches, and their losses
must agree. ``--json`` keeps the time of every step.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.jobs.captions import Sizes, captioner
from benchmarks.machine import describe
from minigrad.runtime.files import replacing

WARM_UP, BATCHES = 3, 4
TOLERANCE = 1e-3  # of losses, relative, after some steps of Adam in float32
SIZES = Sizes(3000, 100, BATCHES)
QUICK = Sizes(50, 8, BATCHES, features=8, wordvec=8, hidden=16)


# --- a rank, in a process of its own ------------------------------------------------------------------------


def timed(step: Callable[[int], float], steps: int) -> dict[str, list[float]]:
    """The loss of every step, and the seconds of those after the first, which allocate memory and connect."""
    losses, seconds = [], []
    for i in range(WARM_UP + steps):
        began = time.perf_counter()
        losses.append(step(i))
        seconds.append(time.perf_counter() - began)
    return {"losses": losses, "seconds": seconds[WARM_UP:]}


def minigrad_rank(sizes: Sizes, steps: int) -> dict[str, list[float]] | None:
    """Train on this rank; rank 0 returns what it timed, with losses of the whole batch."""
    import minigrad as mg

    mg.set_num_threads(1)
    with mg.parallel.together():
        comm, model = mg.parallel.world(), captioner(sizes)
        parallel = mg.parallel.DataParallel(model, comm.size, comm)
        adam = mg.optim.Adam(model.parameters(), lr=1e-3)
        captions, features, rows = sizes.captions(), sizes.pictures(), np.arange(sizes.batch)

        def step(i: int) -> float:
            total = 0.0
            for part in parallel.parts(rows):
                loss = part.share * model.loss(features[part.rows], captions[i % BATCHES][part.rows])
                loss.backward()
                total += loss.item()
            adam.step()
            return total

        found = timed(step, steps)
        found["losses"] = mg.parallel.gather(comm, found["losses"]).sum(axis=0).tolist()
        return found if comm.rank == 0 else None


def torch_rank(sizes: Sizes, steps: int) -> dict[str, list[float]] | None:
    """The same with DistributedDataParallel and gloo, as RANK, WORLD_SIZE and MASTER_ADDR say."""
    import torch

    from benchmarks.jobs.captioner_in_torch import TorchCaptioner

    rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    inner = TorchCaptioner(sizes.weights(), rows="unmasked")
    net = torch.nn.parallel.DistributedDataParallel(inner)
    adam = torch.optim.Adam(inner.trained(), lr=1e-3, fused=True)
    features = torch.tensor(sizes.pictures()[rank::ranks])
    captions = [torch.tensor(ids[rank::ranks]) for ids in sizes.captions()]

    def step(i: int) -> float:
        adam.zero_grad()
        loss = net(features, captions[i % BATCHES])
        loss.backward()
        adam.step()
        return loss.item() / ranks

    found = timed(step, steps)
    losses = torch.tensor(found["losses"])
    torch.distributed.all_reduce(losses)
    found["losses"] = losses.tolist()
    return found if rank == 0 else None


RANKS = {"minigrad": minigrad_rank, "PyTorch DDP": torch_rank}


# --- the driver ---------------------------------------------------------------------------------------------


def run(framework: str, ranks: int, options: argparse.Namespace) -> dict[str, list[float]]:
    """Start the ranks and return what rank 0 prints.

    Raises:
        subprocess.CalledProcessError: if a rank fails; its message is on standard error.
    """
    command = [sys.executable, "-m", "benchmarks.scale", "--rank", framework, "--steps", str(options.steps)]
    command += ["--quick"] * options.quick
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # mpich brings an mpiexec
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PATH": path}
    if framework == "minigrad":
        mpiexec = shutil.which("mpiexec", path=path) or sys.exit("mpiexec is missing. Install the extra mpi.")
        command = [mpiexec, "-n", str(ranks), *command] if ranks > 1 else command
        output = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True).stdout
        return json.loads(output)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": str(ranks)}
    processes = [
        subprocess.Popen(command, env={**environment, "RANK": str(rank)}, stdout=subprocess.PIPE)
        for rank in range(ranks)
    ]
    outputs = [process.communicate()[0] for process in processes]
    for process in processes:
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
    return json.loads(outputs[0])


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Every framework on every number of ranks, in turns."""
    cases = [(ranks, framework) for ranks in options.ranks for framework in options.frameworks]
    rows = [{"ranks": ranks, "framework": framework, "rounds": []} for ranks, framework in cases]
    for number in range(options.rounds):
        for row in rows if number % 2 == 0 else rows[::-1]:
            print(f"round {number + 1}: {row['framework']}, ranks: {row['ranks']}", file=sys.stderr, flush=True)
            found = run(row["framework"], row["ranks"], options)
            first = next((r["rounds"][0]["losses"] for r in rows if r["rounds"]), found["losses"])
            if not np.allclose(found["losses"], first, rtol=TOLERANCE):
                raise SystemExit(f"{row['framework']} on {row['ranks']} ranks has different losses from {cases[0]}")
            row["rounds"].append(found)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Seconds of a step, the median over rounds of medians, beside one rank and beside PyTorch."""
    steps = {
        (row["ranks"], row["framework"]): statistics.median(statistics.median(r["seconds"]) for r in row["rounds"])
        for row in rows
    }
    lines = ["| ranks | framework | step | speed-up | minigrad / DDP |", "|---:|---|---:|---:|---:|"]
    for (ranks, framework), seconds in steps.items():
        alone, theirs = steps.get((1, framework)), steps.get((ranks, "PyTorch DDP"))
        speed_up = f"{alone / seconds:.2f}" if alone else ""
        ratio = f"{seconds / theirs:.2f}" if theirs and framework == "minigrad" else ""
        lines.append(f"| {ranks} | {framework} | {1e3 * seconds:.0f} ms | {speed_up} | {ratio} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table, or be one rank."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__.split("\n\n")[1])
    parser.add_argument(
        "--ranks", type=int, choices=range(1, 65), nargs="+", default=[1, 2, 4], metavar="N", help="(default: 1 2 4)"
    )
    parser.add_argument("--frameworks", nargs="+", choices=RANKS, default=list(RANKS), help="(default: both)")
    parser.add_argument("--steps", type=int, default=12, metavar="N", help="timed steps of a run (default: 12)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="runs of each (default: 3)")
    parser.add_argument("--quick", action="store_true", help="use a tiny captioner, as a smoke test")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the time of every step")
    parser.add_argument("--rank", choices=RANKS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.rank:
        if (found := RANKS[options.rank](QUICK if options.quick else SIZES, options.steps)) is not None:
            print(json.dumps(found), flush=True)
        if options.rank != "minigrad":
            os._exit(0)  # gloo's threads sometimes abort a process that ends in the usual way
        return
    rows = measure(options)
    print(table(rows))
    if options.json:
        with replacing(options.json) as temporary:
            temporary.write_text(json.dumps({"machine": describe(), "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
