"""From a raw caption to its words."""

from __future__ import annotations

import re

__all__ = ["tokenise"]

# Letters, digits and apostrophes make a word; anything else parts two words.
_WORD = re.compile(r"(?:[^\W_]|')+")


def tokenise(caption: str) -> list[str]:
    """Split a raw caption into lower-case words.

    Every character but letters, digits and the apostrophe parts words and is dropped, so that `t-shirt`
    gives two words and `it 's` keeps its `'s`. With this rule the raw captions of Flickr8k give its
    HDF5 captions exactly, up to the cut after 15 words and `<UNK>`.

    >>> tokenise("A boy in a red T-shirt slides; it 's fun .")
    ['a', 'boy', 'in', 'a', 'red', 't', 'shirt', 'slides', 'it', "'s", 'fun']
    """
    return _WORD.findall(caption.lower())
