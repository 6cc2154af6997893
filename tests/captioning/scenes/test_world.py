import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captioning.scenes.world import (
    BACKGROUNDS,
    COLOURS,
    KINDS,
    RELATIONS,
    SIZES,
    Scene,
    draw_lone_scene,
    draw_scene,
    draw_scenes,
    held_out,
    is_held_out,
    scene_from_json,
    scene_to_json,
)

SEEDS = st.integers(0, 2**32 - 1)


def boxes(scene: Scene):
    """(kind, left, top, right, bottom) of every object."""
    for thing in scene.things:
        w, h = (side * SIZES[thing.size] / 100 for side in (KINDS[thing.kind].width, KINDS[thing.kind].height))
        for x, y in thing.places:
            yield thing.kind, x - w / 2, y - h, x + w / 2, y


@given(SEEDS)
def test_every_scene_has_one_to_three_objects_inside_the_picture(seed):
    scene = draw_scene(np.random.default_rng(seed))
    assert 1 <= sum(thing.count for thing in scene.things) <= 3
    assert len({thing.kind for thing in scene.things}) == len(scene.things)
    for _, left, top, right, bottom in boxes(scene):
        assert min(left, top) >= 0
        assert max(right, bottom) <= 1


@given(SEEDS)
def test_relations_agree_with_the_places(seed):
    scene = draw_scene(np.random.default_rng(seed))
    where: dict[str, list[tuple[float, ...]]] = {}
    for kind, *box in boxes(scene):
        where.setdefault(kind, []).append(tuple(box))
    for relation in scene.relations:
        for left, top, right, bottom in where[relation.subject]:
            for other_left, other_top, other_right, other_bottom in where[relation.object]:
                if relation.name == "left of":
                    assert right <= other_left
                elif relation.name == "above":
                    assert bottom < other_top
                elif relation.name == "on":
                    assert other_top - 1e-3 <= bottom < other_bottom
                    assert other_left < (left + right) / 2 < other_right
                else:
                    assert other_left < left
                    assert right < other_right
                    assert other_top < top
                    assert bottom <= other_bottom


@given(SEEDS, st.sampled_from(["train", "val"]), st.integers(0, 8))
def test_the_same_seed_draws_the_same_scenes(seed, split, count):
    scenes = list(draw_scenes(seed, split, count))
    assert scenes == list(draw_scenes(seed, split, count + 2))[:count]


@settings(max_examples=20)
@given(SEEDS)
def test_held_out_combinations_are_for_validation_alone(seed):
    assert not any(is_held_out(scene) for scene in draw_scenes(seed, "train", 40))
    assert [is_held_out(scene) for scene in draw_scenes(seed, "val", 10)] == [False, True] * 5


def test_every_kind_and_relation_is_held_out_before_one_background():
    for kind in KINDS:
        for relation in RELATIONS:
            assert sum(held_out(kind, relation, background) for background in BACKGROUNDS) == 1


def test_training_shows_every_kind_colour_relation_and_background():
    scenes = list(draw_scenes(0, "train", 600))
    things = [thing for scene in scenes for thing in scene.things]
    assert {thing.kind for thing in things} == set(KINDS)
    assert {thing.colour for thing in things} == set(COLOURS)
    assert {thing.count for thing in things} == {1, 2, 3}
    assert {relation.name for scene in scenes for relation in scene.relations} == set(RELATIONS)
    assert {scene.background for scene in scenes} == set(BACKGROUNDS)


@given(SEEDS)
def test_json_keeps_the_scene(seed):
    scene = draw_scene(np.random.default_rng(seed))
    assert scene_from_json(scene_to_json(scene)) == scene


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"dog"', '"unicorn"', "unicorn"),
        ('"snow"', '"moon"', "moon"),
        ('"things"', '"items"', "KeyError"),
        ('"places": [[0.5, 0.9]]', '"places": []', "one to three places"),
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


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="'test' is neither"):
        draw_scenes(0, "test", 1)
    with pytest.raises(ValueError, match="0 or more"):
        draw_scenes(0, "val", -1)
    with pytest.raises(ValueError, match="unicorn"):
        draw_lone_scene(np.random.default_rng(0), "unicorn")
    with pytest.raises(ValueError, match="unicorn"):
        held_out("unicorn", "on", "snow")
