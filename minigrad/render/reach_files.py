"""Write how far back the gradient reaches as an interactive page or as an SVG picture."""

from __future__ import annotations

import gzip
import math
from base64 import b64encode
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ..spec import Array
from .heat import GRADIENT_MARKS, gradient_colour
from .page import filled_page

if TYPE_CHECKING:
    from .gradient_reach import Reach

__all__ = ["reach_page", "reach_svg"]

_LOW, _HIGH = (round(math.log10(mark)) for mark in GRADIENT_MARKS[::2])  # ends of the colour scale
_STEP = (_HIGH - _LOW) / 255
_SIDE, _WIDTH, _HEIGHT, _MARGIN = 180, 220, 250, 20  # of a triangle, and of its place in the picture, in pixels
_LEGEND = 460  # pixels, the width that the legend needs
_SHOWN = 8  # entries of an input that the page shows
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _logs(norms: Array) -> Array:
    """Return decimal logarithms within the scale."""
    with np.errstate(divide="ignore"):
        return np.clip(np.log10(norms), _LOW, _HIGH)


def reach_page(reach: Reach, title: str) -> str:
    """Return the page as text.

    Each norm is a byte on the logarithmic scale; those of a network are compressed.
    """
    T = len(reach.inputs)
    lower = np.tril_indices(T)
    networks = []
    for name, norms in reach.norms.items():
        paths = {path: values for path, values in reach.paths[name].items() if values.any()}
        arrays = [norms.reshape(-1, T, T)[:, *lower], *paths.values(), reach.loss_norms.get(name, np.empty(0))]
        codes = np.round((_logs(np.concatenate([array.ravel() for array in arrays])) - _LOW) / _STEP).astype(np.uint8)
        networks.append({
            "name": name,
            "norms": b64encode(gzip.compress(codes.tobytes(), mtime=0)).decode(),
            "paths": list(paths),
            "losses": [_number(float(loss)) for loss in np.atleast_1d(reach.losses.get(name, []))],
        })  # fmt: skip
    return filled_page(
        "reach",
        ["reach.js"],
        {
            "title": title, "low": _LOW, "high": _HIGH, "labels": reach.labels, "networks": networks,
            "colours": [gradient_colour(_LOW + code * _STEP) for code in range(256)],
            "inputs": [_input(row) for row in reach.inputs],
            "difference": _number(reach.difference),
        },
        "reach of the gradient",
    )  # fmt: skip


def _input(row: Array) -> str:
    """Return the entries of an input as text, or the largest ones of many.

    >>> _input(np.array([1.0, -0.5])), _input(np.eye(20)[3])
    ('1, -0.5', 'entry 3 = 1 (of 20)')
    """
    if len(row) <= _SHOWN:
        return ", ".join(_number(float(value)) for value in row)
    largest = [i for i in np.argsort(-np.abs(row), kind="stable")[:_SHOWN] if row[i]]
    return (", ".join(f"entry {i} = {_number(float(row[i]))}" for i in largest) or "all 0") + f" (of {len(row)})"


def _number(norm: float) -> str:
    """Format a number with two significant digits.

    >>> _number(1234.5), _number(0.00321), _number(5e-6)
    ('1200', '0.0032', '5.0×10⁻⁶')
    """
    if norm == 0 or not math.isfinite(norm) or 1e-3 <= abs(norm) < 1e4:
        return f"{float(f'{norm:.2g}'):g}"
    digits, exponent = f"{norm:.1e}".split("e")
    return f"{digits}×10{str(int(exponent)).translate(_RAISED)}"


def _triangle(norms: Array) -> str:
    """Draw a triangle of unit cells, rounded to a quarter of a decade, with a path for each colour."""
    runs: dict[float, list[str]] = {}
    for t, row in enumerate(np.round(_logs(norms) * 4) / 4):
        bounds = [0, *(np.flatnonzero(np.diff(row[: t + 1])) + 1).tolist(), t + 1]
        for start, end in pairwise(bounds):
            runs.setdefault(float(row[start]), []).append(f"M{start} {t}h{end - start}v1h{start - end}z")
    return "".join(f'<path fill="{gradient_colour(log)}" d="{"".join(run)}"/>' for log, run in runs.items())


def reach_svg(reach: Reach, title: str) -> str:
    """Return a picture with a triangle for each network, of the last snapshot, and the scale."""
    T, count = len(reach.inputs), len(reach.norms)
    columns = 2 if count <= 4 else 4  # a phone shows readable labels in two columns
    width = max(min(count, columns) * _WIDTH + _MARGIN, _LEGEND)
    below = -(-count // columns) * _HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {below + 60}" width="{width}" role="img">',
        f"<title>{escape(title)}</title>",
        "<style>text{font:13px system-ui,'DejaVu Sans',sans-serif;fill:#5b6675}.name{font-weight:600;fill:#1c2430}"
        "@media(prefers-color-scheme:dark){text{fill:#98a2b3}.name{fill:#e6eaf0}}</style>",
    ]
    for i, (name, norms) in enumerate(reach.norms.items()):
        row, column = divmod(i, columns)
        last = norms.reshape(-1, T, T)[-1]
        loss = f"loss {_number(float(np.atleast_1d(reach.losses[name])[-1]))}" if name in reach.losses else ""
        parts.append(
            f'<g transform="translate({_MARGIN + column * _WIDTH},{54 + row * _HEIGHT})">'
            f'<text y="-38" class="name">{escape(name)}</text><text y="-22">{loss}</text>'
            f'<text y="-7">step 1 to {T}: {_number(float(last[-1, 0]))}</text>'
            f'<g shape-rendering="crispEdges" transform="scale({_SIDE / T})">{_triangle(last)}</g>'
            f'<path d="M0 0V{_SIDE}H{_SIDE}" fill="none" stroke="#98a2b3"/></g>'
        )
    logs = np.linspace(_LOW, _HIGH, 61)[:-1] + (_HIGH - _LOW) / 120
    scale = [f'<rect x="{4 * i}" width="4" height="10" fill="{gradient_colour(log)}"/>' for i, log in enumerate(logs)]
    labels = [f'<text x="{x}" text-anchor="{anchor}" y="{y}">{text}</text>'
              for x, anchor, texts in ((0, "start", ("10⁻⁸", "vanished")), (160, "middle", ("1", "kept")),
                                       (240, "end", ("10⁴", "exploded")))
              for y, text in zip((23, 37), texts, strict=True)]  # fmt: skip
    parts.append(
        f'<g transform="translate({_MARGIN},{below + 10})"><g shape-rendering="crispEdges">{"".join(scale)}</g>'
        f'{"".join(labels)}<text x="256" y="9">row t, column s: ‖∂hₜ/∂hₛ‖</text></g></svg>\n'
    )
    return "".join(parts)
