"""mg.profile: times of calls that add up, where they belong, and nothing left behind."""

from __future__ import annotations

import json
import sys
import threading
import time

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.observers import active, current
from minigrad.recording import note_of
from minigrad.runtime.threads import run_in_parallel

SECOND = 10**9


@mg.primitive
def sleepy(x, forward: float = 0.0, backward: float = 0.0):
    """x, after a time."""
    time.sleep(forward)
    return x.copy(), (backward,)


@sleepy.vjp
def _(g, needs, backward):
    time.sleep(backward)
    return (g.copy(),)


@mg.primitive
def outer(x):
    """Calls another primitive, which is no way to write one, but one that must be counted rightly."""
    time.sleep(0.01)
    return sleepy(x, 0.02).data, ()


@outer.vjp
def _(g, needs):
    return (g,)


def leaf(*shape):
    return mg.tensor(np.ones(shape, np.float32), requires_grad=True)


def line_of(event):
    return int(event.line.rpartition(":")[2])


@pytest.fixture(autouse=True)
def nothing_is_left():
    """However a test ends, nobody observes."""
    yield
    assert not active
    assert current() == ()


# What is measured ------------------------------------------------------------------------------


def test_each_call_is_an_event_and_times_are_those_of_the_primitive_alone():
    x = leaf(3)
    with mg.profile() as p:
        y = sleepy(x, 0.02, 0.03)
        time.sleep(0.05)  # of nobody
        y.sum().backward()
    assert [(e.primitive, e.phase) for e in p.events] == [
        ("sleepy", "forward"), ("sum", "forward"), ("sum", "backward"), ("sleepy", "backward"),
    ]  # fmt: skip
    forward, backward = p.events[0], p.events[-1]
    assert forward.time >= 0.02 * SECOND
    assert backward.time >= 0.03 * SECOND
    assert p.outside >= 0.05 * SECOND
    assert p.inside + p.outside + p.overhead == p.wall
    assert p.inside == sum(e.time for e in p.events)
    assert not any(e.failed for e in p.events)


def test_what_is_known_of_an_event():
    a, b = leaf(2, 3), leaf(3, 5)
    with mg.profile() as p, mg.scope("model"), mg.scope("layer"):
        y = a @ b
    with mg.profile() as q:
        y.backward(np.ones((2, 5), np.float32))
    (forward,), (backward,) = p.events, q.events
    f32 = np.dtype(np.float32)
    assert forward.inputs == (((2, 3), f32), ((3, 5), f32))
    assert forward.outputs == (((2, 5), f32),)
    assert (forward.bytes, forward.multiply_adds) == (2 * 5 * 4, 2 * 3 * 5)
    assert p.rows()[0].forward.gflops == pytest.approx(2 * 2 * 3 * 5 / forward.time)
    assert (forward.scope, forward.module) == (("model", "layer"), "minigrad.ops.products")
    assert forward.thread == threading.get_ident()
    assert backward.inputs == (((2, 5), f32),)
    assert backward.outputs == (((2, 3), f32), ((3, 5), f32))
    assert (backward.bytes, backward.multiply_adds) == ((6 + 15) * 4, 0)
    assert (backward.scope, backward.line) == (forward.scope, forward.line)  # also in another profile


def test_of_a_view_nothing_is_written():
    x = leaf(40, 60)  # of few entries, the cotangent of a sum is no view
    with mg.profile() as p:
        (x.reshape(60, 40).T + 1.0).sum().backward()
    by = {(e.primitive, e.phase): e.bytes for e in p.events}
    assert by["reshape", "forward"] == by["transpose", "forward"] == by["reshape", "backward"] == 0
    assert by["add", "forward"] == 2400 * 4
    assert by["add", "backward"] == 0  # passes on what it gets


MAKE = {"unary": mg.tanh, "binary": lambda x: x * 2.0, "any": lambda x: x.sum(axis=0)}


@pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)
def test_every_path_of_a_call_is_timed_also_without_a_graph(make):
    with mg.profile() as p, mg.no_grad():
        make(leaf(3))
    with mg.profile() as q:
        make(mg.tensor([1.0, 2.0]))
    assert [e.phase for e in (*p.events, *q.events)] == ["forward", "forward"]


# Where it counts -------------------------------------------------------------------------------


