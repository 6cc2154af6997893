"""A sheet of captions, as its pixels show it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.pictures.sheets import _text_width, _wrap, caption_sheet, most_pictures
from tests.captioning.pictures.samples import has_colour, photo, read


def test_a_sheet_shows_pictures_captions_references_and_marks(tmp_path):
    pictures = [photo(20, 30), photo(300, 120), photo(40, 40)[:, :, 0]]
    captions = ["a dog", "", "a caption that costs $5 and $6 and is " + "very " * 30 + "long"]
    marks = [[("there is a dog", True)], [("there is a cat", False)], []]
    path = tmp_path / "sheet.png"
    caption_sheet(pictures, captions, ["one dog", None, "unmöglich ✓ 犬"], path, title="Three", marks=marks, columns=2)
    assert read(path).shape[1] == round((2 * 0.3 + 2 * 3.0 + 0.3) * 100)
    for colour in ((0x1B, 0x7F, 0x3B), (0xB3, 0x26, 0x1E), (0x6B, 0x6B, 0x6B), (0x1A, 0x1A, 0x1A)):
        assert has_colour(path, colour, 40)
    margin = read(path)[:, -20:]
    assert (margin == 255).all(), "text runs into the margin"
    caption_sheet(pictures, captions, None, tmp_path / "plain.png")
    assert read(tmp_path / "plain.png").shape[1] == round((2 * 0.3 + 3 * 3.0 + 2 * 0.3) * 100)


def test_a_sheet_names_its_pictures(tmp_path):
    path = tmp_path / "a.png"
    plain = [np.full((9, 9), 255, np.uint8)] * 3
    caption_sheet(plain, ["a dog"] * 3, None, path, names=["1.jpg", None, "\udcff\n" + "x" * 90])
    assert has_colour(path, (0x6B, 0x6B, 0x6B), 10)
    caption_sheet(plain, ["a dog"] * 3, None, tmp_path / "plain.png")
    assert len(read(tmp_path / "plain.png")) < len(read(path))
    assert (read(path)[:, -20:] == 255).all(), "text runs into the margin"


@given(st.lists(st.text("abc$iW-é", min_size=1, max_size=60), max_size=12), st.sampled_from([10.5, 16.0]))
def test_wrapping_keeps_all_the_text_and_the_width(words, size):
    lines = _wrap(" ".join(words), size, 3.0)
    assert "".join("".join(lines).split()) == "".join(words)
    assert all(_text_width(line, size) <= 3.0 for line in lines)


@pytest.mark.parametrize(("change", "error", "message"), [
    ({"images": []}, ValueError, "no images"),
    ({"captions": ["a"]}, ValueError, "2 images, but 1 captions"),
    ({"captions": "ab"}, TypeError, "captions must be a list"),
    ({"references": ["a"] * 3}, ValueError, "2 images, but 3 references"),
    ({"names": ["a"]}, ValueError, "2 images, but 1 names"),
    ({"marks": [[]]}, ValueError, "2 images, but 1 marks"),
    ({"columns": 0}, ValueError, "columns .* got 0"),
    ({"images": [photo(), photo() / 255]}, ValueError, r"image 1 .* got float64 of shape \(6, 8, 3\)"),
    ({"images": [photo()[:, :, :2], photo()]}, ValueError, r"image 0 .* \(6, 8, 2\)"),
    ({"images": [photo()[:0], photo()]}, ValueError, r"image 0 .* \(0, 8, 3\)"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(tmp_path, change, error, message):
    arguments = {"images": [photo()] * 2, "captions": ["a", "b"], "references": None, "path": tmp_path / "a.png"}
    with pytest.raises(error, match=message):
        caption_sheet(**(arguments | change))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("columns", [1, 4])
@pytest.mark.parametrize("named", [False, True])
def test_the_most_pictures_fit_and_no_more(tmp_path, monkeypatch, columns, named):
    monkeypatch.setattr("captioning.pictures.sheets.new_figure", lambda *_: 1 / 0)
    most = most_pictures(columns, named)
    for count, error in ((most, ZeroDivisionError), (most + 1, ValueError)):
        names = ["a.jpg"] * count if named else None
        with pytest.raises(error):
            caption_sheet([photo()] * count, ["a"] * count, None, tmp_path / "a.png", columns=columns, names=names)


def test_drawing_needs_no_display(tmp_path):
    """pyplot would choose a window system."""
    program = (
        "import sys, numpy as np\n"
        "from captioning.pictures.curves import loss_curve\n"
        "from captioning.pictures.sheets import caption_sheet\n"
        "caption_sheet([np.zeros((9, 9), np.uint8)], ['a'], None, sys.argv[1] + '/a.png')\n"
        "loss_curve([{'iteration': 1, 'loss': 2.0}], sys.argv[1] + '/b.png')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, cwd=Path(__file__).parents[3])
