from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from captioning.scenes.drawing import render, render_array
from captioning.scenes.kinds import ARTISTS, PAINTS
from captioning.scenes.world import BACKGROUNDS, COLOURS, KINDS, VIEWS, Scene, Thing, draw_lone_scene, draw_scenes

GOLDEN = Path(__file__).with_name("golden_scenes.png")


def golden_sheet() -> Image.Image:
    """All kinds in all colours before all backgrounds, 5 x 3 pictures of 64 pixels."""
    sheet = Image.new("RGB", (5 * 64, 3 * 64))
    for i, kind in enumerate(KINDS):
        thing = Thing(kind, COLOURS[i % len(COLOURS)], "big", ((0.5, 0.91),))
        scene = Scene(BACKGROUNDS[i % 5], i % VIEWS, (thing,))
        sheet.paste(render(scene, 64), (i % 5 * 64, i // 5 * 64))
    return sheet


def test_pictures_look_as_they_did():
    """Other versions of Pillow may round edges differently, so a few grey levels on average are forgiven."""
    with Image.open(GOLDEN) as stored:
        difference = np.abs(np.asarray(golden_sheet(), float) - np.asarray(stored.convert("RGB"), float))
    assert difference.mean() < 2
    assert (difference.max(2) > 60).mean() < 0.01


def test_the_same_scene_gives_the_same_pixels():
    for scene in draw_scenes(5, "val", 10):
        assert np.array_equal(render_array(scene), render_array(scene))


def test_the_geometry_is_the_same_at_every_size():
    for scene in draw_scenes(6, "train", 10):
        small = np.asarray(render(scene, 256).reduce(4), float)
        assert np.abs(small - render_array(scene, 64)).mean() < 4


def test_every_kind_and_colour_can_be_drawn():
    assert set(ARTISTS) == set(KINDS)
    assert set(PAINTS) == set(COLOURS)


@pytest.mark.parametrize("size", [0, 15, 4096])
def test_sizes_that_make_no_sense_are_refused(size):
    with pytest.raises(ValueError, match="between 16 and 2048"):
        render(draw_lone_scene(np.random.default_rng(0)), size)


def lone_pixels(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Grey pixels (count, 4096) of random lone objects, and the index of each one's kind."""
    rng = np.random.default_rng(seed)
    scenes = [draw_lone_scene(rng) for _ in range(count)]
    pixels = np.stack([np.asarray(render(scene, 64).convert("L"), np.float32).ravel() / 255 for scene in scenes])
    return pixels, np.array([list(KINDS).index(scene.things[0].kind) for scene in scenes])


def test_a_linear_probe_on_grey_pixels_names_the_kind_of_a_lone_object():
    """Ridge regression on one-hot kinds; 64 x 64 pixels, other seeds for training and for the test."""
    pixels, kinds = lone_pixels(1, 5000)
    new_pixels, new_kinds = lone_pixels(2, 1000)
    mean = pixels.mean(0)
    centred = pixels - mean
    gram = centred.T @ centred + 3 * np.eye(pixels.shape[1], dtype=np.float32)
    weights = np.linalg.solve(gram, centred.T @ (np.eye(len(KINDS), dtype=np.float32)[kinds] - 1 / len(KINDS)))
    accuracy = (((new_pixels - mean) @ weights).argmax(1) == new_kinds).mean()
    assert accuracy > 0.95
