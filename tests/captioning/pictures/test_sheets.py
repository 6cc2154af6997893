"""A sheet of captions, as its pixels show it."""

import numpy as np
import pytest
from PIL import Image

from captioning.pictures import sheets
from captioning.pictures.figures import GREEN, GREY, INK, RED
from captioning.pictures.sheets import _text_width, _wrap, caption_sheet, most_pictures


def photo(height=6, width=8):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_sheet_shows_pictures_and_texts(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(sheets, "save_figure", lambda figure, path, dpi: figures.append(figure))
    pictures = [photo(20, 30), photo(300, 120), photo(40, 40)[:, :, 0]]
    texts = {"captions": ["a dog", "", "it costs $5 and $6"], "references": ["one dog", None, "unmöglich"],
             "marks": [[("a dog", True)] * 5, [("a cat", False)], []], "names": ["1.jpg", None, "\udcff"]}  # fmt: skip
    caption_sheet(pictures, **texts, path="", title="Three", columns=2)
    assert [(text.get_text(), text.get_color()) for text in figures[0].texts if text.get_text()] == [
        ("Three", INK), ("a dog", INK), *[("✓ a dog", GREEN)] * 5, ("one dog", GREY), ("1.jpg", GREY),
        ("(no words)", INK), ("✗ a cat", RED), ("it costs $5 and $6", INK), ("unmöglich", GREY), ("?", GREY),
    ]  # fmt: skip
    name = next(text.get_position()[1] for text in figures[0].texts if text.get_text() == "1.jpg")
    places = [(axes.get_position().x0 > 0.5, axes.get_position().y1 < name) for axes in figures[0].axes]
    assert places == [(False, False), (True, False), (False, True)]
    assert all(
        np.array_equal(axes.images[0].get_array(), picture)
        for axes, picture in zip(figures[0].axes, pictures, strict=True)
    )


def test_long_text_wraps_inside_the_margins(tmp_path):
    words = "very " * 12 + "x" * 60
    caption_sheet([photo()] * 3, [words] * 3, [words] * 3, tmp_path / "a.png", names=[words] * 3, title=words * 3)
    picture = np.asarray(Image.open(tmp_path / "a.png").convert("L"))
    assert picture.shape[1] == round((2 * 0.3 + 3 * 3.0 + 2 * 0.3) * 100)
    assert min(picture[:, -20:].min(), picture[-10:].min()) == 255


@pytest.mark.parametrize("size", [8.5, 40.0])
def test_wrapping_keeps_all_the_text_and_the_width(size):
    words = [letter * count for letter in "abc$iW-é" for count in (1, 7, 60)]
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


@pytest.mark.parametrize(("columns", "named"), [(1, False), (4, True)])
def test_the_most_pictures_fit_and_no_more(tmp_path, monkeypatch, columns, named):
    monkeypatch.setattr(sheets, "new_figure", lambda *_: 1 / 0)
    most = most_pictures(columns, named)
    for count, error in ((most, ZeroDivisionError), (most + 1, ValueError)):
        names = ["a.jpg"] * count if named else None
        with pytest.raises(error):
            caption_sheet([photo()] * count, ["a"] * count, None, tmp_path / "a.png", columns=columns, names=names)
