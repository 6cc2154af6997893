"""Pictures as files: the system's `dot`, else the package graphviz-pure."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..core import Tensor
from ..extras import replacing
from .dot import to_dot

__all__ = ["DrawingError", "draw", "layout"]

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
        ValueError: for another suffix; or (:class:`DrawingError`) if the layout fails or takes too long: the DOT
            text is then kept beside the picture.
        ModuleNotFoundError: if neither `dot` nor graphviz-pure is installed; says how to get either.
    """
    target = Path(path)
    kind = target.suffix[1:].lower()
    if kind not in (*FORMATS, "dot"):
        raise ValueError(f"draw: the suffix of {target.name} must be .svg, .png, .pdf or .dot")
    text = to_dot(tensors, **options)
    if kind == "dot":
        content = text.encode()
    else:
        try:
            content = layout(text, kind, timeout)
        except DrawingError as error:
            kept = target.with_suffix(".dot")
            with replacing(kept) as temporary:
                temporary.write_text(text, encoding="utf-8")
            raise DrawingError(f"draw: {error}; the DOT text is in {kept}") from None
    with replacing(target) as temporary:
        temporary.write_bytes(content)
    return target


def layout(dot: str, kind: str, timeout: float = SECONDS) -> bytes:
    """The picture of DOT text in the format 'svg', 'png' or 'pdf'. The errors are those of :func:`draw`."""
    command = _program(kind)
    try:
        done = subprocess.run([command, f"-T{kind}"], input=dot.encode(), capture_output=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise DrawingError(
            f"the layout took more than {timeout:g} s: try unroll='fold', a smaller max_nodes or a larger timeout"
        ) from None
    if done.returncode or not done.stdout:
        complaint = " ".join(done.stderr.decode(errors="replace").split())
        raise DrawingError(f"{Path(command).name} failed: {complaint[:500] or f'status {done.returncode}'}")
    return done.stdout


def _program(kind: str) -> str:
    """The system's dot; else graphviz-pure beside this Python or on the path, which writes no PDF."""
    if found := shutil.which("dot"):
        return found
    places = [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
    if found := shutil.which("graphviz-pure", path=os.pathsep.join(places)):
        if kind == "pdf":
            raise DrawingError("graphviz-pure writes SVG and PNG but no PDF: install Graphviz for that")
        return found
    raise ModuleNotFoundError(
        "drawing needs a layout program: install Graphviz (apt install graphviz, brew install graphviz), or "
        "pip install 'minigrad[viz]'"
    )
