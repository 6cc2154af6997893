"""The options of beam search, which all commands share that let a captioner speak, and what they say in words."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from captioning.data.vocabulary import Vocabulary
from captioning.decoding.beam_search import Beam
from captioning.decoding.rules import RuleMask, Rules

__all__ = ["BEAM", "add_beam", "asks_for_beam", "beam_of", "beam_text", "check_words"]

BEAM = 5
"""The width of a beam that is needed, and that nobody said."""

_BY_ARGUMENT = {
    "width": "--beam", "length_power": "--length-power", "groups": "--groups", "diversity": "--diversity",
    "min_length": "--min-length", "no_repeat": "--no-repeat", "required": "--with", "banned": "--without",
}  # fmt: skip
"""The options by the argument of `beam`, or of its `Rules`, that they are; an error's first word is the argument."""

_OPTIONS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("--length-power", {"type": float, "metavar": "X", "help": "a beam ranks captions by their log-probability "
     "divided by their length to this power: 0 prefers short ones, 1, the mean of the words, longer ones; which is "
     "best depends on the run: try 0.7 to 1.4 (1)"}),
    ("--min-length", {"type": int, "metavar": "N", "help": "the least words of a caption, its end counted as one (1)"}),
    ("--no-repeat", {"type": int, "metavar": "N", "help": "no run of N words twice in a caption: 3 is a phrase, 1 any "
     "word (all allowed)"}),
    ("--groups", {"type": int, "metavar": "N", "help": "divide the beam into N groups that avoid each other's words, "
     "for captions that differ in more than a word; N must divide the beam's width (1)"}),
    ("--diversity", {"type": float, "metavar": "X", "help": "how much a group avoids a word for each caption of an "
     "earlier group that says it at the same place, as a log-probability (0.5)"}),
    ("--with", {"dest": "required", "action": "append", "metavar": "WORD", "help": "a word that every caption must "
     "have; may be given up to five times"}),
    ("--without", {"dest": "banned", "action": "append", "metavar": "WORD", "help": "a word that no caption may have; "
     "may be given again and again"}),
)  # fmt: skip


def add_beam(parser: argparse.ArgumentParser) -> None:
    """The options --beam, --length-power, --min-length, --no-repeat, --groups, --diversity, --with and --without."""
    group = parser.add_argument_group(
        "beam search", "several unfinished captions of an image go on side by side, and the\nbest that they become is "
        f"said; each of these options asks for it, with a\nbeam of {BEAM} where --beam is not given"
    )  # fmt: skip
    group.add_argument("--beam", type=int, metavar="N", help="beam search of this width, 1 to 100, instead of greedy "
                       "decoding; captions that end are preferred to those that are cut")  # fmt: skip
    for name, how in _OPTIONS:
        group.add_argument(name, **how)


def asks_for_beam(options: argparse.Namespace) -> list[str]:
    """The options of a beam that were given."""
    destinations = ("beam", *(name for name in _BY_ARGUMENT if name != "width"))
    names = {"beam": "--beam"} | _BY_ARGUMENT
    return [names[name] for name in destinations if getattr(options, name) is not None]


def beam_of(options: argparse.Namespace) -> Beam:
    """The beam that the options ask for; one that makes no sense is a ValueError that names the option."""

    def given(*names: str) -> dict[str, Any]:
        return {name: getattr(options, name) for name in names if getattr(options, name) is not None}

    with _naming_options():
        rules = Rules(**given("min_length", "no_repeat", "required", "banned"))
        width = BEAM if options.beam is None else options.beam
        return Beam(width, **given("length_power", "groups", "diversity"), rules=rules)


def check_words(beam: Beam, vocabulary: Vocabulary, max_length: int) -> None:
    """Raise a ValueError that names the option unless captions of at most so many words can keep to the rules."""
    with _naming_options():
        RuleMask(beam.rules, vocabulary, max_length)


def beam_text(beam: Beam) -> str:
    """What a beam does, for people and signatures: all that is not as usual.

    >>> beam_text(Beam(4, groups=2, rules=Rules(no_repeat=3, required=["dog"])))
    'beam 4, 2 groups at diversity 0.5, no 3 words twice, with dog'
    """
    rules, usual = beam.rules, Beam()
    parts = [f"beam {beam.width}"]
    if beam.length_power != usual.length_power:
        parts.append(f"length power {beam.length_power:g}")
    if beam.groups > 1:
        parts.append(f"{beam.groups} groups at diversity {beam.diversity:g}")
    if rules.min_length > 1:
        parts.append(f"at least {rules.min_length} words with the end")
    if rules.no_repeat is not None:
        parts.append(f"no {rules.no_repeat} words twice" if rules.no_repeat > 1 else "no word twice")
    parts += [f"with {word}" for word in rules.required] + [f"without {word}" for word in rules.banned]
    return ", ".join(parts)


@contextmanager
def _naming_options() -> Iterator[None]:
    """Put the option in front of an error that begins with the argument that the option is."""
    try:
        yield
    except ValueError as error:
        first = str(error).replace(":", " ").replace(",", " ").split()[0]
        raise ValueError(f"{_BY_ARGUMENT[first]}: {error}") from error
