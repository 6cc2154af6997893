"""The command `evaluate`, and the options of decoding."""

from __future__ import annotations

import json
import shutil
from unittest.mock import Mock

import h5py
import pytest

from captioning.training.run_folder import Run
from tests.captioning.cli.commands import SMALL, edit_json, output_of, refused, status_of
from tests.captioning.conftest import write_data_set


@pytest.fixture
def evaluate(small_folder, trained, capsys):
    """Evaluate and return the figures that --json prints."""
    words = ["--data", small_folder, "--json", "--quiet"]
    return lambda *options, runs=(trained,): json.loads(output_of(capsys, "evaluate", *runs, *words, *options))


def test_it_needs_only_the_weights_and_the_data(small_folder, run, capsys):
    for name in ("checkpoint.safetensors", "history.jsonl"):
        (run / name).unlink()
    out = output_of(capsys, "evaluate", run, "--data", small_folder, "--part", "second", "--quiet")
    assert "12 images of the second half of the val split, 24 human captions, beam 5 decoding" in out
    rows = {row[2:26].strip(): row[26:].split(maxsplit=1) for row in out.splitlines() if row.startswith("  ")}
    assert len(rows) == 17
    for name in ("corpus BLEU-4", "ROUGE-L", "distinct-1", "mean length"):
        assert 0 <= float(rows[name][0]) < 100
    share, meaning = rows["novel captions"]
    assert (share[-1], meaning) == ("%", "captions that are no training caption")
    assert "the weights were chosen on the first half of the validation images" in out


def test_the_weights_were_chosen_on_the_images_of_the_training_data_alone(small_folder, run, tmp_path, capsys):
    assert status_of("export", run, "--out", tmp_path / "exported") == 0
    (tmp_path / "few").mkdir()
    few = write_data_set(tmp_path / "few", images=12)
    for each in (run, tmp_path / "exported"):
        words = ["evaluate", each, "--quiet", "--data"]
        assert "the weights were chosen on" in output_of(capsys, *words, small_folder)
        assert "the weights were chosen on" not in output_of(capsys, *words, few)


def test_json(evaluate):
    figures = evaluate()
    assert {"run", "split", "part", "decoding", "max_length", "chosen_on", "signature", "out", "loss",
            "exercise_bleu", "exercise_bleu_mean", "exercise_bleu_human", "corpus_bleu_1", "corpus_bleu_2",
            "corpus_bleu_3", "corpus_bleu_4", "rouge_l", "cider_d", "distinct_1", "distinct_2", "words_in_use",
            "vocabulary_share", "novel_share", "mean_length", "unknown_rate", "images",
            "captions"} == set(figures)  # fmt: skip
    assert (figures["images"], figures["max_length"], figures["chosen_on"]) == (24, 9, "first")
    assert figures["signature"] == (
        "references:stored|tokenizer:words|split:val|part:all|images:24|decoding:beam 5|max_length:9|frequencies:corpus"
    )
    few = evaluate("--split", "train", "--beam", "3", "--max-images", "7")
    assert (few["split"], few["decoding"], few["images"]) == ("train", "beam 3", 7)
    assert "|images:7 drawn by 0|decoding:beam 3|" in few["signature"]
    corpus, train = (
        evaluate("--max-images", 5, "--beam", 1, "--frequencies", source) for source in ("corpus", "train")
    )
    assert {name for name in train if train[name] != corpus[name]} == {"cider_d", "signature"}


def test_captions_are_decoded_as_the_run_says_and_options_change_it(small_folder, run, evaluate, colour_run, capsys):
    assert evaluate(runs=[run])["decoding"] == "beam 5"
    edit_json(run / "settings.json", lambda settings: settings["decoding"].update(width=2, rules={"no_repeat": 3}))
    assert evaluate(runs=[run])["decoding"] == "beam 2, no 3 words twice"
    more = evaluate("--beam", "4", "--min-length", "3", "--doubled-words", runs=[run])
    assert more["decoding"] == "beam 4, at least 3 words with the end, no 3 words twice, doubled words"
    refined = ["refine", run, "--data", small_folder, "--out", run / "refined", "--rounds", "1", "--drafts", "2"]
    for words in (refined, ["export", run, "--out", run / "exported"]):
        assert status_of(*words) == 0
        assert Run.open(words[-1] if words is not refined else run / "refined").beam == Run.open(run).beam
    edit_json(run / "settings.json", lambda settings: settings.pop("decoding"))  # an older version wrote it
    assert evaluate(runs=[run])["decoding"] == "beam 5"


