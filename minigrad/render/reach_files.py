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
_SIDE, _WIDTH, _LEFT, _LINE = 172, 234, 46, 19  # pixels: a triangle, its place, space for its axis, a line of text
_AXES = {"t": "state at step t", "s": "gradient w.r.t. state at step s"}  # down and across
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
            "loss": name in reach.loss_norms,
            "notes": np.atleast_1d(reach.notes.get(name, [])).tolist(),
        })  # fmt: skip
    return filled_page(
        "reach",
        ["reach.js"],
        {
            "title": title, "low": _LOW, "high": _HIGH, "labels": reach.labels, "networks": networks,
            "colours": [gradient_colour(_LOW + code * _STEP) for code in range(256)],
            "ticks": _ticks(T), "axes": _AXES,
            "inputs": [_input(row) for row in reach.inputs],
            "difference": _number(reach.difference),
        },
        "reach of the gradient",
    )  # fmt: skip


def _ticks(T: int) -> list[int]:
    """Return the steps that have a tick: the first one, and up to six round numbers.

    >>> _ticks(5), _ticks(30), _ticks(300)
    ([1, 2, 3, 4, 5], [1, 5, 10, 15, 20, 25, 30], [1, 50, 100, 150, 200, 250, 300])
    """
    distance = next(m * 10**k for k in range(9) for m in (1, 2, 5) if 6 * m * 10**k >= T)
    return sorted({1, *range(distance, T + 1, distance)})


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


def _axes(T: int) -> str:
    """Draw the ticks and names of both axes of a triangle."""
    at = {tick: (tick - 0.5) * _SIDE / T for tick in _ticks(T)}
    return "".join([
        *(f'<text x="{x:.4g}" y="{_SIDE + 16}" text-anchor="middle">{tick}</text>' for tick, x in at.items()),
        *(f'<text x="-5" y="{y + 5:.4g}" text-anchor="end">{tick}</text>' for tick, y in at.items()),
        f'<text x="{_SIDE // 2 - 4}" y="{_SIDE + 36}" text-anchor="middle">{_AXES["s"]}</text>',
        f'<text transform="translate(-33,{_SIDE // 2})rotate(-90)" text-anchor="middle">{_AXES["t"]}</text>',
    ])  # fmt: skip


def reach_svg(reach: Reach, title: str) -> str:
    """Return a picture with a triangle for each network, of the last snapshot, and the scale.

    A phone shows readable labels in two columns.
    """
    T = len(reach.inputs)
    lines = {name: [*str(np.atleast_1d(reach.notes.get(name, ""))[-1]).splitlines(),
                    f"step 1 to {T}: {_number(float(norms.reshape(-1, T, T)[-1, -1, 0]))}"]
             for name, norms in reach.norms.items()}  # fmt: skip
    above = _LINE * (1 + max(map(len, lines.values()))) + 4
    height = above + _SIDE + 64
    below = -(-len(lines) // 2) * height
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * _WIDTH} {below + 52}" width="{2 * _WIDTH}" '
        f'role="img"><title>{escape(title)}</title>',
        "<style>text{font:14px system-ui,'DejaVu Sans',sans-serif;fill:#5b6675}.name{font-weight:600;fill:#1c2430}"
        ".none{fill:#d5dae2}@media(prefers-color-scheme:dark){text{fill:#98a2b3}.name{fill:#e6eaf0}"
        ".none{fill:#343c49}}</style>",
    ]
    for i, (name, norms) in enumerate(reach.norms.items()):
        row, column = divmod(i, 2)
        last = norms.reshape(-1, T, T)[-1]
        parts.append(
            f'<g transform="translate({_LEFT + column * _WIDTH},{row * height + above})">'
            f'<text y="{_LINE - above - 3}" class="name">{escape(name)}</text>'
            + "".join(
                f'<text y="{-k * _LINE - 7}">{escape(line)}</text>' for k, line in enumerate(reversed(lines[name]))
            )
            + f'<rect class="none" width="{_SIDE}" height="{_SIDE}"/>'
            f'<g shape-rendering="crispEdges" transform="scale({_SIDE / T})">{_triangle(last)}</g>{_axes(T)}</g>'
        )
    logs = np.linspace(_LOW, _HIGH, 61)[:-1] + (_HIGH - _LOW) / 120
    scale = [f'<rect x="{5 * i}" width="5" height="10" fill="{gradient_colour(log)}"/>' for i, log in enumerate(logs)]
    labels = [f'<text x="{x}" text-anchor="{anchor}" y="{y}">{text}</text>'
              for x, anchor, texts in ((0, "start", ("10⁻⁸", "vanished")), (200, "middle", ("1", "kept")),
                                       (300, "end", ("10⁴", "exploded")))
              for y, text in zip((25, 41), texts, strict=True)]  # fmt: skip
    parts.append(
        f'<g transform="translate({_LEFT},{below + 4})"><g shape-rendering="crispEdges">{"".join(scale)}</g>'
        f'<path d="M0 0h300v10h-300z" fill="none" stroke="#98a2b3"/>'
        f'{"".join(labels)}<text x="312" y="10">‖∂hₜ/∂hₛ‖</text></g></svg>\n'
    )
    return "".join(parts)
