"""The command `caption`: what a captioner sees on photos.

Photos are read, a pretrained network turns them into features, and a captioner turns these into captions. A run that
was calibrated (`captioning calibrate`) knows how sure it is of captions by the beam that it was calibrated with, which
is then the default.
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

from numpy.typing import NDArray

from captioning.cli.decoding import Decoding, beam_decoding, beam_of, decoding_of, load_together, names_of, open_runs
from captioning.cli.options import BEAM, Command, check_output, number, unchanged
from captioning.command import shown
from captioning.decoding.batches import LONGEST, CaptionModel
from captioning.decoding.beam_search import Beam
from captioning.decoding.captions import MOST, ScoredCaption, caption_as_json, n_best
from captioning.decoding.stepwise import greedy
from captioning.evaluation.calibration import CONFIDENCE_FILE, Calibration
from captioning.preparing.photo_features import MapBatches, compute_batch, compute_batches
from captioning.progress import Progress
from captioning.ranks import help_map, lead, map_on_ranks
from captioning.shipped import shipped_run
from captioning.training.run_features import check_alike, extractor_name
from captioning.training.run_files import RunError
from captioning.training.run_folder import Run
from captioning.vision.extractors import FeatureExtractor, extractor
from captioning.vision.photo_files import passed_over, photo_paths
from captioning.vision.region_extractors import RegionExtractor
from captioning.vision.regions import RegionProjection

__all__ = ["CAPTION", "PhotoCaption", "caption_photos", "extractor_of"]

_UNREADABLE = 1  # the exit status if some photo could not be read

Speak = Callable[[CaptionModel, NDArray[Any]], list[list[ScoredCaption]]]
"""Turns a model and features (N,D) into captions of each image, best first."""


@dataclass(frozen=True)
class PhotoCaption:
    """The caption of a photo, or None and the error if the file could not be read.

    beams: the best captions of a beam, if several were asked for; `caption` is the first.
    """

    path: Path
    caption: str | None
    error: str | None = None
    beams: Sequence[ScoredCaption] = ()


def extractor_of(run: Run, name: str | None = None) -> FeatureExtractor:
    """Return the network that made the features on which a run was trained.

    name: of the network, for a run that does not know it. For a run with attention it also makes regions, by the
    projection that the run keeps; a RunError if it has none. Other errors are those of `extractor_name` and
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
    model: CaptionModel,
    network: FeatureExtractor,
    decode: Callable[..., Any] = greedy,
    report: Callable[[int], Any] = lambda done: None,
    speak: Speak | None = None,
    map_batches: MapBatches = map,
) -> Iterator[PhotoCaption]:
    """Caption each photo, in their order, a batch at a time; one that cannot be read has an error instead.

    model: trained on features of `network`. decode: as in `captioning.evaluation.split_scores.captions_of`.
    report: gets the number of photos that are done. speak: gives several captions of each row of features instead.
    map_batches: as in `captioning.preparing.photo_features.compute_batches`.
    """
    for first, arrays, errors in compute_batches(paths, network, map_batches=map_batches):
        features = arrays["features"]
        readable = [k for k in range(len(features)) if first + k not in errors]
        captions = iter(_captions(features[readable], model, decode, speak) if readable else [])
        for k, path in enumerate(paths[first : first + len(features)], start=first):
            error = errors.get(k)
            caption, beams = next(captions) if error is None else (None, [])
            yield PhotoCaption(path, caption, error, beams)
        report(first + len(features))


def _captions(
    features: NDArray[Any], model: CaptionModel, decode: Callable[..., Any], speak: Speak | None
) -> list[tuple[str, list[ScoredCaption]]]:
    """Return a caption for each row of features, and the beams that it is the first of."""
    if speak is not None:
        return [(beams[0].caption, beams) for beams in speak(model, features)]
    return [(" ".join(model.vocabulary.tokens(row, keep_unknown=True)), []) for row in decode(model, features)]


