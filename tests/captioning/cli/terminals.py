"""A terminal for the tests of commands: standard output and standard error are one, as people have them."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import threading


@contextlib.contextmanager
def terminal(monkeypatch):
    """Both outputs go to a terminal; the block is given a list that has what it was sent, a line each, when it is left.

    Of a line that was wiped and written again it has the last text, without colours.
    """
    ours, theirs = pty.openpty()
    received, lines = bytearray(), []

    def read():
        with contextlib.suppress(OSError):  # the other end is closed
            while piece := os.read(ours, 4096):
                received.extend(piece)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        with monkeypatch.context() as patch, open(theirs, "w", encoding="utf-8", buffering=1) as stream:
            patch.setenv("TERM", "xterm")
            patch.setattr("sys.stdout", stream)
            patch.setattr("sys.stderr", stream)
            yield lines
    finally:
        reader.join()
        os.close(ours)
    text = received.decode().replace("\r\n", "\n")
    wiped = (line.rsplit("\x1b[2K", 1)[-1] for line in text.splitlines())
    lines += [re.sub(r"\r|\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in wiped]
