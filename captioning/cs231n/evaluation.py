"""How well a model captions: exercise BLEU of captions drawn from both splits."""

from __future__ import annotations

from typing import Any

from captioning.cs231n.coco_data import last_coco_data, sample_coco_minibatch
from captioning.data.vocabulary import decode_captions
from captioning.scoring.metrics import exercise_bleu

__all__ = ["evaluate_model"]


def evaluate_model(
    model: Any, data: dict[str, Any] | None = None, batch_size: int = 1000, verbose: bool = True
) -> dict[str, float]:
    """Exercise BLEU of a model on `batch_size` captions drawn from each split: {'train': …, 'val': …}.

    model: anything with `sample(features)`. data: a dict of `load_coco_data`; None means the one that it last gave, and
    a DataError if it has given none. It is unigram BLEU against the one caption drawn, not corpus BLEU.
    """
    data = last_coco_data() if data is None else data
    scores = {}
    for split in ("train", "val"):
        captions, features, _ = sample_coco_minibatch(data, batch_size=batch_size, split=split)
        truth = decode_captions(captions, data["idx_to_word"])
        said = decode_captions(model.sample(features), data["idx_to_word"])
        scores[split] = exercise_bleu(zip(truth, said, strict=True))
        if verbose:
            print(f"Average BLEU score for {split}: {scores[split]:f}")
    return scores
