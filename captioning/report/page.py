"""Render a report, or a comparison of runs, as one HTML file that needs neither a network nor scripts."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import numpy as np

import minigrad as mg
from captioning.data.splits import PARTS
from captioning.evaluation.comparison import SCORES, Compared
from captioning.models.kinds import AnyCaptioner
from captioning.progress import SILENT, Progress
from captioning.report import sections
from captioning.report.contents import ReportContents, ScoredSplit
from minigrad.render.drawing import DrawingError, lay_out
from minigrad.render.page import source_of
from minigrad.runtime.extras import require
from minigrad.runtime.files import replacing

__all__ = ["page_text", "write_comparison", "write_page"]

_NOT_HTML = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # control characters and lone surrogates
_SECONDS = 20.0  # for the layout of the drawing
_WORDS = 8  # of the caption whose loss is drawn: enough to fold steps


def write_page(contents: ReportContents, path: str | os.PathLike[str], progress: Progress = SILENT) -> int:
    """Write the page of a report whole or not at all, and return its size in bytes."""
    return _write(path, page_text(contents, progress))


def _write(path: str | os.PathLike[str], page: str) -> int:
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="ascii")
    return len(page)


def write_comparison(
    names: Sequence[str],
    compared: Sequence[Compared],
    found: Sequence[ScoredSplit],
    path: str | os.PathLike[str],
    progress: Progress = SILENT,
) -> int:
    """Write the page of a comparison whole or not at all, and return its size in bytes.

    names, compared, found: the name, the scores, and the captions to show of each captioner.
    """
    scores = {score: [each.texts(k) for each in compared] for k, score in enumerate(SCORES)}
    groups = sections.compared_cards(found, progress)
    return _write(path, _rendered("comparison.html", names=names, scores=scores, found=found[0], groups=groups))


def page_text(contents: ReportContents, progress: Progress = SILENT) -> str:
    """Return the page in ASCII; equal contents give equal pages."""
    found = contents.scored
    scored = {} if found is None else {
        "scores": sections.scores(found),
        "captions": sections.cards(found, progress),
        "words": sections.words(found.captions),
        "lengths": sections.lengths(found.captions),
        "calibration": sections.calibration(found.captions),
    }  # fmt: skip
    return _rendered(
        "report.html",
        title=contents.title,
        found=found,
        headline=sections.headline(contents),
        training=sections.training(contents.history),
        validations=sections.validations(contents.history),
        **scored,
        model=_model_graph(contents.model),
        settings=sections.settings_groups(contents.settings),
    )


def _rendered(template: str, **content: Any) -> str:
    """Return a page in ASCII.

    The template escapes all text of runs and data sets. A Content-Security-Policy forbids scripts, network access and
    external styles.
    """
    jinja2 = require("jinja2", "caption")
    assets = {file.name: file.read_text(encoding="utf-8") for file in (files(__package__) / "assets").iterdir()}
    environment = jinja2.Environment(
        loader=jinja2.DictLoader(assets), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.policies["truncate.leeway"] = 0
    environment.filters["number"] = sections.number
    style = assets["report.css"]
    page: str = environment.get_template(template).render(
        style=style, style_source=source_of(style), parts=PARTS, version=mg.__version__, **content
    )
    return _NOT_HTML.sub("\ufffd", page).encode("ascii", "xmlcharrefreplace").decode()


def _model_graph(model: AnyCaptioner) -> dict[str, str | int]:
    """Draw the graph of the loss of one caption as an `image`, or return the `problem` that prevents it."""
    vocabulary = model.vocabulary
    caption = [vocabulary.start, *[vocabulary.unk] * _WORDS, vocabulary.end]
    loss = model.loss(np.zeros((1, model.feature_size), np.float32), np.array([caption]))
    try:
        dot = mg.render.to_dot(loss, unroll="fold", depth="auto", names={"loss": loss})
        drawing = lay_out(dot, "svg", _SECONDS)
    except (ModuleNotFoundError, DrawingError) as error:
        return {"problem": str(error)}
    return {"words": _WORDS, "image": "data:image/svg+xml;base64," + base64.b64encode(drawing).decode()}
