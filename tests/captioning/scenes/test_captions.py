"""The grammar and the checker, which share only the lexicon, agree with each other."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.scenes.checker import ParseError, Statement, judge, judge_all, judge_others, parse
from captioning.scenes.grammar import MAX_WORDS, captions
from captioning.scenes.lexicon import BACKGROUND_PHRASES, NOUNS, PLURALS, SIZE_WORDS
from captioning.scenes.world import BACKGROUNDS, COLOURS, KINDS, Relation, Scene, Thing, draw_scene, draw_scenes

SEEDS = st.integers(0, 2**32 - 1)
DOG = Thing("dog", "red", "small", ((0.5, 0.5),))
BOX = Thing("box", "blue", "big", ((0.5, 0.9),))
SCENE = Scene("snow", 0, (DOG, BOX), (Relation("dog", "on", "box"),))


@given(SEEDS, st.integers(1, 4))
def test_captions_are_true_and_changed_words_are_false(seed, shift):
    rng = np.random.default_rng(seed)
    scene = draw_scene(rng)
    absent = next(kind for kind in KINDS if kind not in {thing.kind for thing in scene.things})
    background = BACKGROUNDS[(BACKGROUNDS.index(scene.background) + shift) % len(BACKGROUNDS)]
    swaps = {colour: COLOURS[(i + shift) % len(COLOURS)] for i, colour in enumerate(COLOURS)}
    swaps |= dict.fromkeys(SIZE_WORDS["small"], SIZE_WORDS["big"][0])
    swaps |= dict.fromkeys(SIZE_WORDS["big"], SIZE_WORDS["small"][0])
    swaps |= dict.fromkeys(BACKGROUND_PHRASES[scene.background], BACKGROUND_PHRASES[background][0])
    for thing in scene.things:
        for noun in NOUNS[thing.kind]:
            swaps |= {noun: NOUNS[absent][0], PLURALS[noun]: NOUNS[absent][0]}
    sentences = captions(scene, rng)
    assert len(sentences) == 5
    for sentence in sentences:
        verdict = judge(sentence, scene)
        assert verdict.precision == 1, (sentence, verdict)
        assert 0 < verdict.recall <= 1
        assert 2 <= len(sentence.split()) <= MAX_WORDS
        assert judge(sentence.split(), scene) == verdict
        for old, new in swaps.items():
            changed = f" {sentence} ".replace(f" {old} ", f" {new} ", 1).strip()
            assert changed == sentence or judge(changed, scene).precision < 1, changed


@given(SEEDS)
def test_exactly_the_statements_about_what_changed_become_false(seed):
    rng = np.random.default_rng(seed)
    scene, other = draw_scene(rng), {"small": "big", "big": "small"}
    changed = {
        "size": replace(scene, things=tuple(replace(thing, size=other[thing.size]) for thing in scene.things)),
        "background": replace(scene, background=BACKGROUNDS[BACKGROUNDS.index(scene.background) - 1]),
        "left of above on inside": replace(
            scene, relations=tuple(Relation(r.object, r.name, r.subject) for r in scene.relations)
        ),
    }
    for sentence in captions(scene, rng):
        for topics, world in changed.items():
            false = [statement for statement, true in judge(sentence, world).statements if not true]
            assert false == [statement for statement in parse(sentence) if statement.topic in topics]


@pytest.mark.parametrize(
    ("sentence", "precision", "recall"),
    [
        ("a small red dog is on a big blue box in the snow", 1, 1),  # ten statements are the full description
        ("a dog above a box", 1, 4 / 10),  # true, but the full description says "on"
        ("a box below a dog", 1, 4 / 10),
        ("a box on a dog", 4 / 5, 4 / 10),
        ("a dog inside a box", 4 / 5, 4 / 10),
        ("two red dogs", 2 / 3, 2 / 10),
        ("a cat", 0, 0),
        ("a dog and a dog and a blue dog", 2 / 3, 2 / 10),  # repetition counts once
        ("in the snow there is one tiny dog on the beach", 4 / 5, 4 / 10),
    ],
)
def test_known_verdicts(sentence, precision, recall):
    verdict = judge(sentence, SCENE)
    assert (verdict.precision, verdict.recall) == pytest.approx((precision, recall)), verdict
    assert verdict.f1 == pytest.approx(2 * precision * recall / ((precision + recall) or 1))


@pytest.mark.parametrize("sentence", ["", "dog dog", "a", "a red", "a dog on", "a dog and", "in the snow", "the dog",
                                      "a red red dog", "is a dog", "<UNK>"])  # fmt: skip
def test_what_does_not_parse_scores_nothing(sentence):
    with pytest.raises(ParseError) as error:
        parse(sentence)
    verdict = judge(sentence, SCENE)
    assert (verdict.precision, verdict.recall, verdict.f1, verdict.statements) == (0, 0, 0, ())
    assert verdict.error == str(error.value)


WORDS = ["a", "two", "a pair of", "dog", "cats", "left of", "on", "and", "is", "there is", "in the snow", "red", "xyz"]


@given(st.lists(st.sampled_from(WORDS)).map(" ".join))
def test_any_list_of_phrases_has_a_verdict(sentence):
    verdict = judge(sentence, SCENE)
    assert 0 <= verdict.precision <= 1
    assert bool(verdict.error) == (not verdict.statements)


def test_a_relation_holds_between_all_things_of_both_sides():
    found = set(parse("a dog and a cat left of a bus and a cup on a box"))
    pairs = [(x, y) for x in ("dog", "cat") for y in ("bus", "cup")]
    assert {Statement("left of", pair) for pair in pairs} <= found
    assert {Statement("on", (x, "box")) for x in ("bus", "cup")} <= found
    assert len(found) == 10 + 4 + 2


def test_captions_of_other_scenes_are_mostly_false():
    scenes, rng = list(draw_scenes(0, "val", 100)), np.random.default_rng(0)
    own = [captions(scene, rng) for scene in scenes]
    ceiling, others = judge_all([sentences[0] for sentences in own], scenes), judge_others(own, scenes, seed=1)
    assert (ceiling.precision, ceiling.parsed, ceiling.captions) == (1, 1, 100)
    assert ceiling.recall > 0.6
    assert others.precision < 0.25
    with pytest.raises(ValueError, match="no captions"):
        judge_all([], [])
    with pytest.raises(ValueError, match="two or more"):
        judge_others([["a dog"]], [SCENE])
