"""The curves of a training: its loss, and what each validation found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.report.axes import drawable
from captioning.report.charts import Line, line_chart
from captioning.report.markup import Markup, element, joined, missing, shortened
from captioning.report.numbers import count_text, number_text

__all__ = ["series", "training_charts"]

History = Sequence[Mapping[str, Any]]
Points = NDArray[np.float64]  # (n,2): iteration and value

_BUCKETS = 150  # of the losses of all iterations: what a chart can show
_ROWS = 60  # of the table of validations
_CHARTS = 8  # of figures that validations have
_NAMES = {"val_bleu": "corpus BLEU-4", "val_exercise_bleu": "exercise BLEU", "learning_rate": "learning rate",
          "val_cider": "CIDEr-D", "val_loss": "validation loss", "loss": "training loss"}  # fmt: skip


def training_charts(history: History) -> Markup:
    """Charts of a history (`captioning.training.history`), and a table of its validations.

    One chart has the loss of training and validation; each other figure of validations, and the learning rate, has its
    own. Of a self-critical training there is the reward of what it drew instead of what its iterations call loss,
    beside the CIDEr-D of validations. Values that are no finite numbers are left out and counted. A history without any
    says so.
    """
    charts = [chart for chart in (_losses(history), _rewards(history), *_others(history)) if chart]
    if not charts:
        return missing("The run has no history, as an exported or averaged one: how it was trained is not known.")
    return joined(element("div", *charts, class_="charts"), _table(history))


def series(history: History, key: str) -> Points:
    """The iteration and the value of all entries that have the key: float64 (n,2), NaN for what is no number.

    >>> series([{"iteration": 1, "loss": 5.0}, {"iteration": 2, "val_loss": 4.0}], "loss").tolist()
    [[1.0, 5.0]]
    """
    points = [(_number(entry.get("iteration")), _number(entry[key])) for entry in history if entry.get(key) is not None]
    return np.array(points, np.float64).reshape(-1, 2)


def _number(value: Any) -> float:
    """A number of a history as a float; a history can hold an int that no float can."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _losses(history: History) -> Markup | None:
    of_captions = [entry for entry in history if entry.get("reward") is None]
    lines, lost = _both(of_captions, "loss", "val_loss")
    if not lines:
        return None
    note = f"Left out: {count_text(lost, 'number')} of the losses, not finite."
    return _figure("Loss of a caption", line_chart(lines, "the loss by iteration", "iteration", log=True),
                   element("p", note, class_="note") if lost else None)  # fmt: skip


def _rewards(history: History) -> Markup | None:
    """Of a self-critical training, whose reward is the CIDEr-D of what it draws."""
    if not _is_rewarded(history):
        return None
    lines, _ = _both(history, "reward", "val_cider")
    drawn = line_chart(lines, "the reward, and CIDEr-D of validations, by iteration", "iteration") if lines else None
    return _figure("CIDEr-D of a caption", drawn) if lines else None


def _is_rewarded(history: History) -> bool:
    return any(entry.get("reward") is not None for entry in history)


def _both(history: History, of_training: str, of_validation: str) -> tuple[list[Line], int]:
    """The lines of a figure that iterations have, and validations; and how many numbers cannot be drawn."""
    training, validation = (_without_lost(series(history, key)) for key in (of_training, of_validation))
    lines = [_in_buckets(training[0])] if len(training[0]) else []
    lines += [_line("validation", validation[0], 2)] if len(validation[0]) else []
    return lines, training[1] + validation[1]


def _others(history: History) -> list[Markup]:
    """A chart of each further figure that validations have."""
    drawn_above = {"val_loss", "val_cider"} if _is_rewarded(history) else {"val_loss"}
    keys = {key: None for entry in history for key in entry if key.startswith("val_") and key not in drawn_above}
    charts = []
    for key in [*list(keys)[:_CHARTS], "learning_rate"]:
        points, _ = _without_lost(series(history, key))
        if len(points):
            name = _name(key)
            drawn = line_chart([_line(name, points, 1)], f"{name} by iteration", "iteration")
            charts.append(_figure(name[0].upper() + name[1:], drawn))
    return charts


def _figure(title: str, *content: Markup | None) -> Markup:
    return element("figure", element("figcaption", title), *content)


def _without_lost(points: Points) -> tuple[Points, int]:
    """The points that can be drawn, and how many cannot."""
    kept = drawable(points).all(axis=1)
    return points[kept], int(np.sum(~kept))


def _line(name: str, points: Points, number: int) -> Line:
    thin = points[_evenly(len(points), _BUCKETS)]
    tips = [f"{name}, iteration {number_text(i)}: {number_text(value)}" for i, value in thin.tolist()]
    return Line(name, thin[:, 0], thin[:, 1], tips, number)


def _in_buckets(points: Points) -> Line:
    """The figures of all iterations as the mean of each of some stretches, and a band from its least to its largest."""
    parts = np.array_split(points, min(_BUCKETS, len(points)))
    x, y = np.array([part.mean(axis=0) for part in parts]).T
    low, high = (np.array([find(part[:, 1]) for part in parts]) for find in (np.min, np.max))
    tips = [f"training, iterations {number_text(part[0, 0])} to {number_text(part[-1, 0])}: mean {number_text(mean)}"
            for part, mean in zip(parts, y.tolist(), strict=True)]  # fmt: skip
    mean = "training, mean and range" if len(points) > _BUCKETS else "training"
    return Line(mean, x, y, tips, 1, dots=False, band=(low, high))


def _table(history: History) -> Markup | None:
    """The validations as numbers, for those who do not read charts."""
    rows = [entry for entry in history if entry.get("val_loss") is not None]
    keys = list({key: None for entry in rows for key in entry})[: _CHARTS + 3]
    if not rows:
        return None
    shown = [rows[k] for k in _evenly(len(rows), _ROWS)]
    body = (element("tr", *(element("td", _cell(entry.get(key))) for key in keys)) for entry in shown)
    head = element("tr", *(element("th", _name(key), scope="col") for key in keys))
    of = "" if len(shown) == len(rows) else f", {len(shown)} of {len(rows):,}"
    table = element("table", element("thead", head), element("tbody", *body), class_="numbers")
    return element("details", element("summary", f"The validations as numbers{of}"),
                   element("div", table, class_="wide"))  # fmt: skip


def _name(key: str) -> str:
    return _NAMES.get(key) or shortened(key.removeprefix("val_").replace("_", " "), 40).strip() or "?"


def _cell(value: Any) -> str:
    number = _number(value)
    return "" if value is None else number_text(number) if drawable(number) else shortened(value, 20)


def _evenly(count: int, most: int) -> list[int]:
    """At most so many of the places 0 to count - 1, evenly, the first and the last among them."""
    if count <= most:
        return list(range(count))
    places: list[int] = np.linspace(0, count - 1, most).round().astype(int).tolist()
    return places
