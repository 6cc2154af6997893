"""Commands on several ranks: what is said is what one process says, and it is said once."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from captioning.cli.entry import main
from tests.captioning.cli import on_ranks
from tests.captioning.cli.commands import SMALL
from tests.parallel.ranks import needs_mpi, run


@pytest.fixture(scope="module")
def trained(small_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", "--data", str(small_folder), "--out", str(out), *SMALL, "--epochs", "20"]) == 0
    return out


@needs_mpi
def test_evaluation_on_ranks(trained, tmp_path, capsys):
    results = tmp_path / "results.json"
    words = ["evaluate", trained, "--json", "--quiet", "--out", results, "--beam", "3"]
    capsys.readouterr()
    assert main(list(map(str, words))) == 0
    alone, captions = capsys.readouterr().out, results.read_text()
    assert run(2, "-m", "captioning", *words) == (alone, "")
    assert results.read_text() == captions


@needs_mpi
@pytest.mark.parametrize(("ranks", "how"), [(4, []), (2, ["--consensus", "3", "--neighbours", "2"])])
def test_samples_on_ranks(trained, capsys, ranks, how):
    """Of 7 images four ranks have one or two each."""
    words = ["sample", trained, "-n", 7, "--quiet", *how]
    capsys.readouterr()
    assert main(list(map(str, words))) == 0
    assert run(ranks, "-m", "captioning", *words) == (capsys.readouterr().out, "")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Photos of random colours, one of which cannot be read: two ranks have a batch each."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(40):
        colours = np.random.default_rng(i).integers(256, size=(9, 7, 3), dtype=np.uint8)
        Image.fromarray(colours).save(folder / f"{i:02}.png")
    (folder / "11.png").write_text("no photo")
    (folder / "notes.CR2").touch()
    return folder


@needs_mpi
def test_captions_of_photos_on_ranks(trained, photos, tmp_path, capsys):
    words = [
        "caption",
        photos,
        "--run",
        trained,
        "--extractor",
        "mixed-colours",
        "--n-best",
        "2",
        "--beam",
        "3",
        "--out",
    ]
    capsys.readouterr()
    assert on_ranks.main(*words, tmp_path / "1.png") == 1
    alone = tuple(capsys.readouterr())
    assert run(2, "-m", "tests.captioning.cli.on_ranks", *words, tmp_path / "2.png", status=1) == alone
    assert (tmp_path / "1.png").read_bytes() == (tmp_path / "2.png").read_bytes()
    assert alone[1].count("11.png: ") == 1


@needs_mpi
@pytest.mark.parametrize("words", [["--extractor", "none"], ["--max-length", "0"]])
def test_what_cannot_be_captioned_is_told_once(trained, photos, words):
    out, err = run(2, "-m", "captioning", "caption", photos, "--run", trained, *words, status=2)
    assert (out, len(err.splitlines())) == ("", 1)
    assert words[0] in err or "'none'" in err


@needs_mpi
def test_ranks_end_with_an_error_of_the_first(trained, tmp_path):
    (tmp_path / "a.png").write_text("no photo")
    words = ["caption", tmp_path, "--run", trained, "--extractor", "mixed-colours", "--out", tmp_path / "sheet.png"]
    _, err = run(2, "-m", "tests.captioning.cli.on_ranks", *words, status=2)
    assert err.count("there is no photo to draw") == 1
    assert len(err.splitlines()) == 2


STOPPED = """
import os, sys, time
from captioning.cli import entry
from minigrad import parallel

def stopped_unless_first(*_, **__):
    if os.environ["PMI_RANK"] != "0":
        raise KeyboardInterrupt
    parallel.world()
    time.sleep(60)

entry.make_parser = stopped_unless_first
sys.exit(entry.main(["train"]))
"""


@needs_mpi
def test_ranks_that_are_stopped_before_mpi_starts_end_those_that_wait_there():
    _, err = run(3, "-c", STOPPED, status=130)
    told = [line for line in err.splitlines() if line.endswith(": stopped")]
    assert sum("of 3 on " in line for line in told) == 1  # the first, which the launcher ends, may say so, too


def test_a_command_of_one_process_says_so(trained, capsys, monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "4")
    monkeypatch.setenv("PMI_RANK", "0")
    assert main(["report", str(trained)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("captioning report: mpiexec started 4 processes, but this command uses one")
    monkeypatch.setenv("PMI_RANK", "1")
    assert main(["report", str(trained)]) == 2
    assert capsys.readouterr() == ("", "")
