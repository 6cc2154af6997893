"""The picture of claim 3-2."""

from __future__ import annotations

import numpy as np

from theory import CLAIMS
from theory.eigenvalues.figures import linear_norms, network_norms

CLAIM = CLAIMS["3-2"]


def test_figure():
    figure = CLAIM.figure()
    left, right = figure.axes
    assert [len(axes.lines) for axes in figure.axes] == [7, 5]
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert {*linear_norms(2), *network_norms(2)} <= set(texts)
    assert "solid lines: LSTMs with $W_h = 0$" in texts
    assert all(axes.get_yscale() == "log" and axes.get_xlabel() and axes.get_ylabel() for axes in (left, right))
    assert all(axes.get_ylim()[0] < line.get_ydata().min() for axes in figure.axes for line in axes.lines)


def test_what_the_figure_draws():
    curves = linear_norms(20)
    for radius in (0.8, 0.9, 1.0, 1.1, 1.2):
        np.testing.assert_allclose(curves[f"radius {radius}"], radius ** np.arange(21.0), rtol=1e-9)
    assert curves["non-normal, radius 0.8"].max() > 20
    networks = network_norms(20)
    for bias, low, high in ((0, 0.4, 0.6), (1, 0.65, 0.8), (5, 0.985, 0.9945)):
        assert low < networks[f"LSTM, forget bias {bias}"][-1] ** (1 / 20) < high
