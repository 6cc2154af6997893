"""The measurement of large data, end to end on little."""

from __future__ import annotations

import json
import os
import sys

import pytest

from benchmarks.large_data import dropping_cache, main, memory_group

if sys.platform != "linux":
    pytest.skip("another platform: page caches are dropped as on Linux", allow_module_level=True)


def test_sizes(tmp_path, capfd):
    main(["sizes", "--sizes", "0.002", "--rounds", "1", "--iterations", "21", str(tmp_path)])
    out, err = capfd.readouterr()
    assert out.splitlines()[2].startswith("| 0.002 | 166 | 800 | 0.00 GB | ")
    told = [json.loads(line.partition(": ")[2]) for line in err.splitlines() if line.startswith("round 1, ")]
    assert len(told) == 2
    assert told[0]["last loss"] == told[1]["last loss"] < told[0]["first loss"]
    assert not list(tmp_path.iterdir())


def test_storage(tmp_path, capsys):
    main(["storage", "--images", "200", "--batches", "1", str(tmp_path)])
    names = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines()[2:]]
    assert names[:2] == ["contiguous", "1 row, none"]
    assert len(names) == 10
    assert not list(tmp_path.iterdir())


def test_a_group_of_little_memory_is_gone_afterwards():
    with memory_group(2**28) as group:
        if group is None:
            return  # none can be made here, and the limit is another one
        assert int((group / "memory.limit_in_bytes").read_text()) == 2**28
    assert not os.path.exists(group)


def test_what_is_dropped_may_be_read_on(tmp_path):
    path = tmp_path / "numbers"
    path.write_bytes(b"1234" * 10_000)
    with dropping_cache(path):
        assert path.read_bytes() == b"1234" * 10_000
