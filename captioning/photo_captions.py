"""Captions of photos: files are read, a pretrained network turns them into features, a captioner says what it sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.decoding.stepwise import greedy
from captioning.models.kinds import AnyCaptioner
from captioning.training.run_extractors import extractor_name
from captioning.training.run_folder import Run
from captioning.vision.extractors import FeatureExtractor, extractor
from captioning.vision.photo_files import PhotoError

__all__ = ["PhotoCaption", "caption_photos", "extractor_of"]

_BATCH = 8  # photos at once: more are no quicker, and the first captions would come later


@dataclass(frozen=True)
class PhotoCaption:
    """What was said of a photo. caption: its words, or None where the file could not be read; error: why not."""

    path: Path
    caption: str | None
    error: str | None = None


def extractor_of(run: Run, name: str | None = None) -> FeatureExtractor:
    """The network that made the features on which a run was trained.

    name: of the network, for a run that does not know it. Errors are those of `extractor_name`, and of `extractor`.
    """
    return extractor(extractor_name(run, name))


def caption_photos(
    paths: Sequence[Path],
    model: AnyCaptioner,
    network: FeatureExtractor,
    decode: Callable[..., Any] = greedy,
    report: Callable[[int], Any] = lambda done: None,
) -> Iterator[PhotoCaption]:
    """A caption of each photo, in their order, eight at a time; one that cannot be read has an error instead.

    model: trained on features of `network`. decode: as in `captioning.scoring.evaluation.captions_of`. report: is told
    how many photos are done.
    """
    for start in range(0, len(paths), _BATCH):
        block = paths[start : start + _BATCH]
        read = [_prepared(path, network) for path in block]
        photos = [photo for photo in read if not isinstance(photo, PhotoError)]
        said = iter(_captions(np.stack(photos), model, network, decode) if photos else [])
        for path, photo in zip(block, read, strict=True):
            failed = isinstance(photo, PhotoError)
            yield PhotoCaption(path, None, str(photo)) if failed else PhotoCaption(path, next(said))
        report(start + len(block))


def _prepared(path: Path, network: FeatureExtractor) -> NDArray[np.float32] | PhotoError:
    try:
        return network.read(path)
    except PhotoError as error:
        return error


def _captions(
    photos: NDArray[np.float32], model: AnyCaptioner, network: FeatureExtractor, decode: Callable[..., Any]
) -> list[str]:
    ids = decode(model, network.features(photos))
    return [" ".join(model.vocabulary.tokens(row, keep_unknown=True)) for row in ids]
