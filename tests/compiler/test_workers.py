"""Threads that share compiled loops: right and to the same bits, whoever calls, forks, interrupts or ends."""

from __future__ import annotations

import ctypes
import importlib
import os
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

from minigrad.compiler import fused, workers

fused_module = importlib.import_module("minigrad.compiler.fused")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kernels run on one thread there")


@fused
def standardised(x):
    d = x - x.mean(-1, keepdims=True)
    y = d / np.sqrt((d * d).mean(-1, keepdims=True) + 1e-5)
    return y, y.sum(0)


X = np.random.default_rng(0).standard_normal((64, 96))


def expected():
    d = X - X.mean(-1, keepdims=True)
    y = d / np.sqrt((d * d).mean(-1, keepdims=True) + 1e-5)
    return y, y.sum(0)


def run(program, timeout=60):
    """Run a program that shares tiny kernels; return what it prints."""
    head = """
        import importlib, os, sys, threading, time
        import numpy as np
        import minigrad as mg
        from tests.compiler.test_workers import X, expected, fused_module, standardised
        fused_module._worth_a_call, fused_module._WORTH_A_PIECE = lambda: 1, 1
        mg.set_num_threads(2)
    """
    text = textwrap.dedent(head) + textwrap.dedent(program)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=timeout, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("number", [2, 3, 7])
def test_the_same_bits_from_run_to_run(threads, number):
    threads(number)
    first = [a.tobytes() for a in standardised(X)]
    for a, b in zip(standardised(X), expected(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)
    for _ in range(200):
        assert [a.tobytes() for a in standardised(X)] == first


def test_helpers_compute_pieces(threads):
    """A thread of the pool serves after a call, until its patience ends."""
    if workers.threads.processors() < 2:
        pytest.skip("one processor")
    threads(2)
    for _ in range(1000):
        standardised(X)
        if workers._teams[0].words[workers._WORDS["serving"]]:
            return
        time.sleep(1e-4)
    raise AssertionError("no thread ever served")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_callers_from_four_threads_with_forks_in_between():
    """Each child computes on its own helpers; no call hangs or differs."""
    print_of = run("""
        wanted = [a.tobytes() for a in standardised(X)]
        wrong, calls, statuses = [], [], []

        def call(number):
            for _ in range(number):
                calls.append(1)
                if [a.tobytes() for a in standardised(X)] != wanted:
                    wrong.append(1)

        callers = [threading.Thread(target=call, args=(2500,)) for _ in range(4)]
        for caller in callers:
            caller.start()
        for _ in range(5):
            time.sleep(0.02)
            if not (child := os.fork()):
                call(50)
                os._exit(len(wrong))
            statuses.append(os.waitpid(child, 0)[1])
        for caller in callers:
            caller.join()
        print(len(calls), len(wrong), statuses)
    """)
    assert print_of == "10000 0 [0, 0, 0, 0, 0]\n"


def test_no_processor_is_busy_after_a_millisecond(threads):
    threads(2)
    shares = []
    for _ in range(20):
        for _ in range(20):
            standardised(X)
        time.sleep(1e-3)
        begin = time.process_time()
        time.sleep(0.02)
        shares.append((time.process_time() - begin) / 0.02)
    assert np.median(shares) < 0.1


@pytest.mark.parametrize("end", ["", "sys.exit()", "threading.Thread(target=calls, daemon=True).start()"])
def test_an_interpreter_that_ends_while_threads_serve(end):
    for _ in range(3):
        printed = run(f"""
            def calls():
                for _ in range(200):
                    standardised(X)
            calls()
            print("done")
            {end}
        """)
        assert printed == "done\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_child_ends_as_any_other_program():
    """A child of fork runs atexit's functions, though it has none of the threads that served in its parent."""
    printed = run("""
        for _ in range(50):
            standardised(X)
            if not (child := os.fork()):
                sys.exit()
            assert os.waitpid(child, 0)[1] == 0
        print("done")
    """)
    assert printed == "done\n"


def test_the_number_of_threads_changes_while_kernels_run(threads):
    threads(2)
    stop, wrong = threading.Event(), []

    def calls():
        while not stop.is_set():
            if not np.allclose(standardised(X)[1], expected()[1], atol=1e-10):
                wrong.append(1)

    callers = [threading.Thread(target=calls) for _ in range(2)]
    for caller in callers:
        caller.start()
    for number in [1, 2, 5, 16] * 25:
        threads(number)
        time.sleep(1e-3)
    stop.set()
    for caller in callers:
        caller.join()
    assert not wrong


def test_a_caller_that_waits_for_a_helper_stays_alone_for_a_while(threads):
    """A helper that sleeps for 50 ms stands for one that lost its processor."""
    threads(2)
    began = threading.Event()

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
    def piece(_, number):
        if threading.current_thread() is threading.main_thread():
            began.wait(10)
        else:
            began.set()
            time.sleep(0.05)

    deal = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, ctypes.c_int64)(workers.address_of("deal", workers._text()))
    while not (team := workers.awake(2)):
        time.sleep(0.01)
    deal(team, piece, None, 2)
    assert workers.awake(2) == 0
    workers._teams[0].words[workers._WORDS["alone"]] = 0
    assert workers.awake(2) == team
