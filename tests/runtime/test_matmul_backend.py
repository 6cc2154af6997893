"""How products are computed: what the environment, a measurement and the table of processors say, in this order."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import minigrad as mg
from minigrad.runtime import blas, matmul_backend, mkl
from minigrad.runtime.__main__ import main
from minigrad.runtime.matmul_backend import BLAS, Strategy

ZEN4, XEON, OTHER = ("AuthenticAMD", 25), ("GenuineIntel", 6), ("", 0)


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """No measurement, no wishes, and a processor of one's choice; with MKL or without."""

    def set_up(processor=ZEN4, kernel="SkylakeX", has_mkl=False):
        monkeypatch.setattr(blas, "processor", lambda: processor)
        monkeypatch.setattr(blas, "kernel", lambda: kernel)
        monkeypatch.setattr(mkl, "reason_against", lambda: "" if has_mkl else "the package mkl is not installed")

    monkeypatch.delenv(matmul_backend.BLAS, raising=False)
    monkeypatch.setenv(matmul_backend.FOLDER, str(tmp_path / "cache"))
    set_up()
    return set_up


def decided():
    library, strategy, _ = matmul_backend._decide()
    return library, strategy


@pytest.mark.parametrize(
    ("processor", "kernel", "has_mkl", "expected"),
    [
        (ZEN4, "SkylakeX", False, ("numpy", Strategy("tiles", "blocks"))),
        (ZEN4, "SkylakeX", True, ("numpy", Strategy("tiles", "blocks"))),
        (ZEN4, "Haswell", False, ("numpy", Strategy())),
        (XEON, "SkylakeX", False, ("numpy", Strategy("plain", "blocks", 25))),
        (XEON, "SkylakeX", True, ("mkl", Strategy("mkl", "mkl"))),
        (XEON, "Haswell", True, ("numpy", Strategy())),
        (OTHER, "SkylakeX", True, ("numpy", Strategy())),
        (OTHER, "", False, ("numpy", Strategy())),
    ],
)
def test_processors(machine, processor, kernel, has_mkl, expected):
    machine(processor, kernel, has_mkl)
    assert decided() == expected


def test_what_the_environment_says(machine, monkeypatch):
    machine(XEON, has_mkl=True)
    monkeypatch.setenv(matmul_backend.BLAS, "NumPy ")
    assert decided() == ("numpy", Strategy("plain", "blocks", 25))
    machine(OTHER, has_mkl=True)
    monkeypatch.setenv(matmul_backend.BLAS, "mkl")
    assert decided() == ("mkl", Strategy("mkl", "mkl"))
    machine(XEON)
    monkeypatch.setattr(mkl, "path", lambda: None)
    with pytest.raises(ValueError, match="asks for mkl, but the package mkl is not installed: pip install"):
        matmul_backend._decide()
    monkeypatch.setenv(matmul_backend.BLAS, "openblas")
    with pytest.raises(ValueError, match=r"MINIGRAD_BLAS must be numpy or mkl .* not 'openblas'"):
        matmul_backend._decide()


def test_a_measurement_comes_before_the_table(machine, monkeypatch):
    found = {"numpy": Strategy("plain", "blocks", 40), "mkl": Strategy("mkl", "blocks", 12)}
    machine(ZEN4, has_mkl=True)
    path = matmul_backend.keep(found, "mkl", {"any": 1.0})
    assert path == matmul_backend.tuning_file()
    assert path.parent.name == "cache"
    assert matmul_backend.measurement() == (found, "mkl", f"measured here, {path}")
    assert decided() == ("mkl", found["mkl"])
    monkeypatch.setenv(matmul_backend.BLAS, "numpy")
    assert decided() == ("numpy", found["numpy"])
    monkeypatch.delenv(matmul_backend.BLAS)
    machine(ZEN4)  # MKL cannot be used any more
    assert decided() == ("numpy", found["numpy"])
    monkeypatch.setattr(mkl, "version", lambda: "another")
    assert matmul_backend.measurement() == ({"numpy": found["numpy"]}, "numpy", f"measured here, {path}")
    machine(XEON)
    assert decided() == ("numpy", Strategy("plain", "blocks", 25))
    assert "another processor" in matmul_backend.measurement()[2]
    path.unlink()
    assert matmul_backend.measurement() == ({}, "", "not measured here")


