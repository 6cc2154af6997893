"""Graphs for the package graphviz, whose `Source` renders, views and shows itself by the system's `dot`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ...core import Tensor
from ...runtime.extras import how_to_install, require
from .document import to_dot

if TYPE_CHECKING:
    import graphviz

__all__ = ["to_graphviz"]


def to_graphviz(tensors: Tensor | Iterable[Tensor], **options: Any) -> graphviz.Source:
    """The graph behind a tensor (or several) as a ``graphviz.Source``, the same for equal graphs.

    It has all that the package graphviz gives: ``.source``, ``.save()``, ``.render()``, ``.view()``, ``.pipe()``, and a
    notebook shows it. For these it runs the system's `dot`, as long as that takes; :func:`draw` has a time limit,
    writes files whole, and does without `dot` where graphviz-pure is installed.

    Args:
        options: those of :func:`to_dot`.

    Raises:
        ValueError, TypeError: as :func:`to_dot`.
        ModuleNotFoundError: if the package graphviz is not installed; says how to get it.
        graphviz.ExecutableNotFound: from its methods, where there is no `dot`.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> source = to_graphviz(mg.tanh(x), names={"x": x}, direction="LR")
    >>> source.source.splitlines()[1].split()[0]
    'rankdir=LR'
    """
    package = require("graphviz", "viz")

    class Source(package.Source):  # type: ignore[name-defined, misc]
        """A ``graphviz.Source`` that says what draws without `dot` where that is missing."""

        def pipe(self, *args: Any, **kwargs: Any) -> Any:
            with _knowing_another(package.ExecutableNotFound):
                return super().pipe(*args, **kwargs)

        def render(self, *args: Any, **kwargs: Any) -> Any:  # and view, which calls it
            with _knowing_another(package.ExecutableNotFound):
                return super().render(*args, **kwargs)

    return Source(to_dot(tensors, **options))


@contextlib.contextmanager
def _knowing_another(kind: type[Exception]) -> Iterator[None]:
    """Within this context an error of this class, that a program is missing, also names what does without it."""
    try:
        yield
    except kind as error:
        other = how_to_install("viz", "graphviz_pure")
        error.args = (
            f"{error}; minigrad.render.draw(tensor, path) does without it where graphviz-pure is installed: {other}",
        )
        raise
