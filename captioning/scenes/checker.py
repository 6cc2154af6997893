"""Parses a caption into statements and says which of them are true of the scene.

The language, over the phrases of the lexicon (the longest phrase wins, so that "on the beach" is a background
and "on a box" is a relation):

    caption     := background? "there is"? things part* end
    part        := verb? relation things | verb? background | verb
    things      := thing ("and" thing)*
    thing       := count? size? colour? noun

A relation holds between all the things directly before it and all those after it: "a dog left of a cat on a
box" says that the dog is left of the cat and the cat on the box. Agreement ("two dog is") is not judged.

What is stated, and when it is true:

| statement | true when |
|---|---|
| there is a kind | the scene has it |
| count, colour, size of a kind | the scene's thing of that kind has them; "a" and "an" state a count of one |
| x left of y (or y right of x) | it is |
| x above y (or y below x) | it is above, or on |
| x on y, x inside y | it is |
| x beside y | either is left of the other |
| the background | it is |

A full description of a scene states, for each thing, that it is there, its count, colour and size; every
relation of the scene; and the background. Precision is the share of the caption's statements that are true.
Recall is the share of the full description that the caption states. So "x above y" is true of a thing on
another, but only "x on y" counts towards recall. A good caption has precision 1, while fifteen words seldom
reach a recall of 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
    """A caption that is not in the checker's language; the message says where it fails."""


