"""Words and their ids.

A caption is stored as a row of word ids, `<START> a dog runs <END> <NULL> <NULL>`, each an index into the list
`idx_to_word` of `coco2014_vocab.json`. Source: homework 1-1, "The captioning exercises" (the CS231n layout).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captioning.data.errors import DataError
from captioning.data.folder import read_text
from minigrad.runtime.files import replacing

__all__ = ["END", "NULL", "SPECIAL", "START", "UNK", "Vocabulary", "decode_captions"]

NULL, START, END, UNK = "<NULL>", "<START>", "<END>", "<UNK>"
SPECIAL = (NULL, START, END, UNK)


def decode_captions(captions: ArrayLike, idx_to_word: Sequence[str] | Mapping[int, str]) -> str | list[str]:
    """Turn word ids into text, as the CS231n notebooks do.

    captions: integers (T,) or (N,T). Returns one string or a list of N strings. Each stops after its first `<END>`;
    `<NULL>` is left out; every other token stays, `<START>` and `<END>` too. An id outside the vocabulary raises a
    DataError that names it and its place. Source: homework 1-1.

    >>> decode_captions([1, 3, 2, 0], ["<NULL>", "<START>", "<END>", "cat"])
    '<START> cat <END>'
    """
    ids = _check_ids(captions)
    if ids.ndim == 1:
        return " ".join(_words(ids, idx_to_word, where=""))
    return [" ".join(_words(row, idx_to_word, where=f"row {n}, ")) for n, row in enumerate(ids)]


def _check_ids(captions: ArrayLike) -> NDArray[np.integer[Any]]:
    ids = np.asarray(captions)
    if ids.size == 0 and ids.dtype == np.float64:  # an empty list has no dtype of its own
        ids = ids.astype(np.int32)
    if not np.issubdtype(ids.dtype, np.integer):
        raise TypeError(f"captions must be integers, word ids; got dtype {ids.dtype}")
    if ids.ndim not in (1, 2):
        raise ValueError(f"captions must have shape (T,) or (N,T); got {ids.shape}")
    return ids


def _words(ids: NDArray[np.integer[Any]], idx_to_word: Sequence[str] | Mapping[int, str], where: str) -> list[str]:
    """Return the words of one row of ids up to and with `<END>`, without `<NULL>`."""
    words = []
    for t, i in enumerate(ids.tolist()):
        try:
            word = idx_to_word[i] if i >= 0 else None
        except LookupError:
            word = None
        if word is None:
            raise DataError(
                f"captions: the id {i} at {where}step {t} is outside the vocabulary of {len(idx_to_word)} words"
            )
        if word != NULL:
            words.append(word)
        if word == END:
            break
    return words


class Vocabulary:
    """The words of a data set in the order of their ids.

    idx_to_word: distinct non-empty strings, among them `<NULL>`, `<START>`, `<END>` and `<UNK>` at any place; anything
    else raises a DataError. `word_to_idx` is the inverse dict; `null`, `start`, `end` and `unk` are the ids of the
    special tokens.

    >>> v = Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", "a", "dog"])
    >>> len(v), v.end, v.encode(["a", "cat"]).tolist(), v.tokens([1, 4, 5, 2, 0])
    (6, 2, [4, 3], ['a', 'dog'])
    """

    def __init__(self, idx_to_word: Iterable[str]) -> None:
        if isinstance(idx_to_word, str):
            raise TypeError("idx_to_word must be a list of words; got one str")
        self.idx_to_word = list(idx_to_word)
        self.word_to_idx: dict[str, int] = {}
        for i, word in enumerate(self.idx_to_word):
            if not isinstance(word, str) or not word:
                raise DataError(f"idx_to_word: entry {i} is {word!r}; every entry must be a non-empty string")
            if word in self.word_to_idx:
                raise DataError(f"idx_to_word: duplicate {word!r} at {self.word_to_idx[word]} and {i}")
            self.word_to_idx[word] = i
        missing = [token for token in SPECIAL if token not in self.word_to_idx]
        if missing:
            raise DataError(f"idx_to_word: the special tokens {', '.join(missing)} are missing")
        self.null, self.start, self.end, self.unk = (self.word_to_idx[token] for token in SPECIAL)

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> Vocabulary:
        """Read `{"idx_to_word": [...], "word_to_idx": {...}}`, the file `coco2014_vocab.json` of the layout.

        A file that is missing, is not such JSON, or has two keys that disagree raises a DataError.
        """
        text = read_text(Path(path))
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: the vocabulary is not JSON: {error}") from error
        for key, kind in (("idx_to_word", list), ("word_to_idx", dict)):
            if not isinstance(content, dict) or not isinstance(content.get(key), kind):
                raise DataError(f"{path}: must be an object in which {key} is a {kind.__name__}")
        try:
            vocabulary = cls(content["idx_to_word"])
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        wanted, got = vocabulary.word_to_idx, content["word_to_idx"]
        for word in {**wanted, **got}:
            if (here := got.get(word, "missing")) != (there := wanted.get(word, "missing")):
                raise DataError(f"{path}: word_to_idx: {word!r} is {here!r}, but in idx_to_word it is {there!r}")
        return vocabulary

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write the file that `from_json` reads, whole or not at all; it is on the disk when this returns."""
        content = {"idx_to_word": self.idx_to_word, "word_to_idx": self.word_to_idx}
        with replacing(path, durable=True) as temporary:
            temporary.write_text(json.dumps(content), encoding="utf-8")

    def __len__(self) -> int:
        return len(self.idx_to_word)

    def __contains__(self, word: object) -> bool:
        return word in self.word_to_idx

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.idx_to_word == other.idx_to_word

    def __repr__(self) -> str:
        return f"<Vocabulary of {len(self):,} words>"

    def encode(self, words: Iterable[str]) -> NDArray[np.int32]:
        """Return the ids of words: int32 (T,). An unknown word becomes `<UNK>`."""
        if isinstance(words, str):
            raise TypeError(f"words must be a list of words; got the str {words!r}: use tokenise() first")
        return np.array([self.word_to_idx.get(word, self.unk) for word in words], dtype=np.int32)

    def encode_caption(self, words: Iterable[str], length: int) -> NDArray[np.int32]:
        """Return a row of the layout, int32 (length,): `<START>`, at most length - 2 words, `<END>`, then `<NULL>`.

        >>> v = Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", "a", "dog"])
        >>> v.encode_caption(["a", "cat"], 6).tolist(), v.encode_caption(["a", "dog"], 3).tolist()
        ([1, 4, 3, 2, 0, 0], [1, 4, 2])
        """
        if length < 3:
            raise ValueError(f"length must be at least 3, for <START>, a word and <END>; got {length}")
        ids = self.encode(words)[: length - 2]
        row = np.full(length, self.null, dtype=np.int32)
        row[0], row[1 : ids.size + 1], row[ids.size + 1] = self.start, ids, self.end
        return row

    def decode(self, captions: ArrayLike) -> str | list[str]:
        """Turn ids (T,) into a string, (N,T) into a list of N strings; see `decode_captions`."""
        return decode_captions(captions, self.idx_to_word)

    def tokens(self, ids: ArrayLike, keep_unknown: bool = False) -> list[str]:
        """Return the words of one caption (T,) up to `<END>`, without special tokens.

        With `keep_unknown` each `<UNK>` stays, so that the caption keeps its length.
        """
        row = _check_ids(ids)
        if row.ndim != 1:
            raise ValueError(f"ids must be one caption of shape (T,); got {row.shape}")
        dropped = set(SPECIAL) - ({UNK} if keep_unknown else set())
        return [word for word in _words(row, self.idx_to_word, where="") if word not in dropped]

    def fingerprint(self) -> str:
        """Return the SHA-256 of the words in order, 64 hexadecimal digits, the same on every machine."""
        return hashlib.sha256(json.dumps(self.idx_to_word).encode("ascii")).hexdigest()
