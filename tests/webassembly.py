"""What WebAssembly lacks (Pyodide, where ``sys.platform`` is emscripten), told from how a test fails for want of it.

A failure that shows one of the patterns counts as a skip. So no test says which platforms it needs, and one that fails
for another reason is still a failure.
"""

from __future__ import annotations

import re
import sys

LACKING = {
    r"can't start new thread": "threads",
    r"does not support processes|drawing needs a layout program": "processes",
    r"'os' has no attribute '(fork|mkfifo|getuid)'": "processes",
    r"No module named '(fcntl|resource|termios)'|\(missing\) lzma module": "some modules of the standard library",
    r"No module named '|this needs the package ": "packages with compiled code",
    r"DID NOT WARN.*RuntimeWarning|DID NOT RAISE.*(FloatingPointError|LinAlgError)": "floating-point exceptions",
    r"(?s)AssertionError.*(int32.*int64|int64.*int32)|Expected:.*Got:.*dtype=int64": "integers of 64 bits by default",
}
"""What is lacking, by a pattern of the failures that show it."""

CANNOT = {
    "test_bad_headers[9]": "stack for deep recursion",  # the process would end
    "test_a_damaged_measurement_is_ignored[content2]": "stack for deep recursion",
    "test_hostile_pickles[deep tuples]": "stack for deep recursion",
    "test_thousands_of_modules_deep_and_wide": "stack for deep recursion",
    "test_results_are_exact_up_to_rounding[matrices]": "OpenBLAS, whose solutions are closer",
}
"""What is lacking, by the name of a test that cannot run to tell it."""


def lacking(failure: str) -> str | None:
    """Return the reason for a skip if a failure shows what WebAssembly lacks."""
    return _reason(next((what for pattern, what in LACKING.items() if re.search(pattern, failure)), None))


def cannot(test: str) -> str | None:
    """Return the reason for a skip if a test of this name cannot run in WebAssembly."""
    return _reason(CANNOT.get(test))


def _reason(what: str | None) -> str | None:
    return f"another platform: WebAssembly has no {what}" if what and sys.platform == "emscripten" else None
