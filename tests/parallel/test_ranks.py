"""Ranks of the real mpiexec: any number gives the bits of one process, and no rank waits forever."""

from __future__ import annotations

import re

import pytest

from tests.parallel.ranks import ROOT, needs_mpi, run

pytestmark = needs_mpi


def program(ranks, *arguments, status=0):
    return run(ranks, "-m", "tests.parallel.programs", *arguments, status=status)


@pytest.mark.slow
def test_ranks_give_the_bits_of_one_process(full):
    for shards in (4, 5) if full else (5,):
        (alone,) = program(1, "training", shards)[0].splitlines()
        for ranks in (2, 4):
            assert program(ranks, "training", shards)[0].splitlines() == [alone] * ranks


def test_ranks_communicate_and_share_their_errors():
    out, err = program(2, "together")
    assert err == ""
    patterns = [
        r"shards and bucket_bytes must be the same.*rank 0 has \[2, 4194304\], rank 1 has \[4, 4194304\]",
        "shards and bucket_bytes must be the same",
        r"rank 0 has \[2, 9, .*rank 1 has \[2, 12, ",
        "root must be from 0 to below 2, the number of ranks, not 7",
        "ValueError: .*checksum of shapes and dtypes must be the same on every rank",
        "2 ranks cannot share 1 shard: each needs one. Start at most 1, or create 2 shards",
        "a second backward pass",
        "a loop over parts was left before its end",
        "RuntimeError: parallel: the module's parameters have changed",
        "ZeroDivisionError: on all",
        "OtherRankError: rank 1 of 2 raised an error and prints it",
    ]
    for line, pattern in zip(out.splitlines(), patterns, strict=True):
        assert re.search(pattern, line)


SAY = """
if parallel.comm.rank == 0:
    import zlib
    print(zlib.crc32(b"".join(array.tobytes() for array in model.state_dict().values())))
"""


def test_the_loop_of_the_page_gives_the_same_bits_on_ranks(tmp_path):
    page = (ROOT / "docs/guides/processes.md").read_text(encoding="utf-8")
    loop = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1]
    program = tmp_path / "train.py"
    program.write_text(loop + SAY)
    assert run(1, program) == run(2, program)


ENDINGS = [
    (2, ["ending", "kill", 1], 9, ""),
    (2, ["ending", "raise", 1], 2, r"rank 1 of 2 on .+: MemoryError: there is none left; go on so"),
    (2, ["ending", "exit", 1], 3, r"rank 1 of 2 on .+: SystemExit: 3"),
    (2, ["stopping", "all"], 130, r"rank 0 of 2 on .+: stopped"),
    (3, ["stopping", 1], 130, r"rank 1 of 3 on .+: stopped"),
]
MORE_ENDINGS = [
    (4, ["ending", "kill", 0], 9, ""),
    (2, ["stopped_in_agreed"], 130, r"rank 1 of 2 .*: stopped"),
]


@pytest.mark.slow
def test_a_rank_that_ends_ends_all_with_one_message(full):
    for ranks, arguments, status, message in ENDINGS + MORE_ENDINGS * full:
        _, err = program(ranks, *arguments, status=status)
        assert not message or len(re.findall(message, err)) == 1, (arguments, err)