@pytest.mark.parametrize("spoil", [
    lambda kept: kept.pop("strategies"),
    lambda kept: kept["strategies"].update(cuda={}),
    lambda kept: kept["strategies"]["numpy"].update(more=1),
    lambda kept: kept.update(strategies=["numpy"]),
    lambda kept: kept.update(fastest="mkl"),
])  # fmt: skip
def test_a_damaged_measurement_is_as_none(spoil):
    path = matmul_backend.keep({"numpy": Strategy("plain", "plain")}, "numpy", {})
    kept = json.loads(path.read_text())
    spoil(kept)
    path.write_text(json.dumps(kept))
    assert decided() == ("numpy", Strategy("tiles", "blocks"))
    assert "is damaged: delete it, or measure again" in matmul_backend.measurement()[2]


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 200_000, "\ud800".encode("utf-16", "surrogatepass")])
def test_rubbish_is_as_no_measurement(text):
    path = matmul_backend.tuning_file()
    path.parent.mkdir()
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert decided() == ("numpy", Strategy("tiles", "blocks"))
    assert "is damaged" in matmul_backend.measurement()[2]
    path.unlink()
    path.mkdir()
    assert "cannot be read: it is a folder" in matmul_backend.measurement()[2]
    path.rmdir()
    os.mkfifo(path)  # which nobody writes into
    assert "cannot be read: it is a pipe" in matmul_backend.measurement()[2]


def test_where_the_measurement_is_kept(monkeypatch, tmp_path):
    monkeypatch.delenv(matmul_backend.FOLDER)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert matmul_backend.tuning_file() == tmp_path / "minigrad" / "products.json"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert matmul_backend.tuning_file() == tmp_path / ".cache" / "minigrad" / "products.json"


def test_using_a_strategy():
    before, within = matmul_backend.chosen, []

    @matmul_backend.using(Strategy("plain", "plain"))
    def fails():
        within.append(matmul_backend.chosen)
        raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert within == [Strategy("plain", "plain")]
    assert matmul_backend.chosen is before


def test_what_it_says():
    with matmul_backend.using(Strategy("tiles", "blocks", 25)):
        assert mg.runtime.signature().endswith(", tiles, blocks of up to 25 rows")
        assert "large products tiles, products of a step blocks of up to 25 rows (" in mg.runtime.backend()
    with matmul_backend.using(Strategy()):
        assert mg.runtime.signature().endswith(", plain, plain")
    assert np.__version__ in mg.runtime.signature() or mg.runtime.signature().startswith("mkl 20")


def run(*arguments, **environment):
    return subprocess.run([sys.executable, "-m", "minigrad.runtime", *arguments], capture_output=True, text=True,
                          env={**os.environ, **environment})  # fmt: skip


def test_the_command_line(tmp_path):
    kept = {matmul_backend.FOLDER: str(tmp_path)}
    shown = run("show", **kept)
    assert shown.returncode == 0
    assert "large products" in shown.stdout
    assert "not measured here" in shown.stdout
    tuned = run("tune", **kept)
    assert tuned.returncode == 0, tuned.stderr
    assert "blocks of up to 25 rows" in tuned.stdout
    assert "the default from now on" in tuned.stdout
    assert f"measured here, {tmp_path / 'products.json'}" in run(**kept).stdout


def test_a_measurement_that_cannot_be_kept(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv(matmul_backend.FOLDER, str(tmp_path / "file" / "cache"))
    monkeypatch.setattr("minigrad.runtime.__main__.measure", lambda: ({Strategy(): 1.0}, {Strategy(): 1.0}))
    with pytest.raises(SystemExit):
        main(["tune"])
    assert "the measurement cannot be kept: " in capsys.readouterr().err


def test_a_wrong_setting_does_not_end_an_interactive_session():
    done = subprocess.run([sys.executable, "-i", "-q"], input="import minigrad\nprint('still here')\n", text=True,
                          capture_output=True, check=False, env={**os.environ, BLAS: "fast"})  # fmt: skip
    assert "still here" in done.stdout
    assert "ValueError: MINIGRAD_BLAS must be numpy or mkl" in done.stderr


def test_a_wrong_setting_ends_a_command_with_a_value_error():
    done = subprocess.run([sys.executable, "-m", "minigrad.runtime", "show"], capture_output=True, text=True,
                          check=False, env={**os.environ, BLAS: "fast"})  # fmt: skip
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert done.stderr.splitlines()[-1].startswith("ValueError: MINIGRAD_BLAS must be numpy or mkl ")