def test_captions_in_cocos_format(copied, run, tmp_path, capsys, monkeypatch):
    out = tmp_path / "results.json"
    words = ["evaluate", run, "--data", copied, "--part", "second", "--out", out, "--quiet"]
    assert output_of(capsys, *words).splitlines()[-1] == f"captions: {out}"
    assert [result["image_id"] for result in json.loads(out.read_text())] == list(range(12, 24))
    names = [f"COCO_val2014_{1000 + i:012}.jpg" for i in range(24)]
    (copied / "val2014_images.txt").write_text("\n".join(names) + "\n")
    assert status_of(*words, "--max-length", "2") == 0
    named = json.loads(out.read_text())
    assert [(each["image_id"], each["file_name"]) for each in named] == [(1000 + i, names[i]) for i in range(12, 24)]
    assert max(len(each["caption"].split()) for each in named) == 2
    out.unlink()
    monkeypatch.setattr("captioning.cli.evaluate.captions_of", Mock(side_effect=KeyboardInterrupt))
    assert status_of(*words) == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copied", "run"]


def test_a_test_split(copied, run, capsys):
    words = ["evaluate", run, "--data", copied, "--split", "test"]
    refused(capsys, words, "has no test split")
    with h5py.File(copied / "coco2014_captions.h5", "r+") as file:
        for key in ("captions", "image_idxs"):
            file[f"test_{key}"] = file[f"val_{key}"][:20]
    shutil.copy(copied / "val2014_vgg16_fc7_pca.h5", copied / "test2014_vgg16_fc7_pca.h5")
    out = output_of(capsys, *words)
    assert "10 images of the test split, 20 human captions" in out
    assert "chosen on" not in out


def test_features_of_the_kind_that_the_run_was_trained_on(copied, run, tmp_path, capsys):
    for split in ("train", "val"):
        shutil.copy(copied / f"{split}2014_vgg16_fc7.h5", copied / f"{split}2014_vgg16_fc7_pca.h5")
    refused(capsys, ["evaluate", run, "--data", copied], "features of 6 columns", "has 5")
    for path in copied.glob("*_pca.h5"):
        path.unlink()
    refused(capsys, ["evaluate", run, "--data", copied], "_pca.h5: there is no such file")
    train = ["train", "--data", copied, "--out", tmp_path / "whole", *SMALL]
    refused(capsys, [*train, "--pca"], "train2014_vgg16_fc7_pca.h5: there is no such file")
    assert status_of(*train) == 0
    assert Run.open(tmp_path / "whole").settings["data"]["pca"] is False
    assert status_of("evaluate", tmp_path / "whole", "--data", copied, "--quiet") == 0


