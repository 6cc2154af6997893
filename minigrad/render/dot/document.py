"""DOT text from tensors: what can be asked for, and whether it can be had."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from ...core import Tensor
from ..heat import heat_of
from ..norms import value_norm, was_recorded
from ..passes.arrange import arranged
from ..reading.nodes import picture_of
from ..request import Depth, Unroll, requested
from ..times import heat_of_times
from .writer import DotWriter

__all__ = ["Direction", "Values", "to_dot"]

Direction = Literal["TB", "BT", "LR", "RL"]
Values = Literal["shape", "norm", "none"]


def to_dot(
    tensors: Tensor | Iterable[Tensor],
    *,
    unroll: Unroll = "fold",
    max_nodes: int = 1000,
    direction: Direction = "TB",
    values: Values = "shape",
    gradients: bool | tuple[float, float] = False,
    times: bool | tuple[float, float] = False,
    title: str = "",
    names: Mapping[str, Tensor] | None = None,
    expand: Iterable[str] = (),
    depth: Depth = "auto",
) -> str:
    """The graph behind a tensor (or several) as DOT text, the same for equal graphs.

    Parameters are stubs beside the operations that take them, and so are inputs from three uses on. Where the order of
    arguments matters, edges say which one they feed; of those without a name what comes by edges is first, then stubs
    in their order. Constants are stubs of their own, with the shape and the value of single numbers as far as
    :func:`minigrad.record` noted them.

    Args:
        unroll: 'primitive' shows a sequence primitive as one box, 'steps' every step, 'fold' the first and the last
            of equal steps (also of loops that you wrote), and how many are between them. 'fold' is the default, so that
            a drawing has the size of the model, not of its input.
        max_nodes: with more operations the picture is folded in any case; if that is not enough, those nearest to the
            outputs are drawn, and how many others there are.
        direction: where data flows: 'TB' downwards, 'LR' to the right, 'BT', 'RL'.
        values: what stands on the edges: the shape of what flows there, the norm of its value (noted by
            :func:`minigrad.record`), or nothing but which of several outputs it is.
        gradients: colour everything by the norm of the gradient that flowed there in the last backward pass within
            :func:`minigrad.record`, on a log scale; a pair of norms (low, high) fixes the ends of the scale.
        times: colour operations by the time that they took in the last :func:`minigrad.profile`, forward and backward
            together, on a log scale down to a hundredth of the longest, and write both times into their boxes; a pair
            of seconds (low, high) fixes the ends of the scale. Not together with `gradients`.
        title: stands above the drawing.
        names: names of tensors: inputs, outputs, and what is between, whose box then says it.
        expand: names of primitives to show as the composition of simpler ones that is their reference, such as
            {'lstm_step'}. What these consist of was never part of a pass, so it has no norms.
        depth: modules that are this deep are one box each, which says how many operations and parameters are in it: at
            1 a whole network is one, at 2 each of its parts. None leaves all open. 'auto' closes those of a picture
            with more than 60 operations so far that about 30 boxes are left, unless steps, expand, gradients, times or
            norms are asked for.

    Raises:
        ValueError: if a tensor has no graph, one that is named is not in the graph, an option is unknown, or gradients,
            times or values are asked for that nothing was noted of.
        TypeError: if these are no tensors, names no names of tensors, or expand no names of primitives.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> dot = to_dot(mg.tanh(x), names={"x": x})
    >>> [line.strip() for line in dot.splitlines() if "->" in line]
    ['n0 -> n1', 'n1 -> o0']
    """
    if direction not in ("TB", "BT", "LR", "RL"):
        raise ValueError(f"to_dot: direction must be 'TB', 'BT', 'LR' or 'RL', not {direction!r}")
    if values not in ("shape", "norm", "none"):
        raise ValueError(f"to_dot: values must be 'shape', 'norm' or 'none', not {values!r}")
    if _asked(gradients) and _asked(times):
        raise ValueError("to_dot: a box has one colour: ask for gradients or for times, not for both")
    if depth == "auto" and (values == "norm" or _asked(gradients) or _asked(times)):
        depth = None  # closed, a module would hide what is asked for
    request = requested(
        tensors, unroll=unroll, max_nodes=max_nodes, names=names, expand=expand, title=title, depth=depth
    )
    picture = picture_of(request.tensors, request.names)
    picture = arranged(picture, request)
    if values == "norm" and not was_recorded(picture, value_norm):
        raise ValueError(
            "to_dot: values='norm': no value was recorded behind this tensor: run the forward pass within "
            "`with mg.record():`"
        )
    heat = heat_of(picture, gradients) if _asked(gradients) else None
    by_time = heat_of_times(picture, times) if _asked(times) else None
    return DotWriter(picture, direction, values, heat, by_time, request.title).text()


def _asked(option: object) -> bool:
    return option is not None and option is not False
