"""What a source lacks: captions without a photo, photos without a caption. Refused, or left out and counted."""

from __future__ import annotations

from captioning.command import shown
from captioning.data.errors import DataError

__all__ = ["Gaps"]


class Gaps:
    """Counts of what cannot be used, by kind, with the first of each.

    >>> gaps = Gaps()
    >>> gaps.add("photos without a caption", "b.jpg")
    >>> gaps.add("photos without a caption", "c.jpg")
    >>> gaps.lines()
    ['2 photos without a caption, the first b.jpg']
    >>> gaps.refuse("photos/")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    captioning.data.errors.DataError: photos/: 2 photos without a caption, the first b.jpg; --skip-missing goes on ...

    A name that no terminal can print is quoted:

    >>> gaps.add("captions without a photo", "a\\nb.jpg")
    >>> gaps.lines()[1]
    "1 caption without a photo, 'a\\\\nb.jpg'"
    """

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, str]] = {}

    def add(self, kind: str, which: str, number: int = 1) -> None:
        """So many more of a kind, such as 'photos without a caption', with a noun in the plural first.

        which: the name of the first of them.
        """
        count, first = self._found.get(kind, (0, which))
        self._found[kind] = (count + number, first)

    def __bool__(self) -> bool:
        return bool(self._found)

    def lines(self) -> list[str]:
        """A line a kind, in the order in which they were met."""
        return [_line(kind, count, first) for kind, (count, first) in self._found.items()]

    def refuse(self, source: str) -> None:
        """Raise a DataError that tells all kinds, if there are any."""
        if self:
            raise DataError(f"{source}: {'; '.join(self.lines())}; --skip-missing goes on without them")


def _line(kind: str, count: int, first: str) -> str:
    if count == 1:
        return f"1 {kind.replace('s ', ' ', 1)}, {shown(first)}"  # the noun in the singular
    return f"{count:,} {kind}, the first {shown(first)}"
