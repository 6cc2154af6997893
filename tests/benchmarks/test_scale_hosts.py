"""Two hosts and the wire between them: what it does to packets, and that nothing of it is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("another platform: network namespaces are Linux's", allow_module_level=True)

from benchmarks.scale import cli, hosts
from benchmarks.scale.forwarder import Direction, Wire
from tests.parallel.ranks import needs_mpi

ROOT = Path(__file__).parents[2]
needs_hosts = pytest.mark.skipif(hosts.missing() is not None, reason=f"no hosts: {hosts.missing()}")
ECHO = """
import socket, sys
door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
door.bind((sys.argv[1], 7))
print("open", flush=True)
while True:
    words, who = door.recvfrom(2000)
    door.sendto(words, who)
"""
ASK = """
import socket, sys, time, json
door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
door.settimeout(0.3)
taken = []
for turn in range(int(sys.argv[2])):
    begun = time.monotonic()
    door.sendto(b"x" * 1000, (sys.argv[1], 7))
    try:
        door.recvfrom(2000)
        taken.append(time.monotonic() - begun)
    except TimeoutError:
        pass
print(json.dumps(taken))
"""


def round_trips(wire, packets):
    """Seconds of those that came back, and what the wire counted."""
    with hosts.two_hosts(wire) as two:
        here, there = (["ip", "netns", "exec", name, sys.executable, "-c"] for name in two.names)
        echo = subprocess.Popen([*there, ECHO, hosts.ADDRESSES[1]], stdout=subprocess.PIPE, text=True)
        try:
            assert echo.stdout.readline() == "open\n"
            ask = [*here, ASK, hosts.ADDRESSES[1], str(packets)]
            taken = json.loads(subprocess.run(ask, capture_output=True, text=True, check=True).stdout)
            return taken, two.counts()
        finally:
            echo.kill()
            echo.communicate()


def namespaces():
    return subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout


@needs_hosts
def test_packets_come_late():
    taken, counts = round_trips(Wire(delay=0.02), 10)
    assert len(taken) == 10
    assert 0.04 <= min(taken) < 0.1
    assert counts["packets"] == 20
    assert counts["bytes"] == 20 * 1028  # with the headers of IP and UDP
    assert counts["lost"] == 0
    assert f"minigrad-{os.getpid()}-" not in namespaces()


@needs_hosts
def test_packets_get_lost():
    taken, counts = round_trips(Wire(loss=0.5), 20)
    assert counts["lost"] == 20 - len(taken)
    assert 0 < counts["lost"] < 20


@needs_hosts
def test_a_wire_has_its_rate():
    taken, _ = round_trips(Wire(rate=1e6), 5)
    assert min(taken) >= 2 * 8 * 1028 / 1e6


@needs_hosts
@needs_mpi
def test_ranks_of_two_hosts_talk_through_the_wire(tmp_path, capsys):
    path = tmp_path / "step.json"
    arguments = ["--place", "hosts", "--delay", "1", "--ranks", "2", "--ways", "strong", "--rounds", "1"]
    assert cli.main(["step", "--quick", *arguments, "--json", str(path)]) == 0
    (found,) = json.loads(path.read_text())["cases"][0]["rounds"]
    assert found["wire"]["bytes"] > found["sent in all"] > 0
    assert found["wire"]["lost"] == 0
    assert min(found["seconds"]) > 0.002


@needs_hosts
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_hosts(number):
    program = "import time; from benchmarks.scale.hosts import *; from benchmarks.scale.forwarder import Wire\n"
    program += "from captioning.command import sigterm_raises\n"
    program += (
        "with sigterm_raises(), two_hosts(Wire()) as two:\n    print(*two.names, flush=True)\n    time.sleep(100)"
    )
    command, quiet = [sys.executable, "-c", program], {"stderr": subprocess.DEVNULL}
    owner = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, **quiet)
    names = owner.stdout.readline().split()
    assert all(name in namespaces() for name in names)
    owner.send_signal(number)
    owner.communicate(timeout=60)
    if number == signal.SIGKILL:
        with hosts.two_hosts(Wire()):  # who comes next tidies up
            pass
    assert not any(name in namespaces() for name in names)


@pytest.mark.parametrize("lack", ["root's rights", "the command ip (iproute2)"])
def test_what_is_missing_is_told_in_a_line(lack, monkeypatch, capsys):
    monkeypatch.setattr(hosts.os, "geteuid", lambda: 1000 * (lack == "root's rights"))
    monkeypatch.setattr(hosts.shutil, "which", lambda name: None if "ip" in lack else name)
    assert cli.main(["network", "--place", "hosts"]) == 2
    err = capsys.readouterr().err
    assert "python -m benchmarks.scale network: two hosts need " in err
    assert lack in err
    assert len(err.splitlines()) == 1


def test_a_direction_keeps_its_packets_in_order_and_late(tmp_path):
    (source, out), (sink, back) = (os.pipe2(os.O_NONBLOCK) for _ in range(2))
    direction = Direction(source, back, Wire(delay=1.0, rate=80.0), seed=0)
    for packet, now in ((b"a" * 10, 5.0), (b"b" * 10, 5.5)):
        os.write(out, packet)
        direction.take(now)
    assert direction.due() == 5 + 1 + 1
    direction.give(6.9)
    with pytest.raises(BlockingIOError):
        os.read(sink, 100)
    direction.give(7.0)
    assert os.read(sink, 100) == b"a" * 10
    assert direction.due() == 5 + 2 + 1  # it waited for the first one
    direction.give(time.monotonic() + 9)
    assert os.read(sink, 100) == b"b" * 10
    for file in (source, out, sink, back):
        os.close(file)
