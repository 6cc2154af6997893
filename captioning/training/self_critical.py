"""Self-critical training: a captioner draws captions, and those that score better than its others become likelier.

Cross-entropy asks for a person's next word; papers report the score of a whole caption. A score cannot be
differentiated, but its expectation can,

    d/dθ E_y~p[r(y)] = E_y~p[(r(y) - b) d/dθ log p(y)]        for any b that does not depend on y:

several captions y of each picture are drawn, r is their CIDEr-D against the human captions, and b of each is the mean
r of the others. `<END>` counts as a word, so that a caption that breaks off scores less. The loss is -(r - b) log p(y),
in the mean over words; of a batch that is cut into shards, over those of each shard. `<NULL>`, `<START>` and `<UNK>`
are excluded from the draws and from the softmax of log p alike. With dropout the estimate is slightly biased, since
captions are drawn without it and log p has it.

Sources: R. Williams, Simple statistical gradient-following algorithms (1992); S. Rennie et al., Self-critical sequence
training for image captioning (2017); R. Luo, A better variant of self-critical sequence training (2020), for the mean
of the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from captioning.checks import check_values, int_from
from captioning.data.splits import Split
from captioning.decoding.stepwise import sample
from captioning.models.kinds import AnyCaptioner
from captioning.scoring.cider import CiderD, DocumentFrequencies
from captioning.training.history import Entry
from captioning.training.settings import Settings
from captioning.training.solver import Solver
from minigrad import Tensor

__all__ = ["Drawing", "SelfCritical", "advantages", "self_critical_loss"]

_MOST = 1000  # drafts of a picture, and words of a draft: a batch of them is in memory at once
_BARRED = -1e9  # far below any other score, and finite in float32


@dataclass(frozen=True)
class Drawing:
    """How many captions are drawn of a picture (`drafts`), and their most words, `<END>` included (`longest`)."""

    drafts: int = 5
    longest: int = 20

    def __post_init__(self) -> None:
        check_values(vars(self), dict.fromkeys(vars(self), int_from(2, _MOST)))


def advantages(rewards: NDArray[np.float64], drafts: int) -> NDArray[np.float64]:
    """Return by how much each caption is better than the mean of the others of its picture.

    rewards: (N drafts,), those of a picture one after the other.

    >>> advantages(np.array([1.0, 3.0, 0.5, 0.5]), drafts=2)
    array([-2.,  2.,  0.,  0.])
    """
    each = rewards.reshape(-1, drafts)
    others = (each.sum(axis=1, keepdims=True) - each) / (drafts - 1)
    return np.ravel(each - others)


def self_critical_loss(
    model: AnyCaptioner, features: NDArray[Any], captions: NDArray[np.integer], weights: NDArray[np.float64]
) -> Tensor:
    """Return -weight log p(word | words before), in the mean over all words of captions, a scalar.

    features: (N,D). captions: (S N,T), S of each picture one after the other, with `<START>`. weights: (S N,), one for
    all words of a caption.
    """
    v = model.vocabulary
    scores, words = model.scores(features, captions)
    bar = np.zeros(len(v), scores.dtype)
    bar[[v.null, v.start, v.unk]] = _BARRED
    losses = mg.cross_entropy(scores + bar, words, reduction="none")
    each = np.repeat(weights, (captions[:, 1:] != v.null).sum(axis=1)).astype(scores.dtype)
    loss: Tensor = (losses * each).sum() / max(1, len(words))
    return loss


class SelfCritical(Solver):
    """Trains a captioner further, on the CIDEr-D of its own captions.

    model: with the weights to start from. train: the split; its pictures with a caption in `captions` count. The
    references are all human captions of these pictures, and so are the document frequencies. settings: of the training;
    its batches and epochs are of pictures. drawing: what is drawn of each. options: those of `Solver`.

    Raises:
        ValueError: for settings of the words and the order of given captions, since there are none.
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
                raise ValueError(
                    f"{name} does nothing in a self-critical training: it must be {default}; got {value!r}"
                )
        self.drawing = drawing or Drawing()
        v = train.vocabulary
        self.pictures = np.unique(train.image_idxs)
        if not self.pictures.size:
            raise ValueError(f"the split {train.name} has no captions to score by")
        references = {i: [v.encode(words).tolist() for words in train.references(i)] for i in self.pictures.tolist()}
        frequencies = DocumentFrequencies.of(references.values(), end=v.end)
        self.reward = CiderD(references, frequencies, self.progress)
        self.epoch_length = -(-self.pictures.size // self.settings.batch_size)

    def _loss(self, rows: NDArray[np.int64], rng: np.random.Generator) -> tuple[Tensor, Entry]:
        drafts, v = self.drawing.drafts, self.split.vocabulary
        pictures, features = self._batch(rows)
        said = sample(self.model, features, self.drawing.longest, rng=rng, each=drafts)
        words = [row[row != v.null].tolist() for row in said]
        rewards = self.reward.score_many(np.repeat(pictures, drafts), words)
        self.model.rng = rng
        captions = np.concatenate([np.full((len(said), 1), v.start, said.dtype), said], axis=1)
        loss = self_critical_loss(self.model, features, captions, advantages(rewards, drafts))
        return loss, {"reward": float(rewards.mean())}

    def _read(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The pictures, which are the rows of the order here, and their features."""
        return rows, self.split.features[rows]

    def _order_of(self, epoch: int) -> NDArray[np.int64]:
        if self._order is None or self._order[0] != epoch:
            rng = np.random.default_rng([self.settings.seed, 0, epoch])
            self._order = epoch, rng.permutation(self.pictures)
        return self._order[1]
