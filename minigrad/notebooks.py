"""Show tensors, modules and schedules in notebooks, by methods such as `_repr_html_` that IPython and Jupyter call.

The classes of drawings, summaries and profiles define such methods themselves.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .core import Tensor, extend_tensor
from .formatting import escape, html_table
from .nn.module import Module, submodules
from .optim.schedules import Schedule
from .spec import Array, describe

__all__: list[str] = []

_MOST_IN_STRIP = 64  # entries
_MOST_PRINTED = 100  # a tensor with more entries shows their range instead
_BLUE, _RED, _UNUSUAL = np.array([33, 102, 172]), np.array([178, 24, 43]), "#b000b0"
_MOST_STEPS = 2**24  # of a schedule whose rate never settles


def _tensor_html(self: Tensor) -> str:
    """Show dtype and shape, a strip of entries, and the entries of a small tensor or the range of a large one."""
    origin = f", from {self.node.primitive.name}" if self.node is not None and self.node.primitive else ""
    shown = np.unique(np.linspace(0, self.size - 1, min(self.size, _MOST_IN_STRIP)).round().astype(int))
    part = f", {len(shown)} of {self.size:,} entries" if len(shown) < self.size else ""
    with np.printoptions(threshold=_MOST_PRINTED):  # larger ones with an ellipsis
        text = repr(self)
    if self.size > _MOST_PRINTED:
        text += f"\n{_range_text(self.data)}"
    title = f"{type(self).__name__}: {describe(self.data)}{origin}{part}"
    below = f'<pre style="margin:4px 0;font-family:monospace">{escape(text)}</pre>'
    strip = _strip(self.data.flat[shown]) if self.size > 1 else ""
    return f"<div><code>{escape(title)}</code>{strip}{below}</div>"


def _range_text(data: Array) -> str:
    """Return minimum, mean and maximum of the finite entries, and the number of others."""
    finite = data[np.isfinite(data)]
    parts = [f"{len(finite):,} finite entries"] if len(finite) < data.size else []
    if len(finite):
        with np.errstate(over="ignore"):
            parts.append(f"min {finite.min():.4g}, mean {finite.mean(dtype=np.float64):.4g}, max {finite.max():.4g}")
    return ": ".join(parts)


def _strip(entries: Any) -> str:
    """Draw numbers as a strip of colours."""
    numbers = np.asarray(entries, np.float64)
    largest = np.abs(numbers[np.isfinite(numbers)]).max(initial=0) or 1.0
    cells = [f'<path fill="{_colour(x, largest)}" d="M{k} 0h1v1h-1z"/>' for k, x in enumerate(numbers)]
    return (
        f'<svg viewBox="0 0 {len(cells)} 1" width="{10 * len(cells)}" height="14" preserveAspectRatio="none" '
        f'shape-rendering="crispEdges" style="display:block">{"".join(cells)}</svg>'
    )


def _colour(x: float, largest: float) -> str:
    """Return white for 0, red for positive and blue for negative numbers, and purple for NaN and infinities."""
    if not np.isfinite(x):
        return _UNUSUAL
    strongest = _RED if x > 0 else _BLUE
    return "#" + bytes(np.rint(255 + abs(x) / largest * (strongest - 255)).astype(np.uint8)).hex()


def _module_html(self: Module) -> str:
    """Show a table of the module and all modules in it, parents first."""
    rows = [_module_row(name, module) for name, module in self.named_modules()]
    total = ["total", "", f"{sum(p.size for p in self.parameters()):,}"]
    return html_table([["module", "parameters", "entries"], *rows, total], text_columns=2)


def _module_row(name: str, module: Module) -> list[str]:
    """Return the name and class of a module, the shapes of its own parameters, and the number of their entries."""
    children = tuple(f"{child}." for child, _ in submodules(module))
    own = {key: p for key, p in module.named_parameters() if not key.startswith(children)}
    title = f"{type(module).__name__}({'' if children else module.extra_repr()})".removesuffix("()")
    if name:
        title = f"{'  ' * (name.count('.') + 1)}{name.rpartition('.')[2]}: {title}"
    shapes = ", ".join(f"{key} {'×'.join(map(str, p.shape)) or 'scalar'}" for key, p in own.items())
    count = sum(p.size for p in own.values())
    return [title, shapes, f"{count:,}" if count else ""]


def _schedule_svg(self: Schedule) -> str | None:
    """Draw the learning rate of the first parameter group as a staircase, with a dot at the current step.

    None if a rate of later steps raises an error, as one from a list may.
    """
    base = self.base_lrs[0]
    try:
        last = max(_steps_to_draw(self), self.count)
    except (ArithmeticError, LookupError, ValueError):
        return None
    steps = np.unique(np.linspace(0, last, 201).round().astype(int)).tolist()
    rates = [self.rate(step, base) for step in steps]
    high = max(rates) or 1.0

    def across(step: int) -> str:
        return f"{10 + 300 * step / last:.1f}"

    def down(rate: float) -> str:
        return f"{90 - 70 * rate / high:.1f}"

    line = f"M10 {down(rates[0])}" + "".join(
        f"H{across(step)}V{down(rate)}" for step, rate in zip(steps, rates, strict=True)
    )
    texts = [(10, 13, "start", repr(self)), (10, 106, "start", "step 0"), (310, 106, "end", f"{last:,}"),
             (314, 24, "start", f"{high:.3g}"), (314, 94, "start", "0")]  # fmt: skip
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" class="rate" width="370" height="112" fill="none" '
        'font-family="sans-serif" font-size="11"><style>.rate text { fill: #333 } '
        "@media (prefers-color-scheme: dark) { .rate text { fill: #b4bcc6 } }</style>"
        f'<path d="{line}" stroke="#4393c3" stroke-width="2"/>'
        f'<circle cx="{across(self.count)}" cy="{down(self.rate(self.count, base))}" r="4" fill="#d6604d"/>'
        + "".join(f'<text x="{x}" y="{y}" text-anchor="{side}">{escape(text)}</text>' for x, y, side, text in texts)
        + "</svg>"
    )


def _steps_to_draw(schedule: Schedule) -> int:
    """Return the step from which the rate is constant, or one at which it has become far from the base rate."""
    base, last = schedule.base_lrs[0], 8
    while last < _MOST_STEPS:
        rate, later = schedule.rate(last, base), schedule.rate(2 * last, base)
        if rate != schedule.rate(0, base) and (rate == later or later < rate < base / 100 or rate > 100 * base):
            break
        last *= 2
    first = 0
    while last - first > 1 and schedule.rate(last, base) == schedule.rate(2 * last, base):
        middle = (first + last) // 2
        if schedule.rate(middle, base) == schedule.rate(2 * last, base):
            last = middle
        else:
            first = middle
    return last


extend_tensor({"_repr_html_": _tensor_html})
Module._repr_html_ = _module_html  # type: ignore[method-assign]
Schedule._repr_svg_ = _schedule_svg  # type: ignore[attr-defined]
