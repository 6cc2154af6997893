"""Where the photos of a source are, and what a data set calls them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from captioning.data.errors import DataError
from captioning.preparing.gaps import Gaps
from captioning.preparing.table import CaptionedImage

__all__ = ["find_photos", "name_images", "photo_folders"]


def photo_folders(sources: Sequence[Path], named: Sequence[Path] = ()) -> list[Path]:
    """The folders to look in: those that are named; else those of the sources, and `photos` and `images` in them.

    A folder that is named and not there is a DataError.
    """
    for folder in named:
        if not folder.is_dir():
            raise DataError(f"{folder}: there is no such folder of photos")
    if named:
        return list(named)
    homes = list(dict.fromkeys(source if source.is_dir() else source.parent for source in sources))
    within = (home / name for home in homes for name in ("photos", "images"))
    return [*homes, *(folder for folder in within if folder.is_dir())]


def find_photos(images: Sequence[CaptionedImage], folders: Sequence[Path], gaps: Gaps) -> list[Path | None]:
    """The file of each image: in one of the folders by its path, else by its name alone. None, and a gap, without."""
    found = []
    for image in images:
        path = _find(image.path, folders)
        if path is None:
            where = " or ".join(map(str, folders))
            gaps.add("captions of a photo that is not there", f"of {image.path} (in {where})", len(image.captions))
        found.append(path)
    return found


def _find(name: str, folders: Sequence[Path]) -> Path | None:
    for folder in folders:
        for path in dict.fromkeys((folder / name, folder / Path(name).name)):
            try:
                if path.is_file():
                    return path
            except (OSError, ValueError):  # a name that no file can have
                continue
    return None


def name_images(paths: Sequence[str]) -> list[str]:
    """A name for each image without folders, by which a data set knows its captions and its photo.

    The file's own name, unless images in several folders share it: then the folders are part of it. Names that
    differ in nothing but such a join, and names that do not fit on a line, are a DataError.

    >>> name_images(["a/1.jpg", "b/1.jpg", "b/2.jpg"])
    ['a__1.jpg', 'b__1.jpg', '2.jpg']
    """
    plain = [path.rpartition("/")[2] for path in paths]
    shared = {name for name, count in Counter(plain).items() if count > 1}
    names = [path.strip("/").replace("/", "__") if name in shared else name
             for path, name in zip(paths, plain, strict=True)]  # fmt: skip
    first: dict[str, str] = {}
    for name, path in zip(names, paths, strict=True):
        if not name or name in (".", "..") or name != name.strip() or not name.isprintable():
            raise DataError(f"the image {path!r}: {name!r} can be no name in a list of a name a line")
        if name in first:
            raise DataError(f"the images {first[name]!r} and {path!r} would both be called {name!r}; rename one")
        first[name] = path
    return names
