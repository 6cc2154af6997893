"""The command `caption`: print captions of photos.

A pretrained network turns photos into features, and a captioner turns these into captions. A calibrated run
(`captioning calibrate`) uses the beam search of its calibration by default, and marks captions that may be wrong.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.cli.decoding import beam_decoding, beam_of, decoding_of, load_together, names_of, open_runs
from captioning.cli.options import BEAM, Command, check_output, number, unchanged
from captioning.command import shown
from captioning.decoding.batches import LONGEST, CaptionModel
from captioning.decoding.beam_search import Beam
from captioning.decoding.captions import MOST, ScoredCaption, caption_as_json, n_best
from captioning.decoding.stepwise import greedy
from captioning.evaluation.calibration import CONFIDENCE_FILE, Calibration
from captioning.preparing.photo_features import compute_batch, compute_batches
from captioning.progress import Progress
from captioning.ranks import MapTasks, lead
from captioning.shipped import shipped_run
from captioning.training.run_features import check_alike, extractor_name
from captioning.training.run_files import RunError
from captioning.training.run_folder import Run
from captioning.vision.extractors import FeatureExtractor, RegionExtractor, extractor
from captioning.vision.photo_files import passed_over, photo_paths
from captioning.vision.regions import RegionProjection

__all__ = ["CAPTION", "PhotoCaption", "caption_photos", "extractor_of"]

_UNREADABLE = 1  # the exit status if some photo could not be read

Decode = Callable[[CaptionModel, NDArray[Any]], list[list[ScoredCaption]]]
"""Turns a model and features (N,D) into captions of each image, best first."""


@dataclass(frozen=True)
class PhotoCaption:
    """The captions of a photo, best first, or the error if the file could not be read."""

    path: Path
    captions: Sequence[ScoredCaption] = ()
    error: str | None = None

    @property
    def caption(self) -> str | None:
        """The best caption; None after an error."""
        return self.captions[0].caption if self.captions else None


def extractor_of(run: Run, name: str | None = None) -> FeatureExtractor:
    """Return the network that made the features on which a run was trained.

    name: of the network, for a run that does not record it. For a run with attention, the network also makes regions by
    the projection in the run folder.

    Raises:
        RunError: if the run has no projection that fits, and as `extractor_name` and `extractor` do.
    """
    network = extractor(extractor_name(run, name))
    if "places" not in run.settings["model"]:
        return network
    path = run.regions_path
    if not path.is_file():
        raise RunError(
            f"{path}: there is no such file, but this captioner needs features of regions: captioning regions "
            f"{run.folder} --data DIR finds how its data set makes them, and writes the file"
        )
    try:
        projection = RegionProjection.load(path)
        wanted, got = run.settings["model"]["places"][1], projection.weight.shape[1]
        if wanted != got:
            raise ValueError(f"{path}: gives {got} numbers a place; the run was trained on {wanted}")
        return RegionExtractor(network, projection)
    except ValueError as error:
        raise RunError(str(error)) from error


def _decode_plain(decode: Callable[..., Any], model: CaptionModel, features: NDArray[Any]) -> list[list[ScoredCaption]]:
    """Return one caption of each image, without probabilities."""
    captions = (model.vocabulary.tokens(row, keep_unknown=True) for row in decode(model, features))
    return [[ScoredCaption(words, np.zeros(0), 0.0, True)] for words in captions]


_GREEDY = functools.partial(_decode_plain, greedy)


def _decode_beam(
    beam: Beam, count: int, length: int, calibration: Calibration | None, model: CaptionModel, features: NDArray[Any]
) -> list[list[ScoredCaption]]:
    """Return the best `count` captions of each image, with the confidence of those that the calibration covers."""
    calibrated = 0 if calibration is None else calibration.count
    lists = n_best(model, features, max(count, calibrated), max_length=length, **vars(beam))
    if calibration is None:
        return lists
    return [[*calibration.with_confidence(captions[:calibrated]), *captions[calibrated:]][:count] for captions in lists]


def caption_photos(
    paths: Sequence[Path],
    model: CaptionModel,
    network: FeatureExtractor,
    decode: Decode = _GREEDY,
    report: Callable[[int], Any] = lambda done: None,
    map_batches: MapTasks = map,
) -> Iterator[PhotoCaption]:
    """Caption each photo, in order, a batch at a time. A photo that cannot be read gets an error instead.

    model: trained on features of `network`. report: called with the number of finished photos. map_batches: as in
    `captioning.preparing.photo_features.compute_batches`.
    """
    for first, arrays, errors in compute_batches(paths, network, map_batches=map_batches):
        features = arrays["features"]
        readable = [k for k in range(len(features)) if first + k not in errors]
        captions = iter(decode(model, features[readable]) if readable else [])
        for k, path in enumerate(paths[first : first + len(features)], start=first):
            yield PhotoCaption(path, error=errors[k]) if k in errors else PhotoCaption(path, next(captions))
        report(first + len(features))


@dataclass(frozen=True)
class _Job:
    """Everything that is needed to caption photos.

    source, decoding: describe the captioner and the decoding for JSON. calibration: None without a valid one. note: a
    line about the calibration to print first.
    """

    paths: Sequence[Path]
    source: str
    decoding: str
    model: Any
    network: FeatureExtractor
    decode: Decode
    calibration: Calibration | None
    note: str | None

    def is_unsure(self, photo: PhotoCaption) -> bool:
        return self.calibration is not None and self.calibration.is_unsure(photo.captions[0])

    def caption_with_mark(self, photo: PhotoCaption) -> str:
        return f"{photo.caption}{'  (not sure)' if self.is_unsure(photo) else ''}"


def _open(options: argparse.Namespace, first: bool) -> _Job:
    """Open and check everything; only the first rank reads the list of photos and writes."""
    decoding, length = decoding_of(options), options.max_length or LONGEST
    paths = photo_paths(options.photos, options.recursive) if first else []
    if options.out is not None and first:
        check_output(options.out, ".png", len(paths))
    runs = [shipped_run()] if options.run is None else open_runs(options.run)
    check_alike(runs)
    calibration, note = Calibration.load(runs[0].folder) if len(runs) == 1 else None, None
    if calibration is not None and not calibration.is_of(runs[0].folder):
        note = f"{runs[0].folder / CONFIDENCE_FILE} is of other weights: run captioning calibrate again"
        calibration = None
    if decoding.beam is None and (calibration is not None or options.n_best is not None):
        decoding = beam_decoding(beam_of(options) if calibration is None else calibration.beam)
    if calibration is not None and not calibration.applies_to(decoding.beam, length):
        calibration = None
    decoding.check_words(runs[0].vocabulary, length)
    decode = functools.partial(_decode_plain, functools.partial(decoding.decoder, max_length=length))
    if decoding.beam is not None and (calibration or options.n_best):
        decode = functools.partial(_decode_beam, decoding.beam, options.n_best or 1, length, calibration)
    network, model = extractor_of(runs[0], options.extractor), load_together(runs)
    source = names_of(runs)
    return _Job(paths, source, decoding.text, model, network, decode, calibration, note)


def _caption(options: argparse.Namespace, job: _Job, map_batches: MapTasks) -> int:
    progress = Progress(enabled=not options.quiet)
    if job.note is not None:
        progress.say(job.note)
    if others := len(passed_over(options.photos, options.recursive)):
        progress.say(f"skipped {others} file{'' if others == 1 else 's'} without the suffix of a photo")
    photos = []
    progress.begin(len(job.paths))
    try:
        for photo in caption_photos(job.paths, job.model, job.network, job.decode, progress.update, map_batches):
            progress.close()  # the line must not be printed into the bar, which the next update draws again
            photos.append(photo)
            _print(photo, job, options)
    finally:
        progress.close()
    captioned = [photo for photo in photos if photo.error is None]
    if options.json:
        about = {"run": job.source, "decoding": job.decoding}
        captions = [{"photo": str(photo.path), **_as_json(photo, job, options.n_best)} for photo in photos]
        print(json.dumps(about | {"captions": captions}), flush=True)
    if short := [len(photo.captions) for photo in captioned if len(photo.captions) < (options.n_best or 0)]:
        print(f"captioning caption: --n-best {options.n_best}: the beam found only {min(short)} captions of "
              f"{len(short)} of {len(captioned)} photos; a larger --beam may find more",
              file=sys.stderr)  # fmt: skip
    if options.out is not None:  # last, so that an error of the drawing loses no caption
        _draw_sheet(captioned, job, options.out)
    return _UNREADABLE if len(captioned) < len(photos) else 0


def _print(photo: PhotoCaption, job: _Job, options: argparse.Namespace) -> None:
    """Print an error, or the captions unless the output is JSON."""
    if photo.error is not None:
        print(f"captioning caption: {photo.error}", file=sys.stderr)
    elif not options.json:
        print(f"{shown(photo.path)}: {job.caption_with_mark(photo)}", flush=True)
        for caption in photo.captions if options.n_best else ():
            print(f"  {caption.score:9.4f}  {caption.caption}", flush=True)


def _as_json(photo: PhotoCaption, job: _Job, n_best: int | None) -> dict[str, Any]:
    if photo.error is not None:
        return {"error": photo.error}
    content: dict[str, Any] = {"caption": photo.caption}
    if job.calibration is not None:
        content |= {"confidence": photo.captions[0].confidence, "unsure": job.is_unsure(photo)}
    if n_best is not None:
        content["beams"] = [
            caption_as_json(each) | ({} if each.confidence is None else {"confidence": each.confidence})
            for each in photo.captions
        ]
    return content


def _draw_sheet(photos: Sequence[PhotoCaption], job: _Job, out: str) -> None:
    from captioning.pictures.photos import sheet_photo
    from captioning.pictures.sheets import caption_sheet

    if not photos:
        raise ValueError(f"--out {out}: there is no photo to draw")
    count = Counter(photo.path.name for photo in photos)
    names = [photo.path.name if count[photo.path.name] == 1 else str(photo.path) for photo in photos]
    pictures = [sheet_photo(photo.path) for photo in photos]
    caption_sheet(pictures, [job.caption_with_mark(photo) for photo in photos], None, out, names=names)


CAPTION = Command(
    "caption", "caption photos with the captioner that comes with the package, or with your own",
    lead(_open, lambda job: functools.partial(compute_batch, extractor=job.network), _caption),
    {
        "photos": {"metavar": "PHOTO", "nargs": "+", "help": "photo files, or folders of photos"},
        "--recursive": {"action": "store_true", "help": "include photos in subfolders"},
        "--run": {"metavar": "RUN", "action": "append", "help": "a run folder (default: shipped, the captioner that "
                  "comes with the package, trained on Flickr8k); several captioners, --run A --run B, average their "
                  "probabilities of the next word"},
        "--extractor": {},
        "--max-length": {"help": f"the largest number of words of a caption, its end included, 1 to 1000 ({LONGEST})"},
        **unchanged(*BEAM), "--n-best": {"type": number(int, 1, MOST)}, "--json": {}, "--quiet": {},
        "--out": {"metavar": "PNG", "required": False, "help": "also draw a sheet of the photos with their captions"},
    },
    """example:
  captioning caption holiday.jpg pictures/ --out sheet.png
  captioning caption holiday.jpg --beam 6 --groups 3 --n-best 3
    three different captions, with their scores
  captioning caption holiday.jpg --with dog --no-repeat 3
    the best caption with the word dog and without a repeated phrase of three words
A calibrated run (captioning calibrate RUN) uses the beam of its calibration, and
marks captions that may be wrong.""",
)  # fmt: skip
