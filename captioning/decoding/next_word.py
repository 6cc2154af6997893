"""What a captioner may say next: its scores for every word, with the words that are barred at minus infinity."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.models.ensemble import Ensemble
from captioning.models.kinds import AnyCaptioner
from captioning.models.recurrent_cells import State

__all__ = ["NextWord", "Scores", "Speaker", "State"]

Scores = NDArray[np.floating[Any]]
Speaker = AnyCaptioner | Ensemble
"""Who says captions: a captioner, or several together."""


class NextWord:
    """The scores of the next word of captions that are said side by side.

    model: in evaluation mode. `<NULL>`, `<START>` and, unless `allow_unknown`, `<UNK>` are barred. spoken: about how
    many words will be asked for; if they are more than the vocabulary has, the products of all word vectors with the
    input weights are taken once, here, instead of at every step.
    """

    def __init__(self, model: Speaker, allow_unknown: bool = False, spoken: int = 0) -> None:
        self.model, self.vocabulary = model, model.vocabulary
        v = model.vocabulary
        self.barred = [v.null, v.start] if allow_unknown else [v.null, v.start, v.unk]
        self._projected: Any = model.project_words() if spoken > len(v) else None

    def start(self, features: NDArray[Any]) -> tuple[NDArray[np.integer[Any]], State]:
        """`<START>` N times, and the state before it of captions of images with features (N,D)."""
        return np.full(len(features), self.vocabulary.start), self.model.initial_state(features)

    def scores(self, words: NDArray[np.integer[Any]], state: State) -> tuple[Scores, State]:
        """The scores (N,V) of what follows the words (N,), the caller's to overwrite, and the state after them."""
        scores, state = self.model.step(words, state, self._projected)
        scores.data[:, self.barred] = -np.inf
        return scores.data, state

    def looks(self, state: State) -> NDArray[np.floating[Any]] | None:
        """Where the model looks for the word that follows a state (N, places); None if it sees no places."""
        look = getattr(self.model, "looks", None)
        found: NDArray[np.floating[Any]] | None = None if look is None else look(state)
        return found
