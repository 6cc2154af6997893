"""Random scenes: places, relations, held-out combinations, and JSON."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.scenes.drawing import render
from captioning.scenes.world import (
    BACKGROUNDS,
    COLOURS,
    KINDS,
    RELATIONS,
    SIZES,
    draw_lone_scene,
    draw_scene,
    draw_scenes,
    held_out,
    is_held_out,
    scene_from_json,
    scene_to_json,
)

SEEDS = st.integers(0, 2**32 - 1)


@given(SEEDS)
def test_a_scene_fits_the_picture_and_its_relations_agree_with_its_places(seed):
    scene = draw_scene(np.random.default_rng(seed))
    assert 1 <= sum(thing.count for thing in scene.things) <= 3
    assert len({thing.kind for thing in scene.things}) == len(scene.things)
    boxes = {}
    for thing in scene.things:
        w, h = (side * SIZES[thing.size] / 100 for side in (KINDS[thing.kind].width, KINDS[thing.kind].height))
        boxes[thing.kind] = [(x - w / 2, y - h, x + w / 2, y) for x, y in thing.places]
        assert all(min(box) >= 0 and max(box) <= 1 for box in boxes[thing.kind])
    for relation in scene.relations:
        for left, top, right, bottom in boxes[relation.subject]:
            for other_left, other_top, other_right, other_bottom in boxes[relation.object]:
                assert {
                    "left of": right <= other_left,
                    "above": bottom < other_top,
                    "on": other_top - 1e-3 <= bottom < other_bottom and other_left < (left + right) / 2 < other_right,
                    "inside": other_left < left < right < other_right and other_top < top < bottom <= other_bottom,
                }[relation.name]
    assert scene_from_json(scene_to_json(scene)) == scene


def test_a_longer_list_begins_with_the_shorter_one():
    for seed, split in ((0, "train"), (0, "val"), (7, "val")):
        assert list(draw_scenes(seed, split, 6)) == list(draw_scenes(seed, split, 8))[:6]


def test_held_out_combinations_are_only_for_validation():
    for kind in KINDS:
        for relation in RELATIONS:
            assert sum(held_out(kind, relation, background) for background in BACKGROUNDS) == 1
    scenes = list(draw_scenes(0, "train", 600))
    assert not any(map(is_held_out, scenes))
    assert [is_held_out(scene) for scene in draw_scenes(0, "val", 10)] == [False, True] * 5
    things = [thing for scene in scenes for thing in scene.things]
    assert {thing.kind for thing in things} == set(KINDS)
    assert {thing.colour for thing in things} == set(COLOURS)
    assert {thing.count for thing in things} == {1, 2, 3}
    assert {relation.name for scene in scenes for relation in scene.relations} == set(RELATIONS)
    assert {scene.background for scene in scenes} == set(BACKGROUNDS)


def test_a_lone_object_is_near_the_middle():
    (thing,) = draw_lone_scene(np.random.default_rng(0), "kite").things
    assert (thing.kind, thing.count) == ("kite", 1)
    assert abs(thing.places[0][0] - 0.5) <= 0.025


@pytest.mark.parametrize(("call", "message"), [
    (lambda rng: list(draw_scenes(0, "test", 1)), "'test'"),
    (lambda rng: draw_lone_scene(rng, "unicorn"), "'unicorn'"),
    (lambda rng: render(draw_lone_scene(rng), 15), "between 16 and 2048 pixels, got 15"),
])  # fmt: skip
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.random.default_rng(0))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"dog"', '"unicorn"', "unicorn"),
        ('"snow"', '"moon"', "moon"),
        ('"things"', '"items"', "KeyError"),
        ('"places": [[0.5, 0.9]]', '"places": []', "0 is not one of 1, 2, 3"),
        ("{", "", "not a scene"),
    ],
)
def test_damaged_json_is_refused(old, new, message):
    line = (
        '{"background": "snow", "view": 0, "relations": [], "things": '
        '[{"kind": "dog", "colour": "red", "size": "big", "places": [[0.5, 0.9]]}]}'
    )
    assert scene_from_json(line).things[0].kind == "dog"
    with pytest.raises(ValueError, match=message):
        scene_from_json(line.replace(old, new))
