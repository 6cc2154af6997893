"""Captions of photos: files are read, a pretrained network turns them into features, a captioner says what it sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.decoding.next_word import Speaker
from captioning.decoding.spoken import Spoken
from captioning.decoding.stepwise import greedy
from captioning.training.errors import RunError
from captioning.training.run_extractors import extractor_name
from captioning.training.run_folder import Run
from captioning.vision.extractors import FeatureExtractor, extractor
from captioning.vision.photo_files import PhotoError
from captioning.vision.region_extractors import RegionExtractor
from captioning.vision.regions import RegionProjection

__all__ = ["PhotoCaption", "Speak", "caption_photos", "extractor_of"]

Speak = Callable[[Speaker, NDArray[Any]], list[list[Spoken]]]
"""From a model and features (N,D) to captions of each image, best first."""

_BATCH = 8  # photos at once: more are no quicker, and the first captions would come later


@dataclass(frozen=True)
class PhotoCaption:
    """What was said of a photo. caption: its words, or None where the file could not be read; error: why not.

    beams: the best captions of a beam, where it was asked for several; `caption` is the first.
    """

    path: Path
    caption: str | None
    error: str | None = None
    beams: Sequence[Spoken] = ()


def extractor_of(run: Run, name: str | None = None) -> FeatureExtractor:
    """The network that made the features on which a run was trained.

    name: of the network, for a run that does not know it. Of a run that looks at regions it gives these too, by the
    projection that the run keeps; a RunError if it has none. Other errors are those of `extractor_name`, and of
    `extractor`.
    """
    found = extractor_name(run, name)
    if "places" not in run.settings["model"]:
        return extractor(found)
    path = run.regions_path
    if not path.is_file():
        raise RunError(
            f"{path}: there is no such file, and the run looks at regions, which only its data set knows how to make: "
            f"captioning regions {run.folder} --data DIR finds that out and keeps it there"
        )
    try:
        projection = RegionProjection.load(path)
        wanted, got = run.settings["model"]["places"][1], projection.weight.shape[1]
        if wanted != got:
            raise ValueError(f"{path}: gives {got} numbers a place; the run was trained on {wanted}")
        return RegionExtractor(extractor(found), projection)
    except ValueError as error:
        raise RunError(str(error)) from error


def caption_photos(
    paths: Sequence[Path],
    model: Speaker,
    network: FeatureExtractor,
    decode: Callable[..., Any] = greedy,
    report: Callable[[int], Any] = lambda done: None,
    speak: Speak | None = None,
) -> Iterator[PhotoCaption]:
    """A caption of each photo, in their order, eight at a time; one that cannot be read has an error instead.

    model: trained on features of `network`. decode: as in `captioning.scoring.evaluation.captions_of`. report: is told
    how many photos are done. speak: gives several captions of each row of features instead, as
    `captioning.decoding.best_lists.n_best` does.
    """
    for start in range(0, len(paths), _BATCH):
        block = paths[start : start + _BATCH]
        read = [_prepared(path, network) for path in block]
        photos = [photo for photo in read if not isinstance(photo, PhotoError)]
        said = iter(_said(network.features(np.stack(photos)), model, decode, speak) if photos else [])
        for path, photo in zip(block, read, strict=True):
            if isinstance(photo, PhotoError):
                yield PhotoCaption(path, None, str(photo))
            else:
                caption, beams = next(said)
                yield PhotoCaption(path, caption, None, beams)
        report(start + len(block))


def _prepared(path: Path, network: FeatureExtractor) -> NDArray[np.float32] | PhotoError:
    try:
        return network.read(path)
    except PhotoError as error:
        return error


def _said(
    features: NDArray[Any], model: Speaker, decode: Callable[..., Any], speak: Speak | None
) -> list[tuple[str, list[Spoken]]]:
    """A caption for each row of features, and the beams that it is the first of."""
    if speak is not None:
        return [(beams[0].caption, beams) for beams in speak(model, features)]
    return [(" ".join(model.vocabulary.tokens(row, keep_unknown=True)), []) for row in decode(model, features)]
