"""How far a long job is: lines in a file, a bar on a terminal."""

from __future__ import annotations

import io
from unittest.mock import Mock

import pytest

from captioning.progress import Progress
from minigrad.formatting import byte_text


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self):
        return True


def shown(stream, clock, done, wait, **options):
    """A job of which `done` says the steps that are done, one after each `wait` of seconds."""
    progress = Progress(stream, clock=lambda: clock[0], **options)
    progress.begin(100, start=20)
    for number in done:
        clock[0] += wait
        progress.update(number, loss=3.0)
    return progress


def test_progress_prints_a_line_now_and_then():
    progress = shown(io.StringIO(), [0.0], range(21, 101), wait=1)
    progress.say("[done]")
    progress.close()
    assert progress.stream.getvalue().splitlines() == [
        "30/100  loss 3.00  1.0/s  0:01:10 left",
        "90/100  loss 3.00  1.0/s  0:00:10 left",
        "[done]",
    ]


def test_progress_draws_over_its_line_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    progress = shown(Terminal(), [0.0], range(21, 31), wait=0.1)
    drawn = progress.stream.getvalue()
    assert "22/100  loss 3.00  10.0/s  0:00:08 left" in drawn
    assert "23/100" not in drawn  # 0.2 s after the one before
    assert "\n" not in drawn
    progress.say("epoch 1")
    assert "epoch 1\n" in progress.stream.getvalue()
    before = len(progress.stream.getvalue())
    progress.close()
    assert progress.stream.getvalue()[before:].rstrip().endswith("\x1b[2K")  # wiped,
    assert "\x1b[?25h" in progress.stream.getvalue()[before:]  # and the cursor is there again


def test_progress_in_bytes_of_a_known_and_an_unknown_size():
    seconds = [0.0]
    progress = Progress(io.StringIO(), clock=lambda: seconds[0])
    for total in (4 << 20, None):
        progress.begin(total, 1 << 20, byte_text)
        for second in range(1, 12):
            seconds[0] += 1
            progress.update((1 << 20) + (second << 17))
    assert progress.stream.getvalue().splitlines() == [
        "2.2 MiB/4.0 MiB  128.0 KiB/s  0:00:14 left",
        "2.2 MiB  128.0 KiB/s",
    ]


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left on device")])
def test_progress_that_cannot_be_shown_is_dropped(error):
    stream = io.StringIO()
    stream.write = Mock(side_effect=error)
    progress = shown(stream, [0.0], range(21, 101), wait=1)
    progress.say("done")
    progress.close()
    assert stream.write.called
    silent = shown(quiet := io.StringIO(), [0.0], range(21, 101), wait=1, enabled=False)
    silent.say("nothing")
    assert quiet.getvalue() == ""
