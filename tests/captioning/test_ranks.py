"""Ranks that help the first one: what happens if they cannot."""

from __future__ import annotations

from tests.parallel.ranks import needs_mpi, run

BROKEN = """
from captioning import ranks
from minigrad import parallel

comm = parallel.world()

def read(task):
    if comm.rank:
        raise OSError(f"cannot read {task.decode()}")
    return task

if comm.rank:
    ranks.help_map(read, comm)
else:
    list(ranks.map_on_ranks(comm)(read, [b"a drawing", b"a photo"]))
"""


@needs_mpi
def test_one_that_cannot_read_its_task_ends_all_and_is_named():
    _, err = run(2, "-c", BROKEN, status=2)
    assert "rank 1 of 2" in err
    assert "OSError: cannot read a photo" in err
