"""The measurement of large data, end to end on little."""

from __future__ import annotations

import sys

import pytest

from benchmarks.large_data import dropping_cache, main

if sys.platform != "linux":
    pytest.skip("another platform: page caches are dropped as on Linux", allow_module_level=True)


def test_sizes(tmp_path, capfd):
    assert main(["--sizes", "0.002", "--iterations", "21", str(tmp_path)]) == 0
    rows = capfd.readouterr().out.splitlines()[2:]
    assert [row.split(" | ")[:2] for row in rows] == [["| 0.002", "ahead"], ["| 0.002", "directly"]]
    assert not list(tmp_path.iterdir())


def test_what_is_dropped_may_be_read_on(tmp_path):
    path = tmp_path / "numbers"
    path.write_bytes(b"1234" * 10_000)
    with dropping_cache(path):
        assert path.read_bytes() == b"1234" * 10_000
