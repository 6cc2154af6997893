"""How options say which captioners caption a data set, and how their captions are decoded."""

from __future__ import annotations

import argparse
import functools
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from captioning.cli.options import BEAM, CONSENSUS, data_folder
from captioning.data.dataset import CaptionData, open_captions
from captioning.data.splits import Split
from captioning.data.vocabulary import Vocabulary
from captioning.decoding.batches import length_for
from captioning.decoding.beam_search import Beam, beam
from captioning.decoding.rules import RuleMask, Rules
from captioning.decoding.stepwise import check_chance, greedy, sample
from captioning.evaluation.consensus import ConsensusSettings, TrainingCaptions, decode_consensus
from captioning.models.ensemble import Ensemble
from captioning.training.run_files import RunError
from captioning.training.run_folder import Run

__all__ = [
    "CHOICE", "Decoding", "OpenedSplit", "beam_decoding", "beam_of", "beam_text", "decoding_of", "load_together",
    "names_of", "open_runs", "open_split",
]  # fmt: skip

CHOICE = ("--split", "--part", "--max-length", *BEAM, *CONSENSUS, "--seed", "--quiet")
"""The options of commands that caption images of a data set."""
_WIDTH = 5  # of a beam where --beam is not given
_DESTINATIONS = {"--with": "required", "--without": "banned"}
_FEATURES = ("columns", "reduced", "regions", "places", "extractor")


@dataclass(frozen=True)
class Decoding:
    """How captions are decoded.

    text: describes it for people and signatures. decode: turns a model and features into captions; a consensus, which
    asks training captions, has none. beam: the beam search; None without one. agreement: the consensus; None without
    one. seed: of what is drawn. drawn: whether anything is drawn at random, one image after the other.
    """

    text: str
    decode: Callable[..., Any] | None
    beam: Beam | None = None
    agreement: ConsensusSettings | None = None
    seed: int = 0
    drawn: bool = False

    def check(self, train: Split, split: Split, length: int) -> None:
        """Raise a ValueError that names the option unless captions of a split can be decoded so."""
        self.check_words(split.vocabulary, length)
        if self.agreement is not None and self.agreement.neighbours and split.name == train.name:
            raise ValueError("--consensus asks the captions of training images, so those of --split train would be "
                             "asked for their own: add --neighbours 0")  # fmt: skip

    def check_words(self, vocabulary: Vocabulary, length: int) -> None:
        """Raise a ValueError that names the option unless captions of at most so many words can keep to the rules."""
        if self.beam is not None:
            with _naming_options(required="--with", banned="--without"):
                RuleMask(self.beam.rules, vocabulary, length)

    def decode_for(self, train: Split) -> Callable[..., Any]:
        """Return `decode`, which may ask the captions of the training split."""
        if self.agreement is None:
            assert self.decode is not None
            return self.decode
        rng = np.random.default_rng(self.seed)
        return functools.partial(decode_consensus, training=TrainingCaptions(train), how=self.agreement, rng=rng)


def decoding_of(options: argparse.Namespace) -> Decoding:
    """Return the decoding that the options ask for; an option that makes no sense is a ValueError that names it."""
    drawing, beams = _given(options, "--temperature", "--top-k"), _given(options, *BEAM)
    drafts, temperature, top_k = (vars(options).get(name) for name in ("consensus", "temperature", "top_k"))
    if drafts is not None:
        _refuse_beside("--consensus", [name for name in beams if name != "--beam"] + drawing)
        return _consensus_of(options)
    for option in _given(options, *CONSENSUS):
        raise ValueError(f"{option} needs --consensus")
    if not drawing:
        return beam_decoding(beam_of(options)) if beams else Decoding("greedy", greedy)
    _refuse_beside("--temperature or --top-k", beams)
    temperature = 1.0 if temperature is None else temperature
    with _naming_options():
        check_chance(temperature, top_k)
    text = f"drawn at temperature {temperature:g}" + (f" from {top_k} words" if top_k is not None else "")
    rng = np.random.default_rng(options.seed)
    return Decoding(text, functools.partial(sample, temperature=temperature, top_k=top_k, rng=rng), drawn=True)


def _consensus_of(options: argparse.Namespace) -> Decoding:
    given = {"drafts": options.consensus, "temperature": options.draft_temperature, "neighbours": options.neighbours,
             "width": options.beam}  # fmt: skip
    with _naming_options(drafts="--consensus", temperature="--draft-temperature", width="--beam"):
        how = ConsensusSettings(**{name: value for name, value in given.items() if value is not None})
    return Decoding(_consensus_text(how, options.seed), None, agreement=how, seed=options.seed, drawn=True)


def _consensus_text(how: ConsensusSettings, seed: int) -> str:
    """Describe a consensus.

    >>> _consensus_text(ConsensusSettings(), 3)
    'consensus of 40 drafts by seed 3 and 20 neighbours, beam 10'
    """
    drafts = f"{how.drafts} drafts by seed {seed}"
    drafts += f" at temperature {how.temperature:g}" if how.temperature != 1 else ""
    neighbours = f" and {how.neighbours} neighbours" if how.neighbours else ""
    return f"consensus of {drafts}{neighbours}, beam {how.width}"


