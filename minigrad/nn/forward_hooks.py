"""The hooks of a module, which are called after its forward."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..hooks import Callbacks, Handle

__all__ = ["ForwardHooks"]


class ForwardHooks(Callbacks):
    """Those of one module, which does not search them: a hook that is a module itself does not become a part of it."""

    __slots__ = ()

    def register(self, hook: Callable[..., Any], with_kwargs: bool) -> Handle:
        """Add a hook of ``(module, args, output)``, or of ``(module, args, kwargs, output)``."""
        return self.add(hook if with_kwargs or not callable(hook) else partial(_without_kwargs, hook))

    def run(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        """Call each hook; the output that goes on."""
        for hook in self:
            result = hook(module, args, kwargs, output)
            output = output if result is None else result
        return output


def _without_kwargs(
    hook: Callable[..., Any], module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
) -> Any:
    return hook(module, args, output)
