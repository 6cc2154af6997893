"""The halves of a split."""

from __future__ import annotations

import pytest

from captioning.data.parts import images_of_part


def test_the_halves_of_a_split_share_nothing(small_data):
    every, first, second = (images_of_part(small_data.val, part) for part in ("all", "first", "second"))
    assert first.tolist() == list(range(12))
    assert second.tolist() == list(range(12, 24))
    assert every.tolist() == list(range(24))
    some = images_of_part(small_data.val, "second", most=5, seed=3)
    assert len(set(some.tolist()) & set(second.tolist())) == 5
    assert some.tolist() == images_of_part(small_data.val, "second", most=5, seed=3).tolist()
    with pytest.raises(ValueError, match="max_images must be at least 1; got 0"):
        images_of_part(small_data.val, most=0)
    with pytest.raises(ValueError, match="part must be one of all, first, second; got 'third'"):
        images_of_part(small_data.val, "third")
