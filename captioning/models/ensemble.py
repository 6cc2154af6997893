"""Several captioners that speak together: the next word's probability is the mean of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import minigrad as mg
from captioning.models.caption_batches import summed_loss
from captioning.models.kinds import AnyCaptioner
from captioning.models.recurrent_cells import State
from minigrad import Tensor, ops

__all__ = ["Ensemble"]


class Ensemble:
    """Captioners of one vocabulary and of the same features, used as one of them is.

    Its scores are logarithms of mean probabilities. Where it looks is the mean of where those look that do. It cannot
    be trained: train its members.

    Raises:
        ValueError: if there are no members, or they do not fit each other.

    >>> from captioning.data.vocabulary import SPECIAL, Vocabulary
    >>> from captioning.models.captioner import Captioner
    >>> words = Vocabulary([*SPECIAL, "dog"])
    >>> both = Ensemble([Captioner(words, 3, 4, 5, rng=seed) for seed in (0, 1)])
    >>> scores, state = both.step([1, 1], both.initial_state(np.ones((2, 3))))
    >>> scores.shape, bool(np.allclose(np.exp(scores.data).sum(axis=1), 1))
    ((2, 5), True)
    """

    def __init__(self, members: Sequence[AnyCaptioner]) -> None:
        if not members:
            raise ValueError("Ensemble: there are no captioners")
        self.members = list(members)
        self.vocabulary, self.feature_size = members[0].vocabulary, members[0].feature_size
        for k, member in enumerate(members[1:], 2):
            if member.vocabulary != self.vocabulary:
                raise ValueError(f"Ensemble: captioner {k} has other words than the first")
            if member.feature_size != self.feature_size:
                raise ValueError(
                    f"Ensemble: captioner {k} takes features of {member.feature_size} columns, the first of "
                    f"{self.feature_size}"
                )
        looking = [(k, member.places) for k, member in enumerate(members, 1) if hasattr(member, "places")]
        for k, places in looking[1:]:
            if places != looking[0][1]:
                raise ValueError(f"Ensemble: captioner {k} looks at places {places}, captioner {looking[0][0]} at "
                                 f"{looking[0][1]}")  # fmt: skip

    @property
    def training(self) -> bool:
        """Whether any is in training mode."""
        return any(member.training for member in self.members)

    def train(self, mode: bool = True) -> Ensemble:
        """All in training mode, or in evaluation mode."""
        for member in self.members:
            member.train(mode)
        return self

    def eval(self) -> Ensemble:
        """All in evaluation mode."""
        return self.train(False)

    def loss(self, features: ArrayLike, captions: ArrayLike) -> Tensor:
        """The mean over captions (N,T) of the summed cross-entropy of their words."""
        each = [member.scores(features, captions) for member in self.members]
        scores = self._mean([scores for scores, _ in each])
        return summed_loss(scores, each[0][1], len(np.asarray(captions)))

    def initial_state(self, features: ArrayLike) -> State:
        """The state before the first word: an entry for each member."""
        return tuple(_Held(member.initial_state(features)) for member in self.members)

    def project_words(self) -> list[Tensor]:
        """Of each member."""
        return [member.project_words() for member in self.members]

    def step(self, words: ArrayLike, state: State, projected: list[Tensor] | None = None) -> tuple[Tensor, State]:
        """Say words (N,) in a state: the scores (N,V) of the next word and the next state; no gradient."""
        own: Sequence[Tensor | None] = projected or [None] * len(self.members)
        steps = [m.step(words, held.entries, p) for m, held, p in zip(self.members, state, own, strict=True)]
        with mg.no_grad():
            return self._mean([scores for scores, _ in steps]), tuple(_Held(after) for _, after in steps)

    def looks(self, state: State) -> NDArray[np.floating[Any]] | None:
        """Where it looks for the word that follows a state (N, R), None if no member looks."""
        found = [m.looks(held.entries) for m, held in zip(self.members, state, strict=True) if hasattr(m, "looks")]
        return np.mean(found, axis=0) if found else None

    def _mean(self, scores: Sequence[Tensor]) -> Tensor:
        """Logarithms of the mean of softmax(scores) over the members, (…,V) each."""
        logs = [ops.log_softmax(each, -1) for each in scores]
        mean: Tensor = ops.logsumexp(ops.stack(logs), axis=0) - float(np.log(len(logs)))
        return mean


class _Held:
    """The state of one member, of which an index takes some captions."""

    def __init__(self, entries: State) -> None:
        self.entries = entries

    def __getitem__(self, index: Any) -> _Held:
        return _Held(tuple(entry[index] for entry in self.entries))
