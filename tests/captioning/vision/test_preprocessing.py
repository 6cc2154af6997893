"""The middle of a photo, 224x224, as numbers from -1 to 1."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.vision.preprocessing import prepare


def test_a_photo_of_the_right_size_is_only_scaled():
    photo = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    prepared = prepare(photo)
    np.testing.assert_array_equal(prepared.transpose(1, 2, 0) * 128 + 127, photo)
    assert (prepared.dtype, prepared.flags.c_contiguous) == (np.float32, True)


def test_the_middle_is_kept_and_an_odd_pixel_lost_behind_it():
    photo = np.zeros((225, 229, 3), np.uint8)
    photo[:, 2:227] = np.arange(225, dtype=np.uint8)[None, :, None]  # two columns before it, two behind
    np.testing.assert_array_equal(prepare(photo), prepare(photo[:, 2:227]))
    np.testing.assert_array_equal(prepare(photo[:224, :]), prepare(photo[:224, 2:226]))
    turned = photo.swapaxes(0, 1)
    np.testing.assert_array_equal(prepare(turned), prepare(turned[2:227]))


def test_shrinking_averages_rather_than_skips():
    """Stripes as fine as pixels become grey, where taking every fourth pixel would give one of the colours."""
    photo = np.zeros((896, 896, 3), np.uint8)
    photo[:, ::2] = 255
    np.testing.assert_allclose(prepare(photo)[:, :, 1:-1], 0, atol=1 / 64)  # at an edge half of the window is outside


@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 255))
def test_a_photo_of_one_colour_stays_so_at_any_size(height, width, level):
    prepared = prepare(np.full((height, width, 3), level, np.uint8))
    assert prepared.shape == (3, 224, 224)
    assert np.unique(prepared).tolist() == [(level - 127) / 128]


def test_turned_pixels_need_not_be_contiguous():
    photo = np.random.default_rng(0).integers(0, 256, (300, 280, 3), np.uint8)
    np.testing.assert_array_equal(prepare(np.rot90(photo)), prepare(np.rot90(photo).copy()))


@pytest.mark.parametrize(
    ("photo", "found"),
    [
        (np.zeros((5, 5), np.uint8), r"uint8 \(5, 5\)"),
        (np.zeros((5, 5, 4), np.uint8), r"uint8 \(5, 5, 4\)"),
        (np.zeros((5, 5, 3)), r"float64 \(5, 5, 3\)"),
        ([[0, 0, 0]], "list"),
    ],
)
def test_what_is_no_photo_is_refused(photo, found):
    with pytest.raises(ValueError, match=rf"RGB, uint8 \(H, W, 3\); got {found}$"):
        prepare(photo)


def test_a_photo_without_pixels_is_refused():
    with pytest.raises(ValueError, match="must have pixels"):
        prepare(np.zeros((0, 5, 3), np.uint8))
