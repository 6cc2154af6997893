"""Pictures of scenes."""

from pathlib import Path

import numpy as np
from PIL import Image

from captioning.scenes.drawing import render, render_array
from captioning.scenes.world import BACKGROUNDS, COLOURS, KINDS, VIEWS, Scene, Thing, draw_scenes

GOLDEN = Path(__file__).with_name("golden_scenes.png")


def test_pictures_look_as_they_did():
    """Each kind, colour and background. Other versions of Pillow may round edges by a few grey levels."""
    with Image.open(GOLDEN) as stored:
        sheet = np.asarray(stored.convert("RGB"), float)
    drawn = np.empty_like(sheet)
    for i, kind in enumerate(KINDS):
        thing = Thing(kind, COLOURS[i % len(COLOURS)], "big", ((0.5, 0.91),))
        y, x = i // 5 * 64, i % 5 * 64
        drawn[y : y + 64, x : x + 64] = render(Scene(BACKGROUNDS[i % 5], i % VIEWS, (thing,)), 64)
    difference = np.abs(drawn - sheet)
    assert difference.mean() < 2
    assert (difference.max(2) > 60).mean() < 0.01


def test_the_geometry_is_the_same_at_every_size():
    for scene in draw_scenes(6, "train", 10):
        small = np.asarray(render(scene, 256).reduce(4), float)
        assert np.abs(small - render_array(scene, 64)).mean() < 4
        assert np.array_equal(render_array(scene), render_array(scene))
