"""Which way is the fastest: what is chosen by figures, and that there are figures."""

from __future__ import annotations

import time

import pytest

import minigrad as mg
from minigrad.ops.kernels.tuning import _turn, fastest, measured
from minigrad.runtime import mkl, ways
from minigrad.runtime.ways import Way

PLAIN = {"plain": 1.0}


def of(**times):
    return {"one": PLAIN | times}


def steps(*times):
    return {str(rows): PLAIN | {"blocks": t} for rows, t in zip((4, 8, 25), times, strict=True)}


@pytest.mark.parametrize(
    ("large", "thin", "expected"),
    [
        (of(tiles=0.9), steps(0.2, 0.5, 0.9), Way("tiles", "blocks")),
        (of(tiles=0.98), steps(0.2, 0.5, 1.2), Way("plain", "blocks", 8)),
        (of(tiles=1.5), steps(0.2, 1.1, 0.5), Way("plain", "blocks", 4)),
        (of(tiles=0.5), steps(0.99, 0.5, 0.5), Way("tiles", "plain")),
        ({"a": PLAIN | {"tiles": 0.5}, "b": PLAIN | {"tiles": 3.0}}, steps(1, 1, 1), Way()),
        (of(tiles=1), steps(0.7, 0.7, 9.0), Way("plain", "blocks", 8)),  # what they lose beyond does not count
    ],
)
def test_without_mkl(large, thin, expected):
    assert fastest(large, thin) == ({"numpy": expected}, "numpy")


def test_with_mkl():
    large = of(tiles=0.9, mkl=0.6)
    thin = {rows: times | {"mkl": 0.4} for rows, times in steps(0.2, 0.5, 0.9).items()}
    found, best = fastest(large, thin)
    assert found == {"numpy": Way("tiles", "blocks"), "mkl": Way("mkl", "mkl")}
    assert best == "mkl"
    slow = {rows: times | {"mkl": 2.0} for rows, times in steps(0.2, 0.5, 1.3).items()}
    found, best = fastest(of(tiles=0.9, mkl=1.1), slow)
    assert found["mkl"] == Way("mkl", "blocks", 8)
    assert best == "numpy"


def test_blocks_count_as_far_as_they_are_used():
    large = of(tiles=1.1, mkl=1.1)
    thin = {rows: times | {"mkl": 0.8} for rows, times in steps(0.4, 0.4, 2.6).items()}
    found, best = fastest(large, thin)
    assert found == {"numpy": Way("plain", "blocks", 8), "mkl": Way("mkl", "blocks", 8)}
    assert best == "numpy"


def test_measuring_leaves_all_as_it_was():
    threads, way, lines = mg.get_num_threads(), ways.chosen, []
    large, thin = measured(rounds=1, say=lines.append)
    assert (mg.get_num_threads(), ways.chosen) == (threads, way)
    assert len(lines) == len(large) + len(thin) == 11
    names = {"plain", "mkl"} if not mkl.reason_against() else {"plain"}
    assert all(set(times) == names | {"tiles"} and times["plain"] == 1 for times in large.values())
    assert all(set(times) == names | {"blocks"} for times in thin.values())
    assert fastest(large, thin)[1] in ("numpy", "mkl")


@pytest.mark.skipif(
    time.get_clock_info("thread_time").resolution > 1e-6, reason="another platform: a thread has no fine clock"
)
def test_what_others_take_of_the_processor_meanwhile_does_not_count():
    def work():
        start = time.thread_time()
        while time.thread_time() - start < 1e-3:
            pass
        time.sleep(0.02)  # as if others had it

    assert _turn(work) < 0.01