def test_what_does_not_fit_is_refused(small_folder, other_folder, run, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("CAPTIONING_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    words = ["evaluate", run, "--data", small_folder]
    for wrong, *parts in (
        (["evaluate", tmp_path / "none"], "no such run folder"),
        (["evaluate", small_folder, run], f"{small_folder}: is a data set, not a run folder", "--data"),
        ([*words, "--data", other_folder], "different vocabulary (12 words", "(13)", "--like"),
        ([*words, "--out", tmp_path / "none" / "a.json"], "the folder does not exist"),
        ([*words, "--out", "a.txt"], "must end in .json"),
    ):  # fmt: skip
        refused(capsys, wrong, *parts)
    edit_json(run / "settings.json", lambda settings: settings["data"].pop("folder"))
    refused(capsys, ["evaluate", run], "no data set is named", "--data", "CAPTIONING_DATA")
    monkeypatch.setenv("CAPTIONING_DATA", str(small_folder))
    assert status_of("evaluate", run, "--quiet") == 0
    (run / "weights.safetensors").unlink()
    refused(capsys, words, "weights.safetensors", "not been validated")


@pytest.mark.parametrize(("options", "decoding"), [
    (["--length-power", "0.7"], "beam 5, length power 0.7"),
    (["--beam", "4", "--groups", "2", "--diversity", "2", "--length-power", "0.7", "--no-repeat", "1"],
     "beam 4, length power 0.7, 2 groups at diversity 2, no word twice"),
    (["--min-length", "5", "--no-repeat", "2", "--with", "a", "--without", "the"],
     "beam 5, at least 5 words with the end, no 2 words twice, with a, without the"),
    (["--consensus", "5", "--split", "train", "--neighbours", "0"], "consensus of 5 drafts by seed 0, beam 10"),
    (["--consensus", "4", "--beam", "3", "--neighbours", "2", "--draft-temperature", "1.5", "--seed", "1"],
     "consensus of 4 drafts by seed 1 at temperature 1.5 and 2 neighbours, beam 3"),
])  # fmt: skip
def test_decoding_and_signature_describe_all_of_it(evaluate, options, decoding):
    found = evaluate("--max-images", "4", *options)
    assert found["decoding"] == decoding
    assert f"|decoding:{decoding}|" in found["signature"]


@pytest.mark.parametrize(("options", "message"), [
    (["--beam", "101"], "evaluate: --beam must be an int from 1 to 100; got 101"),
    (["--beam", "4", "--groups", "3"], "evaluate: --groups must divide the width, 4; got 3"),
    (["--groups", "2", "--beam", "4", "--diversity", "-1"], "--diversity must be at least 0 and finite; got -1.0"),
    (["--length-power", "nan"], "--length-power must be at least 0 and finite; got nan"),
    (["--min-length", "9", "--max-length", "8"], "--min-length, 9, is more than --max-length, 8"),
    (["--no-repeat", "0"], "--no-repeat must be an int of at least 1; got 0"),
    (["--with", "zzzz"], "--with: 'zzzz'"), (["--without", "<END>"], "--without: '<END>'"),
    (["--with", "q", "--without", "q"], "--with: 'q' is also banned"),
    ([part for word in "abcdef" for part in ("--with", word)], "--with: at most 5 words; got 6"),
    (["--neighbours", "3"], "--neighbours needs --consensus"), (["--consensus", "0"], "--consensus must be"),
    (["--consensus", "5", "--length-power", "1"], "--length-power cannot be combined with --consensus"),
    (["--consensus", "5", "--neighbours", "-1"], "--neighbours must be"),
    (["--consensus", "5", "--draft-temperature", "0"], "--draft-temperature must be"),
    (["--consensus", "5", "--split", "train"], "add --neighbours 0"),
])  # fmt: skip
def test_wrong_options_are_named(small_folder, trained, capsys, options, message):
    refused(capsys, ["evaluate", trained, "--data", small_folder, *options], message)


def test_several_runs_caption_together(evaluate, small_folder, trained, tmp_path):
    second = tmp_path / "second"
    assert status_of("train", "--data", small_folder, "--out", second, *SMALL, "--seed", "7", "--cell", "rnn") == 0
    figures, turned = evaluate(runs=(trained, second)), evaluate(runs=(second, trained))
    assert (figures["run"], figures["chosen_on"]) == (f"{trained} + {second}", "first")
    assert figures["loss"] != evaluate()["loss"]
    assert figures["loss"] == pytest.approx(turned["loss"], rel=1e-5)


def test_runs_that_do_not_fit_are_named(other_folder, run, attention_run, tmp_path, capsys):
    stranger = tmp_path / "stranger"
    assert status_of("train", "--data", other_folder, "--out", stranger, *SMALL) == 0
    reduced, turned = shutil.copytree(run, tmp_path / "reduced"), shutil.copytree(attention_run, tmp_path / "turned")
    edit_json(reduced / "settings.json", lambda settings: settings["data"].update(pca=False))
    edit_json(turned / "settings.json", lambda settings: settings["model"]["places"].reverse())
    for first, second, message in ((run, stranger, "vocabulary differs (13 and 12 words)"), (run, reduced, "reduced"),
                                   (attention_run, turned, "places (2, 4) and (4, 2)")):  # fmt: skip
        refused(capsys, ["evaluate", first, second], f"{second}: cannot be combined with {first}", message)
    refused(capsys, ["evaluate", run, run], f"{run}: the same run twice")
