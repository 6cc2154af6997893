"""The choice of the fastest strategy by measured times, and the measurement."""

from __future__ import annotations

import pytest

import minigrad as mg
from minigrad.runtime import matmul_backend, mkl
from minigrad.runtime.__main__ import fastest, measure
from minigrad.runtime.matmul_backend import Strategy


def large(**times):
    return {Strategy(): 1.0, **{Strategy(way): time for way, time in times.items()}}


def thin(mkl=None, **times):
    """Times of blocks by their largest number of rows, such as ``_8=0.5``, or of ``all`` rows."""
    blocks = {Strategy("plain", "blocks", None if rows == "all" else int(rows[1:])): t for rows, t in times.items()}
    return {Strategy(): 1.0, **blocks, **({} if mkl is None else {Strategy(thin="mkl"): mkl})}


@pytest.mark.parametrize(
    ("a", "b", "found"),
    [
        (large(tiles=0.9), thin(_8=0.7, all=0.6), {"numpy": Strategy("tiles", "blocks")}),
        (large(tiles=0.98), thin(_8=0.7, all=0.8), {"numpy": Strategy("plain", "blocks", 8)}),
        (large(tiles=0.5), thin(_8=0.98, all=1.2), {"numpy": Strategy("tiles", "plain")}),
        (large(tiles=1.5), thin(_8=0.99, all=0.98), {"numpy": Strategy()}),
        (
            large(tiles=0.9, mkl=0.6),
            thin(_8=0.7, all=0.6, mkl=0.4),
            {"numpy": Strategy("tiles", "blocks"), "mkl": Strategy("mkl", "mkl")},
        ),
        (
            large(tiles=0.9, mkl=1.1),
            thin(_8=0.7, all=0.8, mkl=2.0),
            {"numpy": Strategy("tiles", "blocks", 8), "mkl": Strategy("mkl", "blocks", 8)},
        ),
    ],
)
def test_the_fastest_strategy(a, b, found):
    assert fastest(a, b) == (found, "mkl" if a.get(Strategy("mkl"), 1) < 1 else "numpy")


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
