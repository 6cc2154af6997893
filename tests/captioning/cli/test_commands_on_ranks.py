"""Commands on several ranks: what is said is what one process says, and it is said once."""

from __future__ import annotations

import json

import pytest

from captioning.cli.entry import main
from tests.captioning.cli.commands import SMALL
from tests.parallel.ranks import needs_mpi, run


@pytest.fixture(scope="module")
def trained(small_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", "--data", str(small_folder), "--out", str(out), *SMALL, "--epochs", "20"]) == 0
    return out


@needs_mpi
@pytest.mark.parametrize("how", [[], ["--beam", "3"], ["--consensus", "3", "--neighbours", "2"]])
def test_evaluation_on_ranks(trained, tmp_path, how):
    said = []
    for ranks in (1, 2):
        results = tmp_path / f"{ranks}.json"
        out, _ = run(ranks, "-m", "captioning", "evaluate", trained, "--json", "--quiet", "--out", results, *how)
        figures = json.loads(out)
        assert figures.pop("out") == str(results)
        said.append((figures, json.loads(results.read_text())))
    assert said[0] == said[1]


@needs_mpi
def test_what_cannot_be_evaluated_is_told_once(tmp_path):
    _, err = run(2, "-m", "captioning", "evaluate", tmp_path / "none", status=2)
    assert err.count("there is no such run folder") == 1
    assert len(err.splitlines()) == 1


def test_a_command_of_one_process_says_so(trained, capsys, monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "4")
    monkeypatch.setenv("PMI_RANK", "0")
    assert main(["sample", str(trained)]) == 2
    out, err = capsys.readouterr()
    assert err == ("captioning sample: mpiexec started 4 of it, and it works in one process: start it by itself; on "
                   "several ranks work prepare, train and evaluate\n")  # fmt: skip
    monkeypatch.setenv("PMI_RANK", "1")
    assert main(["sample", str(trained)]) == 2
    assert capsys.readouterr() == ("", "")
    assert out == ""
