"""The command `refine`."""

from __future__ import annotations

import pytest

from captioning.cli.entry import main
from captioning.training.run_folder import Run
from tests.captioning.cli.commands import refused

ROUNDS = ["--rounds", "2", "--round-epochs", "1", "--drafts", "3", "--neighbours", "4", "--batch-size", "10", "--quiet"]


@pytest.fixture
def refined(small_folder, trained, tmp_path):
    folder = tmp_path / "refined"
    assert main(["refine", str(trained), "--data", str(small_folder), "--out", str(folder), *ROUNDS]) == 0
    return folder


def test_refine_leaves_a_run_folder_of_its_own(small_folder, trained, refined):
    settings = Run.open(refined).settings
    refinement = {key: value for key, value in settings["refinement"].items() if not key.startswith("start_")}
    assert refinement == {"start": "run", "rounds": 2, "round_epochs": 1, "drafts": 3, "temperature": 0.7,
                          "neighbours": 4, "width": 0.08, "human_weight": 0.2, "best": 2}  # fmt: skip
    assert (settings["training"]["epochs"], settings["training"]["keep"]) == (2, "exercise")
    assert settings["model"] == Run.open(trained).settings["model"]
    assert main(["evaluate", str(refined), "--data", str(small_folder), "--json"]) == 0


def test_refine_resumes_to_more_rounds(small_folder, trained, refined, tmp_path, capsys):
    whole = tmp_path / "whole"
    longer = [*ROUNDS, "--rounds", "3"]
    capsys.readouterr()
    assert main(["refine", str(trained), "--data", str(small_folder), "--out", str(whole), *longer]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("trained 15 iterations; kept epoch ")
    assert out.splitlines()[1] == f"run folder: {whole}"
    resume = ["refine", "--data", str(small_folder), "--out", str(refined), "--resume", "--quiet"]
    assert main([*resume, "--rounds", "3"]) == 0
    for path in whole.glob("*.[sj]*"):
        assert path.read_bytes() == (refined / path.name).read_bytes(), path.name
    assert (whole / "targets.safetensors").is_file()


def test_refine_refuses_what_does_not_fit(small_folder, other_folder, run, refined, tmp_path, capsys):
    capsys.readouterr()
    refine = ["refine", "--data", small_folder, "--out"]
    refused(capsys, [*refine, tmp_path / "new"], "the run to start from")
    refused(capsys, [*refine, refined, "--resume", run], "the run to start from")
    refused(capsys, [*refine, tmp_path / "new", tmp_path / "none"], "no such run folder")
    refused(capsys, [*refine, refined, run, "--quiet"], "exists already")
    refused(capsys, [*refine, run, "--resume"], "captioning train")
    refused(capsys, ["train", "--data", small_folder, "--out", refined, "--resume"], "captioning refine")
    refused(capsys, [*refine, refined, "--resume", "--drafts", "4"], "--drafts 4 (the run has 3)")
    refused(capsys, [*refine, tmp_path / "new", run, "--best", "13"], "best must be at most drafts")
    refused(capsys, ["refine", "--data", other_folder, "--out", tmp_path / "new", run], "another vocabulary")
    assert not (tmp_path / "new").exists()
