"""The kinds of captioners: what all of them have in common, and how one is made from what a run says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from captioning.data.vocabulary import Vocabulary
from captioning.models.attention_captioner import AttentionCaptioner
from captioning.models.captioner import Captioner

__all__ = ["MODELS", "AnyCaptioner", "kind_of", "new_captioner"]

AnyCaptioner = Captioner | AttentionCaptioner
"""A captioner has `vocabulary`, `feature_size`, `loss`, `scores`, `settings`, and to speak `initial_state`,
`project_words` and `step`; one with attention also says where it `looks`."""

MODELS: dict[str, type[Captioner] | type[AttentionCaptioner]] = {"source": Captioner, "attention": AttentionCaptioner}
"""The kinds by name: the captioner of the source, and one that looks at the places of a picture."""


def kind_of(model: AnyCaptioner) -> str:
    """The name of a captioner's kind."""
    return next(name for name, kind in MODELS.items() if isinstance(model, kind))


def new_captioner(
    vocabulary: Vocabulary, settings: Mapping[str, Any], rng: np.random.Generator | int | None = None
) -> AnyCaptioner:
    """A captioner with fresh weights, of its `kind` ('source' where that is not said) and its own `settings`.

    Raises:
        TypeError, ValueError: for settings that such a captioner does not take.

    >>> from captioning.data.vocabulary import SPECIAL
    >>> new_captioner(Vocabulary([*SPECIAL, "dog"]), {"feature_size": 3, "cell_type": "rnn"}, rng=0).cell_type
    'rnn'
    """
    own = dict(settings)
    kind = own.pop("kind", "source")
    if kind not in MODELS:
        raise ValueError(f"kind must be one of {', '.join(map(repr, MODELS))}; got {kind!r}")
    made: AnyCaptioner = MODELS[kind](vocabulary, **own, rng=rng)
    return made
