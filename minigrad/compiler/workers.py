"""Threads that share compiled loops: they wait in machine code for the next one, and sleep when none comes.

Waking a thread takes 50 to 100 µs, as long as a small loop. A thread that already waits in machine code need not be
woken. So after each piece of a loop, the threads of :mod:`minigrad.runtime.threads` wait for another for up to
:data:`PATIENCE`, without the interpreter's lock, and offer their processor to all others meanwhile.

A caller *deals* a loop as pieces 0 … count - 1: it publishes a *job*, and whoever is free takes the next piece, the
caller included. So a caller whose helpers sleep computes everything itself. A second caller at the same time does so,
too. A piece writes to places of its own, so results do not depend on who computes it.

On a busy machine a helper may lose its processor in the middle of a piece, and its caller waits for milliseconds. If a
caller loses the time d because it waits instead of computing the helper's pieces, callers share nothing for 20 d. So
such waits cost at most a twentieth of the time.

The memory of a team has one word for each line of :data:`_WORDS`, far enough apart for processors not to share a line
of their caches. A job is a word of three parts, which compare-and-swap changes at once: the job's number (32 bits), its
count of pieces and the next piece (16 bits each). The number differs from job to job, so nobody takes a piece of an old
job. The caller returns when all pieces have ended; only then may it overwrite the function and its argument.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import time
from collections.abc import Sequence

from ..runtime import threads
from .machine_code import address_of

__all__ = ["MOST_PIECES", "PATIENCE", "SHARE", "awake", "packed"]

PATIENCE = 200
"""How long a thread waits in machine code after the last piece, in µs."""

TOLERANCE = 100
"""The loss of time d, in µs, up to which callers continue to share."""

MOST_PIECES = 2**16 - 1
_WORDS = {"job": 0, "ended": 16, "taken": 32, "serving": 48, "deal": 64, "function": 65, "argument": 66, "bell": 67,
          "alone": 68}  # fmt: skip


def _text() -> str:
    """Return the functions ``deal``, which shares a job, and ``serve``, in which threads wait for jobs."""
    place = {name: f"getelementptr i64, ptr %team, i64 {word}" for name, word in _WORDS.items()}
    return f"""
declare i32 @sched_yield()
declare i32 @clock_gettime(i32, ptr)

define internal i64 @now() {{
  %time = alloca [2 x i64]
  call i32 @clock_gettime(i32 {time.CLOCK_MONOTONIC}, ptr %time)
  %rest = getelementptr i64, ptr %time, i64 1
  %s = load i64, ptr %time
  %ns = load i64, ptr %rest
  %whole = mul i64 %s, 1000000000
  %sum = add i64 %whole, %ns
  ret i64 %sum
}}

; Run pieces of the current job until none is left; return how many.
define internal i64 @take(ptr %team) {{
  %ended = {place["ended"]}
  %at.function = {place["function"]}
  %at.argument = {place["argument"]}
  br label %look
look:
  %done = phi i64 [0, %0], [%done, %lost], [%more, %run]
  %job = load atomic i64, ptr %team acquire, align 8
  %next = and i64 %job, {MOST_PIECES}
  %shifted = lshr i64 %job, 16
  %count = and i64 %shifted, {MOST_PIECES}
  %left = icmp ult i64 %next, %count
  br i1 %left, label %try, label %none
try:
  %after = add i64 %job, 1
  %pair = cmpxchg ptr %team, i64 %job, i64 %after acq_rel acquire, align 8
  %won = extractvalue {{i64, i1}} %pair, 1
  br i1 %won, label %run, label %lost
lost:
  br label %look
run:
  %function = load ptr, ptr %at.function
  %argument = load ptr, ptr %at.argument
  call void %function(ptr %argument, i64 %next)
  atomicrmw add ptr %ended, i64 1 release
  %more = add i64 %done, 1
  br label %look
none:
  ret i64 %done
}}

define void @deal(ptr %team, ptr %function, ptr %argument, i64 %count) {{
  %ended = {place["ended"]}
  %taken = {place["taken"]}
  %at.function = {place["function"]}
  %at.argument = {place["argument"]}
  %at.alone = {place["alone"]}
  %t0 = call i64 @now()
  %until = load atomic i64, ptr %at.alone monotonic, align 8
  %usual = icmp uge i64 %t0, %until
  br i1 %usual, label %try, label %alone
try:
  %pair = cmpxchg ptr %taken, i64 0, i64 1 acquire monotonic, align 8
  %free = extractvalue {{i64, i1}} %pair, 1
  br i1 %free, label %share, label %alone
alone:
  %i = phi i64 [0, %0], [0, %try], [%i.next, %alone]
  call void %function(ptr %argument, i64 %i)
  %i.next = add i64 %i, 1
  %i.more = icmp ult i64 %i.next, %count
  br i1 %i.more, label %alone, label %out
share:
  store ptr %function, ptr %at.function
  store ptr %argument, ptr %at.argument
  store atomic i64 0, ptr %ended monotonic, align 8
  %last = load atomic i64, ptr %team monotonic, align 8
  %last.number = lshr i64 %last, 32
  %number = add i64 %last.number, 1
  %high = shl i64 %number, 32
  %middle = shl i64 %count, 16
  %job = or i64 %high, %middle
  store atomic i64 %job, ptr %team release, align 8
  %own = call i64 @take(ptr %team)
  %t1 = call i64 @now()
  br label %look
look:
  %some = load atomic i64, ptr %ended acquire, align 8
  %all = icmp eq i64 %some, %count
  br i1 %all, label %compare, label %wait
wait:
  call i32 @sched_yield()
  br label %look
compare:  ; the loss d = waited - worked (count - own) / own
  %t2 = call i64 @now()
  %worked = sub i64 %t1, %t0
  %others = sub i64 %count, %own
  %fair = mul i64 %worked, %others
  %waited = sub i64 %t2, %t1
  %waits = mul i64 %waited, %own
  %excess = sub i64 %waits, %fair
  %most = mul i64 %own, {TOLERANCE * 1000}
  %slow = icmp sgt i64 %excess, %most
  br i1 %slow, label %avoid, label %finish
avoid:
  %d = udiv i64 %excess, %own
  %penalty = mul i64 %d, 20
  %end = add i64 %t2, %penalty
  store atomic i64 %end, ptr %at.alone monotonic, align 8
  br label %finish
finish:
  store atomic i64 0, ptr %taken release, align 8
  br label %out
out:
  ret void
}}

