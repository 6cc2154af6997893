"""How products are computed: what the environment, a measurement and the table of processors say, in this order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest

import minigrad as mg
from minigrad.runtime import blas, mkl, ways
from minigrad.runtime.__main__ import main
from minigrad.runtime.ways import Way

ZEN4, XEON, OTHER = ("AuthenticAMD", 25), ("GenuineIntel", 6), ("", 0)


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """No measurement, no wishes, and a processor of one's choice; with MKL or without."""

    def set_up(processor=ZEN4, kernel="SkylakeX", has_mkl=False):
        monkeypatch.setattr(blas, "processor", lambda: processor)
        monkeypatch.setattr(blas, "kernel", lambda: kernel)
        monkeypatch.setattr(mkl, "reason_against", lambda: "" if has_mkl else "the package mkl is not installed")

    monkeypatch.delenv(ways.BLAS, raising=False)
    monkeypatch.setenv(ways.FOLDER, str(tmp_path / "cache"))
    set_up()
    return set_up


def decided():
    computes, way, _ = ways._decide()
    return computes, way


@pytest.mark.parametrize(
    ("processor", "kernel", "has_mkl", "expected"),
    [
        (ZEN4, "SkylakeX", False, ("numpy", Way("tiles", "blocks"))),
        (ZEN4, "SkylakeX", True, ("numpy", Way("tiles", "blocks"))),
        (ZEN4, "Haswell", False, ("numpy", Way())),
        (XEON, "SkylakeX", False, ("numpy", Way("plain", "blocks", 25))),
        (XEON, "SkylakeX", True, ("mkl", Way("mkl", "mkl"))),
        (XEON, "Haswell", True, ("numpy", Way())),
        (OTHER, "SkylakeX", True, ("numpy", Way())),
        (OTHER, "", False, ("numpy", Way())),
    ],
)
def test_processors(machine, processor, kernel, has_mkl, expected):
    machine(processor, kernel, has_mkl)
    assert decided() == expected


def test_what_the_environment_says(machine, monkeypatch):
    machine(XEON, has_mkl=True)
    monkeypatch.setenv(ways.BLAS, "NumPy ")
    assert decided() == ("numpy", Way("plain", "blocks", 25))
    machine(OTHER, has_mkl=True)
    monkeypatch.setenv(ways.BLAS, "mkl")
    assert decided() == ("mkl", Way("mkl", "mkl"))
    machine(XEON)
    monkeypatch.setattr(mkl, "path", lambda: None)
    with pytest.raises(ValueError, match="asks for mkl, but the package mkl is not installed: pip install"):
        ways._decide()
    monkeypatch.setenv(ways.BLAS, "openblas")
    with pytest.raises(ValueError, match=r"MINIGRAD_BLAS must be numpy or mkl .* not 'openblas'"):
        ways._decide()


def test_a_measurement_comes_before_the_table(machine, monkeypatch):
    found = {"numpy": Way("plain", "blocks", 40), "mkl": Way("mkl", "blocks", 12)}
    machine(ZEN4, has_mkl=True)
    path = ways.remember(found, "mkl", {"any": 1.0})
    assert path == ways.tuning_file()
    assert path.parent.name == "cache"
    assert ways.remembered() == (found, "mkl", f"measured here, {path}")
    assert decided() == ("mkl", found["mkl"])
    monkeypatch.setenv(ways.BLAS, "numpy")
    assert decided() == ("numpy", found["numpy"])
    monkeypatch.delenv(ways.BLAS)
    machine(ZEN4)  # MKL cannot be used any more
    assert decided()[0] == "numpy"
    monkeypatch.setattr(mkl, "version", lambda: "another")
    assert ways.remembered() == ({"numpy": found["numpy"]}, "numpy", f"measured here, {path}")
    machine(XEON)
    assert decided() == ("numpy", Way("plain", "blocks", 25))
    assert "another processor" in ways.remembered().where
    assert ways.forget() == path
    assert ways.forget() is None
    assert ways.remembered() == ({}, "", "not measured here")


@pytest.mark.parametrize("spoil", [
    lambda kept: kept.pop("ways"),
    lambda kept: kept["ways"]["numpy"].update(large="faster"),
    lambda kept: kept["ways"]["numpy"].update(large="mkl"),
    lambda kept: kept["ways"]["numpy"].update(thin="mkl"),
    lambda kept: kept["ways"].update(cuda={}),
    lambda kept: kept["ways"]["numpy"].update(thin=3),
    lambda kept: kept["ways"]["numpy"].update(most_rows=0),
    lambda kept: kept["ways"]["numpy"].update(most_rows=True),
    lambda kept: kept["ways"]["numpy"].update(more=1),
    lambda kept: kept.update(ways=["numpy"]),
    lambda kept: kept.update(fastest="mkl"),
])  # fmt: skip
def test_a_damaged_measurement_is_as_none(spoil):
    path = ways.remember({"numpy": Way("plain", "plain")}, "numpy", {})
    kept = json.loads(path.read_text())
    spoil(kept)
    path.write_text(json.dumps(kept))
    assert decided() == ("numpy", Way("tiles", "blocks"))
    assert "is damaged: delete it, or measure again" in ways.remembered().where


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "[" * 200_000, "\ud800".encode("utf-16", "surrogatepass")])
def test_rubbish_is_as_no_measurement(text):
    path = ways.tuning_file()
    path.parent.mkdir()
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert decided() == ("numpy", Way("tiles", "blocks"))
    assert "is damaged" in ways.remembered().where
    path.unlink()
    path.mkdir()
    assert "cannot be read: it is a folder" in ways.remembered().where
    path.rmdir()
    os.mkfifo(path)  # which nobody writes into
    assert "cannot be read: it is a pipe" in ways.remembered().where


