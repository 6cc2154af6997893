"""The order of captions in an epoch: every one once, in batches of like length where that is asked for."""

from __future__ import annotations

import numpy as np
from captioning.training.schedules import epoch_order
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.integers(1, 9), min_size=1, max_size=60), st.integers(1, 9), st.integers(1, 9), st.integers(0, 9))
def test_every_caption_once_and_the_same_ones_again(lengths, batch_size, buckets, seed):
    lengths = np.array(lengths)
    order, again = (epoch_order(lengths, batch_size, buckets, np.random.default_rng(seed)) for _ in range(2))
    assert sorted(order) == list(range(len(lengths)))
    np.testing.assert_array_equal(order, again)


def test_one_bucket_is_the_order_as_it_is_drawn():
    np.testing.assert_array_equal(epoch_order(np.ones(50), 7, 1, np.random.default_rng(3)),
                                  np.random.default_rng(3).permutation(50))  # fmt: skip


def test_buckets_leave_little_padding_and_no_order_by_length():
    lengths = np.random.default_rng(0).integers(5, 20, 2000)
    batches = lengths[epoch_order(lengths, 50, 20, np.random.default_rng(1))].reshape(-1, 50)
    spread = batches.max(axis=1) - batches.min(axis=1)
    assert spread.mean() < 2
    means = batches.mean(axis=1)
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.5
