"""The graph of a captioner's loss as a picture in the page, its steps folded and its modules closed."""

from __future__ import annotations

import base64

import numpy as np

import minigrad as mg
from captioning.models.kinds import AnyCaptioner
from captioning.report.markup import Markup, element, joined, missing
from minigrad.render.layout import DrawingError, lay_out

__all__ = ["drawn_model"]

_WORDS = 8  # of the caption that is drawn: enough for steps to be folded
_SECONDS = 20.0
_MOST_BYTES = 300_000


def drawn_model(model: AnyCaptioner) -> Markup:
    """The graph of the loss of one caption, laid out by Graphviz or graphviz-pure; where it cannot be, a word why.

    It is a picture of its own within the page: nothing in it can act on the page.
    """
    vocabulary = model.vocabulary
    caption = [vocabulary.start, *[vocabulary.unk] * _WORDS, vocabulary.end]
    loss = model.loss(np.zeros((1, model.feature_size), np.float32), np.array([caption]))
    try:
        drawn = lay_out(mg.render.to_dot(loss, unroll="fold", depth="auto", names={"loss": loss}), "svg", _SECONDS)
    except (ModuleNotFoundError, DrawingError) as error:
        return missing(f"It is not drawn: {error}.")
    if len(drawn) > _MOST_BYTES:
        return missing(f"It is not drawn: its picture would have {len(drawn):,} bytes.")
    address = "data:image/svg+xml;base64," + base64.b64encode(drawn).decode()
    picture = element("img", src=address, alt="the graph of the loss of a caption, from the photo's features downwards")
    about = f"How the loss of a caption of {_WORDS} words is computed; equal steps are folded."
    return joined(element("p", about), element("div", picture, class_="graph wide", tabindex="0"))
