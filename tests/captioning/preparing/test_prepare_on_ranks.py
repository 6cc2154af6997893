"""A data set made on ranks: that of one process, bit by bit, with its words, and nothing of one if a rank fails."""

from __future__ import annotations

import re

import pytest

from tests.captioning.cli.on_ranks import main
from tests.captioning.preparing.photo_sources import content, write_folder
from tests.parallel.ranks import needs_mpi, run

pytestmark = needs_mpi

NUMBER = 150  # of 5 batches, the last one not whole: two ranks have three rounds, three have two
BROKEN = ("05", "40", "70")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = write_folder(tmp_path_factory.mktemp("source") / "photos", NUMBER)
    for name in BROKEN:
        (folder / f"{name}.png").write_bytes(b"no photo")
    return folder


@pytest.fixture
def prepare(source, tmp_path, capsys):
    """Makes the folder RANKS; returns output and errors, without its name."""

    def prepared(ranks, how, *options, status=0):
        out = tmp_path / str(ranks)
        words = how, "prepare", source, "--out", out, "--photos", "copy", "--test", "0.1", *options
        if ranks > 1:
            found = run(ranks, "-m", "tests.captioning.cli.on_ranks", *words, status=status)
        else:
            assert main(*words) == status
            found = capsys.readouterr()
        return [text.replace(str(out), "OUT") for text in found]

    return prepared


@pytest.mark.parametrize(("ranks", "more"), [(2, ["--regions", "5"]), (3, [])])
def test_ranks_make_the_data_set_of_one_process(prepare, tmp_path, ranks, more):
    alone = prepare(1, "well", *more)
    assert alone[1].count("left out: ") == len(BROKEN)
    assert prepare(ranks, "well", *more) == alone
    assert content(tmp_path / str(ranks)) == content(tmp_path / "1")


def test_a_rank_that_fails_ends_all_and_the_same_command_resumes(prepare, tmp_path):
    _, err = prepare(2, "memory", status=2)
    assert re.search(r"rank \d of 2 .*: there is none", err)
    prepare(2, "kill", status=9)
    assert not (tmp_path / "2").exists()
    _, err = prepare(2, "well")
    assert "resuming after the features of 64 photos" in err
    prepare(1, "well")
    assert content(tmp_path / "2") == content(tmp_path / "1")
