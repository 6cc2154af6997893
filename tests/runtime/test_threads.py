"""Pieces of work side by side: each once, errors told, no deadlock, the same number everywhere."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, nullcontext
from queue import SimpleQueue

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
    run_in_parallel([lambda: meeting.wait(20), lambda: meeting.wait(20)])  # one after the other would never meet


def test_the_first_error_is_raised_when_all_have_ended_and_nothing_more_is_begun():
    begun = []
    together = threading.Barrier(2)

    def fails():
        together.wait(20)
        raise KeyError("this one")

    def goes_on():
        together.wait(20)
        time.sleep(0.05)
        begun.append("ended")

    with pytest.raises(KeyError, match="this one"):
        run_in_parallel([fails, goes_on, *[lambda: (time.sleep(0.01), begun.append("late"))] * 200])
    assert begun[0] != "late" or begun.count("late") < 200
    assert "ended" in begun
    count = len(begun)
    time.sleep(0.05)
    assert len(begun) == count, "a piece was still running when the error was raised"


@pytest.mark.parametrize("first", [True, False])
def test_an_error_of_the_caller_and_of_a_helper_are_both_raised(first):
    mine = threading.get_ident()
    together = threading.Barrier(2)

    def piece():
        together.wait(20)
        if (threading.get_ident() == mine) == first:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_in_parallel([piece, piece])


def test_what_is_not_worth_threads_runs_in_order_on_the_callers():
    done = []
    run_in_parallel([lambda i=i: done.append((i, threading.get_ident())) for i in range(20)], worth=False)
    assert done == [(i, threading.get_ident()) for i in range(20)]


def test_small_products_side_by_side_wake_no_thread(monkeypatch):
    asked: SimpleQueue[object] = SimpleQueue()
    monkeypatch.setattr(threads, "_tasks", asked)
    layer = mg.nn.Linear(128, 10, rng=0)
    x = mg.tensor(np.ones((64, 128), np.float32), requires_grad=True)
    layer(x).sum().backward()  # two products, of x's gradient and of the weight's
    assert asked.empty()


def test_pieces_within_pieces_run_one_after_the_other():
    done = []
    run_in_parallel([lambda: run_in_parallel([lambda: done.append(1)] * 3)] * 4)
    assert len(done) == 12


def test_several_callers_at_once():
    done = []
    callers = [
        threading.Thread(target=lambda: [run_in_parallel([lambda: done.append(1)] * 4) for _ in range(50)])
        for _ in range(4)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert len(done) == 4 * 50 * 4


def test_settings_of_the_caller_hold_in_every_piece():
    met, together = [], threading.Barrier(2)

    def piece():
        together.wait(20)
        met.append(np.geterr()["over"])

    with np.errstate(over="raise"):
        run_in_parallel([piece, piece])
    assert met == ["raise", "raise"]


@pytest.mark.parametrize("number", [0, -1, 1.0, True, "2", None])
def test_a_number_that_is_none_is_refused(number):
    with pytest.raises(ValueError, match="integer of at least 1"):
        mg.set_num_threads(number)
    assert mg.get_num_threads() == 2


known = pytest.mark.skipif(blas.get_threads() is None, reason="another platform: BLAS tells no number of threads")


@known
@pytest.mark.parametrize("fails", [False, True])
def test_products_in_a_piece_keep_to_its_thread(fails):
    met, together = [], threading.Barrier(2)

    def piece():
        together.wait(20)
        met.append((blas.get_threads(), mg.get_num_threads()))
        if fails:
            raise KeyError

    with pytest.raises(KeyError) if fails else nullcontext():
        run_in_parallel([piece, piece])
    assert met == [(1, 2), (1, 2)]
    assert blas.get_threads() == mg.get_num_threads() == 2


@known
def test_a_number_set_in_a_piece_holds_afterwards():
    run_in_parallel([lambda: mg.set_num_threads(3), lambda: None])
    assert blas.get_threads() == mg.get_num_threads() == 3


@known
def test_the_number_is_that_of_numpys_products():
    blas.set_threads(1)
    assert mg.get_num_threads() == 1
    mg.set_num_threads(3)
    assert blas.get_threads() == 3


@pytest.mark.parametrize("library", ["another BLAS", "no library"])
def test_where_blas_cannot_be_asked_the_number_is_our_own(library, monkeypatch, two_threads):
    monkeypatch.setattr(blas._linked, "__file__", __file__ if library == "no library" else _any_extension())
    monkeypatch.setattr(blas, "_get", blas._find("openblas_get_num_threads"))
    monkeypatch.setattr(blas, "_set", None)
    monkeypatch.setattr(threads, "_number", None)
    monkeypatch.setenv("OMP_NUM_THREADS", "4,2")
    assert blas.get_threads() is None
    assert blas.kernel() == ""
    blas.set_threads(7)
    assert mg.get_num_threads() == 4
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert mg.get_num_threads() == len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    mg.set_num_threads(2)
    meeting = threading.Barrier(2)
    run_in_parallel([lambda: meeting.wait(20), lambda: meeting.wait(20)])
    assert mg.get_num_threads() == 2
    monkeypatch.undo()


def _any_extension() -> str:
    """A library that is not linked to BLAS."""
    import _ctypes

    return _ctypes.__file__


@known
def test_the_number_is_at_first_that_of_the_environment():
    code = "import minigrad as mg; print(mg.get_num_threads())"
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert int(said) == 1


forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="another platform: processes cannot be forked here")


@contextmanager
def another_thread_within_pieces():
    """Of the user: BLAS is kept to one thread meanwhile."""
    begun, enough = threading.Barrier(3), threading.Event()

    def piece():
        begun.wait(20)
        enough.wait(20)

    other = threading.Thread(target=run_in_parallel, args=([piece, piece],))
    other.start()
    begun.wait(20)
    try:
        yield
    finally:
        enough.set()
        other.join(20)


def _numbers(tell):
    """In a child: how many threads there are before and after pieces, which have to meet."""
    before = (mg.get_num_threads(), blas.get_threads())
    meeting = threading.Barrier(2)
    run_in_parallel([lambda: meeting.wait(10)] * 2)
    tell((before, (mg.get_num_threads(), blas.get_threads())))


@forks
@known
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_forked_while_pieces_run_elsewhere_has_all_threads():
    receiver, sender = multiprocessing.get_context("fork").Pipe(duplex=False)
    with another_thread_within_pieces():
        assert (mg.get_num_threads(), blas.get_threads()) == (2, 1)
        child = os.fork()
        if child == 0:
            try:
                _numbers(sender.send)
                os._exit(0)
            except BaseException:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert receiver.recv() == ((2, 2), (2, 2))
        worker = multiprocessing.get_context("fork").Process(target=_numbers, args=(sender.send,))
        worker.start()
        worker.join(30)
        assert worker.exitcode == 0
        assert receiver.recv() == ((2, 2), (2, 2))
    assert (mg.get_num_threads(), blas.get_threads()) == (2, 2)


@forks
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own():
    run_in_parallel([lambda: None] * 2)
    child = os.fork()
    if child == 0:
        meeting = threading.Barrier(2)
        try:
            run_in_parallel([lambda: meeting.wait(10)] * 2)
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
