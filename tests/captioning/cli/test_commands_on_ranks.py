"""Commands on several ranks print what one process prints, once."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from captioning.cli.entry import main
from tests.captioning.cli import on_ranks
from tests.captioning.cli.commands import output_of
from tests.parallel.ranks import needs_mpi, run


@needs_mpi
@pytest.mark.parametrize(("command", "how"), [
    ("evaluate", ["--json", "--beam", "3", "--max-images", "7"]),
    ("sample", ["-n", "7", "--consensus", "3", "--neighbours", "2"]),
])  # fmt: skip
def test_evaluation_and_samples_on_ranks(trained, tmp_path, capsys, command, how):
    """The ranks have different numbers of images."""
    results = tmp_path / "results.json"
    words = [command, trained, "--quiet", *how, *(["--out", results] if command == "evaluate" else [])]
    alone = output_of(capsys, *words)
    captions = results.read_text() if results.exists() else None
    assert run(2, "-m", "captioning", *words) == (alone, "")
    assert captions is None or results.read_text() == captions


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
    assert on_ranks.main("well", *words, tmp_path / "1.png") == 1
    alone = tuple(capsys.readouterr())
    assert run(2, "-m", "tests.captioning.cli.on_ranks", "well", *words, tmp_path / "2.png", status=1) == alone
    assert (tmp_path / "1.png").read_bytes() == (tmp_path / "2.png").read_bytes()
    assert alone[1].count("11.png: ") == 1


@needs_mpi
def test_an_error_of_the_first_rank_ends_all_and_is_printed_once(trained, tmp_path):
    (tmp_path / "a.png").write_text("no photo")
    words = ["caption", tmp_path, "--run", trained, "--extractor", "mixed-colours", "--out", tmp_path / "sheet.png"]
    _, err = run(2, "-m", "tests.captioning.cli.on_ranks", "well", *words, status=2)
    assert (err.count("there is no photo to draw"), len(err.splitlines())) == (1, 2)


def test_a_command_of_one_process_refuses_ranks(trained, capsys, monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "4")
    for rank, message in (("0", "captioning report: mpiexec started 4 processes"), ("1", "")):
        monkeypatch.setenv("PMI_RANK", rank)
        assert main(["report", str(trained)]) == 2
        out, err = capsys.readouterr()
        assert (out, err[: len(message)], bool(err)) == ("", message, rank == "0")
