"""The commands `refine` and `reinforce`, which train a run's captioner further."""

from __future__ import annotations

import pytest

from captioning.training.run_folder import Run
from tests.captioning.cli.commands import SMALL, output_of, refused, status_of

OPTIONS = {
    "refine": ["--rounds", "2", "--round-epochs", "1", "--drafts", "3", "--neighbours", "4", "--batch-size", "10"],
    "reinforce": ["--epochs", "2", "--drafts", "3", "--longest", "8", "--batch-size", "8", "--schedule", "exponential",
                  "--lr-decay", "0.9"],
}  # fmt: skip
KEYS = {"refine": "refinement", "reinforce": "reinforcement"}


@pytest.fixture(params=OPTIONS)
def name(request):
    return request.param


@pytest.fixture
def further(small_folder, trained, name, capsys):
    """Train the captioner of a run further, and return the output."""
    words = [name, trained, "--data", small_folder, "--quiet", *OPTIONS[name]]
    return lambda out, *more: output_of(capsys, *words, "--out", out, *more)


def test_a_run_folder_of_its_own_and_more_rounds(small_folder, trained, name, further, tmp_path):
    out, whole = tmp_path / "out", tmp_path / "whole"
    further(out)
    run = Run.open(out)
    recorded = {key: value for key, value in run.settings[KEYS[name]].items() if not key.startswith("start_")}
    chosen = {"refine": {"rounds": 2, "round_epochs": 1, "temperature": 0.7, "neighbours": 4, "width": 0.08,
                         "human_weight": 0.2, "best": 2}, "reinforce": {"longest": 8}}  # fmt: skip
    assert recorded == {"start": "run", "drafts": 3, **chosen[name]}
    training = run.settings["training"]
    assert (training["epochs"], training["keep"]) == (2, {"refine": "exercise", "reinforce": "cider"}[name])
    assert training["average"] == {"refine": None, "reinforce": 0.99}[name]
    assert run.settings["model"] == Run.open(trained).settings["model"]
    assert status_of("evaluate", out, "--data", small_folder, "--json") == 0
    more = ["--rounds" if name == "refine" else "--epochs", "3"]
    printed = further(whole, *more).splitlines()
    assert printed[0].startswith(f"trained {15 if name == 'refine' else 9} iterations; kept epoch ")
    assert printed[1] == f"run folder: {whole}"
    assert status_of(name, "--out", out, "--resume", "--quiet", *more) == 0
    for path in whole.glob("*.[sj]*"):
        assert path.read_bytes() == (out / path.name).read_bytes(), path.name


def test_a_loss_that_explodes_is_named(small_folder, run, name, tmp_path, capsys):
    words = [name, run, "--data", small_folder, "--out", tmp_path / "out", "--quiet", *OPTIONS[name]]
    for rate in ("1e30", "1e308"):
        refused(capsys, [*words, "--learning-rate", rate, "--out", tmp_path / rate], "the loss is ")


def test_what_does_not_fit_is_refused(small_folder, other_folder, run, name, further, tmp_path, capsys):
    out, new = tmp_path / "out", tmp_path / "new"
    further(out)
    words, other = [name, "--data", small_folder, "--out"], next(other for other in OPTIONS if other != name)
    for wrong, message in (
        ([*words, new], "the run to start from"), ([*words, out, "--resume", run], "the run to start from"),
        ([*words, new, tmp_path / "none"], "no such run folder"), ([*words, out, run, "--quiet"], "already exists"),
        ([*words, run, "--resume"], "captioning train"), ([other, "--out", out, "--resume"], f"captioning {name}"),
        (["train", "--out", out, "--resume"], f"captioning {name}"),
        ([*words, new, run, "--drafts", "0"], "drafts must be"),
        ([*words, out, "--resume", "--drafts", "4"], "--drafts 4 (the run has 3)"),
        ([name, "--data", other_folder, "--out", new, run], "different vocabulary"),
    ):  # fmt: skip
        refused(capsys, wrong, message)
    assert not new.exists()


def test_few_validation_images_and_a_loss_that_doubled_are_reported(small_folder, trained, name, tmp_path, capsys):
    """In one validation after steps that are far too large, which is the best one because it is the only one."""
    words = [name, trained, "--data", small_folder, *OPTIONS[name], "--out", tmp_path / "out", "--learning-rate", "3",
             "--average", "none", "--warmup", "0", "--rounds" if name == "refine" else "--epochs", "1"]  # fmt: skip
    assert status_of(*words) == 0
    out, err = capsys.readouterr()
    assert "only 12 validation images decide" in err
    (now,) = [entry["val_loss"] for entry in Run.open(tmp_path / "out").history() if "val_loss" in entry]
    before = Run.open(tmp_path / "out").settings[KEYS[name]]["start_scores"]["val_loss"]
    assert f"much worse than its start, run: the validation loss was {before:.3f} and is now {now:.3f}" in out