def test_a_backward_counts_for_the_line_and_scope_of_its_forward():
    x = leaf(3)
    with mg.profile() as p:
        here = sys._getframe().f_lineno + 1
        y = mg.tanh(x)
        with mg.scope("second"):
            z = mg.exp(y)
        z.sum().backward()
    events = {(e.primitive, e.phase): e for e in p.events}
    assert line_of(events["tanh", "forward"]) == line_of(events["tanh", "backward"]) == here
    assert line_of(events["exp", "backward"]) == here + 2
    assert line_of(events["sum", "backward"]) == here + 3
    assert events["exp", "backward"].scope == ("second",)
    assert events["tanh", "backward"].scope == events["sum", "backward"].scope == ()
    rows = {row.name: row for row in p.rows("line")}
    assert set(rows) == {f"test_profiling.py:{here + i}" for i in (0, 2, 3)}
    for row in rows.values():
        assert row.forward.calls == row.backward.calls == 1
    assert {row.name for row in p.rows("scope")} == {"second", "(no scope)"}


# Calls within calls ----------------------------------------------------------------------------


def test_the_time_of_a_call_is_without_that_of_calls_within_it():
    with mg.profile() as p:
        outer(leaf(2))
    inner, whole = p.events
    assert (inner.primitive, whole.primitive) == ("sleepy", "outer")
    assert whole.time >= inner.time + 0.01 * SECOND
    assert (inner.overhead, whole.overhead > 0) == (0, True)
    rows = {row.name: row.time for row in p.rows()}
    assert rows == {"sleepy": inner.time, "outer": whole.time - whole.overhead - inner.time}
    assert (inner.own, whole.own) == (rows["sleepy"], rows["outer"])
    assert p.inside == whole.time - whole.overhead
    assert p.overhead >= whole.overhead
    assert p.inside + p.overhead + p.outside == p.wall


# Sums ------------------------------------------------------------------------------------------


def captions():
    lstm, head = nn.LSTM(8, 16), nn.Linear(16, 7)
    x, words = np.ones((4, 6, 8), np.float32), np.zeros((4, 6), np.int64)
    return mg.cross_entropy(head(lstm(x)[0]), words)


@pytest.mark.parametrize("by", ["primitive", "scope", "line"])
def test_rows_add_up_to_all_events(by):
    with mg.profile() as p:
        captions().backward()
    rows = p.rows(by)
    for phase in ("forward", "backward"):
        events = [e for e in p.events if e.phase == phase]
        assert events
        works = [getattr(row, phase) for row in rows]
        assert sum(work.calls for work in works) == len(events)
        assert sum(work.time for work in works) == sum(e.time for e in events)
        assert sum(work.bytes for work in works) == sum(e.bytes for e in events)
        assert sum(work.multiply_adds for work in works) == sum(e.multiply_adds for e in events)
    assert [row.time for row in rows] == sorted((row.time for row in rows), reverse=True)
    assert sum(row.time for row in rows) == p.inside


def test_the_table():
    with mg.profile() as p:
        captions().backward()
    lines, work = p.table().splitlines(), ["calls", "time", "bytes"]
    assert lines[1].split() == ["primitive", *work, "GFLOP/s", *work, "total", "share"]
    assert {line.split()[0] for line in lines[3:-3]} == {e.primitive for e in p.events}
    assert lines[-2].startswith("total")
    shares = [float(line.split()[-1][:-1]) for line in lines[3:-3]]
    assert sum(shares) == pytest.approx(100, abs=0.1 * len(shares))
    short = p.table(limit=2).splitlines()
    assert [line.split()[0] for line in short[3:6]] == [lines[3].split()[0], lines[4].split()[0], "…"]
    assert short[-2].split()[1] == lines[-2].split()[1]  # the same number of calls in all
    assert str(p) == p.table(limit=20)


@pytest.mark.parametrize("wrong", [{"by": "module"}, {"by": None}, {"limit": 0}, {"limit": 2.5}, {"limit": True}])
def test_tables_that_do_not_exist(wrong):
    with mg.profile() as p:
        mg.tanh(leaf(2))
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        p.table(**wrong)


# The trace -------------------------------------------------------------------------------------


