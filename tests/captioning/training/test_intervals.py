"""How often checkpoints are written."""

from __future__ import annotations

import math

import pytest
from captioning.training.schedules import Interval
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(("text", "seconds", "iterations"), [
    ("30s", 30, math.inf), ("5m", 300, math.inf), ("2h", 7200, math.inf), ("0.5m", 30, math.inf),
    ("1000", math.inf, 1000), ("never", math.inf, math.inf),
])  # fmt: skip
def test_what_a_text_says(text, seconds, iterations):
    assert Interval.of(text) == Interval(seconds, iterations)


@pytest.mark.parametrize(
    "text", ["", "0", "0s", "-5m", "5 minutes", "1.5", "m", "nan", "inf", "9" * 400, "9" * 400 + "s", "٣s"]
)
def test_what_is_no_interval(text):
    with pytest.raises(ValueError, match="must be a time such as 30s, 5m or 2h, a number of iterations such as 1000"):
        Interval.of(text)


@given(st.text("0123456789.smhnever -+e"))
def test_any_text_is_an_interval_or_refused(text):
    try:
        found = Interval.of(text)
    except ValueError:
        return
    assert found.seconds > 0
    assert found.iterations >= 1
