"""What Python's own errors call a layer's constructor."""

from __future__ import annotations

from types import FunctionType

__all__ = ["name_constructor"]


def name_constructor(layer: type) -> None:
    """Let a layer that inherits its ``__init__`` have a copy under its own name.

    An argument that it does not take is then an error of ``GRU.__init__()``, not of what it shares with others.
    """
    shared = layer.__init__  # type: ignore[misc]
    if "__init__" in vars(layer) or not isinstance(shared, FunctionType):
        return
    own = FunctionType(shared.__code__, shared.__globals__, shared.__name__, shared.__defaults__, shared.__closure__)
    own.__dict__.update(shared.__dict__)
    own.__kwdefaults__, own.__annotations__, own.__doc__ = shared.__kwdefaults__, shared.__annotations__, shared.__doc__
    own.__module__, own.__qualname__ = layer.__module__, f"{layer.__qualname__}.__init__"
    layer.__init__ = own  # type: ignore[misc]
