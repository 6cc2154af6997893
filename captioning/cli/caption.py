"""The command `caption`: what a captioner sees on photos."""

from __future__ import annotations

import argparse
import functools
import json
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import minigrad as mg
from captioning.assistance import assisted
from captioning.cli.decoding_options import add_decoding, decoding_of
from captioning.cli.options import add_command, threads
from captioning.cli.photo_speaking import PhotoSpeaker, beams_as_json, check_n_best, photo_speaker
from captioning.cli.ranks import on_ranks
from captioning.cli.sheet_option import check_room, check_sheet
from captioning.cli.speakers import load_together, names_of, open_runs
from captioning.command import shown
from captioning.decoding.batches import LONGEST
from captioning.progress import Progress
from captioning.shipped import shipped_run
from captioning.training.run_folder import Run

if TYPE_CHECKING:
    from captioning.photo_captions import PhotoCaption
    from captioning.vision.extractors import FeatureExtractor

__all__ = ["add_caption"]

_EXAMPLE = """example:
  captioning caption holiday.jpg pictures/ --out sheet.png
  captioning caption holiday.jpg --beam 6 --groups 3 --n-best 3
    three captions that differ, with their scores
  captioning caption holiday.jpg --with dog --no-repeat 3
    the best caption with a dog in it, and no three words twice
A run that was calibrated (captioning calibrate RUN) speaks by the beam that it
was calibrated with, and marks captions of which it is not sure."""

UNREADABLE = 1
"""The exit status where some photo could not be read."""


def add_caption(commands: Any) -> None:
    """The command `caption`."""
    parser = add_command(
        commands, "caption", "say what is on photos, by the captioner that comes with the package or one of your own",
        _caption, example=_EXAMPLE,
    )  # fmt: skip
    parser.add_argument("photos", metavar="PHOTO", nargs="+", help="picture files, or folders of them")
    parser.add_argument("--recursive", action="store_true", help="also photos in folders within a folder")
    parser.add_argument("--run", metavar="RUN", action="append", help="a run folder (default: the captioner that comes "
                        "with the package, trained on Flickr8k); several, --run A --run B, speak together: the next "
                        "word's probability is the mean of theirs")  # fmt: skip
    parser.add_argument("--extractor", metavar="NAME", help="the network that made the features on which RUN was "
                        "trained, if RUN does not say it itself")  # fmt: skip
    add_decoding(parser, str(LONGEST))
    parser.add_argument("--n-best", type=int, metavar="N", help="print the best N captions of the beam, with the "
                        "scores by which it ranks them; by --json with the probabilities of words")  # fmt: skip
    parser.add_argument("--out", metavar="PNG", help="draw a sheet of the photos with their captions, too")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")


def _caption(options: argparse.Namespace) -> int:
    return on_ranks(functools.partial(_shared, options))


def _shared(options: argparse.Namespace, comm: Any, fair: int, stack: ExitStack) -> int:
    """The first rank captions the photos, with the others' help."""
    from captioning.photo_captions import assist

    with mg.parallel.agreed(comm):
        stack.enter_context(threads(fair))
        what = _opened(options, comm.rank == 0)
    if comm.rank:
        done = assist(what.model, what.network, what.speaker.decode, what.speaker.speak, comm)
        return 0 if done else 2  # whatever there is to say, rank 0 says
    with assisted(comm):
        return _caption_all(options, what, comm)


class _What(NamedTuple):
    """What is captioned, by whom."""

    paths: Sequence[Path]
    runs: Sequence[Run]
    model: Any
    network: FeatureExtractor
    speaker: PhotoSpeaker


def _opened(options: argparse.Namespace, first: bool) -> _What:
    """All that is asked for, checked. first: whether this rank is the one that knows the photos and speaks."""
    from captioning.photo_captions import extractor_of
    from captioning.training.run_features import check_alike
    from captioning.vision.photo_files import photo_paths

    decoding, length = decoding_of(options), options.max_length or LONGEST
    check_n_best(options)
    paths = photo_paths(options.photos, options.recursive) if first else []
    if options.out is not None and first:
        check_sheet(options.out)
        check_room(len(paths))
    runs = [shipped_run()] if options.run is None else open_runs(options.run)
    check_alike(runs)
    speaker = photo_speaker(options, decoding, runs, length)
    speaker.decoding.check(runs[0].vocabulary, length)
    network, model = extractor_of(runs[0], options.extractor), load_together(runs)
    return _What(paths, runs, model, network, speaker)


