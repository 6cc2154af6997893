"""Ranks that help the first one: what happens if they cannot."""

from __future__ import annotations

from tests.parallel.ranks import needs_mpi, run

BROKEN = """
from captioning import ranks
from minigrad import parallel

comm = parallel.world()

def carry_out(order):
    raise OSError(f"cannot read {order.decode()}")

if comm.rank:
    ranks.follow(carry_out, comm)
else:
    with ranks.leading(comm):
        ranks.send_order(b"a photo", comm)
        parallel.gather_bytes(comm, b"")
"""


@needs_mpi
def test_one_that_cannot_read_its_order_ends_all_and_is_named():
    _, err = run(2, "-c", BROKEN, status=2)
    assert "rank 1 of 2" in err
    assert "OSError: cannot read a photo" in err
