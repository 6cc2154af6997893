"""DOT text as a picture: the system's `dot` lays it out, else the package graphviz-pure."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from ...runtime.extras import how_to_install

__all__ = ["FORMATS", "SECONDS", "DrawingError", "lay_out", "layout_program"]

FORMATS = ("svg", "png", "pdf")
SECONDS = 30.0
"""How long a layout may take."""


class DrawingError(ValueError):
    """A layout that failed or took too long; the message says where its DOT text is."""


def lay_out(dot: str, kind: str, timeout: float = SECONDS) -> bytes:
    """The picture of DOT text in the format 'svg', 'png' or 'pdf'. A DrawingError if it fails or takes too long."""
    program = layout_program()
    if kind == "pdf" and Path(program).stem == "graphviz-pure":
        raise DrawingError("graphviz-pure writes SVG and PNG but no PDF: install Graphviz for that")
    status, picture, complaint = _run([program, f"-T{kind}"], dot.encode(), timeout)
    if status or not picture:
        words = " ".join(complaint.decode(errors="replace").split())
        raise DrawingError(f"{Path(program).name} failed: {words[:500] or f'status {status}'}")
    return picture


def layout_program() -> str:
    """The path of the system's `dot`; else of graphviz-pure, beside this Python or on the path."""
    if found := shutil.which("dot"):
        return found
    places = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    if found := shutil.which("graphviz-pure", path=os.pathsep.join(places)):
        return found
    raise ModuleNotFoundError(
        "drawing needs a layout program: Graphviz's dot (apt install graphviz, brew install graphviz), or "
        + how_to_install("viz", "graphviz_pure")
    )


def _run(command: list[str], text: bytes, timeout: float) -> tuple[int, bytes, bytes]:
    """The status, output and complaints of a program that reads the text; after the time it is ended, children too."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True) as process:
        try:
            output, complaint = process.communicate(text, timeout)
        except subprocess.TimeoutExpired:
            _end(process)
            raise DrawingError(
                f"the layout took more than {timeout:g} s: try unroll='fold', depth=2, a smaller max_nodes or a larger "
                f"timeout"
            ) from None
        except BaseException:
            _end(process)
            raise
    return process.returncode, output, complaint


def _end(process: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the session that it leads
    else:
        process.kill()