def _caption_all(options: argparse.Namespace, what: _What, comm: Any) -> int:
    found, speaker = _told(options, what, comm), what.speaker
    if options.json:
        about = {"run": "shipped" if options.run is None else names_of(what.runs), "decoding": speaker.decoding.text}
        print(json.dumps(about | {"captions": _as_json(found, speaker, options.n_best)}), flush=True)
    if (note := _fewer(found, options.n_best)) is not None:
        print(f"captioning caption: {note}", file=sys.stderr)
    if options.out is not None:  # at the end: what is wrong with a sheet takes no caption from anybody
        _draw_sheet([each for each in found if each.caption is not None], speaker, options.out)
    return UNREADABLE if any(each.error is not None for each in found) else 0


def _told(options: argparse.Namespace, what: _What, comm: Any) -> list[PhotoCaption]:
    """The captions of the photos, which are printed as they come, unless it is to be JSON."""
    from captioning.photo_captions import caption_photos
    from captioning.vision.photo_files import passed_over

    paths, _, model, network, speaker = what
    progress = Progress(enabled=not options.quiet)
    if speaker.note is not None:
        progress.say(speaker.note)
    _say_passed_over(len(passed_over(options.photos, options.recursive)), progress)
    progress.begin(len(paths))
    found = []
    try:
        for each in caption_photos(paths, model, network, speaker.decode, progress.update, speaker.speak, comm):
            found.append(each)
            progress.close()  # a line beside the bar would stand in it; the next update draws the bar again
            if each.error is not None:
                print(f"captioning caption: {each.error}", file=sys.stderr)
            elif not options.json:
                print(_line(each, speaker, options.n_best), flush=True)
    finally:
        progress.close()
    return found


def _say_passed_over(files: int, progress: Progress) -> None:
    if files == 1:
        progress.say("1 file is no photo by its name and was passed over")
    elif files:
        progress.say(f"{files} files are no photos by their names and were passed over")


def _fewer(found: Sequence[PhotoCaption], n_best: int | None) -> str | None:
    """What to say where a beam found fewer captions than were asked for."""
    counts = [len(each.beams) for each in found if each.caption is not None]
    short = [count for count in counts if n_best is not None and count < n_best]
    if not short:
        return None
    whose = "the photo" if len(counts) == 1 else f"{len(short)} of {len(counts)} photos"
    most = f"{min(short)}" if min(short) == max(short) else f"{min(short)} to {max(short)}"
    return f"--n-best {n_best}: of {whose} the beam found {most}; a wider one, by --beam N, may find more"


def _draw_sheet(found: Sequence[PhotoCaption], speaker: PhotoSpeaker, out: str) -> None:
    from captioning.pictures.sheet_photos import sheet_photo
    from captioning.pictures.sheets import caption_sheet

    if not found:
        raise ValueError(f"--out {out}: there is no photo to draw")
    photos = [sheet_photo(each.path) for each in found]
    names = _short_names([each.path for each in found])
    caption_sheet(photos, [_said_of(each, speaker) for each in found], None, out, names=names)


def _short_names(paths: Sequence[Path]) -> list[str]:
    """The names of files; with their folders where several files have the same."""
    count = Counter(path.name for path in paths)
    return [path.name if count[path.name] == 1 else str(path) for path in paths]


def _line(each: PhotoCaption, speaker: PhotoSpeaker, n_best: int | None) -> str:
    """A photo's name and caption; of several captions each in a line, with its score."""
    first = f"{shown(each.path)}: {_said_of(each, speaker)}"
    if n_best is None:
        return first
    return "\n".join([first, *(f"  {beam.score:9.4f}  {beam.caption}" for beam in each.beams)])


def _said_of(each: PhotoCaption, speaker: PhotoSpeaker) -> str:
    return f"{each.caption}{'  (not sure)' if speaker.unsure(each.beams) else ''}"


def _as_json(found: Sequence[PhotoCaption], speaker: PhotoSpeaker, n_best: int | None) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    for each in found:
        entry = {"photo": str(each.path)}
        told.append(entry | ({"error": each.error} if each.caption is None else _said(each, speaker, n_best)))
    return told


def _said(each: PhotoCaption, speaker: PhotoSpeaker, n_best: int | None) -> dict[str, Any]:
    said: dict[str, Any] = {"caption": each.caption}
    if speaker.calibration is not None:
        said |= {"confidence": each.beams[0].confidence, "unsure": speaker.unsure(each.beams)}
    return said if n_best is None else said | {"beams": beams_as_json(each.beams)}