@dataclass(frozen=True)
class _Opened:
    """All that is needed to caption photos.

    calibration: knows how sure one may be of a caption; None without one that fits. note: what to say about that.
    """

    paths: Sequence[Path]
    runs: Sequence[Run]
    model: Any
    network: FeatureExtractor
    decoding: Decoding
    length: int
    calibration: Calibration | None
    note: str | None

    def unsure(self, each: PhotoCaption) -> bool:
        """Whether the captioner is not sure of a caption."""
        return self.calibration is not None and bool(each.beams) and self.calibration.is_unsure(each.beams[0])


def _open(options: argparse.Namespace, first: bool) -> _Opened:
    """Open and check everything; only the first rank knows the photos and writes."""
    decoding, length = decoding_of(options), options.max_length or LONGEST
    paths = photo_paths(options.photos, options.recursive) if first else []
    if options.out is not None and first:
        check_output(options.out, ".png", len(paths))
    runs = [shipped_run()] if options.run is None else open_runs(options.run)
    check_alike(runs)
    calibration, note = (None, None) if len(runs) > 1 else _calibration_of(runs[0].folder)
    if decoding.beam is None and (calibration is not None or options.n_best is not None):
        decoding = beam_decoding(beam_of(options) if calibration is None else calibration.beam)
    if calibration is not None and not calibration.applies_to(decoding.beam, length):
        calibration = None
    decoding.check_words(runs[0].vocabulary, length)
    network, model = extractor_of(runs[0], options.extractor), load_together(runs)
    return _Opened(paths, runs, model, network, decoding, length, calibration, note)


def _calibration_of(folder: Path) -> tuple[Calibration | None, str | None]:
    """Return the calibration of a run, and what to say if it is of no use."""
    calibration = Calibration.load(folder)
    if calibration is not None and not calibration.is_of(folder):
        return None, f"{folder / CONFIDENCE_FILE} is of other weights: captioning calibrate makes it anew"
    return calibration, None


def _help(opened: _Opened, comm: Any) -> bool:
    return help_map(functools.partial(compute_batch, extractor=opened.network), comm)


def _caption_all(options: argparse.Namespace, opened: _Opened, comm: Any) -> int:
    progress = Progress(enabled=not options.quiet)
    try:
        found = list(_told(options, opened, progress, comm))
    finally:
        progress.close()
    if options.json:
        about = {"run": "shipped" if options.run is None else names_of(opened.runs), "decoding": opened.decoding.text}
        captions = [{"photo": str(each.path), **_as_json(each, opened, options.n_best)} for each in found]
        print(json.dumps(about | {"captions": captions}), flush=True)
    captioned = [each for each in found if each.caption is not None]
    fewer = [len(each.beams) for each in captioned if len(each.beams) < (options.n_best or 0)]
    if fewer:
        print(f"captioning caption: --n-best {options.n_best}: the beam found only {min(fewer)} captions of "
              f"{len(fewer)} of {len(captioned)} photos; a wider one, by --beam N, may find more",
              file=sys.stderr)  # fmt: skip
    if options.out is not None:  # at the end: what is wrong with a sheet takes no caption from anybody
        _draw_sheet(captioned, opened, options.out)
    return _UNREADABLE if len(captioned) < len(found) else 0


