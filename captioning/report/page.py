"""The page of a report: one file that works without a network, and is whole or not there at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.resources import files

import minigrad as mg
from captioning.progress import Progress
from captioning.report.attention import is_square
from captioning.report.calibration import calibration_chart
from captioning.report.cards import caption_cards
from captioning.report.contents import Contents, Scored
from captioning.report.curves import training_charts
from captioning.report.judging import SCORE, Judged, chosen
from captioning.report.lengths import length_charts
from captioning.report.markup import Markup, element, joined, missing, shortened
from captioning.report.model_drawing import drawn_model
from captioning.report.numbers import count_text
from captioning.report.scores import headline, score_table
from captioning.report.settings_table import settings_tables
from captioning.report.word_use import words_beside_people
from minigrad.render.page import source_of
from minigrad.runtime.files import replacing

__all__ = ["page_text", "write_page"]

_CARDS = 8  # of each kind
_SILENT = Progress(enabled=False)

Section = tuple[str, str, Markup]
"""An id, a title, and what stands in it."""


def write_page(contents: Contents, path: str | os.PathLike[str], progress: Progress = _SILENT) -> int:
    """Write the page of a report; its size in bytes. An OSError if no file can be written there."""
    with replacing(path) as temporary:
        content = page_text(contents, progress).encode("ascii")
        temporary.write_bytes(content)
    return len(content)


def page_text(contents: Contents, progress: Progress = _SILENT) -> str:
    """The text of the page, ASCII; the same for the same contents.

    A policy in it forbids all of the network, and every script and style but its own.
    """
    sections = _sections(contents, progress)
    title = shortened(contents.title, 80)
    folder = files(__package__) / "assets"
    style, script = ((folder / name).read_text(encoding="ascii") for name in ("report.css", "report.js"))
    policy = (f"default-src 'none'; img-src data:; style-src {source_of(style)}; script-src {source_of(script)}; "
              "base-uri 'none'; form-action 'none'")  # fmt: skip
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("link", rel="icon", href="data:,"),
        element("title", f"Report: {title}"),
        element("style", Markup(style)),
    )
    links = (element("a", name, href=f"#{reference}") for reference, name, _ in sections)
    body = element(
        "body",
        element("header", element("h1", title), element("p", _subtitle(contents)), headline(contents),
                element("nav", *links, aria_label="sections")),
        element("main", *(element("section", element("h2", name), content, id=reference)
                          for reference, name, content in sections)),
        element("footer", element("p", f"Written by minigrad {mg.__version__}.")),
        element("script", Markup(script)),
    )  # fmt: skip
    return "<!DOCTYPE html>\n" + element("html", head, body, lang="en") + "\n"


def _subtitle(contents: Contents) -> str:
    found = contents.scored
    if found is None:
        return "A captioner and its training. It was looked at without a data set."
    return f"A captioner on {found.data}: {found.split} split, {found.decoding} decoding."


def _sections(contents: Contents, progress: Progress) -> list[Section]:
    sections = [("training", "Training", training_charts(contents.history))]
    if contents.scored is None:
        sections.append(("scores", "Scores", missing("No data set was looked at: there are no captions or scores.")))
    else:
        sections += _of_captions(contents.scored, progress)
    return [*sections, ("model", "Model", drawn_model(contents.model)),
            ("settings", "Settings and versions", settings_tables(contents.settings))]  # fmt: skip


def _of_captions(found: Scored, progress: Progress) -> list[Section]:
    captions = found.captions
    sections = [("scores", "Scores", score_table(found)), ("captions", "Captions", _captions(found, progress)),
                ("words", "Words", words_beside_people(captions)),
                ("lengths", "Lengths", length_charts(captions))]  # fmt: skip
    sure = [(caption.confidence, caption.score) for caption in captions if caption.confidence is not None]
    if sure:
        drawn = calibration_chart([confidence for confidence, _ in sure], [score for _, score in sure])
        sections.append(("calibration", "Calibration", drawn))
    return sections


def _captions(found: Scored, progress: Progress) -> Markup:
    """Cards of captions; of those whose photos are at hand, if they are enough for all kinds of them."""
    pictured = [caption for caption in found.captions if caption.photo is not None]
    enough = len(pictured) >= min(3 * _CARDS, len(found.captions))
    shown: Sequence[Judged] = pictured if enough else found.captions
    about = f"Ordered by {SCORE}, how much a caption says that people agree on: from 0 to 10."
    if len(pictured) == 0:
        about += " The data set has no photos of these images."
    elif len(shown) < len(found.captions):
        about += f" Chosen among the {count_text(len(shown), 'image')} whose photos are at hand."
    places = next((caption.looks.shape[1] for caption in found.captions if caption.looks is not None), None)
    if places is not None and not is_square(places):
        about += f" Where it looked is not drawn: the {count_text(places, 'place')} of a photo make no square."
    return joined(element("p", about), caption_cards(chosen(shown, _CARDS), progress))
