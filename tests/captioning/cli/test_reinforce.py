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
    reinforcement = settings["reinforcement"]
    assert (reinforcement["start"], reinforcement["drafts"], reinforcement["longest"]) == ("run", 3, 8)
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


@pytest.mark.parametrize("command", [
    ["reinforce", *EPOCHS, "--keep", "loss"],
    ["refine", "--rounds", "1", "--round-epochs", "1", "--drafts", "3", "--quiet", "--keep", "loss"],
])  # fmt: skip
def test_a_training_that_made_nothing_better_says_so(small_folder, trained, tmp_path, capsys, command):
    """By far too large steps; a training that was stopped between knows it, too, and one that helped says nothing."""
    name, *options = command
    folder = tmp_path / "worse"
    whole = [name, str(trained), "--data", str(small_folder), *options]
    assert main([*whole, "--learning-rate", "3", "--out", str(folder), "--max-iterations", "1"]) == 0
    capsys.readouterr()
    assert main([name, "--out", str(folder), "--resume", "--quiet"]) == 0
    out = capsys.readouterr().out
    now = min(entry["val_loss"] for entry in Run.open(folder).history() if "val_loss" in entry)
    kind = "refinement" if name == "refine" else "reinforcement"
    scores = Run.open(folder).settings[kind]["start_scores"]
    told = f"validation loss {scores['val_loss']:.3f} before and {now:.3f} now, on the same 12 validation images"
    assert f"{folder}: is no better than run, which it started from: {told}" in out
    assert now > scores["val_loss"]
    if name == "refine":
        assert main([*whole, "--keep", "exercise", "--human-weight", "1", "--out", str(tmp_path / "better")]) == 0
        assert "no better" not in capsys.readouterr().out


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
    refused(capsys, [*reinforce, tmp_path / "new", run, "--lr-decay", "0.9"], "does nothing with --schedule cosine")
    short = ["--epochs", "1", "--warmup", "2", "--quiet"]
    refused(capsys, [*reinforce, tmp_path / "new", run, *short], "--warmup 2 lasts longer", "which has 1 iteration:")
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
    if options[0] == "--schedule":
        longer = [*SMALL, *options, "--cosine-epochs", "9"]
        assert main(["train", "--data", str(small_folder), "--out", str(other), *longer]) == 0
        assert main(["train", "--out", str(other), "--resume", "--epochs", "3", "--quiet"]) == 0
