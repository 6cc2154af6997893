"""The one thread that computes: photos wait in a row, and who goes away frees the place."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from captioning.serving.refusals import RefusedError

__all__ = ["Worker"]

Answer = dict[str, Any]


class _Job:
    """An upload that waits. Its content is None once it is taken, or nobody waits for it any more."""

    def __init__(self, content: bytes) -> None:
        self.content: bytes | None = content
        self.loop = asyncio.get_running_loop()
        self.answer: asyncio.Future[Answer] = self.loop.create_future()

    def settle(self, answer: Answer | Exception) -> None:
        """Hand an answer over, from the worker's thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server ends
            self.loop.call_soon_threadsafe(self._settle, answer)

    def _settle(self, answer: Answer | Exception) -> None:
        if self.answer.done():  # cancelled
            return
        if isinstance(answer, Exception):
            self.answer.set_exception(answer)
        else:
            self.answer.set_result(answer)


class Worker:
    """Answers uploads one after the other, in a thread of its own: models are not shared, and BLAS uses all cores.

    answer: turns an upload into what is answered, in that thread. Whatever it raises reaches who asked, and the next
    upload is answered. places: how many may wait, with the one that is being computed.

    >>> async def twice():
    ...     with Worker(lambda content: {"bytes": len(content)}) as worker:
    ...         return await asyncio.gather(worker.answer_to(b"a"), worker.answer_to(b"bc"))
    >>> asyncio.run(twice())
    [{'bytes': 1}, {'bytes': 2}]
    """

    def __init__(self, answer: Callable[[bytes], Answer], places: int = 16) -> None:
        self.places, self.waiting = places, 0
        self._answer = answer
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="captioning worker", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._jobs.put(None)  # nobody waits for the thread: what it computes now may take as long as it likes

    async def answer_to(self, content: bytes) -> Answer:
        """The answer to an upload; to be called in an event loop's thread. Cancelled, it gives its place away.

        Raises:
            RefusedError: 503, if all places are taken.
            Exception: what `answer` raised.
        """
        if self.waiting >= self.places:
            raise RefusedError(503, f"{self.waiting} other photos are waiting: try again in a moment", retry_after=1)
        job = _Job(content)
        self.waiting += 1
        self._jobs.put(job)
        try:
            return await job.answer
        finally:
            job.content = None
            self.waiting -= 1

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            content, job.content = job.content, None
            if content is None:
                continue
            try:
                job.settle(self._answer(content))
            except Exception as error:  # of one upload, and none of the next one's concern
                job.settle(error)
