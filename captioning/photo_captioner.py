"""Caption photos: read them, compute their features, decode captions, and estimate how good these are."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captioning.decoding.batches import LONGEST, CaptionModel
from captioning.decoding.beam_search import Beam
from captioning.decoding.captions import Caption, n_best
from captioning.evaluation.calibration import Calibration
from captioning.models.ensemble import Ensemble
from captioning.training.run_features import check_alike, extractor_of
from captioning.training.run_folder import Run
from captioning.vision.extractors import FeatureExtractor

__all__ = ["PhotoCaptioner", "load", "load_together"]

Photo = str | os.PathLike[str] | NDArray[np.uint8]


@dataclass(frozen=True)
class PhotoCaptioner:
    """Captions photos; `captioning.load` returns one.

    Attributes:
        model: a captioner, or several as one, in evaluation mode.
        network: computes the features on which the captioner was trained.
        beam: the beam search.
        calibration: estimates the confidence of captions; None if there is none for this model and this beam.
        count: the most captions of a photo that `decode` returns.
        max_length: the most words of a caption, its end included.
    """

    model: CaptionModel
    network: FeatureExtractor
    beam: Beam = field(default_factory=Beam)
    calibration: Calibration | None = None
    count: int = 1
    max_length: int = LONGEST

    @classmethod
    def of_runs(
        cls,
        runs: Sequence[Run],
        extractor: str | None = None,
        beam: Beam | None = None,
        count: int = 1,
        max_length: int = LONGEST,
        warn: Callable[[str], Any] = warnings.warn,
    ) -> PhotoCaptioner:
        """Return the captioner of a run, or of several runs that average their probabilities of the next word.

        extractor: the network of the features, for a run that does not record it. beam: by default that of the first
        run. warn: called with a message if the calibration was made for other weights.

        Raises:
            RunError: if a run cannot caption photos, or runs do not fit together.
        """
        check_alike(runs)
        how, folder = runs[0].beam if beam is None else beam, runs[0].folder
        calibration = Calibration.load(folder, how, max_length, warn) if len(runs) == 1 else None
        return cls(load_together(runs), extractor_of(runs[0], extractor), how, calibration, count, max_length)

    @overload
    def caption(self, photo: Photo) -> Caption: ...
    @overload
    def caption(self, photo: list[Any] | tuple[Any, ...]) -> list[Caption]: ...
    def caption(self, photo: Any) -> Any:
        """Return the caption of a photo, or a list of captions for a list of photos.

        photo: the path of a file, or RGB uint8 (H, W, 3).

        Raises:
            PhotoError: if a file cannot be read; names it.
            ValueError, TypeError: for an array of another shape or dtype, or another object.
        """
        if not isinstance(photo, list | tuple):
            return self.caption([photo])[0]
        features = [self.features(each) for each in photo]
        return [best for best, *_ in self.decode(np.reshape(features, (len(features), self.model.feature_size)))]

    def features(self, photo: Photo) -> NDArray[np.float32]:
        """Return the features (D,) of a photo."""
        if isinstance(photo, str | os.PathLike):
            prepared = self.network.read(photo)
        elif isinstance(photo, np.ndarray):
            prepared = self.network.prepare(photo)
        else:
            raise TypeError(f"a photo must be a path or an array, RGB uint8 (H, W, 3); got {type(photo).__name__}. "
                            "Pass np.asarray(image.convert('RGB')) for a PIL image.")  # fmt: skip
        features: NDArray[np.float32] = self.network.features(prepared[None])[0]
        return features

    def decode(self, features: ArrayLike) -> list[list[Caption]]:
        """Return the best `count` captions of each photo with features (N,D), best first."""
        if self.calibration is None:
            lists = n_best(self.model, features, self.count, max_length=self.max_length, **vars(self.beam))
        else:
            lists = self.calibration.decode(self.model, features, self.max_length, self.count)
        return [[self._with_maps(caption) for caption in captions] for captions in lists]

    def _with_maps(self, caption: Caption) -> Caption:
        if caption.attention is None:
            return caption
        return replace(caption, attention=caption.attention.reshape(-1, *self.network.grid))


def load(run: str | os.PathLike[str] | None = None, extractor: str | None = None) -> PhotoCaptioner:
    """Return the captioner of a run folder, or the one trained on Flickr8k.

    extractor: the network that made the features of the run, if the run does not record it.

    Raises:
        RunError, DataError: if the folder is not a run that can caption photos; says what is missing or damaged.

    >>> import skimage.data
    >>> captioner = load()
    >>> caption = captioner.caption(skimage.data.chelsea())  # a cat
    >>> caption.text, caption.unsure
    ('a brown and white dog is standing in the grass', True)
    >>> caption.words[4], float(caption.probabilities[4]), caption.attention[4].shape
    ('dog', 0.74, (7, 7))
    """
    return PhotoCaptioner.of_runs([Run.open(run or "shipped")], extractor)


def load_together(runs: Sequence[Run]) -> Any:
    """Load the captioner of a run, or the `Ensemble` of several runs, in evaluation mode."""
    models = [run.load_model() for run in runs]
    return models[0] if len(models) == 1 else Ensemble(models).eval()
