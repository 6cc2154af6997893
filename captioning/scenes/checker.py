"""Parse a caption into statements, and check which of them are true of a scene.

The language, over the phrases of the lexicon. The longest phrase wins, so "on the beach" is a background and "on a box"
is a relation::

    caption     := background? "there is"? things part* end
    part        := verb? relation things | verb? background | verb
    things      := thing ("and" thing)*
    thing       := count? size? colour? noun

A relation holds between all things directly before it and all things directly after it: "a dog left of a cat on a box"
says that the dog is left of the cat and the cat on the box. Agreement ("two dog is") is not checked.

| statement | true if |
|---|---|
| there is a kind | the scene has it |
| count, colour, size of a kind | the scene's thing of that kind has them; "a" and "an" state a count of one |
| x left of y (or y right of x) | it is |
| x above y (or y below x) | it is above, or on |
| x on y, x inside y | it is |
| x beside y | one is left of the other |
| the background | it is |

The full description of a scene states the kind, count, colour and size of each thing, every relation, and the
background. Precision is the share of a caption's statements that are true. Recall is the share of the full description
that the caption states; "x above y" is true of a thing on another, but only "x on y" counts towards recall. Fifteen
words seldom reach a recall of 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from captioning.scenes.lexicon import (
    BACKGROUND_PHRASES,
    COUNT_WORDS,
    NOUNS,
    PLURALS,
    RELATION_PHRASES,
    SIZE_WORDS,
    VERBS,
)
from captioning.scenes.world import COLOURS, Scene

__all__ = [
    "Figures",
    "Judgement",
    "ParseError",
    "Statement",
    "full_description",
    "judge",
    "judge_all",
    "judge_others",
    "parse",
]


class ParseError(ValueError):
    """A caption outside the checker's language; the message says where it fails."""


@dataclass(frozen=True, order=True)
class Statement:
    """A claim about a scene. `topic` is kind, count, colour, size, background or the name of a relation.

    Example:
        >>> print(Statement("colour", ("dog", "red")))
        colour(dog, red)
    """

    topic: str
    terms: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.topic}({', '.join(self.terms)})"


@dataclass(frozen=True)
class Judgement:
    """The statements of a caption and whether each is true; `error` says why it did not parse, or is empty."""

    statements: tuple[tuple[Statement, bool], ...]
    precision: float
    recall: float
    error: str = ""

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, or 0 if both are 0."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


@dataclass(frozen=True)
class Figures:
    """The means of precision and recall over captions, the share that parses, and the number of captions."""

    precision: float
    recall: float
    parsed: float
    captions: int


# ---------------------------------------------------------------------- parsing
_Token = tuple[str, str]  # the kind of phrase, and its meaning


def _phrases() -> dict[str, _Token]:
    table: dict[str, _Token] = {"and": ("and", ""), "there is": ("there", ""), "there are": ("there", "")}
    for kind, nouns in NOUNS.items():
        for noun in nouns:
            table[noun] = table[PLURALS[noun]] = ("noun", kind)
    table |= {colour: ("colour", colour) for colour in COLOURS}
    table |= {word: ("size", size) for size, words in SIZE_WORDS.items() for word in words}
    table |= {word: ("count", str(count)) for count, words in COUNT_WORDS.items() for word in words}
    table |= {phrase: ("relation", name) for name, phrases in RELATION_PHRASES.items() for phrase in phrases}
    table |= {phrase: ("background", name) for name, phrases in BACKGROUND_PHRASES.items() for phrase in phrases}
    return table | {form: ("verb", "") for forms in VERBS.values() for form in forms}


_PHRASES = _phrases()
_LONGEST_FIRST = re.compile(f"({'|'.join(sorted(_PHRASES, key=len, reverse=True))})(?: |$)")
_CONVERSES = {"right of": "left of", "below": "above"}


def _tokens(text: str) -> list[_Token]:
    tokens, at = [], 0
    while at < len(text):
        match = _LONGEST_FIRST.match(text, at)
        if match is None:
            word = text[at:].split()[0]
            raise ParseError(f"word {text[:at].count(' ') + 1}, {word!r}, does not begin a phrase of a caption")
        tokens.append(_PHRASES[match[1]])
        at = match.end()
    return tokens


class _Parser:
    """Reads tokens from left to right, one method for each rule, and collects statements."""

    def __init__(self, tokens: list[_Token]):
        self.tokens = [*tokens, ("end", "")]
        self.at = 0
        self.statements: dict[Statement, None] = {}  # an ordered set

    def take(self, kind: str) -> str | None:
        """Return the meaning of the next token and move on, if it is of this kind; else return None."""
        found, meaning = self.tokens[self.at]
        if found != kind:
            return None
        self.at += 1
        return meaning

    def state(self, topic: str, *terms: str) -> None:
        self.statements[Statement(topic, terms)] = None

    def caption(self) -> None:
        self.background()
        self.take("there")
        kinds = self.things()
        while self.take("end") is None:
            verb = self.take("verb")
            relation = self.take("relation")
            if relation is not None:
                others = self.things()
                self.relate(kinds, relation, others)
                kinds = others
            elif not self.background() and verb is None:
                raise ParseError(f"phrase {self.at + 1}, a {self.tokens[self.at][0]}, cannot follow the phrase before")

    def background(self) -> bool:
        name = self.take("background")
        if name is not None:
            self.state("background", name)
        return name is not None

    def things(self) -> list[str]:
        kinds = [self.thing()]
        while self.take("and") is not None:
            kinds.append(self.thing())
        return kinds

    def thing(self) -> str:
        properties = [(topic, self.take(topic)) for topic in ("count", "size", "colour")]
        kind = self.take("noun")
        if kind is None:
            raise ParseError(f"phrase {self.at + 1} should be a noun, but it is a {self.tokens[self.at][0]}")
        self.state("kind", kind)
        for topic, value in properties:
            if value is not None:
                self.state(topic, kind, value)
        return kind

    def relate(self, subjects: list[str], relation: str, objects: list[str]) -> None:
        for x, y in product(subjects, objects):
            if relation in _CONVERSES:
                self.state(_CONVERSES[relation], y, x)
            else:
                self.state(relation, x, y)