@dataclass(frozen=True, order=True)
class Statement:
    """One claim about a scene: `topic` is kind, count, colour, size, background or the name of a relation.

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
    """What a caption states and which of it is true; `error` says why it did not parse, or is empty."""

    statements: tuple[tuple[Statement, bool], ...]
    precision: float
    recall: float
    error: str = ""

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 0 if both are."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


@dataclass(frozen=True)
class Figures:
    """Means over captions of precision, recall and whether they parse, and how many captions there were."""

    precision: float
    recall: float
    parsed: float
    captions: int


# ---------------------------------------------------------------------- words to phrases
_Token = tuple[str, str]  # what the phrase is, and its meaning


def _phrases() -> dict[tuple[str, ...], _Token]:
    table: dict[str, _Token] = {"and": ("and", ""), "there is": ("there", ""), "there are": ("there", "")}
    for kind, nouns in NOUNS.items():
        for noun in nouns:
            table[noun] = table[PLURALS[noun]] = ("noun", kind)
    table |= {colour: ("colour", colour) for colour in COLOURS}
    table |= {word: ("size", size) for size, words in SIZE_WORDS.items() for word in words}
    table |= {word: ("count", str(count)) for count, words in COUNT_WORDS.items() for word in words}
    table |= {phrase: ("relation", name) for name, phrases in RELATION_PHRASES.items() for phrase in phrases}
    table |= {phrase: ("background", name) for name, phrases in BACKGROUND_PHRASES.items() for phrase in phrases}
    table |= {form: ("verb", "") for forms in VERBS.values() for form in forms}
    return {tuple(phrase.split()): token for phrase, token in table.items()}


_TABLE = _phrases()
_LONGEST = max(map(len, _TABLE))


def _tokens(words: Sequence[str]) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while at < len(words):
        for length in range(min(_LONGEST, len(words) - at), 0, -1):
            token = _TABLE.get(tuple(words[at : at + length]))
            if token:
                tokens.append(token)
                at += length
                break
        else:
            raise ParseError(f"word {at + 1}, {words[at]!r}, begins no phrase that a caption can have")
    return tokens


# ---------------------------------------------------------------------- phrases to statements
class _Parser:
    """Reads tokens from left to right, one method a rule, and collects statements."""

    def __init__(self, tokens: list[_Token]):
        self.tokens = [*tokens, ("end", "")]
        self.at = 0
        self.statements: dict[Statement, None] = {}  # a set that keeps the order

    def take(self, what: str) -> str | None:
        """The meaning of the next token if it is a `what`, else None."""
        found, meaning = self.tokens[self.at]
        if found != what:
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
            moved = self.take("verb") is not None
            relation = self.take("relation")
            if relation is not None:
                others = self.things()
                self.relate(kinds, relation, others)
                kinds = others
            elif not self.background() and not moved:
                raise ParseError(
                    f"phrase {self.at + 1}, a {self.tokens[self.at][0]}, does not follow what is before it"
                )

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
        said = [(topic, self.take(topic)) for topic in ("count", "size", "colour")]
        kind = self.take("noun")
        if kind is None:
            raise ParseError(f"phrase {self.at + 1} should be a noun and is: {self.tokens[self.at][0]}")
        self.state("kind", kind)
        for topic, value in said:
            if value is not None:
                self.state(topic, kind, value)
        return kind

    def relate(self, subjects: list[str], relation: str, objects: list[str]) -> None:
        for x in subjects:
            for y in objects:
                if relation in ("right of", "below"):  # the same as the converse, told from the other side
                    self.state({"right of": "left of", "below": "above"}[relation], y, x)
                else:
                    self.state(relation, x, y)


def parse(caption: str | Sequence[str]) -> tuple[Statement, ...]:
    """The statements of a caption, in the order told, each once. Special tokens are no part of a caption.

    Raises:
        ParseError: an empty caption, an unknown word, or an order of phrases that the language does not have.

    Example:
        >>> print(*parse("a red dog on a box in the snow"))
        kind(dog) count(dog, 1) colour(dog, red) kind(box) count(box, 1) on(dog, box) background(snow)
    """
    words = caption.split() if isinstance(caption, str) else list(caption)
    if not words:
        raise ParseError("an empty caption states nothing")
    parser = _Parser(_tokens(words))
    parser.caption()
    return tuple(parser.statements)


# ---------------------------------------------------------------------- statements to truth
def full_description(scene: Scene) -> frozenset[Statement]:
    """Every statement that a full description of the scene makes; the measure of recall."""
    facts = {Statement("background", (scene.background,))}
    for thing in scene.things:
        facts.add(Statement("kind", (thing.kind,)))
        facts.add(Statement("count", (thing.kind, str(thing.count))))
        facts.add(Statement("colour", (thing.kind, thing.colour)))
        facts.add(Statement("size", (thing.kind, thing.size)))
    for relation in scene.relations:
        facts.add(Statement(relation.name, (relation.subject, relation.object)))
    return frozenset(facts)


def _is_true(statement: Statement, facts: frozenset[Statement]) -> bool:
    if statement in facts:
        return True
    if statement.topic == "above":
        return Statement("on", statement.terms) in facts
    if statement.topic == "beside":
        return any(Statement("left of", terms) in facts for terms in (statement.terms, statement.terms[::-1]))
    return False


def judge(caption: str | Sequence[str], scene: Scene) -> Judgement:
    """Judge a caption, a string or words, by the scene. One that does not parse or states nothing scores 0.

    Example:
        >>> from captioning.scenes.world import Scene, Thing
        >>> scene = Scene("snow", 0, (Thing("dog", "red", "big", ((0.5, 0.9),)),))
        >>> verdict = judge("a blue dog in the snow", scene)
        >>> verdict.precision, verdict.recall
        (0.75, 0.6)
        >>> judge("a dog snow", scene).error
        "word 3, 'snow', begins no phrase that a caption can have"
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
    """Mean figures of one caption a scene.

    Raises:
        ValueError: no captions, or not as many captions as scenes.
    """
    verdicts = [judge(caption, scene) for caption, scene in zip(captions, scenes, strict=True)]
    if not verdicts:
        raise ValueError("judge_all: there is no caption to judge")
    return Figures(
        float(np.mean([verdict.precision for verdict in verdicts])),
        float(np.mean([verdict.recall for verdict in verdicts])),
        float(np.mean([not verdict.error for verdict in verdicts])),
        len(verdicts),
    )


def judge_others(captions: Sequence[Sequence[str]], scenes: Sequence[Scene], seed: int = 0) -> Figures:
    """The baseline: each scene judged with a caption of another scene.

    `captions[i]` holds the captions of `scenes[i]`. Who gets whose is a random cycle through all scenes, so
    nobody gets a caption of its own.

    Raises:
        ValueError: fewer than two scenes, or not as many lists of captions as scenes.

    Example:
        >>> from captioning.scenes.world import Scene, Thing
        >>> dog = Scene("snow", 0, (Thing("dog", "red", "big", ((0.5, 0.9),)),))
        >>> cup = Scene("snow", 0, (Thing("cup", "red", "big", ((0.5, 0.9),)),))
        >>> judge_others([["a dog in the snow"], ["a cup in the snow"]], [dog, cup]).precision.__round__(3)
        0.333
    """
    if len(captions) != len(scenes) or len(scenes) < 2:
        raise ValueError(
            f"judge_others: {len(captions)} lists of captions for {len(scenes)} scenes; "
            "as many of either, and two or more, are needed"
        )
    rng = np.random.default_rng(seed)
    cycle = rng.permutation(len(scenes))
    others = [captions[i] for i in np.roll(cycle, 1)]
    return judge_all([own[int(rng.integers(len(own)))] for own in others], [scenes[i] for i in cycle])
