"""Pictures as files: the system's `dot`, else the package graphviz-pure."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from numbers import Real
from pathlib import Path
from typing import Any

from ...core import Tensor
from ...runtime.extras import how_to_install
from ...runtime.files import replacing
from .document import to_dot

__all__ = ["DrawingError", "draw", "lay_out", "layout_program"]

FORMATS = ("svg", "png", "pdf")
SECONDS = 30.0
"""How long a layout may take."""


class DrawingError(ValueError):
    """A layout that failed or took too long; the message says where its DOT text is."""


def draw(
    tensors: Tensor | Iterable[Tensor], path: str | os.PathLike[str], *, timeout: float = SECONDS, **options: Any
) -> Path:
    """Draw the graph behind a tensor (or several) into a file; its suffix says the format: .svg, .png, .pdf or .dot.

    Args:
        path: written whole or not at all.
        timeout: seconds that the layout may take.
        options: those of :func:`to_dot`.

    Returns:
        the path.

    Raises:
        ValueError: for another suffix, or an option that does not fit; or (:class:`DrawingError`) if the layout fails
            or takes too long: the DOT text is then kept beside the picture.
        OSError: if no file can be written there, or a pipe or a device is there; before anything is laid out.
        ModuleNotFoundError: if neither `dot` nor graphviz-pure is installed; says how to get either.

    >>> import minigrad as mg, tempfile
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     draw(x * x, Path(folder, "square.dot")).read_text().splitlines()[0]
    'digraph minigrad {'
    """
    target = Path(path)
    kind = target.suffix[1:].lower()
    if kind not in (*FORMATS, "dot"):
        raise ValueError(f"draw: the suffix of {target.name} must be .svg, .png, .pdf or .dot")
    if isinstance(timeout, bool) or not isinstance(timeout, Real) or not 0 < timeout < math.inf:
        raise ValueError(f"draw: timeout must be a number of seconds above 0, not {timeout!r}")
    with replacing(target) as temporary:
        text = to_dot(tensors, **options)
        temporary.write_bytes(text.encode() if kind == "dot" else _laid_out(text, kind, float(timeout), target))
    return target


def _laid_out(text: str, kind: str, timeout: float, target: Path) -> bytes:
    """The picture of DOT text, which is kept beside the target if that fails."""
    try:
        return lay_out(text, kind, timeout)
    except DrawingError as error:
        kept = target.with_name(f"{target.name}.dot")
        with replacing(kept) as temporary:
            temporary.write_text(text, encoding="utf-8")
        raise DrawingError(f"draw: {error}; the DOT text is in {kept}") from None


def lay_out(dot: str, kind: str, timeout: float = SECONDS) -> bytes:
    """The picture of DOT text in the format 'svg', 'png' or 'pdf'. The errors are those of :func:`draw`."""
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
                f"the layout took more than {timeout:g} s: try unroll='fold', a smaller max_nodes or a larger timeout"
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
