"""Shared code of decoding commands: turn options into a decoder, and open the split to caption."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from captioning.cli.options import BEAM, CONSENSUS, data_folder, naming_options
from captioning.data.dataset import CaptionData, open_captions
from captioning.data.splits import Split
from captioning.data.vocabulary import Vocabulary
from captioning.decoding.batches import length_for
from captioning.decoding.beam_search import Beam, beam
from captioning.decoding.rules import RuleMask
from captioning.decoding.stepwise import check_chance, sample
from captioning.evaluation.consensus import ConsensusSettings, TrainingCaptions, decode_consensus
from captioning.photo_captioner import load_together
from captioning.training.run_files import RunError
from captioning.training.run_folder import Run

__all__ = [
    "CAPTIONING", "Decoding", "SplitJob", "beam_decoding", "beam_of", "decoding_of", "given", "names_of", "open_runs",
    "open_split", "refuse_beside",
]  # fmt: skip

CAPTIONING = ("--split", "--part", "--max-length", *BEAM, *CONSENSUS, "--seed", "--quiet")
"""The options of commands that caption images of a data set."""
_DESTINATIONS = {"--with": "required", "--without": "banned"}
_FEATURES = ("columns", "reduced", "regions", "places", "extractor")


@dataclass(frozen=True)
class Decoding:
    """How captions are decoded.

    text: describes it for users and signatures. decoder: turns a model and features into captions; that of a consensus
    also needs training captions. beam, consensus: the settings of a beam search or a consensus. drawn: whether random
    numbers are drawn, from one image to the next.
    """

    text: str
    decoder: Callable[..., Any]
    beam: Beam | None = None
    consensus: ConsensusSettings | None = None
    drawn: bool = False

    def check(self, split: Split, length: int) -> None:
        """Raise a ValueError that names the option if it does not fit a split."""
        self.check_words(split.vocabulary, length)
        if self.consensus is not None and self.consensus.neighbours and split.name == "train":
            raise ValueError("--consensus with --split train would compare images with their own captions: add "
                             "--neighbours 0")  # fmt: skip

    def check_words(self, vocabulary: Vocabulary, length: int) -> None:
        """Raise a ValueError that names the option if no caption of at most `length` words can obey the rules."""
        if self.beam is not None:
            with naming_options(required="--with", banned="--without"):
                RuleMask(self.beam.rules, vocabulary, length)

    def decode_for(self, data: CaptionData) -> Callable[..., Any]:
        """Return the decoder; that of a consensus gets the captions of the training split."""
        if self.consensus is None:
            return self.decoder
        return functools.partial(self.decoder, training=TrainingCaptions(data.train))


def decoding_of(options: argparse.Namespace, default: Beam) -> Decoding:
    """Return the decoding that the options describe; raise a ValueError that names a wrong option.

    default: the beam search of the run, which options change.
    """
    drawing, beams = given(options, "--temperature", "--top-k"), given(options, *BEAM)
    if given(options, "--consensus"):
        refuse_beside("--consensus", [name for name in beams if name != "--beam"] + drawing)
        return _consensus_of(options)
    if not drawing:
        return beam_decoding(beam_of(options, default))
    refuse_beside("--temperature or --top-k", beams)
    temperature, top_k = 1.0 if options.temperature is None else options.temperature, options.top_k
    with naming_options():
        check_chance(temperature, top_k)
    text = f"drawn at temperature {temperature:g}" + (f" from {top_k} words" if top_k is not None else "")
    rng = np.random.default_rng(options.seed)
    return Decoding(text, functools.partial(sample, temperature=temperature, top_k=top_k, rng=rng), drawn=True)


def _consensus_of(options: argparse.Namespace) -> Decoding:
    chosen = {"drafts": options.consensus, "temperature": options.draft_temperature, "neighbours": options.neighbours,
             "width": options.beam}  # fmt: skip
    with naming_options(drafts="--consensus", temperature="--draft-temperature", width="--beam"):
        how = ConsensusSettings(**{name: value for name, value in chosen.items() if value is not None})
    text = f"consensus of {how.drafts} drafts by seed {options.seed}"
    text += f" at temperature {how.temperature:g}" if how.temperature != 1 else ""
    text += f" and {how.neighbours} neighbours" if how.neighbours else ""
    decoder = functools.partial(decode_consensus, how=how, rng=np.random.default_rng(options.seed))
    return Decoding(f"{text}, beam {how.width}", decoder, consensus=how, drawn=True)


def beam_of(options: argparse.Namespace, default: Beam) -> Beam:
    """Return a beam search as the options change it; raise a ValueError that names a wrong option."""
    values = {**vars(options), "width": options.beam}
    chosen = [name for name, value in values.items() if value is not None]
    with naming_options(width="--beam", required="--with", banned="--without"):
        rules = replace(default.rules, **{name: values[name] for name in vars(default.rules) if name in chosen})
        return replace(default, **{name: values[name] for name in vars(default) if name in chosen}, rules=rules)


def beam_decoding(how: Beam) -> Decoding:
    """Return the decoding by a beam search. Its text says how the search differs from the default one.

    >>> from captioning.decoding.rules import Rules
    >>> beam_decoding(Beam(4, groups=2, rules=Rules(no_repeat=3, required=["dog"]))).text
    'beam 4, 2 groups at diversity 0.5, no 3 words twice, with dog'
    """
    rules = how.rules
    parts = [f"beam {how.width}"]
    if how.length_power != Beam().length_power:
        parts.append(f"length power {how.length_power:g}")
    if how.groups > 1:
        parts.append(f"{how.groups} groups at diversity {how.diversity:g}")
    if rules.min_length > 1:
        parts.append(f"at least {rules.min_length} words with the end")
    if rules.no_repeat is not None:
        parts.append(f"no {rules.no_repeat} words twice" if rules.no_repeat > 1 else "no word twice")
    if rules.doubled_words:
        parts.append("doubled words")
    parts += [f"with {word}" for word in rules.required] + [f"without {word}" for word in rules.banned]
    return Decoding(", ".join(parts), functools.partial(beam, **vars(how)), how)


def given(options: argparse.Namespace, *names: str) -> list[str]:
    """Return the options that were given."""
    dests = ((name, _DESTINATIONS.get(name, name[2:].replace("-", "_"))) for name in names)
    return [name for name, dest in dests if vars(options).get(dest) is not None]


def refuse_beside(option: str, others: list[str]) -> None:
    """Raise a ValueError if any other option was given beside an option."""
    if others:
        raise ValueError(f"{others[0]} cannot be combined with {option}")


def open_runs(folders: Sequence[str], what: str = "be combined") -> list[Run]:
    """Open runs; raise a RunError unless they have the same vocabulary and features.

    what: what is done with them, for the error.
    """
    runs = [Run.open(folder) for folder in folders]
    first = runs[0]
    for k, run in enumerate(runs[1:], 1):
        problem = f"{run.folder}: cannot {what} with {first.folder}"
        if any(run.folder.samefile(other.folder) for other in runs[:k]):
            raise RunError(f"{run.folder}: the same run twice cannot {what}")
        if run.vocabulary != first.vocabulary:
            raise RunError(f"{problem}: its vocabulary differs ({len(run.vocabulary):,} and "
                           f"{len(first.vocabulary):,} words)")  # fmt: skip
        for name, of_run, of_first in zip(_FEATURES, _features_of(run), _features_of(first), strict=True):
            if of_run != of_first and not (name == "extractor" and None in (of_run, of_first)):  # None is unknown
                raise RunError(f"{problem}: their training features differ: {name} {of_run} and {of_first}")
    return runs


def _features_of(run: Run) -> tuple[Any, ...]:
    """Return the properties of a run's features in the order of `_FEATURES`."""
    data, model = run.settings["data"], run.settings["model"]
    places = tuple(model.get("places", ()))
    return model.get("feature_size"), bool(data.get("pca")), bool(data.get("regions")), places, data.get("extractor")


