"""The command `reinforce`."""

from __future__ import annotations

import pytest

from captioning.cli.entry import main
from captioning.training.run_folder import Run
from tests.captioning.cli.commands import SMALL, refused

EPOCHS = ["--epochs", "2", "--drafts", "3", "--longest", "8", "--batch-size", "8", "--quiet"]
PLAIN = ["--schedule", "exponential", "--lr-decay", "0.9"]


@pytest.fixture
def reinforced(small_folder, trained, tmp_path):
    folder = tmp_path / "reinforced"
    assert main(["reinforce", str(trained), "--data", str(small_folder), "--out", str(folder), *EPOCHS, *PLAIN]) == 0
    return folder


def test_reinforce_leaves_a_run_folder_of_its_own(small_folder, trained, reinforced, tmp_path):
    settings = Run.open(reinforced).settings
    assert settings["reinforcement"] == {"start": "run", "drafts": 3, "longest": 8}
    assert (settings["training"]["epochs"], settings["training"]["keep"]) == (2, "cider")
    assert settings["training"]["average"] == 0.99
    assert settings["model"] == Run.open(trained).settings["model"]
    assert main(["evaluate", str(reinforced), "--data", str(small_folder), "--json"]) == 0
    less = tmp_path / "less"
    assert (
        main(["reinforce", str(trained), "--data", str(small_folder), "--out", str(less), *EPOCHS, "--dropout", "0.1"])
        == 0
    )
    assert Run.open(less).settings["model"]["dropout"] == 0.1


def test_reinforce_resumes_to_more_epochs(small_folder, trained, reinforced, tmp_path, capsys):
    whole = tmp_path / "whole"
    capsys.readouterr()
    longer = [*EPOCHS, *PLAIN, "--epochs", "3"]
    assert main(["reinforce", str(trained), "--data", str(small_folder), "--out", str(whole), *longer]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("trained 9 iterations; kept epoch ")
    assert "CIDEr-D" in out
    resume = ["reinforce", "--data", str(small_folder), "--out", str(reinforced), "--resume", "--quiet"]
    assert main([*resume, "--epochs", "3"]) == 0
    for path in whole.glob("*.[sj]*"):
        assert path.read_bytes() == (reinforced / path.name).read_bytes(), path.name


def test_reinforce_refuses_what_does_not_fit(small_folder, other_folder, run, reinforced, tmp_path, capsys):
    capsys.readouterr()
    reinforce = ["reinforce", "--data", small_folder, "--out"]
    refused(capsys, [*reinforce, tmp_path / "new"], "the run to start from")
    refused(capsys, [*reinforce, tmp_path / "new", tmp_path / "none"], "no such run folder")
    refused(capsys, [*reinforce, reinforced, run, "--quiet"], "exists already")
    refused(capsys, [*reinforce, run, "--resume"], "captioning train")
    refused(capsys, ["refine", "--data", small_folder, "--out", reinforced, "--resume"], "captioning reinforce")
    refused(capsys, [*reinforce, reinforced, "--resume", "--drafts", "4"], "--drafts 4 (the run has 3)")
    refused(capsys, [*reinforce, tmp_path / "new", run, "--drafts", "1"], "drafts must be an int from 2 to 1000")
    refused(capsys, ["reinforce", "--data", other_folder, "--out", tmp_path / "new", run], "another vocabulary")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("options", [["--schedule", "cosine"], ["--scheduled-sampling", "0.2"]])
def test_what_went_by_the_end_cannot_be_made_longer(small_folder, tmp_path, capsys, options):
    folder = tmp_path / "run"
    assert main(["train", "--data", str(small_folder), "--out", str(folder), *SMALL, *options]) == 0
    capsys.readouterr()
    refused(capsys, ["train", "--out", folder, "--resume", "--epochs", "3"], "--epochs cannot change on the way")
    assert main(["train", "--out", str(folder), "--resume", "--epochs", "2", "--quiet"]) == 0
    other = tmp_path / "other"
    longer = [*SMALL, *options, "--cosine-epochs", "9"]
    assert main(["train", "--data", str(small_folder), "--out", str(other), *longer]) == 0
    if options[0] == "--schedule":
        assert main(["train", "--out", str(other), "--resume", "--epochs", "3", "--quiet"]) == 0


@pytest.mark.parametrize("option", ["--label-smoothing", "--buckets", "--scheduled-sampling"])
def test_options_of_given_captions_are_none_of_it(tmp_path, capsys, option):
    with pytest.raises(SystemExit):
        main(["reinforce", "run", "--out", str(tmp_path / "new"), option, "0"])
    assert f"unrecognized arguments: {option}" in capsys.readouterr().err