def parse(caption: str | Sequence[str]) -> tuple[Statement, ...]:
    """Return the statements of a caption, a string or words without special tokens, in their order, each once.

    Raises:
        ParseError: if the caption is empty, has an unknown word, or has phrases in an order that the language does not
            allow.

    Example:
        >>> print(*parse("a red dog on a box in the snow"))
        kind(dog) count(dog, 1) colour(dog, red) kind(box) count(box, 1) on(dog, box) background(snow)
    """
    parser = _Parser(_tokens(" ".join(caption.split() if isinstance(caption, str) else caption)))
    parser.caption()
    return tuple(parser.statements)


# ---------------------------------------------------------------------- judging
def full_description(scene: Scene) -> frozenset[Statement]:
    """Return every statement of the full description of a scene."""
    facts = {Statement("background", (scene.background,))}
    for thing in scene.things:
        facts |= {
            Statement("kind", (thing.kind,)),
            Statement("count", (thing.kind, str(thing.count))),
            Statement("colour", (thing.kind, thing.colour)),
            Statement("size", (thing.kind, thing.size)),
        }
    relations = {Statement(relation.name, (relation.subject, relation.object)) for relation in scene.relations}
    return frozenset(facts | relations)


def _is_true(statement: Statement, facts: frozenset[Statement]) -> bool:
    implied_by = {statement}
    if statement.topic == "above":
        implied_by = {statement, Statement("on", statement.terms)}
    if statement.topic == "beside":
        implied_by = {Statement("left of", statement.terms), Statement("left of", statement.terms[::-1])}
    return not implied_by.isdisjoint(facts)


def judge(caption: str | Sequence[str], scene: Scene) -> Judgement:
    """Judge a caption, a string or words, by the scene. A caption that does not parse scores 0.

    Example:
        >>> from captioning.scenes.world import Scene, Thing
        >>> scene = Scene("snow", 0, (Thing("dog", "red", "big", ((0.5, 0.9),)),))
        >>> verdict = judge("a blue dog in the snow", scene)
        >>> verdict.precision, verdict.recall
        (0.75, 0.6)
        >>> judge("a dog snow", scene).error
        "word 3, 'snow', does not begin a phrase of a caption"
    """
    try:
        stated = parse(caption)
    except ParseError as error:
        return Judgement((), 0.0, 0.0, str(error))
    facts = full_description(scene)
    truths = tuple((statement, _is_true(statement, facts)) for statement in stated)
    right = sum(truth for _, truth in truths)
    return Judgement(truths, right / len(truths), len(facts.intersection(stated)) / len(facts))


def judge_all(captions: Iterable[str | Sequence[str]], scenes: Iterable[Scene]) -> Figures:
    """Average the judgements of one caption for each scene.

    Raises:
        ValueError: if there are no captions, or not as many as scenes.
    """
    verdicts = [judge(caption, scene) for caption, scene in zip(captions, scenes, strict=True)]
    if not verdicts:
        raise ValueError("judge_all: there are no captions. Pass at least one.")
    return Figures(
        float(np.mean([verdict.precision for verdict in verdicts])),
        float(np.mean([verdict.recall for verdict in verdicts])),
        float(np.mean([not verdict.error for verdict in verdicts])),
        len(verdicts),
    )


def judge_others(captions: Sequence[Sequence[str]], scenes: Sequence[Scene], seed: int = 0) -> Figures:
    """Judge each scene by a caption of another scene, as a baseline.

    `captions[i]` has the captions of `scenes[i]`. A random cycle through all scenes decides which other scene.

    Raises:
        ValueError: if there are fewer than two scenes, or not as many lists of captions as scenes.

    Example:
        >>> from captioning.scenes.world import Scene, Thing
        >>> dog = Scene("snow", 0, (Thing("dog", "red", "big", ((0.5, 0.9),)),))
        >>> cup = Scene("snow", 0, (Thing("cup", "red", "big", ((0.5, 0.9),)),))
        >>> judge_others([["a dog in the snow"], ["a cup in the snow"]], [dog, cup]).precision.__round__(3)
        0.333
    """
    if len(captions) != len(scenes) or len(scenes) < 2:
        raise ValueError(
            f"judge_others: got {len(captions)} lists of captions for {len(scenes)} scenes. "
            "Pass as many of both, and two or more."
        )
    rng = np.random.default_rng(seed)
    cycle = rng.permutation(len(scenes))
    others = [captions[i] for i in np.roll(cycle, 1)]
    return judge_all([own[int(rng.integers(len(own)))] for own in others], [scenes[i] for i in cycle])
