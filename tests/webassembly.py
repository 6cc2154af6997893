"""A plugin of pytest that skips tests for want of what WebAssembly (Pyodide) lacks.

A failure whose message matches one of the patterns counts as a skip. So no test says which platforms it needs, and one
that fails for another reason is still a failure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

REASON = "another platform: WebAssembly has no"

MISSING_BY_FAILURE = {
    r"can't start new thread|BrokenBarrierError": "threads",
    r"does not support processes|drawing needs a layout program": "processes",
    r"'os' has no attribute '(fork|mkfifo|getuid)'": "processes",
    r"No module named '(fcntl|resource|termios)'|\(missing\) lzma module": "some modules of the standard library",
    r"No module named '(?!minigrad|captioning|theory|tests)|this needs the package ": "packages with compiled code",
    r"zero-size array to reduction operation": "newer NumPy (norms of empty arrays)",
    r"DID NOT WARN.*RuntimeWarning|DID NOT RAISE.*(FloatingPointError|LinAlgError)": "floating-point exceptions",
    r"(?s)AssertionError.*(int32.*int64|int64.*int32|i4.*i8)": "integers of 64 bits by default",
    r"(?s)Expected:.*Got:.*dtype=int64": "integers of 64 bits by default",
    r"too large to convert to C ssize_t|count > sys.maxsize": "addresses of 64 bits",
}
"""What is missing, by a pattern of the failures."""

MISSING_BY_TEST = {
    "test_bad_headers[9]": "stack for deep recursion",  # the process would end
    "test_a_damaged_measurement_is_ignored[content2]": "stack for deep recursion",
    "test_hostile_pickles[deep tuples]": "stack for deep recursion",
    "test_thousands_of_modules_deep_and_wide": "stack for deep recursion",
    "test_results_are_exact_up_to_rounding[matrices]": "OpenBLAS, whose solutions are closer",
}
"""What is missing, by the name of a test that would end the process."""


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    return _skipped((yield), collector)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    return _skipped((yield), item)


def _skipped(report: Any, node: pytest.Collector | pytest.Item) -> Any:
    lines = report.longreprtext.splitlines()
    message = "\n".join([line for line in lines if line.startswith("E ")] or lines)  # doctests have no such lines
    what = next((what for pattern, what in MISSING_BY_FAILURE.items() if re.search(pattern, message)), None)
    if report.failed and what:
        report.outcome, report.longrepr = "skipped", (str(node.path), 0, f"Skipped: {REASON} {what}")
    return report


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.name in MISSING_BY_TEST:
            item.add_marker(pytest.mark.skip(reason=f"{REASON} {MISSING_BY_TEST[item.name]}"))
