"""Reports of a small model that has learnt nothing, with invented captions."""

import numpy as np

from captioning.data.vocabulary import SPECIAL, Vocabulary
from captioning.models.captioner import Captioner
from captioning.report.contents import ReportContents, ReportedCaption, ScoredSplit

FIGURES = {"loss": 33.2, "exercise_bleu": 0.26, "exercise_bleu_mean": 0.27, "exercise_bleu_human": None,
           "corpus_bleu_4": 0.17, "cider_d": 0.43, "novel_share": 0.5, "images": 30, "captions": 60}  # fmt: skip
HISTORY = [
    *({"iteration": i, "epoch": 1 + i // 30, "loss": 80.0 / (1 + i / 20)} for i in range(1, 61)),
    *({"iteration": 30 * e, "epoch": e, "val_loss": 50.0 / e, "val_bleu": 0.1 * e, "learning_rate": 1e-3}
      for e in (1, 2)),
]  # fmt: skip
SETTINGS = {"format": 1, "minigrad": "0.1.0", "model": {"hidden_size": 5}, "training": {"epochs": 2, "start": None},
            "data": {"folder": "/home/somebody/secret/flickr8k", "pca": None}}  # fmt: skip


def captions(count=30, photo=None, attention=False, words=("a", "dog", "runs"), places=49):
    rng = np.random.default_rng(0)
    rows = []
    for i in range(count):
        weights = rng.random((len(words), places)).astype(np.float32)
        weights /= weights.sum(axis=1, keepdims=True)
        rows.append(ReportedCaption(
            i, f"{i}.jpg", photo, list(words), [["a", "black", "dog"], ["it", "runs", "fast"]], float(rng.random()),
            float(rng.random()), weights if attention else None
        ))  # fmt: skip
    return rows


def contents(found=None, history=HISTORY, settings=SETTINGS, title="a run"):
    model = Captioner(Vocabulary([*SPECIAL, "a", "dog"]), 3, 4, 5, rng=0)
    scored = ScoredSplit("flickr8k", "val", "all", "greedy", "references:raw|split:val", dict(FIGURES),
                    captions() if found is None else found, True, "first")  # fmt: skip
    return ReportContents(title, settings, list(history), model, scored)
