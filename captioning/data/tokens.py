"""From a raw caption to its words, in the ways that a data set may name."""

from __future__ import annotations

import re
from collections.abc import Callable

from captioning.data.treebank import treebank_words

__all__ = ["TOKENIZERS", "tokenise"]

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


TOKENIZERS: dict[str, Callable[[str], list[str]]] = {"words": tokenise, "ptb": treebank_words}
"""By the name that a data set's captions file may have as its attribute `tokenizer`; without it they are "words"."""
