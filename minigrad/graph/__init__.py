"""Graph theory without tensors: a topological order or a cycle, both certified; and what is live."""

from .certificates import certify
from .edge_lists import topological_order_of_edges
from .order import Cycle, Order, dependents, topological_order

__all__ = ["Cycle", "Order", "certify", "dependents", "topological_order", "topological_order_of_edges"]