; Run pieces of all jobs, until none has come for a while or the bell has rung since the caller read it.
define void @serve(ptr %team, i64 %heard) {{
  %serving = {place["serving"]}
  %taken = {place["taken"]}
  %at.bell = {place["bell"]}
  %bell = load ptr, ptr %at.bell
  atomicrmw add ptr %serving, i64 1 monotonic
  br label %begin
begin:
  %start = call i64 @now()
  %end = add i64 %start, {PATIENCE * 1000}
  br label %look
look:
  %done = call i64 @take(ptr %team)
  %sharing = load atomic i64, ptr %taken monotonic, align 8
  %some = or i64 %done, %sharing
  %active = icmp ugt i64 %some, 0
  br i1 %active, label %begin, label %listen
listen:
  %rung = load atomic i64, ptr %bell monotonic, align 8
  %called = icmp ne i64 %rung, %heard
  br i1 %called, label %leave, label %wait
wait:
  call i32 @sched_yield()
  %now = call i64 @now()
  %late = icmp ugt i64 %now, %end
  br i1 %late, label %leave, label %look
leave:
  atomicrmw sub ptr %serving, i64 1 monotonic
  ret void
}}
"""


SHARE = f"""
define internal void @share(ptr %function, ptr %packed, i64 %pieces, ptr %team) {{
  %alone = icmp eq ptr %team, null
  br i1 %alone, label %next, label %together
next:
  %i = phi i64 [0, %0], [%after, %next]
  call void %function(ptr %packed, i64 %i)
  %after = add i64 %i, 1
  %more = icmp ult i64 %after, %pieces
  br i1 %more, label %next, label %end
together:
  %place = getelementptr i64, ptr %team, i64 {_WORDS["deal"]}
  %deal = load ptr, ptr %place
  call void %deal(ptr %team, ptr %function, ptr %packed, i64 %pieces)
  br label %end
end:
  ret void
}}
"""
"""The function in which a kernel shares its pieces with a team, or runs them all if the address is 0."""


def packed(parameters: Sequence[tuple[str, str]]) -> tuple[list[str], list[str]]:
    """Return lines that write parameters, pairs of type and name, to memory at ``%packed``, and lines that read them.

    >>> packed([("i64", "%n")])[1]
    ['%n.packed = getelementptr i64, ptr %packed, i64 0', '%n = load i64, ptr %n.packed']
    """
    writes, reads = [f"%packed = alloca [{len(parameters)} x i64]"], []
    for i, (type, name) in enumerate(parameters):
        place = f"{name}.packed = getelementptr i64, ptr %packed, i64 {i}"
        writes += [place, f"store {type} {name}, ptr {name}.packed"]
        reads += [place, f"{name} = load {type}, ptr {name}.packed"]
    return writes, reads


class _Team:
    """The memory that a caller and its helpers share."""

    def __init__(self) -> None:
        self.words = (ctypes.c_int64 * (max(_WORDS.values()) + 1))()
        self.words[_WORDS["deal"]] = address_of("deal", _text())
        self.words[_WORDS["bell"]] = ctypes.addressof(threads.bell)
        self.address = ctypes.addressof(self.words)
        self.serve = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)(address_of("serve", _text()))
        self.closed = False

    def wake(self, helpers: int) -> None:
        """Let this many threads of the pool serve, or as many as there are other processors."""
        missing = helpers - self.words[_WORDS["serving"]]
        if missing > 0 and not self.closed and not threads.waiting():
            threads.start([self.help] * min(missing, threads.processors() - 1))

    def help(self) -> None:
        heard = threads.bell.value  # before the look for tasks, so that no later one is missed
        if not self.closed and not threads.waiting():
            self.serve(self.address, heard)

    def close(self) -> None:
        """Wait until no thread serves: LLVM's code and this memory end with the interpreter."""
        self.closed = True
        while self.words[_WORDS["serving"]]:
            threads.bell.value += 1
            time.sleep(1e-4)


_teams: list[_Team] = []


def awake(pieces: int) -> int:
    """Wake enough threads to share so many pieces, and return the address of their memory; 0 if the caller is alone.

    On Windows callers are always alone, because the text above calls functions of POSIX.
    """
    if pieces < 2 or threads.inside() or sys.platform == "win32":
        return 0
    if not _teams:
        _teams.append(_Team())
    if _teams[0].words[_WORDS["alone"]] > time.monotonic_ns():
        return 0
    _teams[0].wake(min(pieces, threads.get_num_threads()) - 1)
    return _teams[0].address


@atexit.register
def _close() -> None:
    for team in _teams:
        team.close()


if hasattr(os, "register_at_fork"):  # a child has no helpers
    os.register_at_fork(after_in_child=_teams.clear)
