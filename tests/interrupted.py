"""Interrupt a program many times: `python -m tests.interrupted WHAT NUMBER [SEED]`.

A timer of the kernel raises KeyboardInterrupt at random moments, as Ctrl-C does. After each interrupt the process must
still compute, on all threads and to the same bits. WHAT is a name of `PROGRAMS`. The script prints what was wrong and
how often, and ends with status 1 if anything was.
"""

from __future__ import annotations

import faulthandler
import importlib
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextvars import Context
from functools import partial
from itertools import cycle

import numpy as np

import minigrad as mg
from minigrad.ops import convolution
from minigrad.ops.kernels import blocked_products, recurrent_steps
from minigrad.optim import optimizer
from minigrad.runtime import threads

THREADS = 2
PATIENCE = 120.0  # seconds for 200 interrupts and what is examined after each: beyond that it hangs


def pieces() -> list[Callable[[], object]]:
    """Short pieces side by side, some of which hold others."""
    done = np.zeros(4)

    def piece(i: int) -> None:
        done[i] += 1
        if i == 3:
            threads.run_in_parallel([lambda: None] * 2)

    return [lambda: threads.run_in_parallel([partial(piece, i) for i in range(4)])]


def training() -> list[Callable[[], object]]:
    """Steps of a small LSTM and of a convolution net, whose work is shared by the threads."""
    rng = np.random.default_rng(0)
    words = rng.standard_normal((8, 4, 32)).astype(np.float32)
    pictures = rng.standard_normal((8, 3, 12, 12)).astype(np.float32)
    lstm, net = mg.nn.LSTM(32, 64), mg.nn.Sequential(mg.nn.Conv2d(3, 16, 3, padding=1), mg.nn.ReLU())
    adam = mg.optim.Adam([*lstm.parameters(), *net.parameters()], lr=1e-3)

    def sequences() -> None:
        with mg.scope("words"):
            h, _ = lstm(words)
            (h * h).mean().backward()

    def images() -> None:
        y = net(pictures)
        (y * y).mean().backward()
        adam.step()
        adam.zero_grad()
        with mg.no_grad(), mg.record(), mg.profile():
            net(pictures)

    return [sequences, images]


def share_small_work() -> None:
    """Let the threads share what is far too small for it: more of the time is then spent where they begin and end."""
    convolution._WORTH_A_THREAD = 2**12
    blocked_products._WORTH_THREADS = recurrent_steps._WORTH_THREADS = recurrent_steps._WORTH_PIECES = 2**12
    fused_module = importlib.import_module("minigrad.compiler.fused")
    fused_module._worth_a_call, fused_module._WORTH_A_PIECE = (lambda: 1), 2**6
    optimizer._BLOCK = 2**10


PROGRAMS = {program.__name__: program for program in (pieces, training)}


def reference() -> bytes:
    """A computation on all threads, to the bit."""
    a = np.linspace(-1, 1, 8 * 4 * 32, dtype=np.float32).reshape(8, 4, 32)
    weights = [np.sin(np.arange(m * n, dtype=np.float32)).reshape(m, n) / 16 for m, n in ((32, 256), (64, 256))]
    x = mg.tensor(a, requires_grad=True)
    zeros = np.zeros((8, 64), np.float32)
    h, _ = mg.lstm(x, zeros, *weights, np.zeros(256, np.float32))
    h.sum().backward()
    assert x.grad is not None
    return h.data.tobytes() + x.grad.tobytes()


def complaints(expected: bytes) -> list[str]:
    """Say what does not work after the interrupt. It may have left a context manager open, which is documented."""
    done: list[int] = []
    threads.run_in_parallel([partial(done.append, i) for i in range(8)])
    found = {
        f"pieces {sorted(done)} were run": sorted(done) != list(range(8)),
        f"{mg.get_num_threads()} threads": mg.get_num_threads() != THREADS,
        "another result": Context().run(reference) != expected,
    }
    return [words for words, bad in found.items() if bad]


def main(what: str, number: int, seed: int = 0) -> int:
    """Interrupt it so many times; the status is 1 if anything was wrong afterwards."""
    mg.set_num_threads(THREADS)
    share_small_work()
    draw = random.Random(seed)
    steps = cycle(PROGRAMS[what]())
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    for _ in range(20):  # the first ones take longer
        next(steps)()
    start = time.perf_counter()
    for _ in range(20):
        next(steps)()
    longest = (time.perf_counter() - start) / 5
    expected = reference()
    found: Counter[str] = Counter()
    for i in range(number):
        if i % 200 == 0:
            faulthandler.dump_traceback_later(PATIENCE, exit=True)
        try:
            # Once more after a while: a signal that reaches the watchdog's thread while that one starts is lost.
            signal.setitimer(signal.ITIMER_REAL, draw.uniform(1e-5, longest), 1.0)
            while True:
                Context().run(next(steps))  # a context manager that an interrupt left open ends with its step
        except KeyboardInterrupt:
            signal.setitimer(signal.ITIMER_REAL, 0)
            found.update(complaints(expected))
    faulthandler.cancel_dump_traceback_later()
    for words, times in found.items():
        print(f"{what}: {words}, after {times} of {number} interrupts")
    print(f"{what}: {number} interrupts, {time.perf_counter() - start:.1f} s")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:])))
