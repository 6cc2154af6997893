"""Draw graphs as text, DOT, image files or an interactive page, or export them to other packages.

Notebooks show all results. Only two things need a layout program: `draw` and `compare` to write a picture, and the
methods of the object that `to_graphviz` returns.
"""

from .compare import compare
from .dot import to_dot
from .drawing import Drawing, DrawingError, draw, to_graphviz, to_mermaid, to_networkx
from .gradient_reach import Reach, reach
from .listing import to_text
from .module_summary import summary
from .page import to_html

__all__ = ["Drawing", "DrawingError", "Reach", "compare", "draw", "reach", "summary", "to_dot", "to_graphviz",
           "to_html", "to_mermaid", "to_networkx", "to_text"]  # fmt: skip
