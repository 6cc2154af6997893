"""The command `evaluate`, and the options of decoding."""

from __future__ import annotations

import json
import shutil
from unittest.mock import Mock

import h5py
import pytest

from captioning.cli.entry import main
from captioning.training.run_folder import Run
from tests.captioning.cli.commands import SMALL, refused


@pytest.fixture
def evaluate(small_folder, trained, capsys):
    """Evaluates and returns what JSON says."""

    def run(*options, folder=small_folder):
        capsys.readouterr()
        assert main(["evaluate", str(trained), "--data", str(folder), "--json", "--quiet", *map(str, options)]) == 0
        out = capsys.readouterr().out
        assert len(out.splitlines()) == 1
        return json.loads(out)

    return run


def test_it_needs_nothing_but_the_run_and_the_data(small_folder, run, capsys):
    for name in ("checkpoint.safetensors", "history.jsonl", "loss.png"):
        (run / name).unlink()
    assert main(["evaluate", str(run), "--data", str(small_folder), "--part", "second", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "12 images, 24 captions, greedy decoding" in out
    rows = {row[:48].strip(): row[48:].strip() for row in out.splitlines() if row.startswith("  ")}
    assert len(rows) == 17
    for name in ("corpus BLEU-4", "ROUGE-L", "distinct-1: different words, of all words", "mean length, words"):
        assert 0 <= float(rows[name]) < 100
    assert rows["captions that are no training caption"].endswith("%")
    assert "chosen on the validation images: first" in out


def test_json(evaluate):
    figures = evaluate()
    assert {"run", "split", "part", "decoding", "max_length", "chosen_on", "signature", "out", "loss",
            "exercise_bleu", "exercise_bleu_mean", "exercise_bleu_human", "corpus_bleu_1", "corpus_bleu_2",
            "corpus_bleu_3", "corpus_bleu_4", "rouge_l", "cider_d", "distinct_1", "distinct_2", "words_in_use",
            "vocabulary_share", "novel_share", "mean_length", "unknown_rate", "images",
            "captions"} == set(figures)  # fmt: skip
    assert (figures["images"], figures["max_length"], figures["chosen_on"]) == (24, 9, "first")
    assert figures["signature"] == (
        "references:stored|tokenizer:words|split:val|part:all|images:24|decoding:greedy|max_length:9|frequencies:corpus"
    )
    few = evaluate("--split", "train", "--beam", "3", "--max-images", "7")
    assert (few["split"], few["decoding"], few["images"]) == ("train", "beam 3", 7)
    assert "|images:7 drawn by 0|decoding:beam 3|" in few["signature"]


def test_what_is_rare_may_be_taken_from_the_training_captions(evaluate):
    corpus, train = (evaluate("--max-images", 5, "--frequencies", source) for source in ("corpus", "train"))
    assert train["signature"].endswith("|frequencies:train")
    assert {name for name in train if train[name] != corpus[name]} == {"cider_d", "signature"}


def test_captions_in_cocos_format(copied, run, tmp_path, capsys):
    out = tmp_path / "results.json"
    words = ["evaluate", str(run), "--data", str(copied), "--part", "second", "--out", str(out), "--quiet"]
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"captions: {out}"
    unnamed = json.loads(out.read_text())
    assert [result["image_id"] for result in unnamed] == list(range(12, 24))
    names = [f"COCO_val2014_{1000 + i:012}.jpg" for i in range(24)]
    (copied / "val2014_images.txt").write_text("\n".join(names) + "\n")
    assert main([*words, "--max-length", "2"]) == 0
    named = json.loads(out.read_text())
    assert [(each["image_id"], each["file_name"]) for each in named] == [(1000 + i, names[i]) for i in range(12, 24)]
    assert max(len(each["caption"].split()) for each in named) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copied", "results.json", "run"]


def test_a_test_split(copied, run, capsys):
    refused(capsys, ["evaluate", run, "--data", copied, "--split", "test"], "has no test split")
    with h5py.File(copied / "coco2014_captions.h5", "r+") as file:
        for key in ("captions", "image_idxs"):
            file[f"test_{key}"] = file[f"val_{key}"][:20]
    shutil.copy(copied / "val2014_vgg16_fc7_pca.h5", copied / "test2014_vgg16_fc7_pca.h5")
    assert main(["evaluate", str(run), "--data", str(copied), "--split", "test"]) == 0
    out = capsys.readouterr().out
    assert "test split, all images: 10 images, 20 captions" in out
    assert "chosen on" not in out


def test_features_of_the_kind_that_the_run_was_trained_on(copied, run, tmp_path, capsys):
    whole = tmp_path / "whole"
    for split in ("train", "val"):
        shutil.copy(copied / f"{split}2014_vgg16_fc7.h5", copied / f"{split}2014_vgg16_fc7_pca.h5")
    refused(capsys, ["evaluate", run, "--data", copied], "was trained on features of 6 columns", "has 5")
    for path in copied.glob("*_pca.h5"):
        path.unlink()
    refused(capsys, ["evaluate", run, "--data", copied], "_pca.h5: there is no such file")
    train = ["train", "--data", str(copied), "--out", str(whole), *SMALL]
    refused(capsys, [*train, "--pca"], "train2014_vgg16_fc7_pca.h5: there is no such file")
    assert main(train) == 0
    assert Run.open(whole).settings["data"]["pca"] is False
    assert main(["evaluate", str(whole), "--data", str(copied), "--quiet"]) == 0


def test_an_interrupted_evaluation_leaves_no_file(small_folder, run, tmp_path, monkeypatch):
    monkeypatch.setattr("captioning.cli.evaluate.captions_of", Mock(side_effect=KeyboardInterrupt))
    out = tmp_path / "results.json"
    assert main(["evaluate", str(run), "--data", str(small_folder), "--out", str(out)]) == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_what_does_not_fit_is_refused(small_folder, other_folder, run, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("CAPTIONING_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    words = ["evaluate", run, "--data", small_folder]
    refused(capsys, ["evaluate", tmp_path / "none", "--data", small_folder], "no such run folder")
    refused(capsys, ["evaluate", run, "--data", other_folder], "another vocabulary")
    refused(capsys, [*words, "--out", tmp_path / "none" / "results.json"], "no such folder")
    refused(capsys, [*words, "--out", run / "weights.safetensors"], "the name must end in .json")
    settings = json.loads((run / "settings.json").read_text())
    del settings["data"]["folder"]  # a run that does not know where its data is
    (run / "settings.json").write_text(json.dumps(settings))
    refused(capsys, ["evaluate", run], "there is no such folder", "CAPTIONING_DATA")
    monkeypatch.setenv("CAPTIONING_DATA", str(small_folder))
    assert main(["evaluate", str(run), "--quiet"]) == 0
    weights = (run / "weights.safetensors").read_bytes()
    (run / "weights.safetensors").write_bytes(weights[: len(weights) // 2])
    refused(capsys, words, "weights.safetensors")
    (run / "weights.safetensors").unlink()
    refused(capsys, words, "weights.safetensors", "has had no validation yet")


@pytest.mark.parametrize(("options", "decoding"), [
    ([], "greedy"),
    (["--length-power", "0.7"], "beam 5, length power 0.7"),
    (["--beam", "4", "--groups", "2", "--diversity", "2", "--length-power", "0.7", "--no-repeat", "1"],
     "beam 4, length power 0.7, 2 groups at diversity 2, no word twice"),
    (["--min-length", "5", "--no-repeat", "2", "--with", "a", "--without", "the"],
     "beam 5, at least 5 words with the end, no 2 words twice, with a, without the"),
    (["--consensus", "5"], "consensus of 5 drafts by seed 0 and 20 neighbours, beam 10"),
    (["--consensus", "5", "--split", "train", "--neighbours", "0"], "consensus of 5 drafts by seed 0, beam 10"),
    (["--consensus", "4", "--beam", "3", "--neighbours", "2", "--draft-temperature", "1.5", "--seed", "1"],
     "consensus of 4 drafts by seed 1 at temperature 1.5 and 2 neighbours, beam 3"),
])  # fmt: skip
def test_decoding_and_signature_say_all_of_it(evaluate, options, decoding):
    found = evaluate("--max-images", "4", *options)
    assert found["decoding"] == decoding
    assert f"|decoding:{decoding}|" in found["signature"]


@pytest.mark.parametrize(("options", "message"), [
    (["--beam", "101"], "--beam: width must be an int from 1 to 100; got 101"),
    (["--beam", "4", "--groups", "3"], "--groups: groups must divide the width, 4; got 3"),
    (["--diversity", "-1"], "--diversity: diversity must be at least 0 and finite; got -1.0"),
    (["--length-power", "nan"], "--length-power: length_power must be at least 0 and finite; got nan"),
    (["--min-length", "9", "--max-length", "8"], "--min-length: min_length, 9, is more than max_length, 8"),
    (["--no-repeat", "0"], "--no-repeat: no_repeat must be an int of at least 1; got 0"),
    (["--with", "zzzz"], "--with: required: 'zzzz' is not one of the"),
    (["--without", "<END>"], "--without: banned: '<END>' is not one of the"),
    (["--with", "q", "--without", "q"], "--with: required: 'q' is banned at the same time"),
    ([part for word in "abcdef" for part in ("--with", word)], "--with: required: at most 5 words; got 6"),
    (["--neighbours", "3"], "--neighbours needs --consensus"),
    (["--consensus", "0"], "--consensus: drafts must be"),
    (["--consensus", "5", "--length-power", "1"], "--length-power cannot be combined with --consensus"),
    (["--consensus", "5", "--neighbours", "-1"], "--neighbours: neighbours must be"),
    (["--consensus", "5", "--beam", "0"], "--beam: width must be"),
    (["--consensus", "5", "--draft-temperature", "0"], "--draft-temperature: temperature must be"),
    (["--consensus", "5", "--split", "train"], "add --neighbours 0"),
])  # fmt: skip
def test_options_that_make_no_sense_are_named(small_folder, trained, capsys, options, message):
    refused(capsys, ["evaluate", trained, "--data", small_folder, *options], message)


def test_several_runs_speak_together(evaluate, small_folder, trained, tmp_path, capsys):
    second = tmp_path / "second"
    train = ["train", "--data", str(small_folder), "--out", str(second), *SMALL, "--seed", "7", "--cell", "rnn"]
    assert main(train) == 0
    alone, told = evaluate()["loss"], []
    for runs in ([trained, second], [second, trained]):
        words = ["evaluate", *runs, "--data", small_folder, "--json", "--quiet"]
        assert main([str(word) for word in words]) == 0
        told.append(json.loads(capsys.readouterr().out))
    assert (told[0]["run"], told[0]["chosen_on"]) == (f"{trained} + {second}", "first")
    assert told[0]["loss"] != alone
    assert told[0]["loss"] == pytest.approx(told[1]["loss"], rel=1e-5)


def test_runs_that_do_not_fit_are_named(small_folder, other_folder, run, looking, regions_folder, tmp_path, capsys):
    def changed(source, name, edit):
        folder = shutil.copytree(source, tmp_path / name)
        settings = json.loads((folder / "settings.json").read_text())
        edit(settings)
        (folder / "settings.json").write_text(json.dumps(settings))
        return folder

    stranger = tmp_path / "stranger"
    assert main(["train", "--data", str(other_folder), "--out", str(stranger), *SMALL]) == 0
    refused(capsys, ["evaluate", run, run], f"{run}: the same run twice")
    refused(capsys, ["evaluate", run, stranger], f"{stranger}: cannot be combined with {run}", "it has other words")
    reduced = changed(run, "reduced", lambda settings: settings["data"].update(pca=False))
    refused(capsys, ["sample", run, reduced], f"{reduced}: cannot be combined with {run}", "reduced")
    turned = changed(looking, "turned", lambda settings: settings["model"]["places"].reverse())
    refused(capsys, ["evaluate", looking, turned], f"{turned}: cannot be combined", "places (2, 4) and (4, 2)")
