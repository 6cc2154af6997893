"""Write captions of a scene: true sentences of a small grammar with synonyms, of at most 15 words."""

from __future__ import annotations

from collections.abc import Sequence

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
from captioning.scenes.world import Relation, Scene, Thing, pick

__all__ = ["MAX_WORDS", "caption", "captions"]

MAX_WORDS = 15
"""With <START> and <END> these fill the 17 columns of the data set."""

_COLOUR, _SIZE, _RELATION, _BACKGROUND = 0.8, 0.45, 0.85, 0.85  # probability that each is mentioned
_CONVERSE = {"left of": "right of", "above": "below"}
_ANIMALS = ("dog", "cat", "bird", "fish")
_FLYERS = ("bird", "kite")


def captions(scene: Scene, rng: np.random.Generator, count: int = 5) -> list[str]:
    """Return `count` captions of the scene in lower case, with few repeats.

    Example:
        >>> from captioning.scenes.world import draw_scene
        >>> rng = np.random.default_rng(9)
        >>> captions(draw_scene(rng), rng, 2)
        ['a purple chair and a purple boat and a white fish',
         'a purple chair stands beside a little purple boat in the room']
    """
    found: list[str] = []
    for _ in range(count):
        for _attempt in range(8):
            sentence = caption(scene, rng)
            if sentence not in found:
                break
        found.append(sentence)
    return found


def caption(scene: Scene, rng: np.random.Generator) -> str:
    """Return one true caption of at most MAX_WORDS words: longer ones are drawn again."""
    while True:
        words = _sentence(scene, rng).split()
        if len(words) <= MAX_WORDS:
            return " ".join(words)


def _sentence(scene: Scene, rng: np.random.Generator) -> str:
    background = pick(rng, BACKGROUND_PHRASES[scene.background]) if rng.random() < _BACKGROUND else ""
    if scene.relations and rng.random() < _RELATION:
        return _related(scene, rng, background)
    return _listed(scene, rng, background)


def _listed(scene: Scene, rng: np.random.Generator, background: str) -> str:
    """List the things without a relation: "on the beach there are two birds and a red car"."""
    order = [scene.things[i] for i in rng.permutation(len(scene.things))]
    subject = " and ".join(_noun_phrase(thing, rng) for thing in order)
    many = len(order) > 1 or order[0].count > 1
    style = rng.random()
    if style < 0.2:
        return f"there {VERBS['be'][order[0].count > 1]} {subject} {background}"
    if background and style < 0.35:
        return f"{background} there {VERBS['be'][order[0].count > 1]} {subject}"
    if background and style < 0.65:
        return f"{subject} {_verb(order, many, rng)} {background}"
    return f"{subject} {background}"


def _related(scene: Scene, rng: np.random.Generator, background: str) -> str:
    """Describe two things in a relation, and sometimes how the second relates to a third."""
    relation = scene.relations[int(rng.integers(len(scene.relations)))]
    things = {thing.kind: thing for thing in scene.things}
    subject, phrase, other = _relation_phrase(relation, things, rng)
    tail = _tail(scene, other, {subject.kind, other.kind}, things, rng)
    head, rest = _noun_phrase(subject, rng), f"{phrase} {_noun_phrase(other, rng)} {tail}"
    many = subject.count > 1
    style = rng.random()
    if style < 0.35:
        return f"{head} {rest} {background}"
    if style < 0.7:
        return f"{head} {_verb([subject], many, rng)} {rest} {background}"
    if style < 0.85 or not background:
        return f"there {VERBS['be'][many]} {head} {rest} {background}"
    return f"{background} {head} {VERBS['be'][many]} {rest}"


def _relation_phrase(
    relation: Relation, things: dict[str, Thing], rng: np.random.Generator
) -> tuple[Thing, str, Thing]:
    """Return subject, phrase and object of a relation, seen from either side."""
    subject, other = things[relation.subject], things[relation.object]
    name = relation.name
    if name in _CONVERSE and rng.random() < 0.35:
        subject, other, name = other, subject, _CONVERSE[name]
    if name in ("left of", "right of") and rng.random() < 0.25:
        name = "beside"
    return subject, pick(rng, RELATION_PHRASES[name]), other


def _tail(scene: Scene, thing: Thing, mentioned: set[str], things: dict[str, Thing], rng: np.random.Generator) -> str:
    """Describe how the last mentioned thing relates to one that is not mentioned yet, or often nothing."""
    more = [
        relation for relation in scene.relations if relation.subject == thing.kind and relation.object not in mentioned
    ]
    if not more or rng.random() < 0.35:
        return ""
    relation = more[int(rng.integers(len(more)))]
    return f"{pick(rng, RELATION_PHRASES[relation.name])} {_noun_phrase(things[relation.object], rng)}"


def _noun_phrase(thing: Thing, rng: np.random.Generator) -> str:
    adjectives = []
    if rng.random() < _SIZE:
        adjectives.append(pick(rng, SIZE_WORDS[thing.size]))
    if rng.random() < _COLOUR:
        adjectives.append(thing.colour)
    usual, *synonyms = NOUNS[thing.kind]
    noun = pick(rng, synonyms) if synonyms and rng.random() < 0.3 else usual
    words = [*adjectives, noun if thing.count == 1 else PLURALS[noun]]
    return " ".join([_determiner(thing.count, words[0], rng), *words])


def _determiner(count: int, following: str, rng: np.random.Generator) -> str:
    if count == 1:
        return "an" if following[0] in "aeiou" else "a"
    return COUNT_WORDS[count][1 if count == 2 and rng.random() < 0.15 else 0]


def _verb(subjects: Sequence[Thing], many: bool, rng: np.random.Generator) -> str:
    """Choose a verb that suits all subjects; "is" half of the time."""
    fitting = ["stand"]
    if all(thing.kind in _ANIMALS for thing in subjects):
        fitting = ["sit", "wait"]
    if all(thing.kind in _FLYERS for thing in subjects):
        fitting = ["fly", "float"]
    verb = "be" if rng.random() < 0.5 else pick(rng, fitting)
    return VERBS[verb][many]
