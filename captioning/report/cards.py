"""Cards: a photo, what the captioner said of it, what people said, and the score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from captioning.progress import Progress
from captioning.report.attention import attention_strip, can_be_drawn
from captioning.report.embedded_photos import EmbeddedPhoto, embedded
from captioning.report.judging import SCORE, Judged
from captioning.report.markup import Content, Markup, element, joined, shortened

__all__ = ["card", "caption_cards"]

_REFERENCES = 6
_LONGEST = 400  # characters of a caption, which a foreign data set makes as long as it likes
_WORD = 40
_LOOKS = 25  # words whose looks are drawn

_TITLES = {"best": "The best", "typical": "Typical ones", "worst": "The worst"}


def caption_cards(groups: Mapping[str, Sequence[Judged]], progress: Progress) -> Markup:
    """The cards of captions in groups, as `captioning.report.judging.chosen` gives them; photos are read for that."""
    progress.begin(sum(map(len, groups.values())), what="photos")
    pieces, done = [], 0
    for kind, captions in groups.items():
        cards = []
        for found in captions:
            cards.append(card(found, None if found.photo is None else embedded(found.photo)))
            done += 1
            progress.update(done)
        if cards:
            pieces += [element("h3", _TITLES[kind]), element("div", *cards, class_="cards")]
    return joined(*pieces)


def card(found: Judged, photo: EmbeddedPhoto | None) -> Markup:
    """The card of a caption, in an article that is not torn between printed pages."""
    reference = f"photo{found.row}"
    file = found.name or (found.photo and found.photo.name)
    name = shortened(file, 60) if file else f"image {found.row}"
    said = _sentence(found.words) or "(no word)"
    sure = None if found.confidence is None else f", confidence {found.confidence:.0%}"
    told = [element("li", _sentence(words) or "(no word)") for words in found.references[:_REFERENCES]]
    more = len(found.references) - len(told)
    return element(
        "article",
        _picture(photo, reference, f"photo {name}", found.photo is not None, name),
        element("p", said, class_="said"),
        element("p", f"{SCORE} {found.score:.2f}", sure, class_="score"),
        _strip(found, photo, reference),
        element("h4", "People said"),
        element("ul", *told, element("li", f"and {more} more") if more > 0 else None),
        element("p", name, class_="name") if photo is not None else None,
        class_="card",
    )


def _strip(found: Judged, photo: EmbeddedPhoto | None, reference: str) -> Markup | None:
    """Where it looked, of a captioner that looks at the cells of a square."""
    if found.looks is None or not found.words or not can_be_drawn(found.looks):
        return None
    drawn = attention_strip(photo, reference, found.words[:_LOOKS], found.looks[:_LOOKS])
    return joined(element("h4", "Where it looked"), drawn)


def _picture(photo: EmbeddedPhoto | None, reference: str, label: str, there: bool, name: str) -> Markup:
    """The photo, or the place of one that is not there, with its name."""
    if photo is None:
        why: Content = "cannot be read" if there else "no photo at hand"
        return element("div", element("span", why), element("b", name), class_="placeholder")
    drawn = element("image", id=reference, href=photo.address, width=photo.width, height=photo.height)
    return element("svg", drawn, class_="photo", viewBox=f"0 0 {photo.width} {photo.height}", role="img",
                   aria_label=label)  # fmt: skip


def _sentence(words: Sequence[str]) -> str:
    return shortened(" ".join(shortened(word, _WORD) for word in words), _LONGEST)
