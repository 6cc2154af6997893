"""What WebAssembly lacks (Pyodide, where ``sys.platform`` is emscripten), told from how a test fails for want of it.

A failure that shows one of the patterns counts as a skip. So no test says which platforms it needs, and one that fails
for another reason is still a failure.
"""

from __future__ import annotations

import re
import sys

LACKING = {
    r"can't start new thread": "threads",
    r"does not support processes|module 'os' has no attribute '(fork|mkfifo|getuid|geteuid)'|ChildProcessError": "processes",
    r"No module named '(fcntl|resource|termios)'|\(missing\) lzma module": "some modules of the standard library",
    r"No module named '|this needs the package ": "packages with compiled code",
    r"DID NOT WARN.*RuntimeWarning|DID NOT RAISE.*(FloatingPointError|LinAlgError)": "floating-point exceptions",
    r"(?s)AssertionError.*(int32.*int64|int64.*int32)|Expected:.*Got:.*dtype=int(32|64)": "a default integer of 64 bits",
}
"""Patterns of failures, and what is lacking."""


def lacking(failure: str) -> str | None:
    """Return the reason for a skip if the test failed for want of what WebAssembly lacks."""
    if sys.platform != "emscripten":
        return None
    found = next((what for pattern, what in LACKING.items() if re.search(pattern, failure)), None)
    return found and f"another platform: WebAssembly has no {found}"
