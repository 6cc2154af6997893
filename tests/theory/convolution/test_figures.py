"""The pictures of the claims 1-1 to 1-3."""

from __future__ import annotations

import pytest

from theory import CLAIMS
from theory.page import save_figure

NUMBERS = {
    "1-1": "false as printed",
    "1-2": "holds more generally than stated",
    "1-3": "holds more generally than stated",
}


@pytest.mark.parametrize("number", NUMBERS)
def test_figure(number, tmp_path):
    """Each matrix of the claim is drawn, and no two texts overlap; the same bytes twice."""
    figure = CLAIMS[number].figure()
    figure.canvas.draw()
    shapes = [axes.images[0].get_array().shape for axes in figure.axes if axes.images]
    expected = {
        "1-1": [(2, 2), (4, 9), (16, 25)],
        "1-2": [(2, 2), (16, 4), (4, 16)],
        "1-3": [(16, 4), (16, 4), (16, 16)],
    }
    assert shapes == expected[number]
    texts = [axes.title for axes in figure.axes] + figure.texts
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    boxes += [figure._suptitle.get_window_extent()] if figure._suptitle not in figure.texts else []
    width, height = figure.canvas.get_width_height()
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:k])
        assert box.x0 >= 0
        assert box.x1 <= width
        assert box.y1 <= height
    for name in ("a.svg", "b.svg"):
        save_figure(CLAIMS[number], tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
