"""What `evaluate`, `sample` and `caption` share: which images, and how their captions are decoded."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from captioning.cli.beam_options import add_beam, asks_for_beam, beam_of, beam_text, check_words
from captioning.cli.options import check_least, data_folder
from captioning.data.dataset import CaptionData, open_captions
from captioning.data.folder import ALL_SPLITS
from captioning.data.parts import PARTS
from captioning.data.splits import Split
from captioning.data.vocabulary import Vocabulary
from captioning.decoding.beam_search import Beam, beam
from captioning.decoding.stepwise import check_chance, greedy, sample
from captioning.evaluation.consensus import MOST_DRAFTS, ConsensusSettings, TrainingCaptions, decode_consensus
from captioning.training.run_folder import Run

__all__ = ["Decoding", "add_choice", "add_decoding", "beam_decoding", "decoding_of", "open_data"]

LONGEST_CHOICE = 1000
"""The largest --max-length: no caption is so long, and captions take memory of their longest length."""


def add_choice(parser: argparse.ArgumentParser) -> None:
    """The options --split, --part, --seed, --quiet and those of `add_decoding`."""
    parser.add_argument("--split", choices=ALL_SPLITS, default="val", help="images of this split; test is there if the "
                        "data set has test_captions (val)")  # fmt: skip
    parser.add_argument("--part", choices=PARTS, default="all", help="of the split's images: all, or the first or "
                        "second half of the rows (all)")  # fmt: skip
    add_decoding(parser, "that of the split's longest human caption, at most 50")
    _add_consensus(parser)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of what is drawn (0)")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")


def add_decoding(parser: argparse.ArgumentParser, length: str) -> None:
    """The options --max-length and those of `captioning.cli.beam_options`. length: what the former is by default.

    A command that can draw captions at random adds --temperature, --top-k and --seed itself.
    """
    parser.set_defaults(temperature=None, top_k=None, seed=0)
    parser.set_defaults(consensus=None, draft_temperature=None, neighbours=None)
    parser.add_argument("--max-length", type=int, metavar="N", help="the most words of a caption, its end counted as "
                        f"one, 1 to {LONGEST_CHOICE} ({length})")  # fmt: skip
    add_beam(parser)


def _add_consensus(parser: argparse.ArgumentParser) -> None:
    """The options --consensus, --draft-temperature and --neighbours."""
    usual = ConsensusSettings()
    group = parser.add_argument_group(
        "consensus", "many captions of an image are drawn, and the one is said with which most of\nthem agree, and "
        f"most captions of training images like it; --beam N: so many\nof a beam are candidates too ({usual.width})"
    )  # fmt: skip
    group.add_argument("--consensus", type=int, metavar="N", help=f"draw N captions of each image, 1 to {MOST_DRAFTS}; "
                       f"{usual.drafts} are plenty")  # fmt: skip
    group.add_argument("--draft-temperature", type=float, metavar="X", help="draw them from softmax(scores / X): "
                       f"above 1, such as 1.4, for a run of reinforce ({usual.temperature:g})")  # fmt: skip
    group.add_argument("--neighbours", type=int, metavar="K", help="ask the captions of so many training images that "
                       f"are most like it, 0 for none ({usual.neighbours})")  # fmt: skip


def open_data(options: argparse.Namespace, run: Run) -> CaptionData:
    """The data set, with features of the kind that the run was trained on."""
    of_data = run.settings["data"]
    regions = of_data.get("regions", False)
    return open_captions(data_folder(options, run), pca=of_data.get("pca", not regions), regions=regions)


@dataclass(frozen=True)
class Decoding:
    """How captions are decoded: `decode` turns a model and features into captions, `text` says how for people.

    beam: how the beam searches, None where there is none. ask: makes `decode` of the training split, for a decoding
    that asks its captions; `knowing` must be called before that one decodes. neighbours: whether it asks those of
    images like the one it is to caption. drawn: whether it draws at random, one image after the other.
    """

    decode: Callable[..., Any]
    text: str
    beam: Beam | None = None
    ask: Callable[[Split], Callable[..., Any]] | None = None
    neighbours: bool = False
    drawn: bool = False

    def knowing(self, train: Split, split: Split) -> Decoding:
        """The same, once the training split is at hand, and the one that is to be captioned."""
        self.check_split(train, split)
        return self if self.ask is None else replace(self, decode=self.ask(train), ask=None)

    def check_split(self, train: Split, split: Split) -> None:
        """Raise a ValueError if images of `split` would be asked for their own captions."""
        if self.neighbours and split.name == train.name:
            raise ValueError("--consensus asks the captions of training images, so those of --split train would be "
                             "asked for their own: add --neighbours 0")  # fmt: skip

    def check(self, vocabulary: Vocabulary, max_length: int) -> None:
        """Raise a ValueError that names the option unless captions can be so; what `decode` would raise, but sooner."""
        if self.beam is not None:
            check_words(self.beam, vocabulary, max_length)


def decoding_of(options: argparse.Namespace) -> Decoding:
    """The decoding that the options ask for; an option that makes no sense is a ValueError that names it."""
    check_least("--seed", options.seed, 0)
    if options.max_length is not None and not 1 <= options.max_length <= LONGEST_CHOICE:
        raise ValueError(f"--max-length must be from 1 to {LONGEST_CHOICE}; got {options.max_length}")
    if options.consensus is not None:
        return _consensus_of(options)
    for option in ("neighbours", "draft_temperature"):
        if getattr(options, option) is not None:
            raise ValueError(f"--{option.replace('_', '-')} needs --consensus")
    temperature, top_k, asked = options.temperature, options.top_k, asks_for_beam(options)
    if temperature is None and top_k is None:
        return beam_decoding(beam_of(options)) if asked else Decoding(greedy, "greedy")
    if asked:
        raise ValueError(f"{asked[0]} cannot be combined with --temperature or --top-k")
    temperature = 1.0 if temperature is None else temperature
    _named("--temperature or --top-k", check_chance, temperature, top_k)
    text = f"drawn at temperature {temperature:g}" + (f" from {top_k} words" if top_k is not None else "")
    rng = np.random.default_rng(options.seed)
    return Decoding(functools.partial(sample, temperature=temperature, top_k=top_k, rng=rng), text, drawn=True)


def beam_decoding(how: Beam) -> Decoding:
    """Decoding by a beam."""
    return Decoding(functools.partial(beam, **vars(how)), beam_text(how), how)


def _consensus_of(options: argparse.Namespace) -> Decoding:
    asked = [name for name in asks_for_beam(options) if name != "--beam"]
    asked += [f"--{name.replace('_', '-')}" for name in ("temperature", "top_k") if getattr(options, name) is not None]
    if asked:
        raise ValueError(f"{asked[0]} cannot be combined with --consensus")
    given = {"drafts": options.consensus, "temperature": options.draft_temperature, "neighbours": options.neighbours,
             "width": options.beam}  # fmt: skip
    names = {"drafts": "--consensus", "temperature": "--draft-temperature", "neighbours": "--neighbours",
             "width": "--beam"}  # fmt: skip
    try:
        how = ConsensusSettings(**{name: value for name, value in given.items() if value is not None})
    except ValueError as error:
        raise ValueError(f"{names[str(error).split()[0]]}: {error}") from error
    rng = np.random.default_rng(options.seed)

    def ask(train: Split) -> Callable[..., Any]:
        return functools.partial(decode_consensus, training=TrainingCaptions(train), how=how, rng=rng)

    return Decoding(_unasked, consensus_text(how, options.seed), ask=ask, neighbours=how.neighbours > 0, drawn=True)


def consensus_text(how: ConsensusSettings, seed: int) -> str:
    """What a consensus is of, for people and signatures.

    >>> consensus_text(ConsensusSettings(), 3)
    'consensus of 40 drafts by seed 3 and 20 neighbours, beam 10'
    """
    drafts = f"{how.drafts} drafts by seed {seed}"
    drafts += f" at temperature {how.temperature:g}" if how.temperature != 1 else ""
    neighbours = f" and {how.neighbours} neighbours" if how.neighbours else ""
    return f"consensus of {drafts}{neighbours}, beam {how.width}"


def _unasked(*_: Any, **__: Any) -> Any:
    raise AssertionError("nobody was asked: Decoding.knowing comes first")


def _named(option: str, check: Callable[..., None], *values: Any) -> None:
    try:
        check(*values)
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from error
