"""Drawings as files: DOT text is written, laid out, and put where it was asked for."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from numbers import Real
from pathlib import Path
from typing import Any

from ...core import Tensor
from ...runtime.files import replacing
from .document import to_dot
from .layout import FORMATS, SECONDS, DrawingError, lay_out

__all__ = ["draw"]


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
