"""Ranks that help the first one: an error on another rank ends all of them."""

from __future__ import annotations

from tests.parallel.ranks import needs_mpi, run

BROKEN = """
from captioning import ranks
from minigrad import parallel

comm = parallel.world()

def work(task):
    if task == b"a photo":
        raise OSError(f"cannot read {task.decode()}")
    return task

if comm.rank:
    ranks.help_map(work, comm)
else:
    list(ranks.map_on_ranks(comm)(work, [b"first", b"a photo"]))
"""


@needs_mpi
def test_an_error_on_another_rank_ends_all_and_names_it():
    _, err = run(2, "-c", BROKEN, status=2)
    assert "rank 1 of 2" in err
    assert "cannot read a photo" in err
