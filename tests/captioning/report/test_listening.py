"""Captions that are listened to."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from captioning.decoding.beam_search import beam
from captioning.decoding.stepwise import greedy
from captioning.evaluation.split_scores import captions_of
from captioning.models.captioner import Captioner
from captioning.progress import Progress
from captioning.report.listening import listened


@pytest.mark.parametrize("decode", [greedy, functools.partial(beam, width=3)])
@pytest.mark.parametrize("length", [1, 2, 9])
def test_they_are_those_that_are_scored_everywhere_else(small_data, monkeypatch, decode, length):
    monkeypatch.setattr("captioning.report.listening._IMAGES", 5)
    model = Captioner(small_data.vocabulary, 6, 8, 8, rng=1)
    model.predict.weight.data[...] *= 20
    model.eval()
    images = np.array([0, 1, 2, 5, 7, 11, 3])
    told = listened(model, small_data.val, images, decode, length, Progress(enabled=False))
    assert [spoken.words for spoken in told] == captions_of(model, small_data.val, images, decode, length)
    assert {len(spoken.log_probs) - len(spoken.words) for spoken in told} <= {0, 1}
