"""The command `evaluate`."""

from __future__ import annotations

import json

from captioning.cli.entry import main
from tests.captioning.cli.commands import refused


def test_evaluate_needs_nothing_but_the_run_and_the_data(small_folder, run, capsys):
    for name in ("checkpoint.safetensors", "history.jsonl", "loss.png"):
        (run / name).unlink()
    assert main(["evaluate", str(run), "--data", str(small_folder), "--split", "val", "--part", "second"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "12 images, 24 captions" in out
    assert "exercise BLEU (unigrams, one reference, mean)" in out
    assert "in the mean over all references" in out
    assert "of one human caption against another" in out
    assert "corpus BLEU-4 (all references" in out
    assert "chosen on the validation images: first" in out


def test_evaluate_json_is_one_object_and_nothing_else(small_folder, trained, capsys):
    arguments = ["evaluate", str(trained), "--data", str(small_folder), "--json"]
    assert main(arguments) == 0
    out, _ = capsys.readouterr()
    figures = json.loads(out)
    assert len(out.splitlines()) == 1
    assert {"run", "split", "part", "decoding", "chosen_on", "loss", "exercise_bleu", "exercise_bleu_mean",
            "exercise_bleu_human", "corpus_bleu_1", "corpus_bleu_2", "corpus_bleu_3", "corpus_bleu_4", "images",
            "captions"} == set(figures)  # fmt: skip
    assert figures["images"] == 24
    main([*arguments, "--split", "train", "--beam", "3", "--max-images", "7"])
    figures = json.loads(capsys.readouterr().out)
    assert (figures["split"], figures["decoding"], figures["images"]) == ("train", "beam 3", 7)


def test_evaluate_finds_the_data_that_the_environment_names(small_folder, trained, capsys, monkeypatch):
    monkeypatch.setenv("CAPTIONING_DATA", str(small_folder))
    assert main(["evaluate", str(trained), "--json"]) == 0
    json.loads(capsys.readouterr().out)


def test_evaluate_refuses_what_does_not_fit(small_folder, other_folder, run, tmp_path, capsys):
    refused(capsys, ["evaluate", tmp_path / "none", "--data", small_folder], "no such run folder")
    refused(capsys, ["evaluate", run, "--data", other_folder], "another vocabulary")
    refused(capsys, ["evaluate", run, "--data", small_folder, "--beam", "0"], "width must be at least 1")
    weights = (run / "weights.safetensors").read_bytes()
    (run / "weights.safetensors").write_bytes(weights[: len(weights) // 2])
    refused(capsys, ["evaluate", run, "--data", small_folder], "weights.safetensors")
    (run / "weights.safetensors").unlink()
    refused(capsys, ["evaluate", run, "--data", small_folder], "weights.safetensors", "has not finished its first")