def test_where_the_measurement_is_kept(monkeypatch, tmp_path):
    monkeypatch.delenv(ways.FOLDER)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert ways.tuning_file() == tmp_path / "minigrad" / "products.json"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # does not count
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ways.tuning_file() == tmp_path / ".cache" / "minigrad" / "products.json"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ways.tuning_file() == tmp_path / ".cache" / "minigrad" / "products.json"


def test_using_a_way():
    before, within = ways.chosen, []

    @ways.using(Way("plain", "plain"))
    def fails():
        within.append(ways.chosen)
        raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert within == [Way("plain", "plain")]
    assert ways.chosen is before


def test_what_it_says():
    with ways.using(Way("tiles", "blocks", 25)):
        assert mg.runtime.signature().endswith(", tiles, blocks of up to 25 rows")
        assert "large products tiles, products of a step blocks of up to 25 rows (" in mg.runtime.backend()
    with ways.using(Way()):
        assert mg.runtime.signature().endswith(", plain, plain")
    assert np.__version__ in mg.runtime.signature() or mg.runtime.signature().startswith("mkl 20")


def run(*arguments, **environment):
    return subprocess.run([sys.executable, "-m", "minigrad.runtime", *arguments], capture_output=True, text=True,
                          env={**os.environ, **environment})  # fmt: skip


def test_the_command_line(tmp_path):
    kept = {ways.FOLDER: str(tmp_path)}
    shown = run("show", **kept)
    assert shown.returncode == 0
    assert "large products" in shown.stdout
    assert "not measured here" in shown.stdout
    tuned = run("tune", "--anyway", **kept)
    assert tuned.returncode == 0, tuned.stderr
    assert "a step of 25 rows" in tuned.stdout
    assert "the default from now on" in tuned.stdout
    assert f"measured here, {tmp_path / 'products.json'}" in run(**kept).stdout
    assert run("forget", **kept).stdout == f"deleted {tmp_path / 'products.json'}\n"
    assert "nothing to forget" in run("forget", **kept).stdout
    (tmp_path / "file").touch()
    nowhere = {ways.FOLDER: str(tmp_path / "file" / "cache")}
    refused = run("tune", **nowhere)
    assert refused.returncode == 2
    assert len(refused.stderr.splitlines()) == 1
    assert not refused.stdout


@pytest.mark.parametrize("asked", ["fast", *([] if mkl.path() else ["mkl"])])
@pytest.mark.parametrize("command", [
    ["-m", "minigrad.runtime", "show"],
    ["-m", "captioning", "--help"],
    ["-m", "theory", "list"],
    ["-c", "from theory.__main__ import main; main()"],  # as the console script has it
], ids=" ".join)  # fmt: skip
def test_a_wrong_setting_ends_a_command_in_one_line(command, asked):
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False,
                          env={**os.environ, ways.BLAS: asked})  # fmt: skip
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1), done.stderr
    assert done.stderr.startswith("ValueError: MINIGRAD_BLAS ")


def test_a_wrong_setting_does_not_end_an_interactive_session():
    done = subprocess.run([sys.executable, "-i", "-q"], input="import minigrad\nprint('still here')\n", text=True,
                          capture_output=True, check=False, env={**os.environ, ways.BLAS: "fast"})  # fmt: skip
    assert "still here" in done.stdout
    assert "ValueError: MINIGRAD_BLAS must be numpy or mkl" in done.stderr


def test_an_import_with_a_wrong_setting_is_a_value_error_and_other_errors_keep_their_traceback():
    code = "try: import minigrad\nexcept ValueError as error: print(error)\n1 / 0"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False,
                          env={**os.environ, ways.BLAS: "fast"})  # fmt: skip
    assert "MINIGRAD_BLAS must be numpy or mkl" in done.stdout
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")


@pytest.mark.parametrize(("options", "status"), [([], 1), (["--anyway"], 0)])
def test_a_busy_machine_is_not_measured_for_good(monkeypatch, tmp_path, capsys, options, status):
    monkeypatch.setenv(ways.FOLDER, str(tmp_path))
    monkeypatch.setattr("minigrad.ops.kernels.tuning.measured", lambda say: time.sleep(0.05) or ({}, {}))
    monkeypatch.setattr("minigrad.ops.kernels.tuning.fastest", lambda *_: ({"numpy": ways.Way()}, "numpy"))
    assert main(["tune", *options]) == status
    assert ways.tuning_file().exists() == (not status)
    assert ("nothing is kept: of a processor others had" in capsys.readouterr().err) == bool(status)


def test_help_and_mistakes(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "tune" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["faster"])
    assert "faster" in capsys.readouterr().err
