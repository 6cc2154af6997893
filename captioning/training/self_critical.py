"""Self-critical training: a captioner draws captions, and learns to prefer those with higher scores.

Cross-entropy predicts a human's next word, but papers report scores of whole captions. A score has no gradient, but its
expectation has one:

    d/dθ E_y~p[r(y)] = E_y~p[(r(y) - b) d/dθ log p(y)]        for any b that does not depend on y.

Several captions y of each image are drawn. r is the CIDEr-D of y against the human captions, and b the mean r of the
image's other drafts. The loss is the mean of -(r - b) log p(y) over all words of a batch, or of each shard of it.
`<END>` counts as a word, so that unfinished captions score less. `<NULL>`, `<START>` and `<UNK>` are never drawn, and
log p excludes them too. Dropout makes the estimate slightly biased, because it applies to log p but not to the draws.

Sources: R. Williams, Simple statistical gradient-following algorithms (1992); S. Rennie et al., Self-critical sequence
training for image captioning (2017); R. Luo, A better variant of self-critical sequence training (2020), for the mean
of the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from captioning.data.errors import check_values, int_from
from captioning.data.splits import Split
from captioning.decoding.stepwise import sample
from captioning.models.kinds import AnyCaptioner
from captioning.scoring.cider import CiderD, DocumentFrequencies
from captioning.training.run_files import Entry
from captioning.training.settings import Settings
from captioning.training.solver import Solver
from minigrad import Tensor

__all__ = ["Drawing", "SelfCritical", "advantages", "self_critical_loss"]

_MOST = 1000  # drafts of an image, and words of a draft; a batch of them is in memory at once
_BARRED = -1e9  # far below any other score, and finite in float32


@dataclass(frozen=True)
class Drawing:
    """How many captions to draw of an image (`drafts`), and the most words of each with `<END>` (`longest`)."""

    drafts: int = 5
    longest: int = 20

    def __post_init__(self) -> None:
        check_values(vars(self), dict.fromkeys(vars(self), int_from(2, _MOST)))


def advantages(rewards: NDArray[np.float64], drafts: int) -> NDArray[np.float64]:
    """Return the reward of each caption minus the mean reward of the other drafts of its image.

    rewards: (N drafts,); drafts of an image are adjacent.

    >>> advantages(np.array([1.0, 3.0, 0.5, 0.5]), drafts=2)
    array([-2.,  2.,  0.,  0.])
    """
    each = rewards.reshape(-1, drafts)
    others = (each.sum(axis=1, keepdims=True) - each) / (drafts - 1)
    return np.ravel(each - others)


def self_critical_loss(
    model: AnyCaptioner, features: NDArray[Any], captions: NDArray[np.integer], weights: NDArray[np.float64]
) -> Tensor:
    """Return the mean of -weight log p(word | words before) over all words of the captions, a scalar.

    features: (N,D). captions: (S N,T) with `<START>`; the S captions of an image are adjacent. weights: (S N,), one for
    each caption.
    """
    v = model.vocabulary
    scores, words = model.scores(features, captions)
    bar = np.zeros(len(v), scores.dtype)
    bar[[v.null, v.start, v.unk]] = _BARRED
    losses = mg.cross_entropy(scores + bar, words, reduction="none")
    each = np.repeat(weights, (captions[:, 1:] != v.null).sum(axis=1)).astype(scores.dtype)
    return cast(Tensor, (losses * each).sum() / max(1, len(words)))


class SelfCritical(Solver):
    """Trains a captioner further, on the CIDEr-D of its own captions.

    model: has the weights to start from. train: the split. References and document frequencies are those of the human
    captions of its images. settings: of the training run; batches and epochs consist of images. drawing: how many
    captions to draw for each image. options: those of `Solver`.

    Raises:
        ValueError: for settings that only apply to human captions.
    """

    FIGURES = ("reward",)

    def __init__(
        self,
        model: AnyCaptioner,
        train: Split,
        val: Split | None = None,
        settings: Settings | None = None,
        drawing: Drawing | None = None,
        **options: Any,
    ) -> None:
        super().__init__(model, train, val, settings, **options)
        for name in ("label_smoothing", "scheduled_sampling", "buckets"):
            value, default = getattr(self.settings, name), getattr(Settings, name)
            if value != default:
                raise ValueError(f"{name} has no effect in self-critical training: it must be {default}; got {value!r}")
        self.drawing = drawing or Drawing()
        v = train.vocabulary
        self.training_images = np.unique(train.image_idxs)
        if not self.training_images.size:
            raise ValueError(f"the split {train.name} has no captions, but self-critical training needs some")
        images = self.training_images.tolist()
        references = {i: [v.encode(words).tolist() for words in train.references(i)] for i in images}
        frequencies = DocumentFrequencies.of(references.values(), end=v.end)
        self.reward = CiderD(references, frequencies, self.progress)
        self.epoch_length = -(-self.training_images.size // self.settings.batch_size)

    def _loss(self, rows: NDArray[np.int64], rng: np.random.Generator) -> tuple[Tensor, Entry]:
        drafts, v = self.drawing.drafts, self.split.vocabulary
        images, features = self._batch(rows)
        drawn = sample(self.model, features, self.drawing.longest, rng=rng, each=drafts)
        if not drawn.size:  # weights that are not finite draw no words; their loss is not finite either
            drawn = np.full((len(drawn), 1), v.end, drawn.dtype)
        words = [row[row != v.null].tolist() for row in drawn]
        rewards = self.reward.score_many(np.repeat(images, drafts), words)
        self.model.rng = rng
        captions = np.concatenate([np.full((len(drawn), 1), v.start, drawn.dtype), drawn], axis=1)
        loss = self_critical_loss(self.model, features, captions, advantages(rewards, drafts))
        return loss, {"reward": float(rewards.mean())}

    def _read(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the images, which are the rows of the order here, and their features."""
        return rows, self.split.features[rows]

    def _order_of(self, epoch: int) -> NDArray[np.int64]:
        if self._order is None or self._order[0] != epoch:
            rng = np.random.default_rng([self.settings.seed, 0, epoch])
            self._order = epoch, rng.permutation(self.training_images)
        return self._order[1]
