"""Pieces of work in parallel: each runs once, errors are raised, nothing deadlocks."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import numpy as np
import pytest

import minigrad as mg
from minigrad.runtime import blas, threads
from minigrad.runtime.threads import run_in_parallel


@pytest.fixture(autouse=True)
def two_threads():
    before = mg.get_num_threads()
    mg.set_num_threads(2)
    yield
    mg.set_num_threads(before)


@pytest.mark.parametrize("number", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 50])
def test_each_piece_runs_once(number, count):
    mg.set_num_threads(number)
    done = []
    run_in_parallel([lambda i=i: done.append(i) for i in range(count)])
    assert sorted(done) == list(range(count))


def test_two_pieces_run_at_the_same_time():
    meeting = threading.Barrier(2)
    run_in_parallel([lambda: meeting.wait(20), lambda: meeting.wait(20)])  # one by one they never meet


@pytest.mark.parametrize("in_caller", [True, False])
def test_the_first_error_is_raised_after_all_pieces_end_and_none_starts(in_caller):
    caller, together, done = threading.get_ident(), threading.Barrier(2), []

    def piece():
        together.wait(20)
        if (threading.get_ident() == caller) == in_caller:
            raise KeyError("this one")
        time.sleep(0.05)
        done.append("ended")

    with pytest.raises(KeyError, match="this one"):
        run_in_parallel([piece, piece, *[lambda: (time.sleep(0.01), done.append("late"))] * 200])
    assert "ended" in done
    assert done.count("late") < 200
    count = len(done)
    time.sleep(0.05)
    assert len(done) == count, "a piece was still running when the error was raised"


def test_pieces_within_pieces_run_one_by_one():
    done = []
    run_in_parallel([lambda: run_in_parallel([lambda: done.append(1)] * 3)] * 4)
    assert len(done) == 12


def test_several_callers_at_once():
    done = []
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: run_in_parallel([lambda: done.append(1)] * 4), range(200)))
    assert len(done) == 200 * 4


@pytest.mark.parametrize("number", [0, -1, 1.0, True, "2", None, blas.MOST_THREADS + 1, 10**9])
def test_wrong_numbers(number):
    with pytest.raises(ValueError, match=f"integer from 1 to {blas.MOST_THREADS}, not"):
        mg.set_num_threads(number)
    assert mg.get_num_threads() == 2


def test_the_largest_number_is_taken():
    mg.set_num_threads(blas.MOST_THREADS)
    assert mg.get_num_threads() == blas.MOST_THREADS


known = pytest.mark.skipif(blas.get_threads() is None, reason="another platform: BLAS has no number of threads")


@known
@pytest.mark.parametrize("fails", [False, True])
def test_pieces_have_one_blas_thread_and_the_settings_of_their_caller(fails):
    found, together = [], threading.Barrier(2)

    def piece():
        together.wait(20)
        found.append((blas.get_threads(), mg.get_num_threads(), np.geterr()["over"]))
        if fails:
            raise KeyError

    with pytest.raises(KeyError) if fails else nullcontext(), np.errstate(over="raise"):
        run_in_parallel([piece, piece])
    assert found == [(1, 2, "raise")] * 2
    assert blas.get_threads() == mg.get_num_threads() == 2


def test_without_openblas_the_number_is_our_own(monkeypatch, two_threads):
    monkeypatch.setattr(blas, "_find", lambda name: None)
    monkeypatch.setattr(blas, "_get", None)
    monkeypatch.setattr(blas, "_set", None)
    monkeypatch.setattr(threads, "_number", None)
    monkeypatch.setenv("OMP_NUM_THREADS", "4,2")
    assert (blas.get_threads(), blas.kernel()) == (None, "")
    blas.set_threads(7)
    assert mg.get_num_threads() == 4
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert mg.get_num_threads() == len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    mg.set_num_threads(2)
    assert mg.get_num_threads() == 2
    monkeypatch.undo()


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="another platform: processes cannot be forked here")


@forks
@known
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_has_all_threads():
    """Also while another thread of its parent runs pieces, which limit BLAS to one thread."""
    begun, enough = threading.Barrier(3), threading.Event()
    piece = lambda: (begun.wait(20), enough.wait(20))  # noqa: E731
    other = threading.Thread(target=run_in_parallel, args=([piece, piece],))
    other.start()
    begun.wait(20)
    assert (mg.get_num_threads(), blas.get_threads()) == (2, 1)
    child = os.fork()
    if child == 0:
        before = (mg.get_num_threads(), blas.get_threads())
        meeting = threading.Barrier(2)
        run_in_parallel([lambda: meeting.wait(10)] * 2)
        os._exit(before != (2, 2) or (mg.get_num_threads(), blas.get_threads()) != (2, 2))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    enough.set()
    other.join(20)
    assert (mg.get_num_threads(), blas.get_threads()) == (2, 2)
