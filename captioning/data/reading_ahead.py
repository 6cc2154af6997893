"""What is read by a thread while what was read before is computed with.

A training knows which rows its next batches need. Those that stay in a file (`captioning.data.stored_rows`) take a
disk's time, in which h5py leaves Python to other threads: one thread reads them, in the order in which they will be
asked for, and the training finds them read. No more is read ahead than was announced, so that memory stays bounded, and
no bit of it is another one. What is in memory is better read without a thread. docs/scale_data.md has what this gains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["ReadAhead"]

Rows = NDArray[np.int64]
T = TypeVar("T")


class ReadAhead(Generic[T]):
    """Reads by a function, and has a thread read what is announced while the caller goes on.

    function: takes row numbers (N,) and gives what is read of them, such as the batch of a `Split`. threaded: False
    reads everything when it is asked for, as for rows that are in memory. The thread lives as long as the `with` block;
    outside of it everything is read when it is asked for, too.

    >>> with ReadAhead(lambda rows: rows * 10) as ahead:
    ...     first = ahead.read(np.array([3, 0]), upcoming=[np.array([1])])
    ...     second = ahead.read(np.array([1]))  # has been read meanwhile
    >>> first.tolist(), second.tolist()
    ([30, 0], [10])
    """

    def __init__(self, function: Callable[[Rows], T], threaded: bool = True) -> None:
        self.function, self.threaded = function, threaded
        self._thread: ThreadPoolExecutor | None = None
        self._begun: dict[bytes, Future[T]] = {}  # by the row numbers

    def read(self, rows: Rows, upcoming: Sequence[Rows] = ()) -> T:
        """What the function gives of rows (N,), and its exceptions, whichever thread they come from.

        upcoming: what will be asked for next, in that order, which is read on after this returns. Exceptions of theirs
        are raised when they are asked for. What was announced before and is not among them is forgotten.
        """
        if self._thread is None:
            return self.function(rows)
        wanted = {each.tobytes(): each for each in (rows, *upcoming)}
        for key in self._begun.keys() - wanted.keys():
            self._begun.pop(key).cancel()
        for key, each in wanted.items():
            if key not in self._begun:
                self._begun[key] = self._thread.submit(self.function, each)
        return self._begun.pop(rows.tobytes()).result()

    def __enter__(self) -> Self:
        if self.threaded:
            self._thread = ThreadPoolExecutor(1, "reading-ahead")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Forget what was announced, and wait for what is being read; an interrupt ends the waiting."""
        thread, self._thread = self._thread, None
        self._begun.clear()
        if thread is not None:
            thread.shutdown(cancel_futures=True)
