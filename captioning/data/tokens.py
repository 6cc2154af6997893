"""Tokenizers, which split raw captions into words, and the tokenizer that a data set was made with.

MS-COCO scores captions on the words of Stanford's PTBTokenizer, in lower case and without punctuation (source:
`ptbtokenizer.py` of coco-caption). That is a Java program; `treebank_words` follows its rules as far as captions need
them. nltk's Treebank tokenizers differ in 0.2 % of COCO's captions: they keep `and/or` whole and split `mr.` and `st.`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path

from captioning.data.errors import DataError
from captioning.data.hdf5 import open_hdf5, text_attribute

__all__ = ["TOKENIZERS", "recorded_tokenizer_name", "tokenise", "treebank_words"]

# Letters, digits and apostrophes make a word; anything else separates two words.
_WORD = re.compile(r"(?:[^\W_]|')+")

# Map the variants of a character that keyboards produce to one character, and drop invisible characters.
_SIGNS = str.maketrans({**dict.fromkeys("‘’ʼ＇`´", "'"), **dict.fromkeys("‐‑", "-"), "\u200b": " ",
                        **dict.fromkeys("\u00ad\u200c\u200d\u200e\u200f\u2060\ufeff", None)})  # fmt: skip
_SPOKEN = frozenset("#%&@*/\\")  # Unicode punctuation that stands for a word, and is not in COCO's list
_SPLIT_WORDS = {
    "cannot": ("can", "not"), "gimme": ("gim", "me"), "gonna": ("gon", "na"), "gotta": ("got", "ta"),
    "lemme": ("lem", "me"), "wanna": ("wan", "na"),
}  # fmt: skip


def tokenise(caption: str) -> list[str]:
    """Split a raw caption into lower-case words.

    Letters, digits and apostrophes make words; every other character separates two words and is dropped, so that
    `t-shirt` gives two words and `it 's` keeps its `'s`. With this rule the raw captions of Flickr8k give exactly its
    HDF5 captions, apart from the cut after 15 words and `<UNK>`.

    >>> tokenise("A boy in a red T-shirt slides; it 's fun .")
    ['a', 'boy', 'in', 'a', 'red', 't', 'shirt', 'slides', 'it', "'s", 'fun']
    """
    return _WORD.findall(caption.lower())


def treebank_words(caption: str) -> list[str]:
    """Split a raw caption into lower-case words as the Penn Treebank does, and drop the punctuation.

    Contractions are two words (`do n't`, `it 's`, `can not`); `t-shirt`, `o'clock`, `10:30`, `u.s.` and `mr.` are one.
    `# % & @ * / \\ $ +` are words, all other punctuation is dropped. Letters of any script may carry marks, and curly
    quotes count as straight ones. Joining words with spaces and splitting again gives the same words. Scripts without
    spaces are not split.

    >>> treebank_words("Two men don't cross: the dog's T-shirt “costs” $5.50 (at 10:30 a.m.)!")
    ['two', 'men', 'do', "n't", 'cross', 'the', 'dog', "'s", 't-shirt', 'costs', '$', '5.50', 'at', '10:30', 'a.m.']
    """
    text = unicodedata.normalize("NFC", caption.translate(_SIGNS).lower())
    marks = "" if text.isascii() else "".join(sorted(c for c in set(text) if unicodedata.category(c)[0] == "M"))
    contraction, token = _expressions(marks)
    words: list[str] = []
    for word in token.findall(contraction.sub(r" \g<0>", text)):
        if word in _SPLIT_WORDS:
            words += _SPLIT_WORDS[word]
        elif len(word) > 1 or not _is_punctuation(word):
            words.append(word)
    return words


@lru_cache(maxsize=64)
def _expressions(marks: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return the patterns of contractions and of tokens in a text with these marks, such as accents and vowel signs."""
    letter = rf"(?:[^\W_]|[{marks}])" if marks else r"[^\W_]"  # or digit
    clitics = "'(?:s|m|d|re|ve|ll)"
    contraction = rf"(?<=[^\W_])(?:n't|{clitics})(?!{letter})"
    piece = rf"{letter}+(?:(?<=\d)[.,:/](?=\d){letter}+)*"  # 3.5 and 1,000 are one word; other commas separate words
    token = "|".join((
        rf"(?:n't|{clitics}|'(?:em|n|t))(?!{letter})",
        rf"'t(?=(?:is|was)(?!{letter}))",
        r"(?:mr|mrs|ms|dr|st|jr|sr|vs|mt)\.",
        rf"[^\W\d_](?:\.[^\W\d_])+(?!{letter})\.?",  # a.m.
        rf"{piece}(?:['-]{piece})*",
        r"[^\w\s]",
    ))  # fmt: skip
    return re.compile(contraction), re.compile(token)


@cache
def _is_punctuation(character: str) -> bool:
    """Return whether a character is not a word: punctuation, a lone modifier, or invisible."""
    if character.isalnum() or character in _SPOKEN:
        return False
    kind = unicodedata.category(character)
    return kind[0] in "PC" or kind == "Sk"


# By the name in the attribute `tokenizer` of a captions file.
TOKENIZERS: dict[str, Callable[[str], list[str]]] = {"words": tokenise, "ptb": treebank_words}


def recorded_tokenizer_name(path: Path) -> str:
    """Return the attribute `tokenizer` of a captions file, or "words" without one; raise a DataError if it is unknown.

    References are split by the same tokenizer, so that they have no words that a captioner cannot produce.
    """
    with open_hdf5(path) as file:
        name = text_attribute(file, path, "/", "tokenizer") or "words"
    if name not in TOKENIZERS:
        raise DataError(f"{path}: unknown tokenizer {name!r}; the tokenizers are {', '.join(TOKENIZERS)}")
    return name
