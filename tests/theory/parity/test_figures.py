"""The pictures of the claims 3-1 and "3-1 alt"."""

from __future__ import annotations

import pytest

from theory import CLAIMS


@pytest.mark.parametrize("number", ["3-1", "3-1 alt"])
def test_figure(number, tmp_path):
    from theory.page import save_figure

    for name in ("a.svg", "b.svg"):
        save_figure(CLAIMS[number], tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    figure = CLAIMS[number].figure()
    assert all(axes.get_title() or axes.get_title(loc="left") for axes in figure.axes)
    marked = [line for axes in figure.axes for line in axes.lines if line.get_label() == "wrong"]
    assert [len(line.get_xdata()) for line in marked] == ([5, 0] if number == "3-1" else [11, 0])