def beam_of(options: argparse.Namespace) -> Beam:
    """Return the beam that the options ask for; one that makes no sense is a ValueError that names the option."""
    names = ("min_length", "no_repeat", "required", "banned", "length_power", "groups", "diversity")
    given = {name: vars(options)[name] for name in names if vars(options)[name] is not None}
    with _naming_options(width="--beam", required="--with", banned="--without"):
        rules = Rules(**{name: given.pop(name) for name in names[:4] if name in given})
        return Beam(_WIDTH if options.beam is None else options.beam, **given, rules=rules)


def beam_decoding(how: Beam) -> Decoding:
    """Return the decoding by a beam."""
    return Decoding(beam_text(how), functools.partial(beam, **vars(how)), how)


def beam_text(beam: Beam) -> str:
    """Describe how a beam differs from the usual one.

    >>> beam_text(Beam(4, groups=2, rules=Rules(no_repeat=3, required=["dog"])))
    'beam 4, 2 groups at diversity 0.5, no 3 words twice, with dog'
    """
    rules = beam.rules
    parts = [f"beam {beam.width}"]
    if beam.length_power != Beam().length_power:
        parts.append(f"length power {beam.length_power:g}")
    if beam.groups > 1:
        parts.append(f"{beam.groups} groups at diversity {beam.diversity:g}")
    if rules.min_length > 1:
        parts.append(f"at least {rules.min_length} words with the end")
    if rules.no_repeat is not None:
        parts.append(f"no {rules.no_repeat} words twice" if rules.no_repeat > 1 else "no word twice")
    parts += [f"with {word}" for word in rules.required] + [f"without {word}" for word in rules.banned]
    return ", ".join(parts)


def _given(options: argparse.Namespace, *names: str) -> list[str]:
    """Return those of the options that were given."""
    dests = ((name, _DESTINATIONS.get(name, name[2:].replace("-", "_"))) for name in names)
    return [name for name, dest in dests if vars(options).get(dest) is not None]


def _refuse_beside(option: str, others: list[str]) -> None:
    if others:
        raise ValueError(f"{others[0]} cannot be combined with {option}")


@contextmanager
def _naming_options(**names: str) -> Iterator[None]:
    """Put the option in front of an error that begins with an argument's name; names: where the two differ."""
    try:
        yield
    except ValueError as error:
        (argument,) = re.findall(r"^\w+", str(error))
        raise ValueError(f"{names.get(argument, '--' + argument.replace('_', '-'))}: {error}") from error


def open_runs(folders: Sequence[str], what: str = "speak together") -> list[Run]:
    """Open runs that fit each other: a RunError unless they have the same words and kind of features.

    what: is done with them, for the error.
    """
    runs = [Run.open(folder) for folder in folders]
    first = runs[0]
    for k, run in enumerate(runs[1:], 1):
        told = f"{run.folder}: cannot {what} with {first.folder}"
        if any(run.folder.samefile(other.folder) for other in runs[:k]):
            raise RunError(f"{run.folder}: the same run twice cannot {what}")
        if run.vocabulary != first.vocabulary:
            raise RunError(f"{told}: it has other words ({run.vocabulary!r} and {first.vocabulary!r})")
        for name, of_run, of_first in zip(_FEATURES, _features_of(run), _features_of(first), strict=True):
            if of_run != of_first and not (name == "extractor" and None in (of_run, of_first)):  # nobody knows
                raise RunError(f"{told}: they were trained on other features: {name} {of_run} and {of_first}")
    return runs


def _features_of(run: Run) -> tuple[Any, ...]:
    """Return what must be equal of the features that two runs were trained on."""
    data, model = run.settings["data"], run.settings["model"]
    places = tuple(model.get("places", ()))
    return model.get("feature_size"), bool(data.get("pca")), bool(data.get("regions")), places, data.get("extractor")


def load_together(runs: Sequence[Run]) -> Any:
    """Load the captioner with the best weights of a run; of several runs their `Ensemble`. In evaluation mode."""
    models = [run.load_model() for run in runs]
    return models[0] if len(models) == 1 else Ensemble(models).eval()


def names_of(runs: Sequence[Run]) -> str:
    """Return the folders of the runs, as results name them."""
    return " + ".join(str(run.folder) for run in runs)


@dataclass(frozen=True)
class OpenedSplit:
    """A split of a data set, the captioner that captions it, how, and with at most how many words."""

    runs: Sequence[Run]
    model: Any
    data: CaptionData
    split: Split
    decoding: Decoding
    length: int


@contextmanager
def open_split(options: argparse.Namespace, runs: Sequence[Run], decoding: Decoding) -> Iterator[OpenedSplit]:
    """Open the data set, with features of the kind that the runs were trained on, and check that all fits."""
    of_data = runs[0].settings["data"]
    regions = of_data.get("regions", False)
    folder = data_folder(options, runs[0])
    with open_captions(folder, pca=of_data.get("pca", not regions), regions=regions) as data:
        split = data[options.split]
        for run in runs:
            run.check_fits(split)
        length = vars(options).get("max_length") or length_for(split)
        decoding.check(data.train, split, length)
        yield OpenedSplit(runs, load_together(runs), data, split, decoding, length)
