"""What the processor is; test_threads.py tests threads."""

from __future__ import annotations

import pytest

from minigrad.runtime import blas

ZEN_4 = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel name\t: EPYC: 9654\n\nprocessor\t: 1\n"


@pytest.mark.parametrize(("text", "expected"), [
    (ZEN_4, ("AuthenticAMD", 25)),
    (ZEN_4.strip(), ("AuthenticAMD", 25)),
    ("processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\n\n", ("GenuineIntel", 6)),
    ("processor\t: 0\nBogoMIPS\t: 50.00\nCPU implementer\t: 0x41\n\n", ("", 0)),  # ARM
    ("", ("", 0)),
])  # fmt: skip
def test_the_processor_of_linux(text, expected, tmp_path):
    (tmp_path / "cpuinfo").write_text(text)
    assert blas.processor(str(tmp_path / "cpuinfo")) == expected
    assert blas.processor(str(tmp_path / "nothing")) == ("", 0)
