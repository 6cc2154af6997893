"""Pictures of graphs: as text, as DOT, and as files. `to_text` and `to_dot` need nothing; `draw` a layout program."""

from .dot import to_dot
from .draw import DrawingError, draw
from .interchange import to_networkx
from .notebook import notebook
from .survey import summary
from .text import to_text

__all__ = ["DrawingError", "draw", "notebook", "summary", "to_dot", "to_networkx", "to_text"]
