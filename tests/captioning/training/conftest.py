"""Training tests draw no curve, which takes longer than their trainings, unless they ask for it."""

import pytest

from captioning.training.run_folder import Run


@pytest.fixture(autouse=True)
def draw_curve(monkeypatch):
    """The method that is replaced."""
    drawing = Run.draw_curve
    monkeypatch.setattr(Run, "draw_curve", lambda run: None)
    return drawing
