"""What all ways of decoding share: batches, threads and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from captioning.decoding.batches import in_batches
from captioning.decoding.beam_search import beam
from captioning.decoding.stepwise import greedy, sample
from captioning.models.captioner import Captioner
from tests.captioning.decoding.table import VOCABULARY


@pytest.mark.parametrize("decode", [greedy, sample, beam])
def test_batches_are_split_without_a_trace(decode, monkeypatch):
    model = Captioner(VOCABULARY, 3, 4, 5, dtype=np.float64, rng=0)
    features = np.random.default_rng(0).standard_normal((7, 3))
    options = {"top_k": 1, "rng": 0} if decode is sample else {}
    whole = decode(model, features, max_length=5, **options)
    monkeypatch.setattr("captioning.decoding.batches._BATCH", 3)
    for threads in (1, 2, 9):  # the last are more than there are images
        monkeypatch.setattr("captioning.decoding.stepwise.get_num_threads", lambda threads=threads: threads)
        monkeypatch.setattr("captioning.decoding.beam_search.get_num_threads", lambda threads=threads: threads)
        np.testing.assert_array_equal(decode(model, features, max_length=5, **options), whole)
    assert decode(model, features[:0], max_length=5, **options).shape[0] == 0


@pytest.mark.parametrize(("count", "threads", "sizes"), [
    (0, 2, []), (100, 2, [100]), (250, 1, [250]), (250, 2, [125, 125]), (501, 1, [250, 251]), (1200, 2, [300] * 4),
    (130, 200, [1] * 130),
])  # fmt: skip
def test_batches_are_about_equal_and_as_many_for_each_thread(count, threads, sizes):
    met: list[slice] = []
    in_batches(met.append, count, 500, threads)
    assert [batch.stop - batch.start for batch in met] == sizes
    assert [i for batch in met for i in range(batch.start, batch.stop)] == list(range(count))


@pytest.mark.parametrize(("call", "message"), [
    (lambda m, f: greedy(m, f, max_length=0), "max_length must be an int of at least 1; got 0"),
    (lambda m, f: greedy(m, f[0]), r"features must be \(N, 3\).*got \(3,\)"),
    (lambda m, f: beam(m, f[:, :2]), r"features must be \(N, 3\).*got \(7, 2\)"),
    (lambda m, f: beam(m, f, width=0), "width must be an int from 1 to 100; got 0"),
    (lambda m, f: beam(m, f, width=101), "width must be an int from 1 to 100; got 101"),
    (lambda m, f: beam(m, f, length_power=np.nan), "length_power must be at least 0 and finite; got nan"),
    (lambda m, f: sample(m, f, temperature=0), "temperature must be from .*; got 0; for no chance at all use greedy"),
    (lambda m, f: sample(m, f, temperature=np.nan), "temperature must be from .*; got nan"),
    (lambda m, f: sample(m, f, temperature=np.inf), "temperature must be from .*; got inf"),
    (lambda m, f: sample(m, f, top_k=0), "top_k must be at least 1; got 0"),
])  # fmt: skip
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(Captioner(VOCABULARY, 3, 4, 5, rng=0), np.zeros((7, 3)))