def _told(options: argparse.Namespace, opened: _Opened, progress: Progress, comm: Any) -> Iterator[PhotoCaption]:
    """Yield the captions of the photos, and print them as they come unless the output is JSON."""
    if opened.note is not None:
        progress.say(opened.note)
    others = len(passed_over(options.photos, options.recursive))
    if others:
        progress.say("1 file is no photo by its name and was passed over" if others == 1 else
                     f"{others} files are no photos by their names and were passed over")  # fmt: skip
    progress.begin(len(opened.paths))
    assert opened.decoding.decode is not None
    decode, speak = functools.partial(opened.decoding.decode, max_length=opened.length), None
    if opened.decoding.beam is not None and (opened.calibration or options.n_best):
        speak = functools.partial(_speak, opened.calibration, opened.decoding.beam, options.n_best or 1, opened.length)
    ranked = map_on_ranks(comm)
    for each in caption_photos(opened.paths, opened.model, opened.network, decode, progress.update, speak, ranked):
        progress.close()  # a line beside the bar would stand in it; the next update draws the bar again
        if each.error is not None:
            print(f"captioning caption: {each.error}", file=sys.stderr)
        elif not options.json:
            print(f"{shown(each.path)}: {_marked(each, opened)}", flush=True)
            for beam in each.beams if options.n_best else ():
                print(f"  {beam.score:9.4f}  {beam.caption}", flush=True)
        yield each


def _speak(
    calibration: Calibration | None, beam: Beam, count: int, length: int, model: Any, features: Any
) -> list[list[ScoredCaption]]:
    """Return the best captions of each image; a calibration judges as many as it was made of."""
    judged = 0 if calibration is None else calibration.count
    lists = n_best(model, features, max(count, judged), max_length=length, **vars(beam))
    if calibration is None:
        return lists
    return [[*calibration.with_confidence(beams[:judged]), *beams[judged:]][:count] for beams in lists]


def _marked(each: PhotoCaption, opened: _Opened) -> str:
    return f"{each.caption}{'  (not sure)' if opened.unsure(each) else ''}"


def _as_json(each: PhotoCaption, opened: _Opened, n_best: int | None) -> dict[str, Any]:
    if each.caption is None:
        return {"error": each.error}
    told: dict[str, Any] = {"caption": each.caption}
    if opened.calibration is not None:
        told |= {"confidence": each.beams[0].confidence, "unsure": opened.unsure(each)}
    if n_best is not None:
        told["beams"] = [
            caption_as_json(beam) | ({} if beam.confidence is None else {"confidence": beam.confidence})
            for beam in each.beams
        ]
    return told


def _draw_sheet(found: Sequence[PhotoCaption], opened: _Opened, out: str) -> None:
    from captioning.pictures.photos import sheet_photo
    from captioning.pictures.sheets import caption_sheet

    if not found:
        raise ValueError(f"--out {out}: there is no photo to draw")
    count = Counter(each.path.name for each in found)
    names = [each.path.name if count[each.path.name] == 1 else str(each.path) for each in found]
    photos = [sheet_photo(each.path) for each in found]
    caption_sheet(photos, [_marked(each, opened) for each in found], None, out, names=names)


CAPTION = Command(
    "caption", "caption photos with the captioner that comes with the package, or with one of your own",
    lead(_open, _help, _caption_all),
    {
        "photos": {"metavar": "PHOTO", "nargs": "+", "help": "picture files, or folders of them"},
        "--recursive": {"action": "store_true", "help": "include photos in folders within a folder"},
        "--run": {"metavar": "RUN", "action": "append", "help": "a run folder (default: the captioner that comes with "
                  "the package, trained on Flickr8k); several, --run A --run B, speak together: the next word's "
                  "probability is the mean of theirs"},
        "--extractor": {},
        "--max-length": {"help": f"the most words of a caption, its end counted as one, 1 to 1000 ({LONGEST})"},
        **unchanged(*BEAM), "--n-best": {"type": number(int, 1, MOST)}, "--json": {}, "--quiet": {},
        "--out": {"metavar": "PNG", "required": False, "help": "draw a sheet of the photos with their captions, too"},
    },
    """example:
  captioning caption holiday.jpg pictures/ --out sheet.png
  captioning caption holiday.jpg --beam 6 --groups 3 --n-best 3
    three captions that differ, with their scores
  captioning caption holiday.jpg --with dog --no-repeat 3
    the best caption with a dog in it, which repeats no three words
A run that was calibrated (captioning calibrate RUN) speaks by the beam that it
was calibrated with, and marks captions of which it is not sure.""",
)  # fmt: skip
