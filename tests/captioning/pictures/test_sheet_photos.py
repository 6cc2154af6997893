"""Photos as a sheet shows them."""

import numpy as np
from PIL import Image

from captioning.pictures.sheet_photos import sheet_photo


def test_a_photo_stands_upright(tmp_path):
    notes = Image.Exif()
    notes[0x0112] = 6  # the camera was turned
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[:, :15] = 255  # the left of the file is the top of the photo
    Image.fromarray(pixels).save(tmp_path / "lying.png", exif=notes)
    shown = sheet_photo(tmp_path / "lying.png")
    assert shown.shape == (30, 20, 3)
    assert (shown[:15] == 255).all()
    assert not shown[15:].any()


def test_a_large_photo_is_thinned(tmp_path):
    for name in ("large.png", "large.jpg"):
        Image.new("RGB", (3000, 1700)).save(tmp_path / name)
        shown = sheet_photo(tmp_path / name)
        assert 300 <= min(shown.shape[:2]) < 600
        assert shown.base is None
    Image.new("RGB", (40, 3)).save(tmp_path / "small.png")
    assert sheet_photo(tmp_path / "small.png").shape == (3, 40, 3)


def test_what_cannot_be_read_is_a_placeholder(tmp_path):
    (tmp_path / "text.png").write_text("no photo")
    assert sheet_photo(tmp_path / "text.png").shape == sheet_photo(tmp_path / "none.png").shape == (224, 224, 3)
