"""Captions of photos: files are read, a pretrained network turns them into features, a captioner says what it sees."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning import assistance
from captioning.decoding.next_word import Speaker
from captioning.decoding.spoken import Spoken
from captioning.decoding.stepwise import greedy
from captioning.training.errors import RunError
from captioning.training.run_extractors import extractor_name
from captioning.training.run_folder import Run
from captioning.vision.extractors import FeatureExtractor, RegionExtractor, extractor
from captioning.vision.photo_files import PhotoError
from captioning.vision.regions import RegionProjection
from minigrad.parallel.communicators import ALONE

__all__ = ["PhotoCaption", "Speak", "assist", "caption_photos", "extractor_of"]

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
    comm: Any = ALONE,
) -> Iterator[PhotoCaption]:
    """A caption of each photo, in their order, eight at a time; one that cannot be read has an error instead.

    model: trained on features of `network`. decode: as in `captioning.scoring.evaluation.captions_of`. report: is told
    how many photos are done. speak: gives several captions of each row of features instead, as
    `captioning.decoding.best_lists.n_best` does. comm: the ranks that share the photos, of which this is rank 0 and
    is `captioning.assistance.assisted`, and the others `assist`: each captions eight, as one process would.
    """
    for start in range(0, len(paths), _BATCH * comm.size):
        near = paths[start : start + _BATCH * comm.size]
        batches = [near[k : k + _BATCH] for k in range(0, len(near), _BATCH)]
        if comm.size > 1:
            assistance.order(json.dumps([list(map(str, batch)) for batch in batches]).encode(), comm)
        done = start
        for said in _shared(batches, model, network, decode, speak, comm):
            yield from said
            done += len(said)
            report(done)


def assist(
    model: Speaker, network: FeatureExtractor, decode: Callable[..., Any], speak: Speak | None, comm: Any
) -> bool:
    """Caption photos for rank 0, which has the same of everything, until it has ended; whether it had no error."""

    def caption(order: bytes) -> None:
        batches = [list(map(Path, batch)) for batch in json.loads(order)]
        _shared(batches, model, network, decode, speak, comm)

    return assistance.assist(caption, comm)


def _shared(
    batches: Sequence[Sequence[Path]],
    model: Speaker,
    network: FeatureExtractor,
    decode: Callable[..., Any],
    speak: Speak | None,
    comm: Any,
) -> list[list[PhotoCaption]]:
    """What each rank says of its batch, in their order, on rank 0; nothing on others."""
    caption = partial(_captioned, model=model, network=network, decode=decode, speak=speak)
    return assistance.shared(batches, caption, _packed, _unpacked, comm)


def _captioned(
    photos: Sequence[Path],
    model: Speaker,
    network: FeatureExtractor,
    decode: Callable[..., Any],
    speak: Speak | None,
) -> list[PhotoCaption]:
    """A caption of each photo of a batch."""
    read = [_prepared(path, network) for path in photos]
    seen = [photo for photo in read if not isinstance(photo, PhotoError)]
    said = iter(_said(network.features(np.stack(seen)), model, decode, speak) if seen else [])
    found = []
    for path, photo in zip(photos, read, strict=True):
        if isinstance(photo, PhotoError):
            found.append(PhotoCaption(path, None, str(photo)))
        else:
            caption, beams = next(said)
            found.append(PhotoCaption(path, caption, None, beams))
    return found


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


def _packed(said: Sequence[PhotoCaption]) -> bytes:
    """What was said of a batch as JSON, in which floating-point numbers stay what they are, to the bit."""
    return json.dumps([
        {"path": str(each.path), "caption": each.caption, "error": each.error, "beams": list(map(_told, each.beams))}
        for each in said
    ]).encode()  # fmt: skip


def _told(spoken: Spoken) -> dict[str, Any]:
    looks = None if spoken.looks is None else [spoken.looks.shape, spoken.looks.ravel().tolist()]
    return {**vars(spoken), "log_probs": spoken.log_probs.tolist(), "looks": looks}


def _unpacked(content: bytes) -> list[PhotoCaption]:
    return [
        PhotoCaption(Path(each["path"]), each["caption"], each["error"], list(map(_spoken, each["beams"])))
        for each in json.loads(content)
    ]


def _spoken(told: dict[str, Any]) -> Spoken:
    looks = None if told["looks"] is None else np.array(told["looks"][1], np.float32).reshape(told["looks"][0])
    return Spoken(**{**told, "log_probs": np.array(told["log_probs"], np.float64), "looks": looks})
