"""Split JSON as Karpathy's: `images`, each with `filename`, `split` and `sentences`, each with `raw` or `tokens`.

Source: the files `dataset_coco.json`, `dataset_flickr8k.json` of "Deep visual-semantic alignments" (Karpathy and Li
2015), whose splits most papers on captioning use.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from captioning.data.errors import DataError
from captioning.preparing.gaps import Gaps
from captioning.preparing.json_files import checked, entry
from captioning.preparing.table import CaptionedImage, split_of

__all__ = ["KARPATHY_KEYS", "karpathy_images"]

KARPATHY_KEYS = ("images", "filename", "filepath", "split", "sentences", "raw", "tokens")


def karpathy_images(content: dict[str, Any], path: Path, gaps: Gaps) -> list[CaptionedImage]:
    """The images of a file at `path` with this content; an image without `split` has none."""
    return [_image(image, f"{path}: images[{n}]")
            for n, image in enumerate(entry(content, "images", list, str(path)))]  # fmt: skip


def _image(image: Any, where: str) -> CaptionedImage:
    name = entry(image, "filename", str, where)
    folder = entry(image, "filepath", str, where) if "filepath" in image else ""
    split = split_of(entry(image, "split", str, where), where) if "split" in image else None
    found = CaptionedImage(f"{folder}/{name}" if folder else name, split)
    for k, sentence in enumerate(entry(image, "sentences", list, where)):
        found.say(_sentence(sentence, f"{where}: sentences[{k}]"))
    return found


def _sentence(sentence: Any, where: str) -> str:
    """The raw sentence, or its tokens with spaces where there is no raw one."""
    if "raw" in checked(sentence, dict, where):
        return entry(sentence, "raw", str, where)  # type: ignore[no-any-return]
    if "tokens" not in sentence:
        raise DataError(f"{where}: needs the key raw or the key tokens")
    return " ".join(checked(word, str, f"{where}: tokens[{n}]")
                    for n, word in enumerate(entry(sentence, "tokens", list, where)))  # fmt: skip
