"""How notebooks show tensors, modules and schedules: methods that IPython and Jupyter call, such as `_repr_html_`.

Graphs, tables of costs and profiles show themselves, too; their own classes define how.
"""

from __future__ import annotations

from functools import partial
from html import escape
from typing import Any

import numpy as np

from .core import Tensor, extend_tensor
from .formatting import html_table
from .nn.module import Module, submodules
from .optim.schedules import Schedule
from .spec import describe

__all__: list[str] = []

_MOST = 64  # entries that a strip shows
_PRINTED = 100  # a tensor with more entries shows their range instead
_BLUE, _RED, _UNUSUAL = np.array([33, 102, 172]), np.array([178, 24, 43]), "#b000b0"
_LONGEST = 2**16  # steps of a schedule whose rate never settles


def _tensor_html(self: Tensor) -> str:
    """Show dtype and shape, a strip of entries, and the entries of a small tensor or the range of a large one."""
    origin = f", from {self.node.primitive.name}" if self.node is not None and self.node.primitive else ""
    shown = np.unique(np.linspace(0, self.size - 1, min(self.size, _MOST)).round().astype(int))
    part = f", {len(shown)} of {self.size:,} entries" if len(shown) < self.size else ""
    if self.size <= _PRINTED:
        text = repr(self)
    else:
        with np.errstate(all="ignore"):
            low, mean, high = (float(f(self.data)) for f in (np.min, partial(np.mean, dtype=np.float64), np.max))
        text = f"min {low:.4g}, mean {mean:.4g}, max {high:.4g}"
    title = f"{type(self).__name__}: {describe(self.data)}{origin}{part}"
    below = f'<pre style="margin:4px 0;font-family:monospace">{escape(text)}</pre>'
    strip = _strip(self.data.flat[shown]) if self.size > 1 else ""
    return f"<div><code>{escape(title)}</code>{strip}{below}</div>"


def _strip(entries: Any) -> str:
    """Draw numbers as a strip of colours: white at 0, red above and blue below, purple for NaN and infinities."""
    numbers = np.asarray(entries, np.float64)
    largest = np.abs(numbers[np.isfinite(numbers)]).max(initial=0) or 1.0
    cells: list[str] = []
    for x in numbers:
        colour = _UNUSUAL
        if np.isfinite(x):
            colour = (
                "#" + bytes(np.rint(255 + abs(x) / largest * ((_RED if x > 0 else _BLUE) - 255)).astype(np.uint8)).hex()
            )
        cells.append(f'<path fill="{colour}" d="M{len(cells)} 0h1v1h-1z"/>')
    return (
        f'<svg viewBox="0 0 {len(cells)} 1" width="{10 * len(cells)}" height="14" preserveAspectRatio="none" '
        f'shape-rendering="crispEdges" style="display:block">{"".join(cells)}</svg>'
    )


def _module_html(self: Module) -> str:
    """Show the modules, parents first, each with the shapes of its own parameters and the number of their entries."""
    rows = [["module", "parameters", "entries"]]
    for name, member in self.named_modules():
        children = tuple(f"{child}." for child, _ in submodules(member))
        own = {key: p for key, p in member.named_parameters() if not key.startswith(children)}
        kind = f"{type(member).__name__}({'' if children else member.extra_repr()})".removesuffix("()")
        indent = "  " * (name.count(".") + 1) if name else ""
        shapes = ", ".join(f"{key} {'×'.join(map(str, p.shape)) or 'scalar'}" for key, p in own.items())
        count = sum(p.size for p in own.values())
        rows.append(
            [f"{indent}{name.rpartition('.')[2]}: {kind}" if name else kind, shapes, f"{count:,}" if count else ""]
        )
    return html_table([*rows, ["total", "", f"{sum(p.size for p in self.parameters()):,}"]], texts=2)


def _schedule_svg(self: Schedule) -> str:
    """Draw the first group's rate over the steps, with a dot at the current step."""
    base = self.base_lrs[0]
    last = max(_settled(self), self.count)
    steps = np.unique(np.linspace(0, last, 201).round().astype(int)).tolist()
    rates = [self.rate(step, base) for step in steps]
    high = max(rates) or 1.0

    def place(step: int, rate: float) -> str:
        return f"{10 + 300 * step / last:.1f},{90 - 70 * rate / high:.1f}"

    x, y = place(self.count, self.rate(self.count, base)).split(",")
    line = " ".join(map(place, steps, rates))
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="320" height="112" fill="none" font-family="sans-serif" '
        f'font-size="11"><rect width="320" height="112" fill="white"/><polyline points="{line}" stroke="#2166ac" '
        f'stroke-width="2"/><circle cx="{x}" cy="{y}" r="4" fill="#b2182b"/><g fill="#333"><text x="10" y="13">'
        f'{escape(repr(self))}</text><text x="10" y="106">step 0</text><text x="310" y="106" text-anchor="end">{last:,}'
        f'</text><text x="310" y="27" text-anchor="end">{high:.3g}</text></g></svg>'
    )


def _settled(schedule: Schedule) -> int:
    """Return a step, a power of 2, after which the rate is constant, or falling below a hundredth of the base rate."""
    base, last = schedule.base_lrs[0], 8
    while last < _LONGEST:
        rate, later = schedule.rate(last, base), schedule.rate(2 * last, base)
        if rate != schedule.rate(0, base) and (rate == later or later < rate < base / 100):
            break
        last *= 2
    return last


extend_tensor({"_repr_html_": _tensor_html})
Module._repr_html_ = _module_html  # type: ignore[method-assign]
Schedule._repr_svg_ = _schedule_svg  # type: ignore[attr-defined]
