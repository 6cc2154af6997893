"""Pictures with less in them: the middle of every loop as one vertex, and no more than so many vertices.

Six steps of h = tanh(h @ W) are one repeat of period 2 (:mod:`.repeats` says how it is found). Its first and its last
block stay. An elision takes the place of the eight vertices between them; what they took from outside feeds it, and
what others take of them comes from it:

    before  0 h  1 W  2 matmul  3 tanh | 4 matmul  5 tanh  …  10 matmul  11 tanh | 12 matmul    13 tanh
    edges                 0 1     2          3 1     4             9 1     10          11 1        12
    after   0 h  1 W  2 matmul  3 tanh | 4 more like this                        |  5 matmul     6 tanh
    edges                 0 1     2          3 1                                        4 1         5

>>> import minigrad as mg
>>> from minigrad.render.reading.nodes import picture_of
>>> h, W = [mg.tensor([[1.0]], requires_grad=True) for _ in range(2)]
>>> for _ in range(6):
...     h = mg.tanh(h @ W)
>>> for vertex in folded(picture_of([h], {})).vertices:
...     print(vertex.label, [edge.source for edge in vertex.inputs])
input []
input []
matmul [0, 1]
tanh [2]
4 more like this [3, 1]
matmul [4, 1]
tanh [5]
"""

from __future__ import annotations

from ..picture import Path, Picture, shared_path
from .merge import Group, merged
from .repeats import Repeat, find_repeats, steps_between

__all__ = ["folded", "limited"]


def folded(picture: Picture, least: int = 4) -> Picture:
    """The picture with the middle blocks of every repeat replaced by one elision that says how many they are.

    What is left is folded again, for loops within loops. Of a sequence primitive the steps between the first and the
    last, for which :mod:`.unroll` wrote one, become an elision too.
    """
    while found := find_repeats(picture, least):
        picture = merged(picture, [_middle(picture, repeat) for repeat in found])
    return merged(picture, [_steps(picture, members) for members in steps_between(picture)])


def _middle(picture: Picture, repeat: Repeat) -> Group:
    """All blocks but the first and the last."""
    members = range(repeat.start + repeat.period, repeat.start + repeat.period * (repeat.count - 1))
    steps = repeat.period == 1 and picture.vertices[members[0]].step is not None
    return Group(members, _label(repeat.count - 2, steps), _scope_of(picture, members), repeat.period)


def _steps(picture: Picture, members: range) -> Group:
    """The step that stands for several, in the scope that it shares with the first step."""
    first = picture.vertices[members[0]]
    scope = _scope_of(picture, range(members.start - 1, members.stop))
    return Group(members, _label(first.stands_for, first.step is not None), scope, len(members))


def _label(count: int, steps: bool) -> str:
    return f"{count:,} more {'steps' if steps else 'like this'}"


def _scope_of(picture: Picture, members: range) -> Path:
    """The scope that vertices share."""
    scope = picture.vertices[members[0]].scope
    for i in members:
        scope = shared_path(scope, picture.vertices[i].scope)
    return scope


def limited(picture: Picture, most: int) -> Picture:
    """The picture with at most `most` operations, those nearest to the outputs, and at most as many leaves.

    An elision stands for the rest of either and says how many they are.
    """
    operations = [i for i, v in enumerate(picture.vertices) if not v.is_leaf]
    if len(operations) > most:
        rest = range(operations[0], operations[-most])
        total = sum(picture.vertices[i].stands_for or 1 for i in rest)
        picture = _left_out(picture, rest, f"and {total:,} more")
    leaves = sum(v.is_leaf for v in picture.vertices)
    if leaves > most:
        picture = _left_out(picture, range(most, leaves), f"and {leaves - most:,} more leaves")
    return picture


def _left_out(picture: Picture, members: range, label: str) -> Picture:
    return merged(picture, [Group(members, label, _scope_of(picture, members), 1)])