def test_a_training_that_made_nothing_better_says_so(name, further, tmp_path, capsys):
    """After far too large steps; a training that was stopped in between knows it, too."""
    out = tmp_path / "worse"
    further(out, "--keep", "loss", "--learning-rate", "3", "--max-iterations", "1")
    printed = output_of(capsys, name, "--out", out, "--resume", "--quiet")
    now = min(entry["val_loss"] for entry in Run.open(out).history() if "val_loss" in entry)
    before = Run.open(out).settings[KEYS[name]]["start_scores"]["val_loss"]
    assert f"validation loss was {before:.3f} and is now {now:.3f}" in printed
    assert now > before
    if name == "refine":
        assert "not improve" not in further(tmp_path / "better", "--keep", "exercise", "--human-weight", "1")
    else:
        further(tmp_path / "less", "--dropout", "0.1")
        assert Run.open(tmp_path / "less").settings["model"]["dropout"] == 0.1


@pytest.mark.parametrize("options", [["--schedule", "cosine"], ["--scheduled-sampling", "0.2"]])
def test_a_training_whose_settings_depend_on_its_end_cannot_be_made_longer(small_folder, tmp_path, capsys, options):
    train = ["train", "--data", small_folder, *SMALL, *options, "--out"]
    resume = ["--resume", "--quiet", "--epochs"]
    assert status_of(*train, tmp_path / "run") == 0
    refused(capsys, ["train", "--out", tmp_path / "run", *resume, "3"], "--epochs cannot change")
    assert status_of("train", "--out", tmp_path / "run", *resume, "2") == 0
    if options[0] == "--schedule":
        assert status_of(*train, tmp_path / "other", "--cosine-epochs", "9") == 0
        assert status_of("train", "--out", tmp_path / "other", *resume, "3") == 0


def test_fine_tuning_starts_from_a_run_and_resumes_to_the_same_bits(small_folder, other_folder, run, tmp_path, capsys):
    out, whole = tmp_path / "out", tmp_path / "whole"
    train = ["train", "--start", run, "--data", small_folder, "--max-train", "30", "--batch-size", "10", "--quiet"]
    assert status_of(*train, "--epochs", "2", "--max-iterations", "4", "--out", out) == 0
    tuned = Run.open(out)
    assert tuned.settings["fine_tuning"].keys() == {"start", "start_weights", "start_scores"}
    assert tuned.start_checksums() == [Run.open(run).weights_checksum()]
    assert tuned.settings["model"] == Run.open(run).settings["model"]
    assert (tuned.settings["training"]["learning_rate"], tuned.settings["data"]["max_train"]) == (3e-4, 30)
    assert status_of("train", "--out", out, "--resume", "--quiet", "--epochs", "3") == 0
    assert "trained 9 iterations" in output_of(capsys, *train, "--epochs", "3", "--out", whole)
    for path in whole.glob("*.[sj]*"):
        assert path.read_bytes() == (out / path.name).read_bytes(), path.name
    for wrong, message in (
        ([*train, "--out", out, "--resume"], "or --resume"), ([*train, "--out", out], "already exists"),
        ([*train, "--out", tmp_path / "new", "--hidden", "9"], "--hidden cannot change"),
        (["train", "--out", out, "--resume", "--pca"], "--pca cannot change"),
        (["train", "--out", out, "--resume", "--seed", "1"], "--seed 1 (the run has 0)"),
        (["train", "--start", run, "--data", other_folder, "--out", tmp_path / "new"], f"--like {run}"),
    ):  # fmt: skip
        refused(capsys, wrong, message)
    assert not (tmp_path / "new").exists()


def test_the_captioner_of_the_package_is_shipped_in_every_command(small_folder, tmp_path, capsys):
    refused(capsys, ["evaluate", "shipped", "--data", small_folder], "--like RUN")
    refused(capsys, ["calibrate", "shipped", "--data", small_folder], "captioning export shipped")
    refused(capsys, ["regions", "shipped", "--data", small_folder], "captioning export shipped")
    assert status_of("export", "shipped", "--out", tmp_path / "copy") == 0
    assert Run.open(tmp_path / "copy").settings["data"]["tokenizer"] == "words"
