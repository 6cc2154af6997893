"""A lock is held by one, and by nobody who is dead."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from minigrad.runtime import locks
from minigrad.runtime.locks import LockedError, take_lock

HOLD = "import sys; from minigrad.runtime.locks import take_lock; l = take_lock(sys.argv[1]); print('held'); input()"


@pytest.mark.skipif(locks.fcntl is None, reason="another platform: has no flock")
def test_another_process_holds_it_until_it_is_killed(tmp_path):
    path = tmp_path / ".lock"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], **pipes) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(LockedError) as found:
            take_lock(path)
        assert found.value.holder == process.pid
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert path.exists()
    lock = take_lock(path)
    assert path.read_text() == f"{os.getpid()}\n"
    lock.release()
    lock.release()
    assert not path.exists()


def test_without_flock_everybody_gets_it_and_knows(tmp_path, monkeypatch):
    def none(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(locks.fcntl, "flock", none)
    first, second = take_lock(tmp_path / ".lock"), take_lock(tmp_path / ".lock")
    assert not first.sure
    first.release()
    second.release()


def test_a_file_that_is_removed_meanwhile_is_made_again(tmp_path, monkeypatch):
    """Its holder lets go, and removes it, between our opening and our locking."""
    flock, path = locks.fcntl.flock, tmp_path / ".lock"
    calls = []

    def late(handle, how):
        calls.append(handle)
        if len(calls) == 1:
            path.unlink()
        flock(handle, how)

    monkeypatch.setattr(locks.fcntl, "flock", late)
    lock = take_lock(path)
    assert len(calls) == 2
    assert path.read_text() == f"{os.getpid()}\n"
    lock.release()


def test_a_lock_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        take_lock(tmp_path / ".lock", create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named_by_the_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*\.lock'"):
        take_lock(tmp_path / ".lock")
