"""The charts and tables of a report's sections, as plain data for its template."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.decoding.captions import most_attended
from captioning.evaluation.calibration import spearman
from captioning.evaluation.split_scores import SCORE_TABLE
from captioning.pictures.curves import Points, draw_curves, series
from captioning.pictures.figures import BLUE, GREY, ORANGE, new_figure, plain_axes, svg_address
from captioning.pictures.photos import embedded_photo, image_address
from captioning.progress import Progress
from captioning.report.contents import ReportContents, ReportedCaption, ScoredSplit, best_typical_worst
from minigrad.runtime.extras import require

__all__ = [
    "attention_maps", "calibration", "cards", "compared_cards", "headline", "in_bins", "lengths", "number", "scores",
    "settings_groups", "training", "validations", "words",
]  # fmt: skip

_CARDS = 8  # of the best, typical and worst captions each
_WORDS = 25  # of a caption whose attention a card shows
_CHARTS = 8  # of figures of validations
_ROWS = 60  # of a table
_BINS = 10
_LONGEST = 30  # longer captions count as this long
_FREQUENT, _LISTED = 20, 12  # words of the table, and of the lists
_SEEN = 3  # the fewest uses that give a word a meaningful share
_DARKEST = 0.6  # opacity of a mask where the model did not look

_SCORES = {
    key: (name[0].upper() + name[1:], form, meaning)
    for rows in SCORE_TABLE.values()
    for key, (name, form, meaning) in rows.items()
}
_HEADLINE = ("cider_d", "corpus_bleu_4", "rouge_l", "exercise_bleu_mean", "loss")
_VALIDATION_NAMES = {
    "val_bleu": "corpus BLEU-4", "val_exercise_bleu": "exercise BLEU", "learning_rate": "learning rate",
    "val_cider": "CIDEr-D", "val_loss": "validation loss", "loss": "training loss",
}  # fmt: skip

Floats = NDArray[np.float64]
History = Sequence[Mapping[str, Any]]
Chart = dict[str, Any]  # title, image, and the same numbers as a table: columns, rows


def number(value: Any, digits: int = 4) -> str:
    """Format a number to some significant digits, but a whole number with all of its digits.

    >>> [number(x) for x in (0.163483, 33.52083, 7200, 2.5e-07, 12345678)]
    ['0.1635', '33.52', '7,200', '2.5e-07', '12,345,678']
    """
    if not isinstance(value, int | float):
        return "" if value is None else str(value)
    if abs(value) < 1e15 and value == round(value):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}" if abs(value) < 1e300 else str(value)


def headline(contents: ReportContents) -> list[tuple[str, str]]:
    """Return the names and values of the most important figures."""
    tiles = []
    if contents.scored is not None:
        figures = contents.scored.figures
        tiles = [(_SCORES[key][0], number(figures[key], 3)) for key in _HEADLINE if figures.get(key) is not None]
        tiles.append(("Images", number(figures["images"])))
    weights = sum(parameter.size for parameter in contents.model.parameters())
    tiles.append(("Weights", f"{weights / 1e6:.1f} M" if weights >= 1e6 else number(weights)))
    return [*tiles, ("Words known", number(len(contents.model.vocabulary)))]


def scores(found: ScoredSplit) -> list[tuple[str, str, str]]:
    """Return the name, value and meaning of each score."""
    return [
        (name, f"{value:{form}}", meaning)
        for key, (name, form, meaning) in _SCORES.items()
        if (value := found.figures.get(key)) is not None
    ]


def training(history: History) -> list[Chart]:
    """Return the charts of the losses, of the reward of a self-critical training, and of each validation figure."""
    losses = [entry for entry in history if entry.get("reward") is None]  # self-critical training has another loss
    rewarded = len(losses) < len(history)
    series_of = {"Loss of a caption": (series(losses, "loss"), series(losses, "val_loss"))}
    if rewarded:
        series_of["CIDEr-D of a caption"] = (series(history, "reward"), series(history, "val_cider"))
    above = ("val_loss", "val_cider") if rewarded else ("val_loss",)
    keys = dict.fromkeys(key for entry in history for key in entry if key.startswith("val_") and key not in above)
    for key in [*list(keys)[:_CHARTS], "learning_rate"]:
        name = _validation_name(key)
        series_of[name[0].upper() + name[1:]] = (np.zeros((0, 2)), series(history, key))
    every = np.concatenate([points for both in series_of.values() for points in both])
    last = every[np.isfinite(every).all(axis=1), 0].max(initial=0.0)

    def draw(axes: Any, both: tuple[Points, Points]) -> None:
        draw_curves(axes, *both)
        axes.set_xlim(-0.03 * last, 1.03 * last)  # the same for all charts

    return [
        _chart(title, "iteration", functools.partial(draw, both=both), legend=len(both[0]) > 0)
        for title, both in series_of.items()
        if any(np.isfinite(points).all(axis=1).any() for points in both)
    ]


def validations(history: History) -> Chart | None:
    """Return the figures of the validations as a table without a chart; if there are many, some of them."""
    found = [entry for entry in history if entry.get("val_loss") is not None]
    if not found:
        return None
    keys = list(dict.fromkeys(key for entry in found for key in entry))[: _CHARTS + 3]
    shown = [found[k] for k in np.linspace(0, len(found) - 1, min(len(found), _ROWS)).round().astype(int)]
    title = "Validations as numbers" if len(shown) == len(found) else f"{len(shown)} of {len(found):,} validations"
    rows = [[number(entry.get(key)) for key in keys] for entry in shown]
    return {"title": title, "columns": [_validation_name(key) for key in keys], "rows": rows}


def _validation_name(key: str) -> str:
    return _VALIDATION_NAMES.get(key) or key.removeprefix("val_").replace("_", " ").strip() or "?"


def cards(found: ScoredSplit, progress: Progress) -> dict[str, Any]:
    """Return the captions to show: `groups` of cards by title, whether they were `chosen` for their photos, ...

    Photos are preferred if there are enough for all cards.
    """
    shown, pictured, enough = _to_show(found.captions)
    groups: dict[str, list[dict[str, Any]]] = {kind: [] for kind in shown}
    for kind, caption in progress.track([(kind, each) for kind, group in shown.items() for each in group], "photos"):
        photo = None if caption.photo is None else embedded_photo(caption.photo)
        groups[kind].append({"caption": caption, "photo": photo, "maps": attention_maps(caption.attention)})
    places = next((caption.attention.shape[1] for caption in found.captions if caption.attention is not None), 0)
    return {
        "groups": groups,
        "pictured": pictured,
        "chosen": enough and 0 < pictured < len(found.captions),
        "masked": any(item["maps"] for items in groups.values() for item in items),
        "odd_places": places if math.isqrt(places) ** 2 != places else None,
    }


def compared_cards(found: Sequence[ScoredSplit], progress: Progress) -> dict[str, list[dict[str, Any]]]:
    """Return the images of a comparison to show, grouped by how much higher the others score than the first captioner.

    found: the captions of each captioner for the same images. An image has the first captioner's `caption`, the
    `photo`, and `said`: the caption of each captioner, with its attention.
    """
    by_image = list(zip(*(each.captions for each in found), strict=True))
    gains = [replace(first, score=sum(other.score - first.score for other in others)) for first, *others in by_image]
    place = {caption.row: k for k, caption in enumerate(gains)}
    groups: dict[str, list[dict[str, Any]]] = {kind: [] for kind in _to_show(gains)[0]}
    for kind, caption in progress.track(
        [(kind, each) for kind, group in _to_show(gains)[0].items() for each in group], "photos"
    ):
        said = [{"caption": each, "maps": attention_maps(each.attention)} for each in by_image[place[caption.row]]]
        photo = None if caption.photo is None else embedded_photo(caption.photo)
        groups[kind].append({"caption": caption, "photo": photo, "said": said})
    return groups


def _to_show(captions: Sequence[ReportedCaption]) -> tuple[dict[str, list[ReportedCaption]], int, bool]:
    """Return the captions of the cards, how many captions have a photo, and whether these are enough for all cards."""
    pictured = [caption for caption in captions if caption.photo is not None]
    enough = len(pictured) >= min(3 * _CARDS, len(captions))
    return best_typical_worst(pictured if enough else captions, _CARDS), len(pictured), enough


def attention_maps(attention: NDArray[np.float32] | None) -> list[dict[str, Any]]:
    """Return what to draw for each word: a `mask`, an image that is darker where the model looked less, and a frame.

    The opacity falls with the square root of the attention, so that places with some attention stay visible. The frame
    is around the place with the most attention: its name, `where`, and `x`, `y` and `side` in a unit square.
    attention: (words, places). Places that are not the cells of a square give no maps.

    >>> [each["where"] for each in attention_maps(np.eye(2, 4))], attention_maps(np.ones((2, 3))), attention_maps(None)
    (['upper left', 'upper right'], [], [])
    """
    if attention is None or not attention.size or math.isqrt(attention.shape[1]) ** 2 != attention.shape[1]:
        return []
    side = math.isqrt(attention.shape[1])
    pixels = np.zeros((len(attention), side, side, 2), np.uint8)  # black, and how opaque
    share = attention / np.maximum(attention.max(axis=1, keepdims=True), 1e-30)
    pixels[..., 1] = np.round(255 * _DARKEST * (1 - np.sqrt(share))).reshape(-1, side, side)
    images = require("PIL.Image", "caption")
    maps = []
    for mask, each in zip(pixels[:_WORDS], attention, strict=False):
        row, column, where = most_attended(each.reshape(side, side))
        address = image_address(images.fromarray(mask), "png")
        maps.append({"mask": address, "where": where, "x": column / side, "y": row / side, "side": 1 / side})
    return maps


def words(captions: Sequence[ReportedCaption]) -> dict[str, Any]:
    """Compare how often the captions and people use words.

    Returns the numbers of different words, `rows` with the frequent words and their uses per thousand, and the words
    that the captions use too `often` and too `seldom`, each with its uses and those to be expected from people's share.
    """
    said = Counter(word for found in captions for word in found.words)
    human = Counter(word for found in captions for words in found.references for word in words)
    said_total, human_total = max(said.total(), 1), max(human.total(), 1)
    rows = [(word, 1000 * said[word] / said_total, 1000 * human[word] / human_total) for word in said | human]
    rows.sort(key=lambda row: (-max(row[1:]), row[0]))

    def ratio(word: str) -> float:
        """Return how much more often the captions use a word than people; no use at all counts as half a use."""
        return ((said[word] or 0.5) / said_total) / ((human[word] or 0.5) / human_total)

    often = sorted((w for w in said if said[w] >= _SEEN and ratio(w) > 1), key=lambda w: (-ratio(w), w))
    seldom = sorted((w for w in human if human[w] >= _SEEN and ratio(w) < 1), key=lambda w: (ratio(w), w))
    return {
        "said": len(said),
        "people": len(human),
        "references": sum(len(found.references) for found in captions),
        "unsaid": len(human.keys() - said.keys()),
        "rows": rows[:_FREQUENT],
        "most": max(rows[0][1:]) if rows else 1.0,
        "often": [(word, said[word], human[word] / human_total * said_total) for word in often[:_LISTED]],
        "seldom": [(word, said[word], human[word] / human_total * said_total) for word in seldom[:_LISTED]],
    }


def lengths(captions: Sequence[ReportedCaption]) -> list[Chart]:
    """Return a chart of the lengths of the captions and of human ones, and one of the mean score of each length."""
    said = np.array([min(len(caption.words), _LONGEST) for caption in captions])
    human = np.array(
        [min(len(reference), _LONGEST) for caption in captions for reference in caption.references], np.int64
    )
    values = np.array([caption.score for caption in captions])
    every = np.unique(np.concatenate([said, human]))
    shares = [100 * (found[:, None] == every).sum(axis=0) / max(len(found), 1) for found in (said, human)]
    own, counts = np.unique(said, return_counts=True)
    means = np.array([values[said == n].mean() for n in own])
    across = f"words of a caption ({_LONGEST} or more: {_LONGEST})" if _LONGEST in every else "words of a caption"

    def draw_shares(axes: Any) -> None:
        axes.bar(every - 0.2, shares[0], 0.4, color=BLUE, label="captions")
        axes.bar(every + 0.2, shares[1], 0.4, color=ORANGE, label="people")

    share_table = ("words", "captions", "people"), np.stack([every, *shares], axis=1).tolist()
    mean_table = ("words", "mean CIDEr-D", "captions"), np.stack([own, means, counts], axis=1).tolist()
    return [
        _chart("Captions by length, in per cent", across, draw_shares, *share_table, legend=True),
        _chart("Mean CIDEr-D by length", across, lambda axes: axes.bar(own, means, 0.8, color=BLUE), *mean_table),
    ]


def calibration(captions: Sequence[ReportedCaption]) -> dict[str, Any] | None:
    """Compare confidence and CIDEr-D: Spearman's `rho` and a `chart` in bins of equally many captions.

    Returns None if no caption has a confidence.
    """
    pairs = [(found.confidence, found.score) for found in captions if found.confidence is not None]
    if not pairs:
        return None
    confidences, values = np.array(pairs).T
    bins = in_bins(confidences, values, _BINS)

    def draw(axes: Any) -> None:
        axes.plot(*np.array(bins).T[2:4], "o-", color=BLUE, markersize=5)
        axes.set_ylim(bottom=0)

    columns = ("confidence from", "to", "mean", "mean CIDEr-D", "captions")
    rho = spearman(confidences, values)
    return {"rho": rho if np.isfinite(rho) else None,
            "chart": _chart("CIDEr-D by confidence", "confidence", draw, columns, bins)}  # fmt: skip


def in_bins(confidences: Floats, values: Floats, bins: int) -> list[tuple[float, float, float, float, int]]:
    """Sort captions by confidence into bins of equally many, and return figures of each bin.

    The figures are the lowest, the highest and the mean confidence, the mean value, and the number of captions.

    >>> in_bins(np.array([0.75, 0.25, 0.5]), np.array([3.0, 1.0, 2.0]), 2)
    [(0.25, 0.5, 0.375, 1.5, 2), (0.75, 0.75, 0.75, 3.0, 1)]
    """
    order = np.argsort(confidences, kind="stable")
    parts = [(confidences[part], values[part]) for part in np.array_split(order, min(bins, len(order)))]
    return [
        (float(sure[0]), float(sure[-1]), float(sure.mean()), float(good.mean()), len(sure)) for sure, good in parts
    ]


def settings_groups(settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the settings of a run by group, with the names of folders instead of their private paths."""
    alone = {key: value for key, value in settings.items() if not isinstance(value, Mapping)}
    groups: dict[str, Mapping[str, Any]] = {
        "run": alone,
        **{key: value for key, value in settings.items() if isinstance(value, Mapping)},
    }
    return {
        name: {
            key: PurePath(value).name if key in ("folder", "start") and isinstance(value, str) else value
            for key, value in group.items()
        }
        for name, group in groups.items()
    }


def _chart(
    title: str, across: str, draw: Callable[[Any], Any], columns: Sequence[str] = (), rows: Any = (),
    legend: bool = False
) -> Chart:  # fmt: skip
    """Let `draw` draw on the axes of a new chart."""
    figure = new_figure(4.2, 2.5, layout="constrained")
    axes = figure.subplots()
    draw(axes)
    plain_axes(axes, fontsize=9)
    axes.locator_params(axis="x", nbins=7, integer=across != "confidence")
    axes.set_xlabel(across, fontsize=9, color=GREY)
    if legend:
        figure.legend(loc="outside upper left", ncols=3, fontsize=9, frameon=False)
    cells = [[number(cell) for cell in row] for row in rows]
    return {"title": title, "image": svg_address(figure), "columns": columns, "rows": cells}
