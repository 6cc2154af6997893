"""How long captions may get, by what people said."""

from __future__ import annotations

import numpy as np
import pytest

from captioning.data.dataset import open_captions
from captioning.decoding.batches import LONGEST, length_for
from captioning.decoding.stepwise import greedy
from captioning.models.captioner import Captioner


@pytest.fixture
def raw(small_folder, tmp_path):
    """The validation split of the small data set with raw captions, of which the first image's is of a given length."""

    def with_longest(words):
        for path in small_folder.glob("*.*"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
        (tmp_path / "val2014_images.txt").write_text("".join(f"{i}.jpg\n" for i in range(24)))
        said = ["dog " * words, *["a dog"] * 23]
        rows = "".join(f"{i}.jpg,val,{caption}\n" for i, caption in enumerate(said))
        (tmp_path / "captions.csv").write_text("image,split,caption\n" + rows)
        return open_captions(tmp_path)

    return with_longest


@pytest.mark.parametrize(("words", "length"), [(3, 7), (20, 21), (49, LONGEST), (80, LONGEST)])
def test_the_length_is_that_of_the_longest_raw_caption(raw, words, length):
    with raw(words) as data:
        assert length_for(data.val) == length  # a stored caption may have 6 words and <END>


def test_stored_captions_may_have_been_cut_so_there_is_more_room(small_data):
    assert length_for(small_data.val) == 2 * 4 + 1


def test_what_a_stored_caption_can_have_is_never_cut(small_data):
    split = small_data.val
    split.stored = np.pad(split.captions, ((0, 0), (0, 92))), split.image_idxs
    assert length_for(split) == 99


def test_captions_have_room_where_nothing_is_known(small_data):
    model = Captioner(small_data.vocabulary, 6, 4, 5, rng=0)
    model.predict.bias.data[small_data.vocabulary.end] = -99.0
    assert greedy(model, np.zeros((1, 6))).shape == (1, LONGEST)
