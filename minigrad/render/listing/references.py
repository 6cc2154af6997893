"""How a listing refers to what it has listed: by letters, and after a repeat by the step that is meant."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import count, groupby

from ..names import leaf_names, short_name
from ..passes.repeats import Repeat
from ..picture import Edge, Picture, Vertex

__all__ = ["References", "letters", "shortened"]

_ARGUMENTS = 8
"""Arguments of an operation that are shown, and outputs; of more the middle is left out, with their number."""


class References:
    """Names for the vertices of a picture: leaves have their own, operations get a letter, one for all of a repeat."""

    def __init__(self, picture: Picture, repeats: Sequence[Repeat]) -> None:
        self.picture, self.vertices, self.repeats = picture, picture.vertices, repeats
        self.names = leaf_names(picture)
        taken = {*self.names.values(), *(vertex.label for vertex in picture.vertices if vertex.is_leaf)}
        self.free = (name for number in count() if (name := letters(number)) not in taken)
        self.starts = [repeat.start for repeat in repeats]
        self.marks: dict[int, list[str]] = {}  # what tells blocks apart, by a vertex of the first

    def bind(self, numbers: Iterable[int]) -> None:
        """Give vertices the next letter."""
        self.names.update(dict.fromkeys(numbers, next(self.free)))

    def words(self, user: Vertex, items: Sequence[Edge | str]) -> list[str]:
        """Arguments as they are written: what takes from each block of a repeat in turn is one word."""
        words = []
        i = 0
        while i < len(items):
            item, turns = items[i], self._turns(items, i)
            if isinstance(item, str):
                words.append(item)
            elif turns:
                words.append(f"{self.letter(item.source, item.slot)}{item.part} × {turns.times}")
            else:
                words.append(self.refer(item.source, item.slot, user) + item.part + self.times(user, item))
            i += turns.count if turns else 1
        return shortened(_runs(words))

    def letter(self, source: int, slot: int) -> str:
        """The name of what a vertex made, whichever block of a repeat it is in."""
        name = self.names[source]
        return f"{name}.{slot}" if len(self.vertices[source].specs) > 1 else name

    def refer(self, source: int, slot: int, user: Vertex | None = None, always: bool = False) -> str:
        """What a vertex made, and in which block of a repeat if that was not the last (or always)."""
        if user is not None and self.vertices[source].is_leaf:
            return short_name(self.picture, self.names, source, user)
        name, repeat = self.letter(source, slot), self._around(source)
        if repeat is None or (source >= repeat.stop - repeat.period and not always):
            return name
        return f"{name} ({self._marks(repeat, source)[(source - repeat.start) // repeat.period]})"

    def times(self, user: Vertex, edge: Edge) -> str:
        """For what gathers the steps of a sequence, how many states it takes of a step that stands for many."""
        count = 0 if user.gathers is None else self.vertices[edge.source].stands_for
        return f" × {count}" if count else ""

    def _marks(self, repeat: Repeat, number: int) -> list[str]:
        """What tells the blocks of a repeat apart: the scopes that differ, else their numbers."""
        numbers = repeat.like(number)
        if numbers[0] not in self.marks:
            levels = zip(*[self.vertices[i].scope for i in numbers], strict=True)
            moving = [names for names in levels if len(set(names)) > 1]
            marks = [", ".join(names) for names in zip(*moving, strict=True)]
            if len(set(marks)) < repeat.count:
                marks = [f"{k + 1} of {repeat.count}" for k in range(repeat.count)]
            self.marks[numbers[0]] = marks
        return self.marks[numbers[0]]

    def _turns(self, items: Sequence[Edge | str], i: int) -> Repeat | None:
        """The repeat from each of whose blocks, in order, the arguments from the one at `i` on take the same."""
        item = items[i]
        repeat = None if isinstance(item, str) else self._around(item.source)
        if isinstance(item, str) or repeat is None:
            return None
        turn = [(number, item.slot, item.part) for number in repeat.like(item.source)]
        met = [(x.source, x.slot, x.part) for x in items[i : i + len(turn)] if isinstance(x, Edge)]
        return repeat if met == turn else None

    def _around(self, number: int) -> Repeat | None:
        k = bisect_right(self.starts, number) - 1
        return self.repeats[k] if k >= 0 and number < self.repeats[k].stop else None


def letters(number: int) -> str:
    """0, 1, … as a, b, …, z, aa, ab, …

    >>> letters(0), letters(25), letters(26)
    ('a', 'z', 'aa')
    """
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("a") + rest) + text
    return text


def shortened(words: list[str]) -> list[str]:
    """A list without its middle if it is long."""
    left = len(words) - 3
    return words if len(words) <= _ARGUMENTS else [*words[:2], f"… {left:,} more …", words[-1]]


def _runs(words: list[str]) -> list[str]:
    """Equal neighbours written once."""
    runs = [(word, len(list(run))) for word, run in groupby(words)]
    return [part for word, n in runs for part in ([word] * n if n < 4 else [f"{word} × {n}"])]