def check_trace(data):
    """Raise unless it is a Chrome trace by the Trace Event Format, whose events nest; the complete events."""
    complete, names = [], set()
    for event in data["traceEvents"]:
        assert event["ph"] in ("X", "M")
        assert all(type(event[key]) is int and 0 <= event[key] < 2**31 for key in ("pid", "tid"))
        if event["ph"] == "M":
            names.add((event["name"], event["tid"]))
        else:
            assert all(event[key] >= 0 for key in ("ts", "dur"))
            complete.append(event)
    assert {("thread_name", e["tid"]) for e in complete} <= names
    for tid in {e["tid"] for e in complete}:
        ends = []
        for e in sorted((e for e in complete if e["tid"] == tid), key=lambda e: (e["ts"], -e["dur"])):
            begin, end = round(1e3 * e["ts"]), round(1e3 * (e["ts"] + e["dur"]))
            while ends and ends[-1] <= begin:
                ends.pop()
            assert not ends or end <= ends[-1]
            ends.append(end)
    return complete


def test_the_trace(tmp_path):
    with mg.profile() as p:
        with mg.scope("model"):
            loss = captions()
        loss.backward()
        outer(leaf(2))
        run_in_parallel([lambda: mg.tanh(np.ones(3))] * 4)
    p.trace(tmp_path / "trace.json")
    block, *calls = check_trace(json.loads((tmp_path / "trace.json").read_text(encoding="utf-8")))
    assert (block["name"], block["ts"], block["dur"]) == ("profile", 0, pytest.approx(p.wall / 1e3))
    for call, e in zip(calls, sorted(p.events, key=lambda e: (e.begin, -e.time)), strict=True):
        assert call["name"] == e.primitive + ("_vjp" if e.phase == "backward" else "")
        assert (call["dur"], call["ts"]) == (pytest.approx(e.time / 1e3), pytest.approx((e.begin - p.began) / 1e3))
        assert (call["args"]["scope"], call["args"]["line"]) == ("/".join(e.scope), e.line)
    affine = next(call for call in calls if call["name"] == "affine")
    assert affine["args"]["inputs"] == ["float32 (4, 6, 16)", "float32 (16, 7)", "float32 (7,)"]
    assert affine["args"]["multiply_adds"] == 4 * 6 * 16 * 7


# Threads ---------------------------------------------------------------------------------------


def test_other_threads_are_not_profiled_but_what_this_one_shares_out_is():
    with mg.profile() as p:
        thread = threading.Thread(target=lambda: mg.tanh(leaf(2)).sum().backward())
        thread.start()
        thread.join()
    assert p.events == []
    before, together = mg.get_num_threads(), threading.Barrier(2)

    def piece():
        together.wait(20)
        with mg.scope("piece"):
            sleepy(leaf(2), 0.01).sum().backward()

    mg.set_num_threads(2)
    try:
        with mg.profile() as p:
            run_in_parallel([piece, piece])
    finally:
        mg.set_num_threads(before)
    assert len({e.thread for e in p.events}) == len(p.threads) == 2
    for thread in p.threads:
        events = [(e.primitive, e.phase, e.scope) for e in p.events if e.thread == thread]
        assert events == [
            ("sleepy", "forward", ("piece",)), ("sum", "forward", ("piece",)), ("sum", "backward", ("piece",)),
            ("sleepy", "backward", ("piece",)),
        ]  # fmt: skip
    assert p.inside == sum(e.time for e in p.events if e.thread == threading.get_ident())


# With others -----------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [("profile", "record"), ("record", "profile")])
def test_together_with_record(order):
    with getattr(mg, order[0])() as first, getattr(mg, order[1])() as second:
        y = mg.tanh(leaf(3))
        y.sum().backward()
    p = first or second
    note = note_of(y.node)
    assert len(p.events) == 4
    assert note.values[0].size == note.gradients[0].size == 3
    assert note.flows["x"] > 0
    assert note.line == p.events[0].line
    assert note.forward_time == p.events[0].time
    assert note.backward_time == p.events[-1].time


# Errors ----------------------------------------------------------------------------------------


def test_errors_are_raised_as_without_a_profile():
    x = leaf(2)
    with mg.profile() as p:
        with pytest.raises(ValueError, match=r"matmul\(a: float32 \(2,\)"):
            x @ np.ones((3, 3), np.float32)
        mg.tanh(x)
    assert [(e.primitive, e.failed, e.outputs == ()) for e in p.events] == [
        ("matmul", True, True), ("tanh", False, False),
    ]  # fmt: skip
