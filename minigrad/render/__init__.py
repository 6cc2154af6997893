"""Pictures of graphs: as text, as DOT, as files, as a page, for other packages.

Only `draw`, and the methods of what `to_graphviz` gives, need a layout program.
"""

from .dot.document import to_dot
from .dot.files import draw
from .dot.layout import DrawingError
from .dot.notebooks import notebook
from .dot.source import to_graphviz
from .interchange import to_networkx
from .listing.text import to_text
from .modules.survey import summary
from .page.html import to_html

__all__ = ["DrawingError", "draw", "notebook", "summary", "to_dot", "to_graphviz", "to_html", "to_networkx",
           "to_text"]  # fmt: skip
