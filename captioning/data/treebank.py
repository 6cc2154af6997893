"""Words as the Penn Treebank writes them: contractions in two, hyphenated words in one, no punctuation.

Captions of MS-COCO are scored on such words: Stanford's PTBTokenizer splits them, in lower case, and tokens of a list
of punctuation are dropped (source: `ptbtokenizer.py` of coco-caption, the evaluation of MS-COCO). That is a program in
Java; this module has its rules as far as captions need them, in a few expressions.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache

__all__ = ["treebank_words"]

# One sign for each of the signs that people's keyboards have for it.
_SIGNS = str.maketrans({**dict.fromkeys("‘’ʼ＇`´", "'"), **dict.fromkeys("‐‑", "-"), "\u200b": " ",
                        **dict.fromkeys("\u00ad\u200c\u200d\u200e\u200f\u2060\ufeff", None)})  # fmt: skip
_SPOKEN = frozenset("#%&@*/\\")  # punctuation by Unicode that stands for a word, and is not in COCO's list
_IN_TWO = {
    "cannot": ("can", "not"), "gimme": ("gim", "me"), "gonna": ("gon", "na"), "gotta": ("got", "ta"),
    "lemme": ("lem", "me"), "wanna": ("wan", "na"),
}  # fmt: skip


def treebank_words(caption: str) -> list[str]:
    """Split a raw caption into lower-case words as the Penn Treebank does, and drop the punctuation.

    Contractions are two words (`do n't`, `it 's`, `can not`), `t-shirt`, `o'clock`, `10:30`, `u.s.` and `mr.` are one.
    Dropped is every sign of punctuation but `# % & @ * / \\`, which like `$` and `+` stand for words and are
    words by themselves. Letters are those of any script, with their marks; curly quotes are as straight ones.
    Words joined by spaces are split into the same words again. Scripts without spaces are not split.

    >>> treebank_words("Two men don't cross: the dog's T-shirt “costs” $5.50 (at 10:30 a.m.)!")
    ['two', 'men', 'do', "n't", 'cross', 'the', 'dog', "'s", 't-shirt', 'costs', '$', '5.50', 'at', '10:30', 'a.m.']
    """
    text = unicodedata.normalize("NFC", caption.translate(_SIGNS).lower())
    contraction, token = _expressions(marks=not text.isascii())
    words: list[str] = []
    for word in token.findall(contraction.sub(r" \g<0>", text)):
        if word in _IN_TWO:
            words += _IN_TWO[word]
        elif len(word) > 1 or not _is_punctuation(word):
            words.append(word)
    return words


@cache
def _expressions(marks: bool) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What ends a word and is a word, such as n't in don't; and what a token is. Without marks both are quicker."""
    letter = rf"(?:[^\W_]|[{_marks()}])" if marks else r"[^\W_]"  # or digit
    clitics = "'(?:s|m|d|re|ve|ll)"
    contraction = rf"(?<=[^\W_])(?:n't|{clitics})(?!{letter})"
    piece = rf"{letter}+(?:(?<=\d)[.,:/](?=\d){letter}+)*"  # 3.5 and 1,000 are one, a comma between words is none
    token = "|".join((
        rf"(?:n't|{clitics}|'(?:em|n|t))(?!{letter})",
        rf"'t(?=(?:is|was)(?!{letter}))",
        r"(?:mr|mrs|ms|dr|st|jr|sr|vs|mt)\.",
        rf"[^\W\d_](?:\.[^\W\d_])+(?!{letter})\.?",  # a.m.
        rf"{piece}(?:['-]{piece})*",
        r"[^\w\s]",
    ))  # fmt: skip
    return re.compile(contraction), re.compile(token)


def _marks() -> str:
    """The ranges of the signs that are written onto letters, accents and vowels, which no letters are by themselves."""
    found = [n for n in range(sys.maxunicode + 1) if unicodedata.category(chr(n))[0] == "M"]
    starts = [n for n, before in zip(found, [0, *found], strict=False) if n != before + 1]
    ends = [n for n, after in zip(found, [*found[1:], 0], strict=True) if after != n + 1]
    return "".join(f"{chr(start)}-{chr(end)}" for start, end in zip(starts, ends, strict=True))


@cache
def _is_punctuation(sign: str) -> bool:
    """Whether one sign is not spoken: punctuation, a modifier alone, what cannot be seen."""
    if sign.isalnum() or sign in _SPOKEN:
        return False
    kind = unicodedata.category(sign)
    return kind[0] in "PC" or kind == "Sk"
