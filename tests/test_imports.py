"""Importing minigrad is quick, needs NumPy alone and changes nothing. `make lint` checks which modules import which."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def printed(code: str) -> list[str]:
    """The words that a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.split()


def test_importing_loads_numpy_alone():
    loaded = printed("import sys; before = set(sys.modules); import minigrad; print(*set(sys.modules) - before)")
    packages = {name.split(".")[0] for name in loaded} - set(sys.stdlib_module_names)
    assert {name for name in packages if not name.startswith("_")} - {"cython_runtime"} == {"minigrad", "numpy"}


def test_importing_is_quick():
    code = "import time, numpy; start = time.process_time(); import minigrad; print(time.process_time() - start)"
    assert min(float(printed(code)[0]) for _ in range(3)) < 0.5


def test_drawing_is_imported_when_it_is_first_used():
    code = (
        "import sys, minigrad as mg; before = 'minigrad.render' in sys.modules; mg.render.to_text; "
        "from minigrad import render; print(before, render is mg.render, hasattr(mg, 'nothing'))"
    )
    assert printed(code) == ["False", "True", "False"]


def test_importing_the_captioners_loads_no_extra():
    code = (
        "import sys, captioning, captioning.cs231n; "
        "print(*{'h5py', 'nltk', 'PIL', 'matplotlib', 'rich', 'starlette', 'uvicorn'} & set(sys.modules))"
    )
    assert printed(code) == []


WRONG = {"MINIGRAD_BLAS": "fast", "MINIGRAD_FUSE": "off", "MINIGRAD_KEEP_MEMORY": "no", "MINIGRAD_CACHE": "/dev/null"}
BYSTANDER = """
import os, sys, sysconfig, threading, tracemalloc
import numpy.random  # NumPy loads it when it is first used
own = [os.path.dirname(numpy.__file__), os.path.abspath("minigrad"), sysconfig.get_path("stdlib")]

def state():
    return sys.excepthook, threading.excepthook, dict(os.environ), threading.active_count()

def of_linux():
    if sys.platform != "linux":
        return set(), 1
    with open("/proc/self/maps") as maps:
        files = {line.split()[-1] for line in maps if ".so" in line}
    return {file for file in files if "lib-dynload" not in file}, len(os.listdir("/proc/self/task"))

def watch(event, arguments):
    if event in ("os.putenv", "os.unsetenv", "subprocess.Popen", "socket.__new__"):
        events.append((event, arguments))
    elif event in ("open", "ctypes.dlopen") and not os.path.abspath(arguments[0]).startswith(tuple(own)):
        events.append((event, arguments))

import json, queue, zlib  # some load a library
before, events = (state(), of_linux()), []
tracemalloc.start()
sys.addaudithook(watch)
import minigrad
print(*events, sep="\\n", end="")
size, peak = tracemalloc.get_traced_memory()
assert peak - size < 2**23, "a large block was allocated"
assert (state(), of_linux()) == before
"""


@pytest.mark.parametrize("wrong", [{}, WRONG], ids=["defaults", "wrong settings"])
def test_importing_reads_its_files_alone_and_changes_nothing(wrong):
    done = subprocess.run([sys.executable, "-c", BYSTANDER], capture_output=True, text=True, cwd=ROOT,
                          env={**os.environ, **wrong})  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "mg.tensor(np.ones((128, 128))) @ np.ones((128, 128))",
            "MINIGRAD_BLAS must be auto, numpy or mkl, not 'fast'",
        ),
        ("mg.runtime.signature()", "MINIGRAD_BLAS must be auto, numpy or mkl, not 'fast'"),
        ("mg.softmax(mg.tensor([[1.0, 2.0]]), -1)", "MINIGRAD_FUSE must be auto, never or always, not 'off'"),
        ("mg.nn.Linear(2, 2)", "MINIGRAD_KEEP_MEMORY must be 1 or 0, not 'no'"),
    ],
)
def test_a_wrong_setting_raises_where_it_is_needed(code, message):
    if "FUSE" in message and importlib.util.find_spec("llvmlite") is None:
        pytest.skip("no llvmlite")
    name = message.split()[0]
    again = f"for _ in range(2):\n  try: {code}\n  except ValueError as error: print(error)"
    program = f"import numpy as np, minigrad as mg\n{again}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT,
                          env={**os.environ, name: WRONG[name]})  # fmt: skip
    lines = done.stdout.splitlines()
    assert (len(lines), done.stderr) == (2, "")
    assert all(line.endswith(message) for line in lines)
