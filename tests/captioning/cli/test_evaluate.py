"""The command `evaluate`."""

from __future__ import annotations

import json
import shutil
from unittest.mock import Mock

import h5py

from captioning.cli.entry import main
from captioning.training.run_folder import Run
from tests.captioning.cli.commands import SMALL, refused


def test_evaluate_needs_nothing_but_the_run_and_the_data(small_folder, run, capsys):
    for name in ("checkpoint.safetensors", "history.jsonl", "loss.png"):
        (run / name).unlink()
    evaluate = ["evaluate", str(run), "--data", str(small_folder), "--split", "val", "--part", "second"]
    assert main([*evaluate, "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "12 images, 24 captions" in out
    assert "exercise BLEU (unigrams, one reference, mean)" in out
    assert "in the mean over all references" in out
    assert "of one human caption against another" in out
    assert "against all human captions of an image" in out
    rows = {row[:44].strip(): row[44:].strip() for row in out.splitlines() if row.startswith("  ")}
    for name in ("corpus BLEU-4", "ROUGE-L", "distinct-1: different words, of all words", "mean length, words"):
        assert 0 <= float(rows[name]) < 100
    assert rows["captions that are no training caption"].endswith("%")
    assert "chosen on the validation images: first" in out


def test_evaluate_json_is_one_object_and_nothing_else(small_folder, trained, capsys):
    arguments = ["evaluate", str(trained), "--data", str(small_folder), "--json"]
    assert main(arguments) == 0
    out, _ = capsys.readouterr()
    figures = json.loads(out)
    assert len(out.splitlines()) == 1
    assert {"run", "split", "part", "decoding", "max_length", "chosen_on", "signature", "out", "loss",
            "exercise_bleu", "exercise_bleu_mean", "exercise_bleu_human", "corpus_bleu_1", "corpus_bleu_2",
            "corpus_bleu_3", "corpus_bleu_4", "rouge_l", "cider_d", "distinct_1", "distinct_2", "words_in_use",
            "vocabulary_share", "novel_share", "mean_length", "unknown_rate", "images",
            "captions"} == set(figures)  # fmt: skip
    assert figures["images"] == 24
    assert figures["signature"] == (
        "references:stored|tokenizer:words|split:val|part:all|images:24|decoding:greedy|max_length:9|frequencies:corpus"
    )
    main([*arguments, "--split", "train", "--beam", "3", "--max-images", "7"])
    figures = json.loads(capsys.readouterr().out)
    assert (figures["split"], figures["decoding"], figures["images"]) == ("train", "beam 3", 7)
    assert "|images:7 drawn by 0|decoding:beam 3|" in figures["signature"]


def test_evaluate_takes_what_is_rare_from_the_training_captions(small_folder, trained, capsys):
    arguments = ["evaluate", str(trained), "--data", str(small_folder), "--json", "--quiet"]
    figures = {}
    for source in ("corpus", "train"):
        assert main([*arguments, "--max-images", "5", "--frequencies", source]) == 0
        figures[source] = json.loads(capsys.readouterr().out)
        assert figures[source]["signature"].endswith(f"|frequencies:{source}")
    assert {name for name in figures["train"] if figures["train"][name] != figures["corpus"][name]} == {
        "cider_d", "signature"
    }  # fmt: skip


def test_evaluate_writes_captions_in_cocos_format(copied, run, tmp_path, capsys):
    out = tmp_path / "results.json"
    evaluate = ["evaluate", str(run), "--data", str(copied), "--part", "second", "--out", str(out), "--quiet"]
    assert main(evaluate) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"captions: {out}"
    unnamed = json.loads(out.read_text())
    assert [set(result) for result in unnamed] == [{"image_id", "caption"}] * 12
    assert [result["image_id"] for result in unnamed] == list(range(12, 24))
    names = [f"COCO_val2014_{1000 + i:012}.jpg" for i in range(24)]
    (copied / "val2014_images.txt").write_text("\n".join(names) + "\n")
    assert main(evaluate) == 0
    expected = [{"image_id": 1000 + i, "file_name": names[i]} for i in range(12, 24)]
    named = json.loads(out.read_text())
    assert named == [a | {"caption": b["caption"]} for a, b in zip(expected, unnamed, strict=True)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copied", "results.json", "run"]


def test_evaluate_cuts_captions_where_it_is_told(copied, run, tmp_path):
    out = tmp_path / "results.json"
    evaluate = ["evaluate", str(run), "--data", str(copied), "--out", str(out), "--quiet", "--max-length"]
    for length in (1, 2):
        assert main([*evaluate, str(length)]) == 0
        assert max(len(result["caption"].split()) for result in json.loads(out.read_text())) == length


def test_evaluate_takes_a_test_split(copied, run, capsys):
    refused(capsys, ["evaluate", run, "--data", copied, "--split", "test"], "has no test split")
    with h5py.File(copied / "coco2014_captions.h5", "r+") as file:
        for key in ("captions", "image_idxs"):
            file[f"test_{key}"] = file[f"val_{key}"][:20]
    shutil.copy(copied / "val2014_vgg16_fc7_pca.h5", copied / "test2014_vgg16_fc7_pca.h5")
    capsys.readouterr()
    assert main(["evaluate", str(run), "--data", str(copied), "--split", "test"]) == 0
    out = capsys.readouterr().out
    assert "test split, all images: 10 images, 20 captions" in out
    assert "chosen on" not in out


def test_evaluate_refuses_features_of_another_kind(copied, run, capsys):
    for split in ("train", "val"):
        shutil.copy(copied / f"{split}2014_vgg16_fc7.h5", copied / f"{split}2014_vgg16_fc7_pca.h5")
    refused(capsys, ["evaluate", run, "--data", copied], "was trained on features of 6 columns", "has 5")
    (copied / "val2014_vgg16_fc7_pca.h5").unlink()
    refused(capsys, ["evaluate", run, "--data", copied], "val2014_vgg16_fc7_pca.h5: there is no such file")


def test_a_run_reads_the_features_that_are_there_and_evaluate_the_same(copied, tmp_path, capsys):
    for path in copied.glob("*_pca.h5"):
        path.unlink()
    train = ["train", "--data", str(copied), "--out", str(tmp_path / "whole"), *SMALL]
    refused(capsys, [*train, "--pca"], "train2014_vgg16_fc7_pca.h5: there is no such file")
    assert main(train) == 0
    assert Run.open(tmp_path / "whole").settings["data"]["pca"] is False
    assert main(["evaluate", str(tmp_path / "whole"), "--data", str(copied), "--quiet"]) == 0


def test_an_interrupted_evaluation_leaves_no_file(small_folder, run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("captioning.cli.evaluate.captions_of", Mock(side_effect=KeyboardInterrupt))
    out = tmp_path / "results.json"
    assert main(["evaluate", str(run), "--data", str(small_folder), "--out", str(out)]) == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_evaluate_refuses_what_does_not_fit(small_folder, other_folder, run, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("CAPTIONING_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    refused(capsys, ["evaluate", tmp_path / "none", "--data", small_folder], "no such run folder")
    refused(capsys, ["evaluate", run, "--data", other_folder], "another vocabulary")
    refused(capsys, ["evaluate", run, "--data", small_folder, "--beam", "0"], "--beam: width must be an int from 1 to")
    refused(capsys, ["evaluate", run, "--data", small_folder, "--beam", "100000"], "1 to 100; got 100000")
    refused(capsys, ["evaluate", run, "--data", small_folder, "--max-images", "0"], "--max-images must be at least 1")
    refused(capsys, ["evaluate", run, "--data", small_folder, "--seed", "-1"], "--seed must be at least 0; got -1")
    refused(capsys, ["evaluate", run, "--data", small_folder, "--max-length", "0"], "--max-length must be from 1 to")
    for out in (tmp_path / "none" / "results.json", small_folder, "/proc/results.json"):
        refused(capsys, ["evaluate", run, "--data", small_folder, "--out", out], str(out).removesuffix("/results.json"))
    weights = run / "weights.safetensors"
    refused(capsys, ["evaluate", run, "--data", small_folder, "--out", weights], "the name must end in .json")
    assert not (tmp_path / "none").exists()
    settings = json.loads((run / "settings.json").read_text())
    del settings["data"]["folder"]  # a run that does not know where its data is
    (run / "settings.json").write_text(json.dumps(settings))
    refused(capsys, ["evaluate", run], "there is no such folder", "CAPTIONING_DATA")
    weights = (run / "weights.safetensors").read_bytes()
    (run / "weights.safetensors").write_bytes(weights[: len(weights) // 2])
    refused(capsys, ["evaluate", run, "--data", small_folder], "weights.safetensors")
    (run / "weights.safetensors").unlink()
    refused(capsys, ["evaluate", run, "--data", small_folder], "weights.safetensors", "has had no validation yet")


def test_evaluate_by_consensus_says_so_and_refuses_what_does_not_go_with_it(small_folder, trained, capsys):
    arguments = ["evaluate", str(trained), "--data", str(small_folder), "--json", "--quiet", "--consensus", "5"]
    told = []
    for more in ([], ["--neighbours", "0"], ["--beam", "3", "--neighbours", "2", "--draft-temperature", "1.5"]):
        assert main([*arguments, *more]) == 0
        told.append(json.loads(capsys.readouterr().out))
    assert [each["decoding"] for each in told] == [
        "consensus of 5 drafts by seed 0 and 20 neighbours, beam 10",
        "consensus of 5 drafts by seed 0, beam 10",
        "consensus of 5 drafts by seed 0 at temperature 1.5 and 2 neighbours, beam 3",
    ]
    assert told[0]["corpus_bleu_1"] > 0.3  # of a training of two epochs
    refused(capsys, [*arguments, "--length-power", "1"], "--length-power cannot be combined with --consensus")
    refused(capsys, [*arguments, "--neighbours", "-1"], "--neighbours: neighbours must be")
    refused(capsys, [*arguments, "--beam", "0"], "--beam: width must be")
    refused(capsys, [*arguments, "--draft-temperature", "0"], "--draft-temperature: temperature must be")
    refused(capsys, [*arguments, "--split", "train"], "would be asked for their own: add --neighbours 0")
    assert main([*arguments, "--split", "train", "--neighbours", "0"]) == 0
    capsys.readouterr()
    refused(capsys, [*arguments[:-1], "0"], "--consensus: drafts must be")
    refused(capsys, [*arguments[:-2], "--neighbours", "3"], "--neighbours needs --consensus")


def test_sample_and_report_speak_by_consensus_too(small_folder, trained, tmp_path, capsys):
    common = [str(trained), "--data", str(small_folder), "--quiet", "--consensus", "4"]
    assert main(["sample", *common, "-n", "2"]) == 0
    assert "a human:" in capsys.readouterr().out
    page = tmp_path / "page.html"
    assert main(["report", *common, "--max-images", "4", "--out", str(page)]) == 0
    assert "consensus of 4 drafts by seed 0 and 20 neighbours" in page.read_text()
