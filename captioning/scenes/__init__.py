"""A synthetic data set of scenes, with pictures, captions, and a caption checker.

`write_scenes` makes all of it from a seed, in the layout that `captioning.open_captions` reads. `load_scenes` reads the
scenes back, and `judge` says which statements of a caption are true.

Example:
    >>> import numpy as np
    >>> from captioning.scenes import captions, draw_scene, judge
    >>> rng = np.random.default_rng(4)
    >>> scene = draw_scene(rng)
    >>> [judge(caption, scene).precision for caption in captions(scene, rng)]
    [1.0, 1.0, 1.0, 1.0, 1.0]
"""

# ruff: noqa: E402
from minigrad.runtime.extras import require as _package

for _name in ("h5py", "PIL"):
    _package(_name, "caption")  # or an error that says how to install it

from captioning.scenes.checker import (
    Figures,
    Judgement,
    ParseError,
    Statement,
    full_description,
    judge,
    judge_all,
    judge_others,
    parse,
)
from captioning.scenes.dataset import load_captions, load_scenes, write_scenes
from captioning.scenes.drawing import render, render_array
from captioning.scenes.features import FeatureNetwork, learn
from captioning.scenes.grammar import MAX_WORDS, caption, captions
from captioning.scenes.world import (
    BACKGROUNDS,
    COLOURS,
    KINDS,
    RELATIONS,
    SIZES,
    Relation,
    Scene,
    Thing,
    draw_lone_scene,
    draw_scene,
    draw_scenes,
    held_out,
    is_held_out,
    scene_from_json,
    scene_to_json,
)

__all__ = [
    "BACKGROUNDS",
    "COLOURS",
    "KINDS",
    "MAX_WORDS",
    "RELATIONS",
    "SIZES",
    "FeatureNetwork",
    "Figures",
    "Judgement",
    "ParseError",
    "Relation",
    "Scene",
    "Statement",
    "Thing",
    "caption",
    "captions",
    "draw_lone_scene",
    "draw_scene",
    "draw_scenes",
    "full_description",
    "held_out",
    "is_held_out",
    "judge",
    "judge_all",
    "judge_others",
    "learn",
    "load_captions",
    "load_scenes",
    "parse",
    "render",
    "render_array",
    "scene_from_json",
    "scene_to_json",
    "write_scenes",
]
