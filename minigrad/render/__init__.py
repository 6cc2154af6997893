"""Pictures of graphs: as text, as DOT, as files, as a page. `to_text`, `to_dot`, `to_html` need nothing else; `draw` does."""

from .dot import to_dot
from .draw import DrawingError, draw
from .html import to_html
from .text import to_text

__all__ = ["DrawingError", "draw", "to_dot", "to_html", "to_text"]
