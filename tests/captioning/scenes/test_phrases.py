import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from captioning.scenes.grammar import captions
from captioning.scenes.phrases import phrases_of, shown, told_again
from captioning.scenes.world import draw_scenes

CAPTION = st.lists(st.sampled_from(["a", "dog", "cat", "red", "is"]), max_size=5).map(" ".join)
PICTURES = st.lists(st.lists(CAPTION, min_size=1, max_size=4), min_size=1, max_size=6)


@given(PICTURES, st.integers(1, 4))
def test_phrases_are_told_again_by_the_definition(pictures, least):
    """a and p counted one caption, and one other caption of its picture, at a time."""
    every = [caption for own in pictures for caption in own]
    wanted = []
    for phrase in sorted({phrase for caption in every for phrase in phrases_of(caption)}):
        told = [
            np.mean([phrase in phrases_of(other) for j, other in enumerate(own) if j != i]) if len(own) > 1 else 0.0
            for own in pictures
            for i, caption in enumerate(own)
            if phrase in phrases_of(caption)
        ]
        often = sum(phrase in phrases_of(caption) for caption in every) / len(every)
        if len(told) >= least and np.mean(told) >= max(0.3, 3 * often) - 1e-12:
            wanted.append(phrase)
    assert set(told_again(pictures, least)) <= set(wanted)
    near = {phrase for phrase in wanted if phrase not in told_again(pictures, least)}
    assert all(_is_on_the_edge(phrase, pictures) for phrase in near)


def _is_on_the_edge(phrase, pictures):
    """Whether rounding may decide: a is a bound itself."""
    counts = [sum(phrase in phrases_of(caption) for caption in own) for own in pictures]
    pairs = sum(c * (c - 1) / max(len(own) - 1, 1) for c, own in zip(counts, pictures, strict=True))
    total = sum(map(len, pictures))
    return np.isclose(pairs / sum(counts), 0.3) or np.isclose(pairs / sum(counts), 3 * sum(counts) / total)


@given(PICTURES)
def test_what_is_shown_is_what_some_caption_says(pictures):
    phrases = ["dog", "red dog", "is a"]
    found = shown(pictures, phrases)
    assert found.dtype == np.float32
    for row, own in zip(found, pictures, strict=True):
        assert [any(f" {phrase} " in f" {caption} " for caption in own) for phrase in phrases] == row.tolist()


def test_of_scenes_the_phrases_are_about_things_and_not_about_sentences():
    rng = np.random.default_rng(0)
    found = told_again([captions(scene, rng) for scene in draw_scenes(0, "train", 1000)])
    assert {"dog", "kites", "red", "two", "inside", "meadow", "the snow"} <= set(found)
    assert any(phrase.startswith("red ") for phrase in found)
    assert not {"a", "is", "there", "dog is", "tiny"} & set(found)
