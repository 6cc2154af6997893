"""The thread that computes: one upload after the other, whatever each of them does."""

import asyncio
import threading

import pytest

from captioning.serving.refusals import RefusedError
from captioning.serving.worker import Worker


def length(content):
    if content == b"fail":
        raise RuntimeError("no answer")
    return {"length": len(content)}


def test_an_upload_that_fails_concerns_nobody_else():
    async def ask(worker):
        return await asyncio.gather(*(worker.answer_to(c) for c in (b"a", b"fail", b"bcd")), return_exceptions=True)

    with Worker(length) as worker:
        first, failed, last = asyncio.run(ask(worker))
    assert (first, last) == ({"length": 1}, {"length": 3})
    assert isinstance(failed, RuntimeError)
    assert worker.waiting == 0


def test_one_thread_computes_all():
    threads = set()

    async def ask(worker):
        await asyncio.gather(*(worker.answer_to(b"a") for _ in range(8)))

    with Worker(lambda content: threads.add(threading.get_ident()) or {}) as worker:
        asyncio.run(ask(worker))
    assert len(threads) == 1
    assert threads != {threading.get_ident()}


def test_who_finds_no_place_is_told_to_come_again():
    going = threading.Event()

    async def ask(worker):
        tasks = [asyncio.create_task(worker.answer_to(b"a")) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(RefusedError) as refused:
            await worker.answer_to(b"b")
        going.set()
        return refused.value, await asyncio.gather(*tasks)

    with Worker(lambda content: {"went": going.wait(10)}, places=2) as worker:
        refused, answers = asyncio.run(ask(worker))
    assert (refused.status, refused.retry_after) == (503, 1)
    assert answers == [{"went": True}] * 2


def test_who_goes_away_frees_the_place_and_is_not_computed():
    going, seen = threading.Event(), []

    def answer(content):
        seen.append(content)
        return {"went": going.wait(10)}

    async def ask(worker):
        first = asyncio.create_task(worker.answer_to(b"first"))
        second = asyncio.create_task(worker.answer_to(b"second"))
        await asyncio.sleep(0.05)
        second.cancel()
        await asyncio.wait([second])
        third = asyncio.create_task(worker.answer_to(b"third"))  # a place is free again
        await asyncio.sleep(0)
        going.set()
        return await first, await third

    with Worker(answer, places=2) as worker:
        asyncio.run(ask(worker))
    assert seen == [b"first", b"third"]
    assert worker.waiting == 0


def test_an_answer_that_nobody_waits_for_any_more_ends_nothing():
    going = threading.Event()

    async def leave(worker):
        asking = asyncio.create_task(worker.answer_to(b"a"))
        await asyncio.sleep(0.05)
        asking.cancel()

    with Worker(lambda content: {"went": going.wait(10)}) as worker:
        asyncio.run(leave(worker))  # its loop is closed when the answer is there
        going.set()
        assert asyncio.run(worker.answer_to(b"b")) == {"went": True}
