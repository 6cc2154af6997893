"""A data set made on ranks: that of one process, bit by bit, with its words, and nothing of one if a rank fails."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from tests.captioning.preparing.on_ranks import main
from tests.captioning.preparing.photo_sources import content, write_folder
from tests.parallel.ranks import needs_mpi, run

pytestmark = needs_mpi

NUMBER = 150  # of 5 batches, the last one not whole: two ranks have three rounds, three have two
BROKEN = ("05", "40", "70")
OPTIONS = ["--photos", "copy", "--test", "0.1"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = write_folder(tmp_path_factory.mktemp("source") / "photos", NUMBER)
    for name in BROKEN:
        (folder / f"{name}.png").write_bytes(b"no photo")
    Image.fromarray(np.full((12, 16, 3), 255, np.uint8)).save(folder / "77.png")
    return folder


@pytest.fixture
def prepare(source, tmp_path, capsys):
    """Makes the folder RANKS; what was printed, and the errors, without its name."""

    def prepared(ranks, how, *options, status=0):
        out = tmp_path / str(ranks)
        words = how, source, "--out", out, *OPTIONS, *options
        if ranks > 1:
            told = run(ranks, "-m", "tests.captioning.preparing.on_ranks", *words, status=status)
        else:
            assert main(*words) == status
            told = capsys.readouterr()
        return [text.replace(str(out), "OUT") for text in told]

    return prepared


@pytest.mark.parametrize(("ranks", "more"), [(2, []), (2, ["--regions", "5"]), (3, ["--regions"]),
                                             (2, ["--no-features"])])  # fmt: skip
def test_ranks_make_the_data_set_of_one_process(prepare, tmp_path, ranks, more):
    said = prepare(1, "well", *more)
    assert said[1].count("left out: ") == (0 if "--no-features" in more else len(BROKEN))
    assert prepare(ranks, "well", *more) == said
    assert content(tmp_path / str(ranks)) == content(tmp_path / "1")


@pytest.mark.parametrize(
    ("how", "options", "told"),
    [("well", ["--strict"], "without --strict it would be left out"), ("nan", [], "77.png: .* not finite"),
     ("well", ["--min-count", "999"], "no word stands 999 times"), ("well", ["--val", "2"], "val must be a share")],
)  # fmt: skip
def test_an_error_is_told_once_as_one_process_tells_it(prepare, tmp_path, how, options, told):
    _, alone = prepare(1, how, "--quiet", *options, status=2)
    assert re.search(told, alone)
    _, err = prepare(2, how, "--quiet", *options, status=2)
    assert err == alone
    assert not any((tmp_path / f"{ranks}" / "coco2014_captions.h5").exists() for ranks in (1, 2))


@pytest.mark.parametrize(
    ("how", "status", "told"),
    [("memory", 2, r"rank \d of 2 on .*: MemoryError: there is none left"),
     ("kill", 9, "")],
)  # fmt: skip
def test_a_rank_that_fails_ends_all_and_the_same_command_goes_on(prepare, tmp_path, how, status, told):
    _, err = prepare(2, how, status=status)
    assert re.search(told, err), err
    assert not (tmp_path / "2" / "coco2014_captions.h5").exists()
    _, err = prepare(2, "well")
    assert "going on with the features of 64 photos" in err
    prepare(1, "well")
    assert content(tmp_path / "2") == content(tmp_path / "1")