def names_of(runs: Sequence[Run]) -> str:
    """Return the names of the runs, as results give them."""
    return " + ".join(run.name for run in runs)


@dataclass(frozen=True)
class SplitJob:
    """A split of a data set to caption: the captioner, the decoding, and the largest number of words."""

    runs: Sequence[Run]
    model: Any
    data: CaptionData
    split: Split
    decoding: Decoding
    length: int


@contextmanager
def open_split(
    options: argparse.Namespace, runs: Sequence[Run], decoding: Decoding | None = None
) -> Iterator[SplitJob]:
    """Open the data set with the kind of features that the runs were trained on, and check that everything fits.

    decoding: by default what the options and the first run say.
    """
    decoding = decoding_of(options, runs[0].beam) if decoding is None else decoding
    of_data = runs[0].settings["data"]
    regions = of_data.get("regions", False)
    folder = data_folder(options, *runs)
    with open_captions(folder, pca=of_data.get("pca", not regions), regions=regions) as data:
        split = data[options.split]
        if (photos := vars(options).get("photos_dir")) is not None:
            split.photos_folder = Path(photos)
            if not split.photos_folder.is_dir():
                raise ValueError(f"--photos-dir: there is no folder {photos}")
        for run in runs:
            run.check_fits(split)
        length = vars(options).get("max_length") or length_for(split)
        decoding.check(split, length)
        yield SplitJob(runs, load_together(runs), data, split, decoding, length)
