"""The settings and versions of a run as tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from captioning.report.markup import Markup, element, joined, shortened

__all__ = ["settings_tables"]

_ROWS, _KEY, _VALUE = 60, 60, 160  # of a table; characters


def settings_tables(settings: Mapping[str, Any]) -> Markup:
    """What settings.json of a run says, a table for each of its objects, and one for what stands by itself.

    Of folders there is the name alone: where they lie on somebody's machine is not for those who read the page.

    >>> "<h3>model</h3>" in settings_tables({"minigrad": "0.1.0", "model": {"hidden_size": 512}})
    True
    """
    alone = {key: value for key, value in settings.items() if not isinstance(value, Mapping)}
    groups = {"run": alone, **{key: value for key, value in settings.items() if isinstance(value, Mapping)}}
    tables = [_table(title, entries) for title, entries in list(groups.items())[:_ROWS] if entries]
    return element("div", *tables, class_="settings")


def _table(title: str, entries: Mapping[str, Any]) -> Markup:
    shown = list(entries.items())[:_ROWS]
    rows = [element("tr", element("th", shortened(key, _KEY), scope="row"), element("td", _value(key, value)))
            for key, value in shown]  # fmt: skip
    if len(entries) > len(shown):
        rows.append(element("tr", element("th", "…", scope="row"), element("td", f"{len(entries) - len(shown)} more")))
    return element("div", element("h3", shortened(title, _KEY)), element("table", element("tbody", *rows)))


def _value(key: str, value: Any) -> Markup:
    if isinstance(value, Mapping):
        pairs = list(value.items())[:_ROWS]
        return joined(*(element("div", f"{shortened(k, _KEY)}: {shortened(v, _VALUE)}") for k, v in pairs))
    if key in ("folder", "start") and isinstance(value, str):
        value = PurePath(value).name or value
    return joined("none" if value is None else shortened(value, _VALUE))
