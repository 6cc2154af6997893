"""The best captions of a beam, with how likely each of their words was and where the model looked."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from captioning.decoding.batches import batch_size, checked_rows, evaluating, in_batches
from captioning.decoding.beam_search import Beam, search
from captioning.decoding.lengths import LONGEST
from captioning.decoding.next_word import NextWord, Speaker
from captioning.decoding.rules import Bars, Rules
from captioning.decoding.spoken import Spoken, retell
from minigrad.runtime.threads import get_num_threads

__all__ = ["MOST", "Spoken", "check_best", "n_best"]

MOST = 100
"""Captions of an image."""

_ALL = Rules()


def n_best(
    model: Speaker,
    features: ArrayLike,
    count: int = 5,
    width: int = 5,
    max_length: int = LONGEST,
    length_power: float = 1.0,
    allow_unknown: bool = False,
    groups: int = 1,
    diversity: float = 0.5,
    rules: Rules = _ALL,
) -> list[list[Spoken]]:
    """The best `count` captions, from 1 to `MOST`, that a beam finds of each image with features (N,D), best first.

    Of each image there is a list, shorter where the beam has found fewer. All captions of an image are different;
    unfinished ones are given only where none has ended. The first is that of `captioning.decoding.beam_search.beam`,
    which has the same arguments. Errors are its own: a ValueError that says which argument and what would fit.

    >>> from captioning.data.vocabulary import SPECIAL, Vocabulary
    >>> from captioning.models.captioner import Captioner
    >>> model = Captioner(Vocabulary([*SPECIAL, "a", "dog"]), 3, 4, 5, rng=0)
    >>> (beams,) = n_best(model, np.ones((1, 3)), count=3, rules=Rules(min_length=2, no_repeat=1))
    >>> [each.caption for each in beams]
    ['a', 'a dog', 'dog']
    >>> len(beams[0].log_probs), beams[0].ended
    (2, True)
    """
    how = Beam(width, length_power, groups, diversity, rules)
    check_best(count)
    rows = checked_rows(model, features, max_length)
    bars = Bars(rules, model.vocabulary, max_length)
    told: list[list[Spoken]] = [[] for _ in rows]
    with evaluating(model):
        next_word = NextWord(model, allow_unknown, len(rows) * max_length * how.rows)

        def decode(batch: slice) -> None:
            captions = search(how, bars, next_word, rows[batch], max_length, count)
            told[batch] = retell(next_word, rows[batch], captions, length_power)

        in_batches(decode, len(rows), batch_size(max(count, how.rows)), get_num_threads())
    return told


def check_best(count: int) -> None:
    """Raise a ValueError unless so many captions of an image can be asked for."""
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or not 1 <= count <= MOST:
        raise ValueError(f"count must be an int from 1 to {MOST}; got {count!r}")
