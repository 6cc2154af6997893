"""Several captioners as one, which averages their probabilities of the next word."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

import minigrad as mg
from captioning.models.attention_captioner import AttentionCaptioner
from captioning.models.caption_batches import summed_loss
from captioning.models.kinds import AnyCaptioner
from captioning.models.recurrent_cells import State
from minigrad import Tensor, nn, ops

__all__ = ["Ensemble"]


class Ensemble(nn.Module):
    """Several captioners with the same vocabulary and features, used like one captioner.

    The scores are logarithms of mean probabilities. Attention maps are averaged over the members with attention. Train
    the members, not the ensemble.

    Raises:
        ValueError: if there are no members, or their words or features differ.

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
            raise ValueError("Ensemble: pass at least one captioner")
        self.members: Any = nn.ModuleList(members)
        self.vocabulary, self.feature_size = members[0].vocabulary, members[0].feature_size
        for k, member in enumerate(members[1:], 2):
            if (member.vocabulary, member.feature_size) != (self.vocabulary, self.feature_size):
                raise ValueError(
                    f"Ensemble: captioner {k} has {len(member.vocabulary)} words and {member.feature_size} features, "
                    f"but the first has {len(self.vocabulary)} and {self.feature_size}. "
                    "All need the same words and features."
                )

    def loss(self, features: ArrayLike, captions: ArrayLike) -> Tensor:
        """Return the mean over captions (N,T) of the summed cross-entropy of their words."""
        each = [member.scores(features, captions) for member in self.members]
        scores = self._mean([scores for scores, _ in each])
        return summed_loss(scores, each[0][1], len(np.asarray(captions)))

    def initial_state(self, features: ArrayLike) -> State:
        """Return the state before the first word: the entries of all members, one after the other."""
        return tuple(entry for member in self.members for entry in member.initial_state(features))

    def project_words(self) -> list[Tensor]:
        """Return the result of `project_words` of each member."""
        return [member.project_words() for member in self.members]

    def step(self, words: ArrayLike, state: State, projected: list[Tensor] | None = None) -> tuple[Tensor, State]:
        """Append words (N,) to captions in a state; return the scores (N,V) of the next word and the next state."""
        own: Sequence[Tensor | None] = projected or [None] * len(self.members)
        steps = [m.step(words, part, p) for m, part, p in zip(self.members, self._parts(state), own, strict=True)]
        with mg.no_grad():
            return self._mean([scores for scores, _ in steps]), tuple(entry for _, after in steps for entry in after)

    def attention_maps(self, state: State) -> NDArray[np.floating[Any]] | None:
        """Return the attention to each region (N, R) for the next word; None if no member has attention."""
        pairs = zip(self.members, self._parts(state), strict=True)
        found = [m.attention_maps(part) for m, part in pairs if isinstance(m, AttentionCaptioner)]
        return np.mean(found, axis=0) if found else None

    def _parts(self, state: State) -> list[State]:
        """Return the state of each member."""
        entries = iter(state)
        return [tuple(islice(entries, m.cell.vectors + isinstance(m, AttentionCaptioner))) for m in self.members]

    def _mean(self, scores: Sequence[Tensor]) -> Tensor:
        """Return the logarithm of the mean of softmax(scores) over the members, (…,V) each."""
        logs = [ops.log_softmax(each, -1) for each in scores]
        return cast(Tensor, ops.logsumexp(ops.stack(logs), axis=0) - float(np.log(len(logs))))
