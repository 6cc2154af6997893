"""A page that shows a graph: one file, with its own script, that works without a network.

The graph goes in as JSON. The page's script lays it out and draws it, so that boxes can be opened and closed; the
parts of the page are the files in the folder `assets`.
"""

from __future__ import annotations

import html
import json
import os
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from ...core import Tensor
from ...runtime.files import replacing
from ..passes.arrange import arranged
from ..reading.nodes import picture_of
from ..request import Unroll, requested
from .content import content_of
from .policy import source_of

__all__ = ["to_html"]

SCRIPTS = ("graph.js", "wires.js", "order.js", "layers.js", "rows.js", "layout.js", "drawing.js", "panzoom.js",
           "charts.js", "panel.js", "controls.js")  # fmt: skip
"""In the order in which they stand in the page; together they are one function."""


def to_html(
    tensors: Tensor | Iterable[Tensor],
    path: str | os.PathLike[str],
    *,
    unroll: Unroll = "steps",
    max_nodes: int = 1000,
    names: Mapping[str, Tensor] | None = None,
    expand: Iterable[str] = (),
    title: str = "",
) -> Path:
    """Write a page that shows the graph behind a tensor (or several); it opens in any browser, without a network.

    The page pans, zooms and searches; scopes and the steps of a sequence can be closed and opened; a click
    shows what is known of a vertex. Within :func:`minigrad.record` the forward and backward pass leave statistics,
    histograms and source lines, which the page shows too, and can colour everything by the norm of the gradient; within
    :func:`minigrad.profile` times, by which it can colour too.

    Args:
        path: written whole or not at all.
        unroll: 'steps', the default since a page can close what is too much, shows every step of a sequence primitive,
            'fold' the first and the last of equal steps, 'primitive' one vertex.
        max_nodes: of more operations a folded graph is shown, and if that is not enough those nearest to the outputs.
        names: names of tensors, such as inputs and outputs.
        expand: names of primitives that are shown as what they are composed of, such as {'lstm_step'}.
        title: stands above the drawing.

    Returns:
        the path.

    Raises:
        ValueError: if a tensor has no graph, one that is named is not in the graph, or an option is unknown.
        OSError: if no file can be written there, or a pipe or a device is there.

    >>> import tempfile
    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> with mg.record():
    ...     y = mg.tanh(x).sum()
    ...     y.backward()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     to_html(y, f"{folder}/graph.html", names={"x": x}).name
    'graph.html'
    """
    target = Path(path)
    with replacing(target) as temporary:
        request = requested(tensors, unroll=unroll, max_nodes=max_nodes, names=names, expand=expand, title=title)
        picture = picture_of(request.tensors, request.names)
        picture = arranged(picture, request)
        text = page(content_of(picture, request.title))
        temporary.write_text(text, encoding="utf-8", newline="\n")
    return target


def page(content: Mapping[str, Any]) -> str:
    """The text of the page."""
    folder = files(__package__) / "assets"
    style = (folder / "page.css").read_text(encoding="utf-8")
    parts = [(folder / name).read_text(encoding="utf-8") for name in SCRIPTS]
    script = "\n".join(['(() => {\n"use strict";', *parts, "})();"])
    slots = {
        "title": _plain(str(content["title"]) or "graph"),
        "policy": f"default-src 'none'; img-src data:; style-src {source_of(style)}; script-src {source_of(script)}",
        "style": style,
        "data": as_json(content),
        "script": script,
    }
    text = (folder / "page.html").read_text(encoding="utf-8")
    pieces = text.split("{{")  # one pass: what is put in is never looked at again
    return pieces[0] + "".join(slots[name] + rest for name, _, rest in (piece.partition("}}") for piece in pieces[1:]))


def as_json(content: Any) -> str:
    """JSON that can stand within a script element: ASCII, without <, > and &.

    >>> print(as_json({"name": "</script>"}))
    {"name":"\\u003c/script\\u003e"}
    """
    text = json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _plain(text: str) -> str:
    """Text between tags, in ASCII."""
    return html.escape(text).encode("ascii", "xmlcharrefreplace").decode("ascii")
