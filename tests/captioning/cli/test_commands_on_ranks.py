"""Commands on several ranks: what is said is what one process says, and it is said once."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from captioning.cli.entry import main
from tests.captioning.cli.commands import SMALL
from tests.parallel.ranks import needs_mpi, run

DRAWN = ["--temperature", "1.5", "--seed", "3"]
CONSENSUS = ["--consensus", "3", "--neighbours", "2"]


@pytest.fixture(scope="module")
def trained(small_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", "--data", str(small_folder), "--out", str(out), *SMALL, "--epochs", "20"]) == 0
    return out


@needs_mpi
@pytest.mark.parametrize("how", [[], ["--beam", "3"], CONSENSUS])
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
@pytest.mark.parametrize(("ranks", "how"), [(4, []), (2, ["--beam", "3", "--json"]), (2, DRAWN), (2, CONSENSUS)])
def test_samples_on_ranks(trained, ranks, how):
    """Of 7 images four ranks have one or two each."""
    words = "-m", "captioning", "sample", trained, "-n", 7, "--quiet", *how
    assert run(ranks, *words) == run(1, *words)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Photos of random colours, one of which cannot be read: two ranks have them in two rounds, four in one."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(21):
        colours = np.random.default_rng(i).integers(256, size=(9, 7, 3), dtype=np.uint8)
        Image.fromarray(colours).save(folder / f"{i:02}.png")
    (folder / "11.png").write_text("no photo")
    (folder / "notes.CR2").touch()
    return folder


@needs_mpi
@pytest.mark.parametrize(("ranks", "how"), [(4, []), (2, ["--n-best", "2", "--beam", "3", "--json"]),
                                            (2, ["--n-best", "9", "--beam", "1"])])  # fmt: skip
def test_captions_of_photos_on_ranks(trained, photos, tmp_path, ranks, how):
    words = "-m", "tests.captioning.cli.on_ranks", "caption", photos, "--run", trained, "--extractor", "colours", *how
    said = []
    for number in (1, ranks):
        sheet = tmp_path / f"{number}.png"
        said.append((*run(number, *words, "--out", sheet, status=1), sheet.read_bytes()))
    assert said[0] == said[1]
    assert said[0][1].count("11.png: ") == 1


@needs_mpi
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--extractor", "none"], "none"),
        (["--out", "none/sheet.png"], "no such folder"),
        (["--max-length", "0"], "--max-length must be from 1"),
    ],
)
def test_what_cannot_be_captioned_is_told_once(trained, photos, words, told):
    out, err = run(2, "-m", "captioning", "caption", photos, "--run", trained, "--extractor", "vgg16", *words, status=2)
    assert (out, len(err.splitlines())) == ("", 1)
    assert told in err


@needs_mpi
def test_ranks_end_with_an_error_of_the_first(trained, tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_text("no photo")
    words = "-m", "tests.captioning.cli.on_ranks", "caption", tmp_path, "--run", trained, "--extractor", "colours"
    alone, ranks = (run(number, *words, "--out", tmp_path / "sheet.png", status=2) for number in (1, 2))
    assert "there is no photo to draw" in alone[1]
    assert ranks == alone


@needs_mpi
@pytest.mark.parametrize("command", ["evaluate", "sample"])
def test_what_cannot_be_opened_is_told_once(tmp_path, command):
    _, err = run(2, "-m", "captioning", command, tmp_path / "none", status=2)
    assert err.count("there is no such run folder") == 1
    assert len(err.splitlines()) == 1


def test_a_command_of_one_process_says_so(trained, capsys, monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "4")
    monkeypatch.setenv("PMI_RANK", "0")
    assert main(["report", str(trained)]) == 2
    out, err = capsys.readouterr()
    assert err == ("captioning report: mpiexec started 4 of it, and it works in one process: start it by itself; on "
                   "several ranks work prepare, train, refine, reinforce, evaluate, sample and caption\n")  # fmt: skip
    monkeypatch.setenv("PMI_RANK", "1")
    assert main(["report", str(trained)]) == 2
    assert capsys.readouterr() == ("", "")
    assert out == ""
