"""The pictures of the claims 2-1 and 2-2."""

from __future__ import annotations

from itertools import pairwise

import pytest

from theory import CLAIMS
from theory.ordering.certificates import check_order
from theory.ordering.figures import draw_contradiction, draw_removals
from theory.ordering.graphs import CYCLIC, LAYER, PURPORTED, cycle_of_example
from theory.page import save_figure


@pytest.mark.parametrize("number", ["2-1", "2-2"])
def test_the_same_picture_gives_the_same_bytes(number, tmp_path):
    for name in ("a.svg", "b.svg"):
        save_figure(CLAIMS[number], tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def texts_in(axes):
    return [text.get_text() for text in axes.texts if text.get_text()]


def test_picture_of_the_removals_says_the_order():
    panels = draw_removals().axes
    assert len(panels) == len(LAYER) + 1
    removed = [panel.get_title().split("remove ")[1] for panel in panels[:-1]]
    check_order(removed, LAYER)
    for i, panel in enumerate(panels[:-1], 1):
        assert "order: " + ", ".join(removed[:i]) in texts_in(panel)
    places = {text.get_text(): text.get_position()[0] for text in panels[-1].texts}
    assert all(places[u] < places[v] for v, several in LAYER.items() for u in several)


def test_picture_of_the_contradiction_shows_the_positions():
    graph, plot = draw_contradiction().axes
    assert set(texts_in(graph)) == {*CYCLIC, *map(str, range(1, len(CYCLIC) + 1))}
    cycle = cycle_of_example().nodes
    heights = [list(line.get_ydata()) for line in plot.lines]
    positions = [PURPORTED.nodes.index(v) + 1 for v in (*cycle, cycle[0])]
    assert heights == list(map(list, pairwise(positions)))
    falling = [line.get_linestyle() for line in plot.lines if line.get_ydata()[0] >= line.get_ydata()[1]]
    assert falling == ["--"]
