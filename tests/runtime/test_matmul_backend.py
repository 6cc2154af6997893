"""The choice of matrix products: by the environment, a measurement, or the table of processors, in this order."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import minigrad as mg
from minigrad.runtime import blas, matmul_backend, mkl
from minigrad.runtime.__main__ import main
from minigrad.runtime.matmul_backend import BLAS, Strategy

ZEN4, XEON, OTHER = ("AuthenticAMD", 25), ("GenuineIntel", 6), ("", 0)


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """No measurement, no environment variables, and a chosen processor with or without MKL."""

    def set_up(processor=ZEN4, kernel="SkylakeX", has_mkl=False):
        monkeypatch.setattr(blas, "processor", lambda: processor)
        monkeypatch.setattr(blas, "kernel", lambda: kernel)
        monkeypatch.setattr(mkl, "reason_against", lambda: "" if has_mkl else "the package mkl is not installed")

    monkeypatch.delenv(BLAS, raising=False)
    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path / "cache"))
    set_up()
    return set_up


def decided():
    library, strategy, _ = matmul_backend._decide()
    return library, strategy


@pytest.mark.parametrize(
    ("processor", "kernel", "has_mkl", "asked", "expected"),
    [
        (ZEN4, "SkylakeX", False, None, ("numpy", Strategy("tiles", "blocks"))),
        (ZEN4, "SkylakeX", True, None, ("numpy", Strategy("tiles", "blocks"))),
        (ZEN4, "Haswell", False, None, ("numpy", Strategy())),
        (XEON, "SkylakeX", False, None, ("numpy", Strategy("plain", "blocks", 25))),
        (XEON, "SkylakeX", True, None, ("mkl", Strategy("mkl", "mkl"))),
        (XEON, "SkylakeX", True, "auto", ("mkl", Strategy("mkl", "mkl"))),
        (XEON, "SkylakeX", True, "NumPy ", ("numpy", Strategy("plain", "blocks", 25))),
        (XEON, "Haswell", True, None, ("numpy", Strategy())),
        (OTHER, "SkylakeX", True, None, ("numpy", Strategy())),
        (OTHER, "SkylakeX", True, "mkl", ("mkl", Strategy("mkl", "mkl"))),
        (OTHER, "", False, None, ("numpy", Strategy())),
    ],
)
def test_table_of_decisions(machine, monkeypatch, processor, kernel, has_mkl, asked, expected):
    machine(processor, kernel, has_mkl)
    if asked:
        monkeypatch.setenv(BLAS, asked)
    assert decided() == expected


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("mkl", "the package mkl is not installed: pip install"),
        ("openblas", "must be auto, numpy or mkl, not 'openblas'"),
    ],
)
def test_wrong_environment_variables(machine, monkeypatch, asked, message):
    machine(XEON)
    monkeypatch.setattr(mkl, "path", lambda: None)
    monkeypatch.setenv(BLAS, asked)
    with pytest.raises(ValueError, match=f"MINIGRAD_BLAS.*{message}"):
        matmul_backend._decide()


def test_a_measurement_overrides_the_table(machine, monkeypatch):
    found = {"numpy": Strategy("plain", "blocks", 40), "mkl": Strategy("mkl", "blocks", 12)}
    machine(ZEN4, has_mkl=True)
    path = matmul_backend.keep(found, "mkl", {"any": 1.0})
    assert path.parent.name == "cache"
    assert matmul_backend.measurement() == (found, "mkl", f"measured here, {path}")
    assert decided() == ("mkl", found["mkl"])
    machine(ZEN4)  # MKL is not available any more
    assert decided() == ("numpy", found["numpy"])
    monkeypatch.setattr(mkl, "version", lambda: "another")
    assert matmul_backend.measurement() == ({"numpy": found["numpy"]}, "numpy", f"measured here, {path}")
    machine(XEON)
    assert decided() == ("numpy", Strategy("plain", "blocks", 25))
    assert "another processor" in matmul_backend.measurement()[2]


@pytest.mark.parametrize(
    "content",
    ["", "[]", "[" * 200_000, {"strategies": {"cuda": {}}}, {"strategies": ["numpy"]}, {"fastest": "mkl"}],
)
def test_a_damaged_measurement_is_ignored(content):
    path = matmul_backend.keep({"numpy": Strategy("plain", "plain")}, "numpy", {})
    kept = json.loads(path.read_text())
    path.write_text(json.dumps(kept | content) if isinstance(content, dict) else content)
    assert decided() == ("numpy", Strategy("tiles", "blocks"))
    assert "is damaged: delete it, or measure again" in matmul_backend.measurement()[2]


def test_the_signature_names_the_strategy():
    with matmul_backend.using(Strategy("tiles", "blocks", 25)):
        assert mg.runtime.signature().endswith(", tiles, blocks of up to 25 rows")


def test_the_command_line(machine, monkeypatch, capsys):
    times = {Strategy(): 1.0, Strategy("plain", "blocks", 25): 0.5}
    monkeypatch.setattr("minigrad.runtime.__main__.measure", lambda: ({Strategy(): 1.0}, times))
    for command, expected in (
        ("show", "not measured here"),
        ("tune", "blocks of up to 25 rows"),
        ("show", f"measured here, {matmul_backend.tuning_file()}"),
    ):
        main([command])
        assert expected in capsys.readouterr().out
    monkeypatch.setenv("MINIGRAD_CACHE", "/dev/null/cache")
    with pytest.raises(SystemExit):
        main(["tune"])
    assert "cannot save the measurement: " in capsys.readouterr().err


@pytest.mark.parametrize("command", ["show", "tune"])
def test_the_command_line_with_a_wrong_setting(monkeypatch, capsys, command):
    monkeypatch.delattr(matmul_backend, "chosen", raising=False)
    monkeypatch.setattr(matmul_backend, "_decided", matmul_backend._decide)
    monkeypatch.setenv(BLAS, "fast")
    with pytest.raises(SystemExit):
        main([command])
    assert capsys.readouterr().err.endswith(": error: MINIGRAD_BLAS must be auto, numpy or mkl, not 'fast'\n")


def test_two_threads_that_multiply_first_decide_once():
    code = """
import threading, time
import numpy as np
from minigrad.runtime import matmul_backend
from minigrad.ops.kernels.blocked_products import product_into
decide, decisions = matmul_backend._decide, []
def slow():
    decisions.append(1)
    time.sleep(0.1)
    return decide()
matmul_backend._decided = matmul_backend.cache(slow)
a = np.ones((3, 3))
threads = [threading.Thread(target=product_into, args=(a, a, np.empty((3, 3)))) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(decisions))
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "1\n"
