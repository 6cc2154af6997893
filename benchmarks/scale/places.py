"""Where ranks run and by what they talk, and how their programs are started there."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.scale.forwarder import Wire
from benchmarks.scale.hosts import ADDRESSES, DEVICE, Hosts, two_hosts
from minigrad.runtime.extras import how_to_install

__all__ = ["KINDS", "Place", "place_of", "run_by_mpiexec", "run_by_torch"]

KINDS = {
    "memory": "processes of one machine, by shared memory (gloo, which has none, by TCP on loopback)",
    "loopback": "processes of one machine, by TCP on loopback",
    "hosts": "two hosts, by TCP through a process that forwards packets; needs root",
}
"""The kinds of places, and what they are."""

_ROOT = Path(__file__).parents[2]
_TCP = {"UCX_TLS": "tcp,self", "FI_PROVIDER": "tcp", "MPIR_CVAR_NOLOCAL": "1"}  # MPICH, by either of its networks
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_PATIENCE = 600  # seconds that a program may take
_GRACE = 5  # seconds to end in when told to


@dataclass(frozen=True)
class Place:
    """One of `KINDS`. device: the network device of TCP. hosts: if there are two. variables: for MPI."""

    kind: str
    device: str = "lo"
    hosts: Hosts | None = None
    variables: dict[str, str] = field(default_factory=dict)

    def mpiexec(self, ranks: int) -> list[str]:
        """What stands in front of a program that is to run on ranks, as many on each host.

        Raises:
            ModuleNotFoundError: if there is no mpiexec.
            ValueError: for a number of ranks that two hosts cannot have as many of.
        """
        used = ADDRESSES[: min(ranks, len(ADDRESSES))]
        if self.hosts is not None and ranks % len(used):
            raise ValueError(f"{ranks} ranks cannot be divided evenly by {len(used)} hosts: an even number, or 1")
        command = shutil.which("mpiexec", path=str(Path(sys.executable).parent)) or shutil.which("mpiexec")
        if command is None:
            raise ModuleNotFoundError(f"this needs the command mpiexec: {how_to_install('mpi', 'mpi4py', 'mpich')}")
        if self.hosts is None:
            return [command, "-n", str(ranks)]
        places = ",".join(f"{address}:{ranks // len(used)}" for address in used)
        over = ["-launcher", "ssh", "-launcher-exec", str(self.hosts.launcher), "-iface", self.device]
        return [*self.on_host(0, ranks), command, *over, "-hosts", places, "-n", str(ranks)]

    def on_host(self, rank: int, ranks: int) -> list[str]:
        """What stands in front of a command that is to run on the host of a rank."""
        if self.hosts is None:
            return []
        number = rank * len(self.hosts.names) // ranks
        return ["ip", "netns", "exec", self.hosts.names[number]]

    def counts(self) -> dict[str, float]:
        """So far: of the wire between two hosts what `Hosts.counts` says, of loopback the bytes, whoever sent them."""
        return _loopback_bytes() if self.hosts is None else self.hosts.counts()


@contextlib.contextmanager
def place_of(kind: str, wire: Wire) -> Iterator[Place]:
    """A place of a kind of `KINDS`.

    Raises:
        OSError: if there can be no two hosts here.
    """
    if kind == "hosts":
        with two_hosts(wire) as hosts:
            yield Place(kind, DEVICE, hosts, {**_TCP, "UCX_NET_DEVICES": DEVICE, "FI_TCP_IFACE": DEVICE})
    elif kind == "loopback":
        # UCX does not take lo by name; what goes to this machine's other addresses goes by loopback all the same
        yield Place(kind, variables={**_TCP, "FI_TCP_IFACE": "lo"})
    else:
        yield Place(kind)


def run_by_mpiexec(place: Place, ranks: int, module: str, *arguments: str) -> Any:
    """What rank 0 of a program prints as JSON; a single rank is a process without MPI."""
    command = [*(place.mpiexec(ranks) if ranks > 1 else []), sys.executable, "-m", module, *arguments]
    return _run([command], [_environment(**place.variables)])


def run_by_torch(place: Place, ranks: int, module: str, *arguments: str) -> Any:
    """The same of a program whose ranks are told by the environment who they are, as torchrun does."""
    told = {"WORLD_SIZE": str(ranks), "GLOO_SOCKET_IFNAME": place.device}
    if place.hosts is not None:
        told |= {"MASTER_ADDR": ADDRESSES[0], "MASTER_PORT": "29500"}  # nobody else is there
    else:
        told |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    commands = [[*place.on_host(rank, ranks), sys.executable, "-m", module, *arguments] for rank in range(ranks)]
    return _run(commands, [_environment(RANK=str(rank), LOCAL_RANK=str(rank), **told) for rank in range(ranks)])


def _loopback_bytes() -> dict[str, float]:
    """As Linux counts them; nothing elsewhere."""
    try:
        lines = Path("/proc/net/dev").read_text().splitlines()
    except OSError:
        return {}
    return {"bytes": sum(float(words[1]) for words in map(str.split, lines) if words[0] == "lo:")}


def _environment(**more: str) -> dict[str, str]:
    return {**os.environ, **_ONE_THREAD, "PYTHONPATH": str(_ROOT), **more}


def _free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port: int = door.getsockname()[1]
        return port


def _run(commands: Sequence[list[str]], environments: Sequence[dict[str, str]]) -> Any:
    """Start processes, wait until all have ended, and read the JSON that the first one printed.

    Raises:
        OSError: if one of them fails, or they take too long; the others are ended.
    """
    with contextlib.ExitStack() as stack:
        files = [(stack.enter_context(_temporary()), stack.enter_context(_temporary())) for _ in commands]
        processes = []
        for command, environment, (out, err) in zip(commands, environments, files, strict=True):
            streams = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err}
            process = subprocess.Popen(command, cwd=_ROOT, env=environment, start_new_session=True, **streams)
            stack.callback(_end, process)
            processes.append(process)
        failed = _wait(processes)
        if failed is not None:
            late = processes[failed].poll() is None
            why = f"not within {_PATIENCE} s" if late else _last_line(files[failed][1])
            raise OSError(f"{_shown(commands[failed])}: {why}")
        files[0][0].seek(0)
        return json.loads(files[0][0].read())


def _wait(processes: Sequence[subprocess.Popen[Any]]) -> int | None:
    """Wait until all have ended well, or one has not: its number."""
    until = time.monotonic() + _PATIENCE
    while True:
        states = [process.poll() for process in processes]
        failed = next((number for number, state in enumerate(states) if state), None)
        if failed is not None or None not in states:
            return failed
        if time.monotonic() > until:
            return states.index(None)
        time.sleep(0.02)


def _end(process: subprocess.Popen[Any]) -> None:
    """End a process and what it started, if it has not ended."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)


def _temporary() -> Any:
    return tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")


def _shown(command: Sequence[str]) -> str:
    return next((word for word in command if word.startswith("benchmarks.")), command[0])


def _last_line(file: Any) -> str:
    file.seek(0)
    lines = [line.strip() for line in file.read().splitlines() if line.strip()]
    wrong = [line for line in lines if "Error" in line]
    return str((wrong or lines or ["ended without a word"])[-1])
