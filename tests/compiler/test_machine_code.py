"""Machine code is kept in a folder: several processes, damage, full disks, other processors."""

from __future__ import annotations

import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from minigrad.compiler import fused, machine_code
from tests.compiler.test_fused import python

PROGRAM = """
import sys, numpy as np
from minigrad.compiler import fused, machine_code
compiled = []
plain = machine_code._compile
machine_code._compile = lambda text: compiled.append(text) or plain(text)
for n in range(5):
    f = fused(lambda x, n: np.tanh(x) * n)
    assert np.allclose(f(np.ones(7), n), np.tanh(1) * n)
print(len(compiled))
"""


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """An empty folder of machine code."""
    path = tmp_path / "kept"
    monkeypatch.setenv("MINIGRAD_CACHE", str(path))
    return path


@pytest.fixture
def compiled(monkeypatch):
    """The texts that are compiled, and not found in the folder."""
    texts, plain = [], machine_code._compile
    monkeypatch.setattr(machine_code, "_compile", lambda text: texts.append(text) or plain(text))
    return texts


def run_once():
    function = fused(lambda x: np.exp(x) + 1)
    np.testing.assert_allclose(function(np.ones((2, 3))), np.e + 1)


def start(folder):
    return python(PROGRAM, MINIGRAD_FUSE="always", MINIGRAD_CACHE=str(folder)).strip()


def test_the_second_process_compiles_nothing(kept):
    assert [start(kept), start(kept)] == ["5", "0"]
    assert len(list(kept.glob("*.kernel"))) == len(list(kept.iterdir())) == 5


def test_two_processes_at_once(kept):
    with ThreadPoolExecutor() as pool:
        assert all(0 <= int(n) <= 5 for n in pool.map(start, [kept] * 3))
    assert start(kept) == "0"
    assert len(list(kept.iterdir())) == 5


def test_a_compiled_function_is_kept(kept, compiled):
    run_once()
    run_once()
    assert len(compiled) == 1
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700


@pytest.mark.parametrize("damage", [
    lambda code: code[: len(code) // 2],
    lambda code: b"",
    lambda code: code[:10],
    lambda code: code[:-1] + bytes([code[-1] ^ 1]),
    lambda code: bytes([code[0] ^ 1]) + code[1:],
    lambda code: code + b"more",
    lambda code: bytes(len(code)),
], ids=["half", "empty", "short", "last byte", "first byte", "longer", "zeros"])  # fmt: skip
def test_a_damaged_file_is_made_anew(damage, kept, compiled):
    run_once()
    (file,) = kept.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    run_once()
    assert len(compiled) == 2
    assert file.read_bytes()[:32] != damage(whole)[:32] or len(file.read_bytes()) == len(whole)
    run_once()
    assert len(compiled) == 2


def test_another_processor_or_llvm_has_files_of_its_own(kept, compiled, monkeypatch):
    run_once()
    llvm, target, name = machine_code._machine()
    monkeypatch.setattr(machine_code, "_machine", lambda: (llvm, target, name.replace(" ", " other-", 1)))
    run_once()
    assert len(compiled) == 2
    assert len(list(kept.iterdir())) == 2


def test_a_folder_that_cannot_be_made(tmp_path, compiled, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "file" / "kept"))
    run_once()
    run_once()
    assert len(compiled) == 2


def test_a_folder_that_cannot_be_written(kept, compiled, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(machine_code, "replacing", refuse)  # root may write everywhere
    run_once()
    run_once()
    assert len(compiled) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="another platform")
def test_a_full_disk(kept, compiled):
    from tests.captioning.full_disks import files_of_at_most

    with files_of_at_most(100):
        run_once()
    assert list(kept.iterdir()) == []
    run_once()
    assert len(compiled) == 2
    assert len(list(kept.iterdir())) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="another platform")
def test_a_fork_runs_what_is_compiled_and_compiles_more(kept):
    code = """
import os, sys, numpy as np
from minigrad.compiler import fused
first, second = fused(lambda x: np.exp(x)), fused(lambda x: np.exp(-x))
first(np.zeros(9))
child = os.fork()
ok = (first(np.zeros(9)) == 1).all() and (second(np.zeros(9)) == 1).all()
if not child:
    os._exit(not ok)
print(ok and os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0)
"""
    assert python(code, MINIGRAD_FUSE="always", MINIGRAD_CACHE=str(kept)).strip() == "True"
    assert len(list(kept.iterdir())) == 2


def test_the_folder_is_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("MINIGRAD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert machine_code.cache_folder() == tmp_path / "minigrad"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert machine_code.cache_folder() == tmp_path / ".cache" / "minigrad"


def test_threads_compile_one_after_another(kept, compiled):
    functions = [fused(lambda x, n=n: x * 1.5 + n) for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda f: f(np.ones(5)), functions * 3))
    for i, y in enumerate(found):
        np.testing.assert_array_equal(y, 1.5 + i % 4)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="another platform")
def test_a_fork_while_another_thread_compiles(kept):
    """The child must not inherit a lock that a thread of the parent holds."""
    code = """
import os, signal, sys, threading, time, numpy as np
from minigrad.compiler import fused, machine_code
plain, begun = machine_code._compile, threading.Event()
def slow(text):
    begun.set()
    time.sleep(0.2)
    return plain(text)
machine_code._compile = slow
thread = threading.Thread(target=lambda: fused(lambda x: np.exp(x))(np.zeros(9)))
thread.start()
begun.wait()
child = os.fork()
if not child:
    signal.alarm(20)
    os._exit(not (fused(lambda x: np.exp(-x))(np.zeros(9)) == 1).all())
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
thread.join()
"""
    assert python(code, MINIGRAD_FUSE="always", MINIGRAD_CACHE=str(kept)).strip() == "0"


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="another platform")
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720, 0o702])
def test_a_folder_that_others_may_write_is_not_used(mode, kept, compiled):
    run_once()
    kept.chmod(mode)
    run_once()
    assert len(compiled) == 2
    kept.chmod(0o755)
    run_once()
    assert len(compiled) == 2


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="another platform")
def test_a_folder_of_another_user_is_not_used(kept, compiled, monkeypatch):
    run_once()
    monkeypatch.setattr(os, "getuid", lambda: kept.stat().st_uid + 1)
    run_once()
    assert len(compiled) == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="another platform")
def test_only_regular_files_are_read(kept):
    run_once()
    (file,) = kept.iterdir()
    file.unlink()
    os.mkfifo(file)
    code = "from tests.compiler.test_machine_code import run_once; import signal; signal.alarm(20); run_once()"
    python(code, MINIGRAD_FUSE="always", MINIGRAD_CACHE=str(kept))


def test_a_file_under_the_name_of_another_is_made_anew(kept, compiled):
    run_once()
    (file,) = kept.iterdir()
    fused(lambda x: x * 7)(np.ones((2, 3)))
    (other,) = set(kept.iterdir()) - {file}
    file.write_bytes(other.read_bytes())
    run_once()
    assert len(compiled) == 3
