"""Two hosts on one machine: network namespaces of Linux, each with a TUN device, and a process that forwards packets.

Neither has another way out than its device, so what ranks of different hosts say to each other goes through the
forwarder, which counts it. Namespaces share the machine's processors, memory and files.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.scale.forwarder import Wire

__all__ = ["ADDRESSES", "DEVICE", "Hosts", "missing", "two_hosts"]

ADDRESSES = ("10.77.0.1", "10.77.0.2")
DEVICE = "wire"
"""What the device is called on both hosts."""
_TUN = "/dev/net/tun"
_SET_INTERFACE = 0x400454CA  # TUNSETIFF
_NO_HEADER = 0x1001  # IFF_TUN | IFF_NO_PI: packets as they are
_NAME = "minigrad-{process}-{number}"
_ROOT = Path(__file__).parents[2]


class Hosts:
    """The two hosts: `names` of their namespaces, and the script `launcher` that mpiexec calls in place of ssh."""

    def __init__(self, names: list[str], launcher: Path, forwarder: subprocess.Popen[str]) -> None:
        self.names, self.launcher, self._forwarder = names, launcher, forwarder

    def counts(self) -> dict[str, float]:
        """Packets, bytes and losses of the wire so far, both directions, and the forwarder's seconds of processor.

        Raises:
            OSError: if the forwarder has ended.
        """
        assert self._forwarder.stdin is not None
        assert self._forwarder.stdout is not None
        print(file=self._forwarder.stdin, flush=True)
        answer = self._forwarder.stdout.readline()
        if not answer:
            raise OSError("the process that forwards packets between the hosts has ended")
        counts: dict[str, float] = json.loads(answer)
        return counts


def missing() -> str | None:
    """What this machine, or this user, has not got of what two hosts need; None if all is there.

    >>> missing() is None or "two hosts need" in missing()
    True
    """
    needs = {
        "Linux": sys.platform == "linux",
        "root's rights": sys.platform == "linux" and os.geteuid() == 0,
        "the command ip (iproute2)": shutil.which("ip") is not None,
        f"the device {_TUN}": os.path.exists(_TUN),
    }
    lacking = [need for need, there in needs.items() if not there]
    return f"two hosts need {', '.join(lacking)}, which is not here" if lacking else None


@contextlib.contextmanager
def two_hosts(wire: Wire) -> Iterator[Hosts]:
    """Two hosts and the wire between them; when the block ends, in whatever way, nothing of them is left.

    What a killed process left of its hosts is removed first.

    Raises:
        OSError: if the machine or the user cannot have them.
    """
    lack = missing()
    if lack:
        raise OSError(lack)
    _remove_abandoned()
    with contextlib.ExitStack() as stack:
        names = [_NAME.format(process=os.getpid(), number=number) for number in (1, 2)]
        for name in names:
            stack.callback(_remove, name)
            _ip("netns", "add", name)
        devices = [_device(stack, name, address, wire.mtu) for name, address in zip(names, ADDRESSES, strict=True)]
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        yield Hosts(names, _launcher(Path(folder, "launcher"), names), _forwarder(stack, devices, wire))


def _device(stack: contextlib.ExitStack, name: str, address: str, mtu: int) -> int:
    """Make a TUN device, move it into a namespace and give it an address; its file, by which packets come and go."""
    file = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK)
    stack.callback(os.close, file)  # with which the device is gone
    made = fcntl.ioctl(file, _SET_INTERFACE, struct.pack("16sH22x", b"minigrad%d", _NO_HEADER))
    here = struct.unpack("16sH22x", made)[0].rstrip(b"\0").decode()
    _ip("link", "set", here, "netns", name)
    _ip("-n", name, "link", "set", here, "name", DEVICE)
    _ip("-n", name, "link", "set", DEVICE, "addrgenmode", "none")  # nothing but what ranks say
    _ip("-n", name, "addr", "add", f"{address}/24", "dev", DEVICE)
    _ip("-n", name, "link", "set", DEVICE, "mtu", str(mtu), "up")
    _ip("-n", name, "link", "set", "lo", "up")
    return file


def _launcher(path: Path, names: list[str]) -> Path:
    """Write the script that mpiexec calls as it calls ssh: with a host and a command, after options such as -x."""
    cases = "\n".join(f"{address}) host={name} ;;" for address, name in zip(ADDRESSES, names, strict=True))
    path.write_text(
        '#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do shift; done\n'
        f'case $1 in\n{cases}\n*) echo "no such host: $1" >&2; exit 2 ;;\nesac\n'
        'shift\nexec ip netns exec "$host" sh -c "$*"\n'  # a shell reads the words once more, as behind ssh
    )
    path.chmod(0o755)
    return path


def _forwarder(stack: contextlib.ExitStack, devices: list[int], wire: Wire) -> subprocess.Popen[str]:
    """Start it; it ends with its standard input, so also when this process is killed."""
    command = [sys.executable, "-m", "benchmarks.scale.forwarder", *map(str, devices), wire.text()]
    process = subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                               pass_fds=devices, start_new_session=True)  # fmt: skip
    stack.callback(_end, process)
    return process


def _end(process: subprocess.Popen[Any]) -> None:
    process.kill()
    process.communicate()


def _remove(name: str) -> None:
    """Kill what still runs in a namespace, and remove it."""
    told = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False).stdout
    for process in told.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(process), signal.SIGKILL)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _remove_abandoned() -> None:
    """Remove namespaces of processes that are no more."""
    for name in _ip("netns", "list").split():
        owner = re.fullmatch(_NAME.format(process=r"(\d+)", number=r"\d"), name)
        if owner and not os.path.exists(f"/proc/{owner[1]}"):
            _remove(name)


def _ip(*words: str) -> str:
    """Call the command of that name.

    Raises:
        OSError: with what it says.
    """
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"ip {' '.join(words)}: {done.stderr.strip() or done.returncode}")
    return done.stdout
