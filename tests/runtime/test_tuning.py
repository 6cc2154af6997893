"""The choice of the fastest strategy by measured times, and the measurement."""

from __future__ import annotations

import time

import pytest

import minigrad as mg
from minigrad.runtime import matmul_backend, mkl
from minigrad.runtime.__main__ import _turn, fastest, measure
from minigrad.runtime.matmul_backend import Strategy


def large(**times):
    return {Strategy(): 1.0, **{Strategy(way): time for way, time in times.items()}}


def thin(mkl=None, **times):
    """Times of blocks by their largest number of rows, such as ``_8=0.5``, or of ``all`` rows."""
    blocks = {Strategy("plain", "blocks", None if rows == "all" else int(rows[1:])): t for rows, t in times.items()}
    return {Strategy(): 1.0, **blocks, **({} if mkl is None else {Strategy(thin="mkl"): mkl})}


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (large(tiles=0.9), thin(_8=0.7, all=0.6), Strategy("tiles", "blocks")),
        (large(tiles=0.98), thin(_8=0.7, all=0.8), Strategy("plain", "blocks", 8)),
        (large(tiles=0.5), thin(_8=0.98, all=1.2), Strategy("tiles", "plain")),
        (large(tiles=1.5), thin(_8=0.99, all=0.98), Strategy()),
    ],
)
def test_without_mkl(a, b, expected):
    assert fastest(a, b) == ({"numpy": expected}, "numpy")


def test_with_mkl():
    found, best = fastest(large(tiles=0.9, mkl=0.6), thin(_8=0.7, all=0.6, mkl=0.4))
    assert found == {"numpy": Strategy("tiles", "blocks"), "mkl": Strategy("mkl", "mkl")}
    assert best == "mkl"
    found, best = fastest(large(tiles=0.9, mkl=1.1), thin(_8=0.7, all=0.8, mkl=2.0))
    assert found["mkl"] == Strategy("mkl", "blocks", 8)
    assert best == "numpy"


def test_measuring_changes_no_settings(capsys):
    before = mg.get_num_threads(), matmul_backend.chosen
    a, b = measure(rounds=1)
    assert (mg.get_num_threads(), matmul_backend.chosen) == before
    assert len(capsys.readouterr().out.splitlines()) == len(a) + len(b)
    ways = {"plain", "mkl"} if not mkl.reason_against() else {"plain"}
    assert {strategy.large for strategy in a} == ways | {"tiles"}
    assert {strategy.thin for strategy in b} == ways | {"blocks"}
    assert a[Strategy()] == b[Strategy()] == 1
    assert fastest(a, b)[1] in ("numpy", "mkl")


@pytest.mark.skipif(
    time.get_clock_info("thread_time").resolution > 1e-6, reason="another platform: a thread has no fine clock"
)
def test_time_of_other_processes_does_not_count():
    def work():
        start = time.thread_time()
        while time.thread_time() - start < 1e-3:
            pass
        time.sleep(0.02)  # as if other processes ran

    assert _turn(work) < 0.01
