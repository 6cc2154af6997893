"""Pictures of graphs: as text, as DOT, as files, and as a page. Only `draw` needs a layout program."""

from .dot import to_dot
from .drawing import DrawingError, draw
from .html import to_html
from .interchange import to_networkx
from .notebooks import notebook
from .survey import summary
from .text import to_text

__all__ = ["DrawingError", "draw", "notebook", "summary", "to_dot", "to_html", "to_networkx", "to_text"]
