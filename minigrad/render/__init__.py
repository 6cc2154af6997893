"""Pictures of graphs: as text, as DOT, as files, as a page, for other packages.

Only `draw`, and the methods of what `to_graphviz` gives, need a layout program.
"""

from .dot import to_dot
from .drawing import DrawingError, draw
from .html import to_html
from .interchange import to_networkx
from .notebooks import notebook
from .source import to_graphviz
from .survey import summary
from .text import to_text

__all__ = ["DrawingError", "draw", "notebook", "summary", "to_dot", "to_graphviz", "to_html", "to_networkx",
           "to_text"]  # fmt: skip
