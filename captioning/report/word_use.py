"""The words that a captioner says beside those that people say: the frequent ones, and which it says too often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from captioning.report.bars import bar
from captioning.report.charts import legend
from captioning.report.judging import Judged
from captioning.report.markup import Markup, element, joined, shortened
from captioning.report.numbers import count_text

__all__ = ["per_thousand", "words_beside_people"]

_ROWS = 20
_LISTED = 12
_SEEN = 3  # uses of a word by people, or by the captioner, from which on its share says something
_WORD = 24


def words_beside_people(captions: Sequence[Judged]) -> Markup:
    """How often words are said, of a thousand, by the captioner and by people, of at least one caption.

    A table of the words that either says most, what is said too often and too seldom, and how many words are in use.
    """
    said = Counter(word for found in captions for word in found.words)
    human = Counter(word for found in captions for words in found.references for word in words)
    shares = per_thousand(said), per_thousand(human)
    ranked = sorted(said | human, key=lambda word: (-max(share.get(word, 0.0) for share in shares), word))
    most = max((share.get(ranked[0], 0.0) for share in shares), default=0.0) if ranked else 1.0
    rows = (_row(word, shares[0].get(word, 0.0), shares[1].get(word, 0.0), most) for word in ranked[:_ROWS])
    head = element("tr", *(element("th", name, scope="col") for name in ("word", "", "said", "people")))
    table = element("table", element("thead", head), element("tbody", *rows), class_="words")
    return joined(
        element("p", f"It says {count_text(len(said), 'different word')} in {count_text(len(captions), 'caption')}. "
                     f"People say {len(human):,} in {sum(len(found.references) for found in captions):,}, and "
                     f"{len(human.keys() - said.keys()):,} of those it never says. Numbers are uses among a thousand "
                     "words."),
        legend([("said", 1), ("people", 2)]), table, _listed(said, human),
    )  # fmt: skip


def per_thousand(counts: Counter[str]) -> dict[str, float]:
    """Each word's uses of a thousand words.

    >>> per_thousand(Counter("a dog a cat".split()))
    {'a': 500.0, 'dog': 250.0, 'cat': 250.0}
    """
    total = counts.total()
    return {word: 1000 * count / total for word, count in counts.items()}


def _row(word: str, said: float, human: float, most: float) -> Markup:
    return element("tr", element("th", shortened(word, _WORD), scope="row"),
                   element("td", bar(said / most, 1), bar(human / most, 2), class_="pair"),
                   element("td", f"{said:.1f}"), element("td", f"{human:.1f}"))  # fmt: skip


def _listed(said: Counter[str], human: Counter[str]) -> Markup:
    """The words whose shares differ most as ratios, among those that are not rare; a word never said counts as half."""

    def ratio(word: str) -> float:
        return (said[word] or 0.5) / max(said.total(), 1) / ((human[word] or 0.5) / max(human.total(), 1))

    often = sorted((word for word in said if said[word] >= _SEEN), key=lambda word: (-ratio(word), word))
    seldom = sorted((word for word in human if human[word] >= _SEEN), key=lambda word: (ratio(word), word))
    told = {word: _told(word, said, human) for word in (*often, *seldom)}
    lists = (("Said too often", [told[word] for word in often if ratio(word) > 1]),
             ("Said too seldom, or never", [told[word] for word in seldom if ratio(word) < 1]))  # fmt: skip
    return element("div", *(_list(title, entries[:_LISTED]) for title, entries in lists), class_="columns")


def _list(title: str, entries: Iterable[str]) -> Markup:
    items = [element("li", entry) for entry in entries]
    return element("div", element("h3", title), element("ul", *items) if items else element("p", "None."))


def _told(word: str, said: Counter[str], human: Counter[str]) -> str:
    """How often a word was said, and how often it would be if it were as frequent as people say it."""
    expected = human[word] / max(human.total(), 1) * said.total()
    return f"{shortened(word, _WORD)} ({said[word]}, not {expected:.0f})"
