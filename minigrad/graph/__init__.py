"""Graphs without tensors: topological orders, cycles, certificates of both, and dependents of nodes."""

from .certificates import certify
from .edge_lists import topological_order_of_edges
from .order import Cycle, Order, dependents, topological_order

__all__ = ["Cycle", "Order", "certify", "dependents", "topological_order", "topological_order_of_edges"]
