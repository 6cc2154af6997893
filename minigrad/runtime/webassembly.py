"""Free graphs without recursion in WebAssembly, whose stack is small.

CPython frees chains of up to 5,000 objects by recursion, which overflows that stack. `import minigrad` calls
`free_without_recursion` there.
"""

import sys

from ..core import Node


def _free(node: Node) -> None:
    """Free the ancestors that only this node keeps, in a loop."""
    ancestors, node.parents = list(getattr(node, "parents", ())), ()
    while ancestors:
        ancestor = ancestors.pop()
        if sys.getrefcount(ancestor) == 2:  # this variable and the argument
            ancestors.extend(ancestor.parents)
            ancestor.parents = ()


def free_without_recursion() -> None:
    """Let every node free its ancestors by `_free`."""
    Node.__del__ = _free  # type: ignore[attr-defined]
