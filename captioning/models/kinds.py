"""The kinds of captioners, and how to make one from the settings of a run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from captioning.data.vocabulary import Vocabulary
from captioning.models.attention_captioner import AttentionCaptioner
from captioning.models.captioner import Captioner
from captioning.models.recurrent_cells import CELLS

__all__ = ["MODELS", "AnyCaptioner", "check_memory", "kind_of", "new_captioner"]

AnyCaptioner = Captioner | AttentionCaptioner
"""A captioner has `vocabulary`, `feature_size`, `loss`, `scores` and `settings`. To decode it has `initial_state`,
`project_words` and `step`; one with attention also has `attention_maps`."""

MODELS: dict[str, type[Captioner] | type[AttentionCaptioner]] = {"source": Captioner, "attention": AttentionCaptioner}
"""The kinds by name: CS231n's captioner, and one with attention over the regions of an image."""


def kind_of(model: AnyCaptioner) -> str:
    """Return the name of a captioner's kind."""
    return next(name for name, kind in MODELS.items() if isinstance(model, kind))


def new_captioner(
    vocabulary: Vocabulary, settings: Mapping[str, Any], rng: np.random.Generator | int | None = None
) -> AnyCaptioner:
    """Return a captioner with new weights, of the `kind` in the settings ('source' by default).

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
    return MODELS[kind](vocabulary, **own, rng=rng)


def check_memory(words: int, settings: Mapping[str, Any], bytes_each: int = 16) -> None:
    """Raise a MemoryError if the large matrices of a captioner do not fit into memory.

    Otherwise the system may kill the process later, without a message. words: the size of the vocabulary. settings: of
    the captioner. bytes_each: the bytes for each weight; 16 are for training in float32 (the weight, its gradient and
    Adam's two moments).
    """
    W, H, gates = settings["wordvec_size"], settings["hidden_size"], CELLS[settings["cell_type"]].gates
    others = settings.get("picture_size", words) + settings.get("looking_size", settings["feature_size"])
    weights = words * W + ((W + H) * gates + others) * H
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # the system has no such figures
        return
    if weights * bytes_each > memory:
        needed, has = weights * bytes_each / 2**30, memory / 2**30
        raise MemoryError(f"{weights:,} weights need at least {needed:,.0f} GiB, but this machine has {has:,.0f} GiB")
