"""Ctrl-C at random moments: nothing hangs, and the process still computes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import minigrad as mg
from minigrad.core import current_scope, grad_enabled
from minigrad.higher_order import is_differentiating
from minigrad.observers import current

ROOT = Path(__file__).parent.parent


def python(*arguments: str, patience: float = 300.0) -> str:
    """What an interpreter says that must end well; two threads of BLAS, whatever the tests' own number is."""
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "2", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=patience, env=env, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("what", "some"), [("pieces", 1000), ("training", 200)])
def test_an_interrupt_leaves_a_usable_process(what, some, full):
    number = 10_000 if full else some
    said = python("-m", "tests.interrupted", what, str(number), patience=3600)
    assert f"{number} interrupts" in said  # Python ignores an interrupt within a callback of a weak reference


WAITING = """
import signal, threading, time
import minigrad as mg
from minigrad.runtime.threads import run_in_parallel
mg.set_num_threads(2)
main, ended, interrupts = threading.get_ident(), [], []
def handler(*_):
    interrupts.append(time.perf_counter())
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, handler)
together = threading.Barrier(2)
def piece():
    together.wait(20)
    if threading.get_ident() == main:
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        time.sleep(20)
    time.sleep(0.4)
    ended.append(time.perf_counter())
try:
    run_in_parallel([piece, piece, lambda: ended.append("begun after the interrupt")])
except KeyboardInterrupt:
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert len(interrupts) >= 3, interrupts
    assert len(ended) == 1, ended
    assert mg.get_num_threads() == 2
    run_in_parallel([lambda: ended.append(1)] * 2)
    assert len(ended) == 3
    print("waited")
"""


def test_whoever_is_interrupted_waits_for_the_helpers_pieces_however_often():
    assert python("-c", WAITING) == "waited\n"


STEP = """
import signal
import numpy as np, minigrad as mg
signal.signal(signal.SIGALRM, signal.default_int_handler)
ps = [mg.tensor(np.ones(5000, np.float32), requires_grad=True) for _ in range(100)]
adam = mg.optim.Adam(ps, lr=0.1)
for p in ps:
    p.grad = np.ones(5000, np.float32)
adam.step()  # which may have to compile it
halfway = 0
for i in range(1, 100):
    before, counts = [p.data.copy() for p in ps], list(adam.steps)
    try:
        signal.setitimer(signal.ITIMER_REAL, i * 2e-5)
        adam.step()
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        changed = [not np.array_equal(p.data, b) for p, b in zip(ps, before)]
        counted = [now == then + 1 for now, then in zip(adam.steps, counts)]
        assert all(c or now == then for c, now, then in zip(counted, adam.steps, counts))
        assert all(c for c, moved in zip(counted, changed) if moved), "updated, but not counted"
        halfway += any(changed) and not all(changed)
    assert all(np.isfinite(p.data).all() for p in ps)
    adam.load_state_dict(adam.state_dict())
assert halfway, "no step was interrupted halfway"
print("ok")
"""


def test_a_step_interrupted_halfway_has_counted_whatever_it_updated():
    assert python("-c", STEP) == "ok\n"


# What holds without any interrupt


@pytest.mark.parametrize("make", [mg.no_grad, lambda: mg.scope("a"), mg.record, mg.profile, mg.create_graph])
def test_a_context_swallows_no_error_and_may_be_entered_again(make):
    context = make()
    for _ in range(2):
        with pytest.raises(KeyError, match="this"), context:
            raise KeyError("this")
    with pytest.raises(RuntimeError, match="already active"), context, context:
        pass
    assert current_scope() == ()
    assert current() == ()
    assert not is_differentiating()


def test_contexts_decorate_functions_that_may_call_themselves():
    @mg.scope("f")
    def f(depth):
        """Its own page."""
        return f(depth - 1) if depth else current_scope()

    assert f(2) == f(2) == ("f", "f", "f")
    assert (f.__name__, f.__doc__) == ("f", "Its own page.")
    assert mg.no_grad()(grad_enabled)() is False
    assert mg.create_graph()(is_differentiating)()
    assert not is_differentiating()
    assert len(mg.record()(current)()) == 1
    assert current_scope() == ()
