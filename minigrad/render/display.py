"""Strings that the functions of `mg.render` return: terminals print them without quotes, notebooks as pictures."""

from __future__ import annotations

from html import escape
from pathlib import Path

__all__ = ["Mermaid", "Page", "Text"]

_HEIGHT = 480  # of a page within a notebook, in pixels


class Text(str):
    """A text whose ``repr`` is the text itself."""

    __slots__ = ()
    __repr__ = str.__str__


class Mermaid(Text):
    """A Mermaid flowchart, which JupyterLab 4.1 and Notebook 7.1 or newer show as a picture."""

    __slots__ = ()

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/plain": str(self), "text/vnd.mermaid": str(self)}


class Page(str):
    """The HTML of an interactive page, which notebooks show in a frame.

    Attributes:
        path: the file that :func:`to_html` wrote, or None.
    """

    path: Path | None = None

    def __repr__(self) -> str:
        how = ', which trusted notebooks show; pass to_html a path such as "graph.html" to write it'
        return f"a page of {len(self) / 1024:,.0f} KiB{f' in {self.path}' if self.path else how}"

    def _repr_html_(self) -> str:
        # The sandbox gives the page an origin of its own, so that its script cannot reach the notebook.
        style = f"width:100%;height:{_HEIGHT}px;border:1px solid #8888"
        title = "interactive graph"
        return f'<iframe title="{title}" sandbox="allow-scripts" style="{style}" srcdoc="{escape(self)}"></iframe>'
