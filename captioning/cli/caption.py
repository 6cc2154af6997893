"""The command `caption`: print captions of photos.

A calibrated run (`captioning calibrate`) marks captions that may be wrong.
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

from captioning.cli.decoding import beam_decoding, beam_of, names_of, open_runs
from captioning.cli.options import BEAM, Command, check_output, number, unchanged
from captioning.command import BROKEN_PIPE, discard, shown
from captioning.decoding.batches import LONGEST
from captioning.decoding.captions import MOST, Caption, caption_as_json
from captioning.photo_captioner import PhotoCaptioner
from captioning.preparing.photo_features import compute_batch, compute_batches
from captioning.progress import Progress
from captioning.ranks import MapTasks, lead
from captioning.vision.photo_files import passed_over, photo_paths

__all__ = ["CAPTION", "PhotoCaption", "caption_photos"]

_UNREADABLE = 1  # the exit status if some photo could not be read


@dataclass(frozen=True)
class PhotoCaption:
    """The captions of a photo, best first, or the error if the file could not be read."""

    path: Path
    captions: Sequence[Caption] = ()
    error: str | None = None

    @property
    def caption(self) -> Caption | None:
        """The best caption; None after an error."""
        return self.captions[0] if self.captions else None


def caption_photos(
    paths: Sequence[Path],
    captioner: PhotoCaptioner,
    report: Callable[[int], Any] = lambda done: None,
    map_batches: MapTasks = map,
) -> Iterator[PhotoCaption]:
    """Caption each photo, in order, a batch at a time. A photo that cannot be read gets an error instead.

    report: called with the number of finished photos. map_batches: as in
    `captioning.preparing.photo_features.compute_batches`.
    """
    for first, arrays, errors in compute_batches(paths, captioner.network, map_batches=map_batches):
        features = arrays["features"]
        readable = [k for k in range(len(features)) if first + k not in errors]
        captions = iter(captioner.decode(features[readable]) if readable else [])
        for k, path in enumerate(paths[first : first + len(features)], start=first):
            yield PhotoCaption(path, error=errors[k]) if k in errors else PhotoCaption(path, next(captions))
        report(first + len(features))


@dataclass(frozen=True)
class _Job:
    """The inputs of a captioning job.

    source, decoding: describe the captioner and the decoding for JSON.
    """

    paths: Sequence[Path]
    source: str
    decoding: str
    captioner: PhotoCaptioner
    progress: Progress


def _open(options: argparse.Namespace, first: bool) -> _Job:
    """Open and check everything; only the first rank reads the list of photos and writes."""
    progress = Progress(enabled=first and not options.quiet)
    paths = photo_paths(options.photos, options.recursive) if first else []
    if options.out is not None and first:
        check_output(options.out, ".png", len(paths))
    runs = open_runs(options.run or ["shipped"])
    beam, length = beam_of(options, runs[0].beam), options.max_length or LONGEST
    decoding = beam_decoding(beam)
    decoding.check_words(runs[0].vocabulary, length)
    captioner = PhotoCaptioner.of_runs(runs, options.extractor, beam, options.n_best or 1, length, progress.say)
    return _Job(paths, names_of(runs), decoding.text, captioner, progress)


def _caption(options: argparse.Namespace, job: _Job, map_batches: MapTasks) -> int:
    progress = job.progress
    if others := len(passed_over(options.photos, options.recursive)):
        progress.say(f"skipped {others} file{'' if others == 1 else 's'} without a photo suffix")
    photos, status = [], 0
    progress.begin(len(job.paths))
    try:
        for photo in caption_photos(job.paths, job.captioner, progress.update, map_batches):
            progress.close()  # the line must not be printed into the bar, which the next update draws again
            photos.append(photo)
            status = _print(_lines_of(photo, options), options) or status
    finally:
        progress.close()
    captioned = [photo for photo in photos if photo.error is None]
    if options.json:
        about = {"run": job.source, "decoding": job.decoding}
        captions = [{"photo": str(photo.path), **_as_json(photo, options.n_best)} for photo in photos]
        status = _print([json.dumps(about | {"captions": captions})], options) or status
    if short := [len(photo.captions) for photo in captioned if len(photo.captions) < (options.n_best or 0)]:
        print(f"captioning caption: --n-best {options.n_best}: the beam found only {min(short)} captions of "
              f"{len(short)} of {len(captioned)} photos; a larger --beam may find more",
              file=sys.stderr)  # fmt: skip
    if options.out is not None:  # draw last, so that a drawing error loses no caption
        _draw_sheet(captioned, options.out)
    return status or (_UNREADABLE if len(captioned) < len(photos) else 0)


def _lines_of(photo: PhotoCaption, options: argparse.Namespace) -> list[str]:
    """Return the lines of a photo, none for JSON; print an error."""
    if photo.error is not None:
        print(f"captioning caption: {photo.error}", file=sys.stderr)
    if photo.error is not None or options.json:
        return []
    beams = photo.captions if options.n_best else ()
    return [f"{shown(photo.path)}: {_marked(photo.captions[0])}", *(f"  {c.score:9.4f}  {c.text}" for c in beams)]


def _print(lines: Sequence[str], options: argparse.Namespace) -> int:
    """Print lines and return 0. After a broken pipe, return its exit status if there is a sheet to draw."""
    try:
        for line in lines:
            print(line, flush=True)
    except BrokenPipeError:
        if options.out is None:
            raise
        discard(sys.stdout)
        return BROKEN_PIPE
    return 0


def _marked(caption: Caption) -> str:
    return f"{caption.text}{'  (not sure)' if caption.unsure else ''}"


def _as_json(photo: PhotoCaption, n_best: int | None) -> dict[str, Any]:
    if photo.caption is None:
        return {"error": photo.error}
    best = photo.caption
    content: dict[str, Any] = {"caption": best.text, "confidence": best.confidence, "unsure": best.unsure}
    if n_best is not None:
        content["beams"] = [
            caption_as_json(each) | ({} if each.confidence is None else {"confidence": each.confidence})
            for each in photo.captions
        ]
    return content


def _draw_sheet(photos: Sequence[PhotoCaption], out: str) -> None:
    from captioning.pictures.photos import sheet_photo
    from captioning.pictures.sheets import caption_sheet

    if not photos:
        raise ValueError(f"--out {out}: there is no photo to draw")
    count = Counter(photo.path.name for photo in photos)
    names = [photo.path.name if count[photo.path.name] == 1 else str(photo.path) for photo in photos]
    pictures = [sheet_photo(photo.path) for photo in photos]
    caption_sheet(pictures, [_marked(photo.captions[0]) for photo in photos], None, out, names=names)


CAPTION = Command(
    "caption", "caption photos with the Flickr8k captioner or with your own",
    lead(_open, lambda job: functools.partial(compute_batch, extractor=job.captioner.network), _caption),
    {
        "photos": {"metavar": "PHOTO", "nargs": "+", "help": "photo files, or folders of photos"},
        "--recursive": {"action": "store_true", "help": "include photos in subfolders"},
        "--run": {"metavar": "RUN", "action": "append", "help": "a run folder (default: shipped, the Flickr8k "
                  "captioner); repeat --run to average the word probabilities of several "
                  "captioners"},
        "--extractor": {},
        "--max-length": {"help": f"the maximum caption length in words, counting the end token, 1 to 1000 (default: "
                         f"{LONGEST})"},
        **unchanged(*BEAM), "--n-best": {"type": number(int, 1, MOST)}, "--json": {}, "--quiet": {},
        "--out": {"metavar": "PNG", "required": False, "help": "also draw a sheet of the photos with their captions"},
    },
    """example:
  captioning caption holiday.jpg pictures/ --out sheet.png
  captioning caption holiday.jpg --beam 6 --groups 3 --n-best 3
    three different captions, with their scores
  captioning caption holiday.jpg --with dog --no-repeat 3
    the best caption with the word dog and without a repeated phrase of three words
A calibrated run (captioning calibrate RUN) marks captions that may be wrong.""",
)  # fmt: skip
