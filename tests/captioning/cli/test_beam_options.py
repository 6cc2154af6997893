"""The options of a beam, which commands share, and several runs that speak together."""

from __future__ import annotations

import itertools
import json
import shutil

import pytest

from captioning.cli.entry import main
from captioning.data.vocabulary import SPECIAL
from captioning.training.run_folder import Run
from tests.captioning.cli.commands import SMALL, refused


@pytest.fixture
def second(small_folder, tmp_path):
    """A run of the same data with other weights."""
    folder = tmp_path / "second"
    train = ["train", "--data", str(small_folder), "--out", str(folder), *SMALL, "--seed", "7", "--cell", "rnn"]
    assert main(train) == 0
    return folder


def words_of(run):
    return [word for word in Run.open(run).vocabulary.idx_to_word if word not in SPECIAL]


def told(capsys, arguments):
    capsys.readouterr()
    assert main([*map(str, arguments), "--json", "--quiet"]) == 0
    return json.loads(capsys.readouterr().out)


def test_captions_keep_to_what_the_options_say(small_folder, trained, capsys):
    sample = ["sample", trained, "--data", small_folder, "-n", 24]
    first, second, *_ = words_of(trained)
    found = told(capsys, [*sample, "--with", first, "--without", second, "--no-repeat", "2", "--min-length", "5"])
    assert found["decoding"] == (
        f"beam 5, at least 5 words with the end, no 2 words twice, with {first}, without {second}"
    )
    captions = [entry["caption"].split() for entry in found["captions"]]
    for words in captions:
        assert first in words
        assert second not in words
        assert len(set(itertools.pairwise(words))) == max(0, len(words) - 1)
        assert len(words) >= 4
    assert any(second in entry["caption"].split() for entry in told(capsys, [*sample, "--with", second])["captions"])


def test_decoding_and_signature_say_all_of_it(small_folder, trained, capsys):
    evaluate = ["evaluate", trained, "--data", small_folder, "--max-images", "4"]
    options = ["--beam", "4", "--groups", "2", "--diversity", "2", "--length-power", "0.7", "--no-repeat", "1"]
    found = told(capsys, [*evaluate, *options])
    assert found["decoding"] == "beam 4, length power 0.7, 2 groups at diversity 2, no word twice"
    assert f"|decoding:{found['decoding']}|" in found["signature"]
    assert told(capsys, [*evaluate, "--length-power", "0.7"])["decoding"] == "beam 5, length power 0.7"
    assert told(capsys, evaluate)["decoding"] == "greedy"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--beam", "4", "--groups", "3"], "--groups: groups must divide the width, 4; got 3"),
        (["--groups", "0"], "--groups: groups must be an int of at least 1; got 0"),
        (["--diversity", "-1"], "--diversity: diversity must be at least 0 and finite; got -1.0"),
        (["--length-power", "nan"], "--length-power: length_power must be at least 0 and finite; got nan"),
        (["--min-length", "0"], "--min-length: min_length must be an int of at least 1; got 0"),
        (["--min-length", "9", "--max-length", "8"], "--min-length: min_length, 9, is more than max_length, 8"),
        (["--no-repeat", "0"], "--no-repeat: no_repeat must be an int of at least 1; got 0"),
        (["--with", "zzzz"], "--with: required: 'zzzz' is no word of the captioner's"),
        (["--without", "<END>"], "--without: banned: '<END>' is no word of the captioner's"),
        (["--with", "q", "--without", "q"], "--with: required: 'q' is banned at the same time"),
        ([part for word in "abcdef" for part in ("--with", word)], "--with: required: at most 5 words; got 6"),
    ],
)
def test_options_that_make_no_sense_are_named(small_folder, trained, capsys, options, message):
    refused(capsys, ["evaluate", trained, "--data", small_folder, *options], message)


def test_a_beam_is_not_combined_with_chance(small_folder, trained, capsys):
    for options in (["--no-repeat", "3"], ["--beam", "3"]):
        sample = ["sample", trained, "--data", small_folder, "--temperature", "1", *options]
        refused(capsys, sample, f"{options[0]} cannot be combined with --temperature or --top-k")


def test_several_runs_speak_together(small_folder, trained, second, capsys):
    alone, other = (told(capsys, ["evaluate", run, "--data", small_folder]) for run in (trained, second))
    both = told(capsys, ["evaluate", trained, second, "--data", small_folder])
    assert both["run"] == f"{trained} + {second}"
    assert both["chosen_on"] == alone["chosen_on"]
    assert both["loss"] < max(alone["loss"], other["loss"])  # -log is convex: at most the mean of the two
    turned = told(capsys, ["evaluate", second, trained, "--data", small_folder])
    assert turned["loss"] == pytest.approx(both["loss"], rel=1e-5)
    said = told(capsys, ["sample", trained, second, "--data", small_folder, "-n", "3", "--beam", "2"])
    assert said["run"] == both["run"]
    assert len(said["captions"]) == 3


def test_runs_that_do_not_fit_are_named(small_folder, other_folder, trained, second, tmp_path, capsys):
    data = ["--data", small_folder]
    refused(capsys, ["evaluate", trained, second, trained, *data], f"{trained}: the same run twice")
    refused(capsys, ["evaluate", trained, tmp_path / "none", *data], "there is no such run folder")
    stranger = tmp_path / "stranger"
    assert main(["train", "--data", str(other_folder), "--out", str(stranger), *SMALL]) == 0
    capsys.readouterr()
    refused(capsys, ["evaluate", trained, stranger, *data], f"{stranger}: cannot speak together", "it has other words")
    changed = shutil.copytree(second, tmp_path / "changed")
    settings = json.loads((changed / "settings.json").read_text())
    settings["data"]["pca"] = not settings["data"].get("pca")
    (changed / "settings.json").write_text(json.dumps(settings))
    refused(capsys, ["sample", trained, changed, *data], f"{changed}: cannot speak together with {trained}", "reduced")


def test_runs_that_look_at_other_places_do_not_speak_together(looking, regions_folder, tmp_path, capsys):
    """Of as many columns: a row of features does not say how its places lie in it."""
    turned = shutil.copytree(looking, tmp_path / "turned")
    settings = json.loads((turned / "settings.json").read_text())
    settings["model"]["places"].reverse()
    (turned / "settings.json").write_text(json.dumps(settings))
    evaluate = ["evaluate", looking, turned, "--data", regions_folder]
    refused(capsys, evaluate, f"{turned}: cannot speak together", "places (2, 4) and (4, 2)")
