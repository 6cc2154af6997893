"""Ranks of the real mpiexec: any number of them comes to the bits of one process, and none is waited for for ever."""

from __future__ import annotations

import re
import time

import pytest

from tests.parallel.ranks import ROOT, needs_mpi, run

pytestmark = needs_mpi


def program(ranks, *arguments, status=0):
    return run(ranks, "-m", "tests.parallel.programs", *arguments, status=status)


@pytest.mark.parametrize("shards", [4, 5])
def test_ranks_come_to_the_bits_of_one_process(shards):
    (alone,) = program(1, "training", shards)[0].splitlines()
    for ranks in (2, 4):
        assert program(ranks, "training", shards)[0].splitlines() == [alone] * ranks


TOGETHER = [
    ("reducing", 3, "same"),
    ("travelling", 2, "on the way"),
    ("merging", 2, "whole"),
    ("threads", 2, "divided"),
    ("leaving", 2, "left"),
]


@pytest.mark.parametrize(("name", "ranks", "said"), TOGETHER)
def test_what_ranks_do_together(name, ranks, said):
    out, err = program(ranks, name)
    assert out.strip() == said
    assert err == ""


def test_mistakes_are_told_on_every_rank():
    out, _ = program(2, "mistakes")
    different, twice, left, few, other = out.splitlines()
    assert "rank 0 has [2, 9, " in different
    assert "rank 1 has [2, 12, " in different
    assert "a second backward pass" in twice
    assert "a loop over parts was left before its end" in left
    assert few == "2 ranks cannot share 1 shard: each needs one; start at most 1, or make 2 shards"
    assert other == "OtherRankError: rank 1 of 2 has an error, and says which"


SAY = """
if parallel.comm.rank == 0:
    import zlib
    print(zlib.crc32(b"".join(array.tobytes() for array in model.state_dict().values())))
"""


def test_the_loop_of_the_page_runs_alone_and_on_ranks_to_the_same_bits(tmp_path):
    page = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    loop = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    program = tmp_path / "train.py"
    program.write_text(loop + SAY)
    assert run(1, program) == run(2, program)


@pytest.mark.parametrize("rank", [0, 3])
def test_a_killed_rank_ends_all(rank):
    begun = time.monotonic()
    program(4, "ending", "kill", rank, status=9)
    assert time.monotonic() - begun < 30


def test_an_error_of_one_rank_ends_all_and_is_told_with_its_name():
    _, err = program(2, "ending", "raise", 1, status=2)
    assert re.search(r"rank 1 of 2 on .+: MemoryError: there is none left; go on so", err), err


def test_a_rank_that_exits_ends_all_once_with_its_status():
    _, err = program(2, "ending", "exit", 1, status=3)
    assert len(re.findall(r"rank 1 of 2 on .+: SystemExit: 3", err)) == 1, err


@pytest.mark.parametrize(("rank", "speaks"), [("all", 0), (1, 1)])
def test_a_stop_is_told_once(rank, speaks):
    """By the first rank, where all are stopped, and else by the one that is."""
    _, err = program(3, "stopping", rank, status=130)
    assert re.findall(r"rank (\d) of 3 on .+: stopped", err) == [str(speaks)], err


def test_what_differs_from_rank_to_rank_is_an_error_on_all():
    said = program(2, "unlike")[0]
    assert said.count("ValueError: parallel: shards and bucket_bytes must be the same on every rank") == 2, said
    assert "rank 0 has [2, 4194304], rank 1 has [4, 4194304]" in said
    assert said.count("checksum of shapes and dtypes must be the same on every rank") == 1
    assert said.count("root must be from 0 to below 2, the number of ranks, not 7") == 1
    assert (
        said.count("RuntimeError: parallel: the module has other parameters than when the DataParallel was made") == 1
    )


def test_an_error_without_words_ends_all_too():
    program(2, "speechless", status=2)


def test_a_stop_where_ranks_agree_ends_all():
    _, err = program(2, "stopped_in_agreed", status=130)
    assert re.search(r"rank 1 of 2 .*: stopped", err)
