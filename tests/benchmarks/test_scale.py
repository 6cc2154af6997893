"""What is measured of training on ranks, on a tiny captioner, and the model's formulas."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.jobs.captions import Sizes, captioner
from benchmarks.scale import cli, model, places, predictions, runs
from benchmarks.scale.hosts import Hosts
from benchmarks.scale.model import Bounds, Link, Rank
from benchmarks.scale.places import Place
from benchmarks.scale.work import Work
from minigrad.parallel.gradient_sums import groups_of
from tests.parallel.ranks import needs_mpi

ROOT = Path(__file__).parents[2]
QUICK = ["step", "--quick", "--rounds", "1"]
DOCTESTS = ["model", "predictions", "hosts", "tables", "work"]
needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="no PyTorch: torch is not installed")


@pytest.mark.parametrize("name", DOCTESTS)
def test_examples(name):
    module = importlib.import_module(f"benchmarks.scale.{name}")
    assert doctest.testmod(module).failed == 0
    assert doctest.testmod(module).attempted > 0


# --- the model ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [Sizes(50, 4, 2, features=8, wordvec=8, hidden=16), Sizes(3000, 4, 2)])
@pytest.mark.parametrize("most", [2000, 2**22, 2**40])
def test_the_model_has_the_buckets_of_the_captioner(sizes, most):
    params = list(captioner(sizes).parameters())
    groups = groups_of(params, most)
    assert model.buckets_of(sizes, most) == [sum(params[i].data.nbytes for i in group) for group in groups]


def test_what_travels_grows_with_ranks_as_two_collectives_do():
    link = Link(alpha=0.0, beta=1e-9)
    two, many = (model.travel([10**6], n, link) for n in (2, 1024))
    assert two == pytest.approx((1e-3, 1e-3))
    assert many == pytest.approx((2e-3 * 1023 / 1024,) * 2)


def test_latencies_are_bounded_by_doublings_and_by_ranks():
    bounds = model.travel([1], 1024, Link(alpha=1.0, beta=0.0))
    assert bounds == (2 * 10, 2 * 1023)


def test_ranks_of_a_host_share_its_link():
    link = Link(0.0, 1.0)
    assert model.travel([1000], 4, link, on_host=2).low == 1000 + 750
    assert model.travel([1000], 4, link).low == 750 + 750


def test_a_pass_hides_what_fits_or_nothing():
    rank = Rank([(1, 1.0), (2, 2.0)], local=0.5)
    link = Link(0.0, 1e-3)
    assert model.step([1000], rank, link, 2, 1) == Bounds(1.5, 2.5)
    assert model.step([1000], rank, link, 2, 1, processors=1) == Bounds(3.0, 5.0)  # they take turns
    assert model.step([1000], rank, link, 1, 2) == Bounds(2.0, 2.0)


# --- steps -------------------------------------------------------------------------------------------------


@needs_mpi
def test_steps_on_ranks_learn_the_same_and_send_what_the_model_says(tmp_path, capsys):
    path = tmp_path / "step.json"
    assert cli.main([*QUICK, "--ranks", "1", "2", "--ways", "strong", "--json", str(path)]) == 0
    out, err = capsys.readouterr()
    assert "round 1 of 1: strong, minigrad, 2 ranks, 8 captions" in err
    assert out.splitlines()[3].startswith("| strong | 2 | 8 | minigrad | ")
    one, two = (runs.Case.of(plain) for plain in json.loads(path.read_text())["cases"])
    assert np.allclose(one.rounds[0]["losses"], two.rounds[0]["losses"])
    assert one.rounds[0]["losses"][0] > one.rounds[0]["losses"][4]  # of the same batch
    (found,) = two.rounds
    assert found["sent"] == pytest.approx(model.sent(model.buckets_of(two.work.sizes), 2), rel=0.1)
    assert 0 < found["during"] + found["after"] < 2 * sum(found["seconds"])
    assert found["sent in all"] > 6 * found["sent"]


@needs_mpi
@needs_torch
def test_pytorch_learns_the_same(capsys):
    assert cli.main([*QUICK, "--ranks", "2", "--ways", "weak", "--on-each", "4", "--beside-torch"]) == 0
    assert "| weak | 2 | 8 | PyTorch DDP | " in capsys.readouterr().out


def test_other_losses_are_an_error_that_says_whose():
    def case(framework, loss):
        return runs.Case("strong", framework, 1, Work(captions=8), [{"losses": [loss]}])

    runs.check_agreement([case(runs.OURS, 1.0), case(runs.THEIRS, 1.0001)])
    with pytest.raises(ValueError, match="PyTorch DDP, 1 rank, 8 captions: other losses than strong, minigrad"):
        runs.check_agreement([case(runs.OURS, 1.0), case(runs.THEIRS, 1.1)])


@needs_mpi
def test_from_constants_to_a_picture(tmp_path, capsys):
    files = [str(tmp_path / f"{name}.json") for name in ("constants", "network", "step")]
    assert cli.main(["constants", "--quick", "--rows", "2", "4", "8", "--rounds", "1", "--json", files[0]]) == 0
    assert cli.main(["network", "--repeats", "2", "--json", files[1]]) == 0
    assert cli.main([*QUICK, "--ranks", "1", "2", "--on-each", "4", "--json", files[2]]) == 0
    told = capsys.readouterr().out
    assert cli.main(["show", *files]) == 0
    assert capsys.readouterr().out.split() == told.split()
    assert cli.main(["model", *files]) == 0
    out = capsys.readouterr().out
    assert "| memory | weak | 2 | 8 | " in out
    assert "| 1024 | 100 Gbit/s | " in out
    assert cli.main(["picture", *files, "--out", str(tmp_path / "scale.svg")]) == 0
    assert (tmp_path / "scale.svg").read_text().startswith("<?xml")


@needs_mpi
def test_one_bucket_and_shards_in_one_process_learn_the_same(tmp_path, capsys):
    losses = []
    for number, arguments in enumerate((["--ranks", "2", "--one-bucket"], ["--ranks", "1", "--shards", "2"])):
        path = tmp_path / f"{number}.json"
        assert cli.main([*QUICK, "--ways", "strong", *arguments, "--json", str(path)]) == 0
        losses.append(json.loads(path.read_text())["cases"][0]["rounds"][0]["losses"])
    assert losses[0] == losses[1]  # shards decide
    assert "1 rank, 2 shards" in capsys.readouterr().err


# --- mistakes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["step", "--delay", "3"], "--delay is of the wire between two hosts: --place hosts"),
        (["step", "--ranks", "3"], "100 captions are not divisible by 3 ranks"),
        (["step", "--json", "/none/a.json"], "no such folder to write into"),
        (["model", "/none/a.json"], "No such file"),
        (["show", __file__], "is no result of python -m benchmarks.scale"),
        (["model", __file__], "is no result of python -m benchmarks.scale"),
    ],
)
def test_mistakes_are_told_in_a_line(arguments, words, capsys):
    assert cli.main(arguments) == 2
    err = capsys.readouterr().err
    assert words in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["--loss", "1"], ["--delay", "-1"], ["--delay", "nan"], ["--ranks", "0"]])
def test_numbers_have_bounds(arguments, capsys):
    with pytest.raises(SystemExit):
        cli.main(["step", "--place", "hosts", *arguments])
    assert arguments[1] in capsys.readouterr().err


def test_files_without_constants_are_an_error():
    with pytest.raises(ValueError, match=r"python -m benchmarks\.scale constants"):
        predictions.Known.of([])


def test_a_place_is_told_with_what_is_wrong_with_its_wire():
    wire = {"delay": 0.005, "loss": 0.001, "rate": 1e9, "mtu": 1500}
    assert predictions.place_key({"place": "hosts", "wire": wire}) == "hosts, 5 ms, 0.1 % lost, 1 Gbit/s, MTU 1500"
    assert predictions.place_key({"place": "memory", "wire": wire}) == "memory"


MEASURED = sorted((Path(cli.__file__).parent / "measured").glob("*.json"))


@pytest.mark.parametrize(
    "names", [["show", "constants"], ["show", "memory"], ["show", "loopback"], ["show", "hosts"], ["model"]]
)
def test_the_page_has_the_figures_that_are_kept(names, capsys):
    command, *chosen = names
    files = [str(path) for path in MEASURED if not chosen or path.stem in chosen]
    assert files
    assert cli.main([command, *files]) == 0
    page = (ROOT / "docs" / "scale_figures.md").read_text(encoding="utf-8").splitlines()
    assert set(capsys.readouterr().out.splitlines()) <= set(page)


def test_two_hosts_have_as_many_ranks_each():
    place = Place("hosts", hosts=Hosts(["one", "two"], Path("launcher"), None))
    with pytest.raises(ValueError, match="3 ranks cannot be divided evenly by 2 hosts: an even number, or 1"):
        place.mpiexec(3)


def test_a_program_that_takes_too_long_is_told_as_such(monkeypatch):
    monkeypatch.setattr(places, "_PATIENCE", 0.5)
    monkeypatch.setattr(places, "_GRACE", 0.1)
    slow = [sys.executable, "-uc", "import time; print('well'); time.sleep(60)"]
    with pytest.raises(OSError, match=r"not within 0\.5 s"):
        places._run([slow], [{}])


@pytest.mark.parametrize("command", ["model", "show"])
def test_a_damaged_result_is_named(tmp_path, capsys, command):
    path, good = tmp_path / "cut.json", next(path for path in MEASURED if path.stem == "constants")
    known = {"machine": {"processors": "2"}}
    for wrong in (
        [],
        {"command": "constants", "machine": {}},
        {"command": "step", **known},
        {"command": "network", **known},
    ):
        path.write_text(json.dumps(wrong))
        assert cli.main([command, str(good), str(path)]) == 2
        assert f"{path} is no result of python -m benchmarks.scale" in capsys.readouterr().err
