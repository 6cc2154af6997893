"""Self-critical training: the captioner says captions, and those that score better than its others become likelier.

Cross-entropy asks for a person's next word; what is reported is how a whole caption scores. Of a score that cannot be
differentiated there is still the gradient of its expectation,

    d/dθ E_y~p[r(y)] = E_y~p[(r(y) - b) d/dθ log p(y)]        for any b that does not depend on y:

of each picture several captions y are drawn, r is their CIDEr-D beside the human captions, with `<END>` counted as a
word, so that one that breaks off scores less, and b of each is the mean r of the others. The loss is
-(r - b) log p(y), in the mean over words; of a batch that is cut into shards, over those of each shard. `<NULL>`,
`<START>` and `<UNK>` are barred while captions are drawn and in the softmax of log p alike: without dropout p is then
what the captions are drawn from. With dropout it is not quite, since they are drawn without it, and log p has it: the
estimate is a little biased, and the training regularised.

Sources: R. Williams, Simple statistical gradient-following algorithms (1992); S. Rennie et al., Self-critical sequence
training for image captioning (2017); the mean of the others: R. Luo, A better variant of self-critical sequence
training (2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from captioning.data.splits import Split
from captioning.decoding.stepwise import sample
from captioning.models.kinds import AnyCaptioner
from captioning.progress import Progress
from captioning.scoring.cider import CiderD, DocumentFrequencies
from captioning.training.history import Entry
from captioning.training.run_folder import Run
from captioning.training.settings import Settings
from captioning.training.solver import CHECKPOINT_EVERY, Solver
from minigrad import Tensor
from minigrad.parallel.communicators import ALONE

__all__ = ["Drawing", "SelfCritical", "advantages", "self_critical_loss"]

_MOST = 1000  # drafts of a picture, and words of one: a batch of them is in memory at once
_BARRED = -1e9  # a score that no other comes near, and that float32 adds to without an infinity


@dataclass(frozen=True)
class Drawing:
    """What is drawn of a picture: so many captions (`drafts`) of at most so many words (`longest`), `<END>` counted."""

    drafts: int = 5
    longest: int = 20

    def __post_init__(self) -> None:
        for name in ("drafts", "longest"):
            value = getattr(self, name)
            if type(value) is not int or not 2 <= value <= _MOST:
                raise ValueError(f"{name} must be an int from 2 to {_MOST}; got {value!r}")


def advantages(rewards: NDArray[np.float64], drafts: int) -> NDArray[np.float64]:
    """By how much each caption is better than the mean of the others of its picture.

    rewards: (N drafts,), those of a picture one after the other.

    >>> advantages(np.array([1.0, 3.0, 0.5, 0.5]), drafts=2)
    array([-2.,  2.,  0.,  0.])
    """
    each = rewards.reshape(-1, drafts)
    others = (each.sum(axis=1, keepdims=True) - each) / (drafts - 1)
    better: NDArray[np.float64] = (each - others).ravel()
    return better


def self_critical_loss(
    model: AnyCaptioner, features: NDArray[Any], captions: NDArray[np.integer], weights: NDArray[np.float64]
) -> Tensor:
    """-weight log p(word | words before), in the mean over all words of captions: a scalar.

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


def _check_unused(settings: Settings) -> None:
    """Raise a ValueError for a setting that would be recorded without doing anything."""
    for name in ("label_smoothing", "scheduled_sampling", "buckets"):
        value, default = getattr(settings, name), getattr(Settings, name)
        if value != default:
            raise ValueError(f"{name} does nothing in a self-critical training: it must be {default}; got {value!r}")


class SelfCritical(Solver):
    """Trains a captioner that is trained already on the CIDEr-D of what it says.

    model: with the weights to start from. train: the split; of its pictures those count that have a caption in
    `captions`, of which `max_train` may have chosen some. The references are all human captions of these pictures, and
    the document frequencies are those of the references: of other pictures nothing is learnt. settings: of the
    training; its batches are of pictures, and so are its epochs. drawing: what is drawn of each. The rest as in
    `Solver`.

    Raises:
        ValueError: for settings of the words and the order of given captions, of which there are none.
    """

    FIGURES = ("reward",)

    def __init__(
        self,
        model: AnyCaptioner,
        train: Split,
        val: Split | None = None,
        settings: Settings | None = None,
        drawing: Drawing | None = None,
        run: Run | None = None,
        progress: Progress | None = None,
        checkpoint_every: str = CHECKPOINT_EVERY,
        shards: int = 1,
        comm: Any = ALONE,
    ) -> None:
        super().__init__(model, train, val, settings, run, progress, checkpoint_every, shards, comm)
        _check_unused(self.settings)
        self.drawing = Drawing() if drawing is None else drawing
        v = train.vocabulary
        self.pictures = np.unique(train.image_idxs)
        if not self.pictures.size:
            raise ValueError(f"the split {train.name} has no captions to score by")
        references = {i: [v.encode(words).tolist() for words in train.references(i)] for i in self.pictures.tolist()}
        frequencies = DocumentFrequencies.of(references.values(), end=v.end)
        self.reward = CiderD(references, frequencies, progress or Progress(enabled=False))
        self.epoch_length = -(-self.pictures.size // self.settings.batch_size)

    def _loss(self, rows: NDArray[np.int64], rng: np.random.Generator) -> tuple[Tensor, Entry]:
        drafts = self.drawing.drafts
        pictures, features = self._batch(rows)
        said = sample(self.model, features, self.drawing.longest, rng=rng, each=drafts)
        rewards = self.reward.score_many(np.repeat(pictures, drafts), self._words(said))
        self.model.rng = rng
        start = np.full((len(said), 1), self.split.vocabulary.start, said.dtype)
        captions = np.concatenate([start, said], axis=1)
        loss = self_critical_loss(self.model, features, captions, advantages(rewards, drafts))
        return loss, {"reward": float(rewards.mean())}

    def _read(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Pictures, which are the rows of the order here, with their features."""
        return rows, self.split.features[rows]

    def _words(self, said: NDArray[np.integer]) -> list[list[int]]:
        """Captions without their padding; `<END>` stays."""
        lengths = (said != self.split.vocabulary.null).sum(axis=1).tolist()
        return [row[:length] for row, length in zip(said.tolist(), lengths, strict=True)]

    def _order_of(self, epoch: int) -> NDArray[np.int64]:
        if self._order is None or self._order[0] != epoch:
            rng = np.random.default_rng([self.settings.seed, 0, epoch])
            self._order = epoch, rng.permutation(self.pictures)
        return self._order[1]
