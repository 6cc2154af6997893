"""The jobs themselves: how they are declared, and one of them end to end."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from benchmarks.agreement import disagreement
from benchmarks.cli import main
from benchmarks.job import JOBS, load
from benchmarks.jobs import importing
from benchmarks.jobs.captions import Sizes, flop_of_training
from benchmarks.jobs.convolution import Layer
from benchmarks.results import Results
from tests.peers import Peer

PYTORCH = Peer(__name__)


@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize("quick", [False, True])
def test_cases_are_well_formed(job, quick):
    cases = load(job, quick)
    assert len({case.name for case in cases}) == len(cases) > 0
    for case in cases:
        assert case.rivals[0].peer == "minigrad"
        assert len(case.rivals) > 1
        assert len({rival.name for rival in case.rivals}) == len(case.rivals)
        assert {aim.peer for aim in case.aims} <= {rival.peer for rival in case.rivals[1:]}


def test_flop_of_a_training_iteration():
    sizes = Sizes(words=7, batch=2, cell="rnn", features=3, wordvec=4, hidden=5)
    captions = [np.array([[1, 4, 5, 2, 0], [1, 6, 2, 0, 0]])]  # 3 and 2 words out
    forward = 2 * 5 * (4 * 5 + 5 * 5 + 5 * 7)
    assert flop_of_training(sizes, captions) == 3 * forward + 2 * (2 * 2 * 3 * 5)


@pytest.mark.parametrize(
    ("layer", "output", "multiplications"),
    [
        (Layer(2, 3, 8, 5, 3, padding=1), 8, 2 * 64 * 5 * 27),
        (Layer(2, 6, 8, 6, 3, padding=1, groups=6), 8, 2 * 64 * 6 * 9),
        (Layer(2, 3, 8, 5, 4, 1, stride=2, transposed=True), 16, 2 * 64 * 3 * 5 * 16),
    ],
)
def test_flop_of_a_layer(layer, output, multiplications):
    assert layer.output == output
    assert layer.flop == 3 * 2 * multiplications


# The forwards' outputs are among those with backward, and the last program's gradients are large.
_OVERHEAD = [case for case in load("overhead")[:-1] if case.group != "forward"]


@pytest.mark.parametrize("case", _OVERHEAD, ids=lambda case: case.name)
def test_operations_and_programs_compute_what_pytorch_computes(case):
    """Without PyTorch, too, where no run can compare the two."""

    def theirs(torch):
        outputs = case.rival("PyTorch").make().outputs()
        return {name: torch.as_tensor(array).numpy() for name, array in outputs.items()}

    expected, ours = PYTORCH.ask(case.name, theirs).expected, case.rivals[0].make().outputs()
    assert ours
    assert disagreement({name: np.asarray(array) for name, array in ours.items()}, expected) == ""


def test_one_job_end_to_end(tmp_path, capsys):
    path, picture = tmp_path / "results.json", tmp_path / "results.svg"
    assert main(["overhead", "--quick", "--threads", "1", "--json", str(path), "--picture", str(picture)]) == 0
    said = capsys.readouterr()
    assert "[1/3, 0:00] overhead: a + b, forward, 1 thread" in said.err
    rows = Results.load(path).rows
    assert [row.group for row in rows] == ["forward", "forward and backward", "program"]
    packages = {"PyTorch": "torch", "JAX": "jax"}
    installed = [peer for peer, package in packages.items() if importlib.util.find_spec(package)]
    measured = {rival.name: len(rival.values) for rival in rows[-1].rivals if rival.values}
    assert measured == (dict.fromkeys(["minigrad", *installed], 2) if installed else {})
    assert "no picture: these results have none" in said.err
    assert "| a + b, forward | 1 |" in said.out
    assert "NumPy" in said.out
    assert "PyTorch" in said.out
    assert main(["report", str(path)]) == 0
    assert capsys.readouterr().out == said.out


def test_a_rival_that_is_missing_is_told_and_the_rest_runs(tmp_path, capsys, monkeypatch):
    from benchmarks import driver

    monkeypatch.setattr(driver.importlib.util, "find_spec", lambda name: None)
    assert main(["importing", "--quick", "--threads", "1"]) == 0
    said = capsys.readouterr().out
    assert "PyTorch missing: needs torch: pip install torch" in said
    assert "| import minigrad | 1 |" in said
    assert "GFLOP/s with 1 thread" in said


def test_a_failure_is_the_commands_status(monkeypatch, capsys):
    from benchmarks import cli

    monkeypatch.setattr(cli, "JOBS", ("tests.benchmarks.fakes",))
    assert main(["tests.benchmarks.fakes", "--quick", "--threads", "1", "--only", "ours dies"]) == 1
    assert "FAILED tests.benchmarks.fakes, ours dies, 1 thread, minigrad: its process ended" in capsys.readouterr().err


def test_an_unknown_job_is_an_error():
    with pytest.raises(SystemExit, match=r"unknown job nonsense; the jobs are captioner"):
        main(["nonsense"])


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", '{"format": 1}', '{"format": 1, "rows": [{}]}'])
def test_a_file_that_holds_no_results_is_named(text, tmp_path):
    (tmp_path / "cut.json").write_text(text)
    with pytest.raises(SystemExit, match=r"cut\.json is cut, or does not hold results"):
        main(["report", str(tmp_path / "cut.json")])


def test_a_name_that_no_case_has_is_said():
    with pytest.raises(SystemExit, match="no case matches --only 'nobody'"):
        main(["overhead", "--only", "nobody"])


@pytest.fixture
def no_measuring(monkeypatch):
    from benchmarks import cli

    monkeypatch.setattr(cli, "_measure", lambda options: pytest.fail("measured"))


def test_outputs_are_checked_before_anything_is_measured(tmp_path, capsys, no_measuring):
    for option, path in (("--json", tmp_path / "none" / "x.json"), ("--picture", tmp_path / "x.xyz")):
        assert main(["overhead", "--quick", option, str(path)]) == 2
        assert option in capsys.readouterr().err


def test_imports_are_timed_with_bytecode_also_where_the_environment_forbids_it(tmp_path, monkeypatch):
    (tmp_path / "imported_once.py").write_text("x = 1\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    importing._import("imported_once")
    assert list((tmp_path / "__pycache__").glob("imported_once.*.pyc"))
