"""Photos that stand in a page."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from captioning.report.embedded_photos import MOST_BYTES, SIDE, embedded


def decoded(photo):
    head, _, content = photo.address.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


@pytest.mark.parametrize(("size", "shown"), [((800, 400), (320, 160)), ((100, 1000), (32, 320)), ((20, 10), (20, 10))])
def test_a_photo_is_made_small_in_proportion(tmp_path, size, shown):
    Image.new("RGB", size, "red").save(tmp_path / "a.png")
    photo = embedded(tmp_path / "a.png")
    assert (photo.width, photo.height) == shown == decoded(photo).size
    assert np.abs(np.asarray(decoded(photo)).astype(int) - [255, 0, 0]).max() < 10


def test_noise_is_no_larger_than_anything_else_and_the_same_each_time(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    photo = embedded(tmp_path / "noise.png")
    assert len(photo.address) < MOST_BYTES * 4 / 3 + 100
    assert photo == embedded(tmp_path / "noise.png")


def test_a_photo_is_upright_and_says_nothing_of_its_camera(tmp_path):
    notes = Image.Exif()
    notes[0x0112], notes[0x010F] = 6, "a camera"  # turned; its maker
    Image.new("RGB", (300, 200)).save(tmp_path / "lying.jpg", exif=notes)
    photo = embedded(tmp_path / "lying.jpg")
    assert (photo.width, photo.height) == (200, 300)
    assert not decoded(photo).getexif()


def test_what_is_no_photo_is_none(tmp_path):
    (tmp_path / "text.jpg").write_text("no photo")
    assert embedded(tmp_path / "text.jpg") is None
    assert embedded(tmp_path) is None
