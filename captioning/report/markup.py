"""HTML that is put together from elements: whatever is not markup already is escaped, so nothing foreign can act.

Captions, file names and settings come from data sets and runs of others. They become markup in one way, `text`, which
`element` applies to all content and to every attribute.
"""

from __future__ import annotations

import html
import re

__all__ = ["Content", "Markup", "element", "joined", "missing", "shortened", "text"]

_VOID = ("meta", "link", "br", "img")
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # no page may have them, or they mean nothing in one


class Markup(str):
    """A str that is HTML already. Only `element`, `text` and what is written in this project's source make it."""

    __slots__ = ()


Content = str | int | None
"""What may stand in an element: markup, a text or number that is escaped, or None for nothing."""


def text(content: Content) -> Markup:
    """Content as markup, in ASCII: what is markup already as it is, all else escaped; None is empty.

    Control characters and halves of surrogate pairs, which have no place in a page, become U+FFFD.

    >>> text("a <b> & 'c'"), text(None), text(text("<"))
    ('a &lt;b&gt; &amp; &#x27;c&#x27;', '', '&lt;')
    """
    if isinstance(content, Markup):
        return content
    plain = "" if content is None else _UNSEEN.sub("\ufffd", str(content))
    return Markup(html.escape(plain).encode("ascii", "xmlcharrefreplace").decode("ascii"))


def element(tag: str, *content: Content, **attributes: str | float | bool | None) -> Markup:
    """An element with its content, each piece through `text`.

    attributes: `class_` is `class`, `data_x` is `data-x`. True is an attribute without a value, None and False none at
    all. Numbers are written with at most two decimals, which is enough for what is drawn.

    >>> element("p", "1 < 2 ", element("b", "so"), class_="note", hidden=False)
    '<p class="note">1 &lt; 2 <b>so</b></p>'
    """
    written = "".join(_attribute(name, value) for name, value in attributes.items())
    if tag in _VOID:
        return Markup(f"<{tag}{written}>")
    return Markup(f"<{tag}{written}>{joined(*content)}</{tag}>")


def joined(*content: Content) -> Markup:
    """Pieces of content, one after the other.

    >>> joined("a", None, 3, element("br"))
    'a3<br>'
    """
    return Markup("".join(text(piece) for piece in content))


def missing(why: Content) -> Markup:
    """What stands in place of something that is not there."""
    return element("p", why, class_="missing")


def shortened(content: object, most: int) -> str:
    """A text of at most `most` characters; of a longer one the beginning and an ellipsis.

    >>> shortened("a dog runs", 6), shortened(12, 6)
    ('a dog…', '12')
    """
    plain = str(content)
    return plain if len(plain) <= most else plain[: most - 1].rstrip() + "…"


def _attribute(name: str, value: str | float | bool | None) -> str:
    if value is None or value is False:
        return ""
    name = name.rstrip("_").replace("_", "-")
    if value is True:
        return f" {name}"
    shown = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value
    return f' {name}="{text(shown)}"'
