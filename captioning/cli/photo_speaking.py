"""How `caption` lets captioners speak of photos: by which decoding, and whether they know how sure they are.

A run that was calibrated (`captioning calibrate`) knows how sure it is of captions by the beam that it was calibrated
with: that is its decoding where the options ask for none.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from captioning.cli.beam_options import beam_of
from captioning.cli.decoding_options import Decoding, beam_decoding
from captioning.decoding.beam_search import Beam
from captioning.decoding.captions import MOST, ScoredCaption, caption_as_json, n_best
from captioning.evaluation.calibration import CONFIDENCE_FILE, Calibration
from captioning.photo_captions import Speak
from captioning.training.run_folder import Run

__all__ = ["PhotoSpeaker", "beams_as_json", "check_n_best", "photo_speaker"]


@dataclass(frozen=True)
class PhotoSpeaker:
    """How photos are captioned: `decode` and `speak` are those of `caption_photos`.

    calibration: knows how sure one may be of a caption, None where nobody does. note: what is to be said of that.
    """

    decoding: Decoding
    decode: Callable[..., Any]
    speak: Speak | None
    calibration: Calibration | None
    note: str | None = None

    def unsure(self, beams: Sequence[ScoredCaption]) -> bool:
        """Whether the first caption is one that the captioner is not sure of."""
        return self.calibration is not None and bool(beams) and self.calibration.is_unsure(beams[0])


def photo_speaker(
    options: argparse.Namespace, decoding: Decoding, runs: Sequence[Run], max_length: int
) -> PhotoSpeaker:
    """How these runs caption photos; decoding: what the options ask for. A DataError for a damaged calibration."""
    calibration, note = _calibration_of(runs)
    if decoding.beam is None and (calibration is not None or options.n_best is not None):
        decoding = beam_decoding(beam_of(options) if calibration is None else calibration.beam)
    if calibration is not None and not calibration.applies_to(decoding.beam, max_length):
        calibration = None
    decode = functools.partial(decoding.decode, max_length=max_length)
    if decoding.beam is None or (calibration is None and options.n_best is None):
        return PhotoSpeaker(decoding, decode, None, None, note)
    speak = functools.partial(_speak, calibration, decoding.beam, options.n_best or 1, max_length)
    return PhotoSpeaker(decoding, decode, speak, calibration, note)


def _speak(
    calibration: Calibration | None, beam: Beam, count: int, max_length: int, model: Any, features: Any
) -> list[list[ScoredCaption]]:
    """The best captions of each image; with a calibration as many are judged as it is of."""
    if calibration is None:
        return n_best(model, features, count, max_length=max_length, **vars(beam))
    judged = calibration.count
    lists = n_best(model, features, max(count, judged), max_length=max_length, **vars(beam))
    return [[*calibration.with_confidence(beams[:judged]), *beams[judged:]][:count] for beams in lists]


def _calibration_of(runs: Sequence[Run]) -> tuple[Calibration | None, str | None]:
    """The calibration of a run that speaks alone, and what is to be said where it has one of no use."""
    if len(runs) > 1:
        return None, None  # each may know how sure it is, but not how sure they are together
    folder = runs[0].folder
    calibration = Calibration.load(folder)
    if calibration is not None and not calibration.is_of(folder):
        return None, f"{folder / CONFIDENCE_FILE} is of other weights: captioning calibrate makes it anew"
    return calibration, None


def check_n_best(options: argparse.Namespace) -> None:
    """Raise a ValueError unless --n-best makes sense."""
    if options.n_best is not None and not 1 <= options.n_best <= MOST:
        raise ValueError(f"--n-best must be from 1 to {MOST}; got {options.n_best}")


def beams_as_json(beams: Sequence[ScoredCaption]) -> list[dict[str, Any]]:
    """Captions as `caption_as_json` has them, and how sure the captioner is of those of which anybody knows.

    >>> import numpy as np
    >>> (told,) = beams_as_json([ScoredCaption(["dog"], np.log([0.5, 0.25]), -1.04, True, confidence=0.4)])
    >>> told["caption"], told["confidence"]
    ('dog', 0.4)
    """
    return [
        caption_as_json(spoken) | ({} if spoken.confidence is None else {"confidence": spoken.confidence})
        for spoken in beams
    ]
