"""Photo files of all formats: their pixels, the errors of those that cannot be read, and photos in folders."""

import io
import os
import random
import struct
import warnings
import zlib
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from captioning.vision import photo_files
from captioning.vision.photo_files import ENDINGS, PhotoError, decode_photo, passed_over, photo_paths, read_photo

RED, WHITE, BLUE = (255, 0, 0), (255, 255, 255), (0, 0, 255)


def quarters(height=16, width=24):
    """Red, white, blue and black quarters: each rotation is another picture."""
    photo = np.zeros((height, width, 3), np.uint8)
    photo[: height // 2, : width // 2], photo[: height // 2, width // 2 :] = RED, WHITE
    photo[height // 2 :, : width // 2] = BLUE
    return photo


@pytest.fixture
def read(tmp_path):
    """Save a picture and read it, both as a file and as its content."""

    def save_and_read(picture, name="photo.png", shortest=None, **options):
        path = tmp_path / name
        if name.endswith(".webp"):
            options["lossless"] = True
        if name.lower().endswith("g") and "png" not in name:  # JPEG: colours within three levels
            options |= {"quality": 100, "subsampling": 0}
        picture.save(path, **options)
        photo = read_photo(path, shortest)
        np.testing.assert_array_equal(decode_photo(path.read_bytes(), shortest), photo)
        assert (photo.dtype, photo.flags.c_contiguous) == (np.uint8, True)
        return photo.astype(int)

    return save_and_read


PICTURE = Image.fromarray(quarters())
CLEAR = Image.fromarray(np.array([[(0, 0, 255, 0), (0, 0, 255, 128)]], np.uint8))
PALETTE = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
PALETTE.putpalette([*BLUE, *RED])
LEVELS = Image.fromarray(np.array([[0, 128, 129, 257 * 100, 65535]], np.uint16))
SEVERAL = {"save_all": True, "append_images": [Image.fromarray(quarters()[::-1])]}
CASES = [
    *((name, PICTURE, {}, quarters()) for name in ("a.png", "a.gif", "a.bmp", "a.tif", "a.ppm", "a.webp", "a.jp2")),
    ("a.jpg", PICTURE, {}, quarters()),
    ("a.JPEG", PICTURE, {}, quarters()),
    ("a.bin", PICTURE, {"format": "PNG"}, quarters()),  # the content decides
    *(("a.tif", PICTURE.convert(mode), {}, PICTURE.convert(mode).convert("RGB")) for mode in ("L", "1", "P", "YCbCr")),
    *((name, PICTURE.convert("CMYK"), {}, PICTURE.convert("CMYK").convert("RGB")) for name in ("a.tif", "a.jpg")),
    *((name, PICTURE, SEVERAL, quarters()) for name in ("a.gif", "a.png", "a.webp", "a.tif")),  # the first one
    *((name, LEVELS, {}, [[[n] * 3 for n in (0, 0, 1, 100, 255)]]) for name in ("a.png", "a.tif", "a.pgm", "a.jp2")),
    # transparent parts are white
    ("a.png", CLEAR, {}, [[WHITE, (127, 127, 255)]]),
    ("a.tif", CLEAR, {}, [[WHITE, (127, 127, 255)]]),
    ("a.png", Image.new("LA", (1, 1), (0, 0)), {}, [[WHITE]]),
    ("a.png", Image.new("RGB", (1, 1), RED), {"transparency": RED}, [[WHITE]]),
    ("a.png", PALETTE, {"transparency": 0}, [[WHITE, RED]]),
    ("a.gif", PALETTE, {"transparency": 0}, [[WHITE, RED]]),
    ("a.png", PALETTE, {"transparency": b"\0\xff"}, [[WHITE, RED]]),
]


@pytest.mark.parametrize(("name", "picture", "options", "expected"), CASES)
def test_every_format_and_mode_is_read(read, name, picture, options, expected):
    photo = read(picture, name, **options)
    assert photo.shape == np.shape(expected)
    tolerance = 4 if name in ("a.jpg", "a.JPEG") or picture.mode == "YCbCr" else int(picture is CLEAR)
    np.testing.assert_allclose(photo, np.asarray(expected, int), atol=tolerance)


ROTATED = {
    1: quarters(), 2: quarters()[:, ::-1], 3: quarters()[::-1, ::-1], 4: quarters()[::-1],
    5: quarters().swapaxes(0, 1), 6: np.rot90(quarters(), 3), 7: quarters()[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90(quarters()), 0: quarters(), 9: quarters(),
}  # fmt: skip


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif"])
@pytest.mark.parametrize("orientation", ROTATED)
def test_the_picture_is_rotated_as_exif_says(read, orientation, name):
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(read(Image.fromarray(quarters()), name, exif=exif), ROTATED[orientation])


@pytest.mark.parametrize("exif", [b"", b"MM\0*\0\0\0\x08\xff\xff", b"\xff" * 40,
                                  struct.pack("<4sIHHHI4sI", b"II*\0", 8, 1, 0x0112, 2, 4, b"six\0", 0)])  # fmt: skip
def test_damaged_exif_is_ignored(read, exif):
    np.testing.assert_allclose(read(Image.fromarray(quarters()), "a.jpg", exif=b"Exif\0\0" + exif), quarters(), atol=3)


def test_a_large_jpeg_is_decoded_at_a_part_of_its_size(read):
    picture = Image.fromarray(quarters(900, 1300))
    sizes = {shortest: read(picture, "a.jpg", shortest).shape[:2] for shortest in (None, 448, 451, 64, 5000)}
    assert sizes == {None: (900, 1300), 448: (450, 650), 451: (900, 1300), 64: (113, 163), 5000: (900, 1300)}


def test_a_photo_between_pillows_limit_and_ours_is_read_without_a_warning(read, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    with warnings.catch_warnings(action="error"):
        np.testing.assert_array_equal(read(Image.fromarray(quarters())), quarters())


# --- errors ----------------------------------------------------------------------------------------


def content_of(picture, **options):
    file = io.BytesIO()
    picture.save(file, **options)
    return file.getvalue()


def blank_png(width, height):
    """A PNG of a few bytes that claims this size."""
    content = bytearray(content_of(Image.new("L", (1, 1)), format="PNG"))
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


WHOLE = content_of(Image.fromarray(quarters()), format="PNG")
BAD = {
    "text.jpg": (b"Dear diary, this is no photo.", "not a photo.*format"),
    "empty.jpg": (b"", "empty file"),
    "cut.png": (WHOLE[: len(WHOLE) // 2], "incomplete or damaged"),
    "start.png": (WHOLE[:20], "photo"),
    "a b\n.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a photo"),
    "犬.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), "HEIC.*JPEG|JPEG.*HEIF"),
    "bomb.png": (blank_png(12_000, 10_001), "limit of 120 megapixels"),
    "large bomb.png": (blank_png(2**31 - 1, 2**31 - 1), "limit of 120 megapixels"),
    "float.tif": (content_of(Image.fromarray(np.ones((2, 2), np.float32)), format="TIFF"), "floating.*8 or 16 bits"),
    "int.tif": (content_of(Image.fromarray(np.full((2, 2), 70000, np.int32)), format="TIFF"), "32-bit.*8 or 16 bits"),
}


def test_a_photo_of_an_iphone():
    pillow_heif = pytest.importorskip("pillow_heif", reason="no pillow-heif: not installed")
    file = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 48), "red")).save(file)
    photo = decode_photo(file.getvalue())
    assert photo.shape == (48, 64, 3)
    np.testing.assert_allclose(photo[24, 32], [255, 0, 0], atol=8)


@pytest.mark.parametrize("name", BAD)
def test_one_line_names_the_file_and_the_problem(tmp_path, name):
    content, message = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PhotoError, match=message) as of_file:
        read_photo(tmp_path / name)
    with pytest.raises(PhotoError) as of_content:
        decode_photo(content)
    assert str(of_file.value).isprintable()
    path, _, problem = str(of_file.value).partition(": ")
    assert (str(tmp_path) in path, problem) == (True, str(of_content.value))


def test_only_regular_files_are_opened(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.jpg")
    os.symlink("loop.jpg", tmp_path / "loop.jpg")
    for name, message in [("pipe.jpg", "a pipe"), (".", "a folder"), ("loop.jpg", "a link"), ("/dev/zero", "a device"),
                          ("none.jpg", "none.jpg: .*No such file"), ("n" * 300, "too long")]:  # fmt: skip
        with pytest.raises(PhotoError, match=message):
            read_photo(tmp_path / name)


@pytest.mark.parametrize(("error", "message"), [
    (MemoryError(), "photo.png: needs more memory"), (PermissionError(13, "Permission denied"), "denied"),
])  # fmt: skip
def test_errors_of_the_system_are_photo_errors(read, monkeypatch, error, message):
    monkeypatch.setattr(photo_files, "_rgb", Mock(side_effect=error))
    with pytest.raises(PhotoError, match=message):
        read(Image.fromarray(quarters()))


def outcome(path, shortest=None):
    """Return the photo, or the message of a PhotoError."""
    try:
        return read_photo(path, shortest)
    except PhotoError as error:
        return str(error)


def is_clean(found, path):
    """Whether it is a photo, or one line that names the file."""
    if isinstance(found, str):
        return found.startswith(f"{path}: ") and found.isprintable()
    return (found.dtype, found.ndim, found.shape[2]) == (np.uint8, 3, 3)


@pytest.mark.slow
def test_a_damaged_file_gives_a_picture_or_one_photo_error(tmp_path, full, capfd):
    """No other error and no warning; only libtiff prints."""
    noise, exif = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8), Image.Exif()
    exif[0x0112] = 6
    files = [(kind, content_of(Image.fromarray(noise), format=kind, **options)) for kind, options in [
        ("JPEG", {"exif": exif}), ("JPEG", {"progressive": True}), ("PNG", {"exif": exif}), ("GIF", {}), ("WEBP", {}),
        ("WEBP", {"lossless": True, "exif": exif}), ("TIFF", {"exif": exif}), ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "jpeg"}), ("BMP", {}), ("PPM", {}), ("JPEG2000", {}),
    ]]  # fmt: skip
    rng, path, readable = random.Random(0), tmp_path / "damaged", []
    for number in range(1_000 if full else 120):
        kind, content = files[number % len(files)]
        changed = bytearray(content)
        for _ in range(rng.choice((0, 1, 2, 8))):
            changed[rng.randrange(min(len(changed), rng.choice((64, len(changed)))))] ^= 1 << rng.randrange(8)
        path.write_bytes(changed[: rng.randrange(1, 2 * len(content))])
        found = outcome(path, rng.choice((None, 8)))
        assert is_clean(found, path), kind
        readable.append(not isinstance(found, str))
        assert capfd.readouterr() == ("", "") or kind == "TIFF", kind
    assert 0.1 < np.mean(readable) < 0.9


@given(st.binary(max_size=200))
def test_any_bytes_give_a_picture_or_one_photo_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "bytes"
    path.write_bytes(content)
    assert is_clean(outcome(path), path)


# --- folders ---------------------------------------------------------------------------------------


@pytest.fixture
def album(tmp_path):
    for name in ("b.png", "a.JPG", "c.jpeg", ".hidden.jpg", "notes.txt", "2024/d.webp", "2024/x/e.tif", ".trash/f.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "again").symlink_to(tmp_path)
    return tmp_path


def test_files_and_folders_give_their_photos_once(album):
    def names(paths, **options):
        return [path.relative_to(album).as_posix() for path in photo_paths(paths, **options)]

    assert names([album]) == ["a.JPG", "b.png", "c.jpeg"]
    assert names([album], recursive=True) == ["a.JPG", "b.png", "c.jpeg", "2024/d.webp", "2024/x/e.tif"]
    named = [album / "notes.txt", str(album / "c.jpeg"), album, album / "c.jpeg"]
    assert names(named) == ["notes.txt", "c.jpeg", "a.JPG", "b.png"]
    assert names([album / "none.jpg", album / "b.png"]) == ["none.jpg", "b.png"]  # reading it is an error
    for ending in ENDINGS:
        (album / "2024" / f"photo{ending}").touch()
    assert len(photo_paths([album / "2024"])) == len(ENDINGS) + 1


def test_files_that_are_not_photos_are_listed(album):
    for name in ("raw.CR2", "b.txt", "2024/d.txt", "2024/b.txt"):  # texts beside photos are their captions
        (album / name).touch()
    assert passed_over([album]) == [album / "notes.txt", album / "raw.CR2"]
    assert passed_over([album / "raw.CR2", album, album / "b.png"]) == [album / "notes.txt"]
    assert passed_over([album], recursive=True) == [album / "notes.txt", album / "raw.CR2", album / "2024" / "b.txt"]


def test_what_has_no_photos_is_named(album, monkeypatch):
    empty = album / "empty"
    empty.mkdir()
    for paths, recursive, message in [
        ([album / "a.JPG", empty], False, r"empty: .*not searched.*\.jpg"),
        ([empty], True, "or its subfolders"),
        ([album / "none.jpg"], False, r"none\.jpg: there is no such file"),
        (["a: b.jpg"], False, r"a: b\.jpg: there is no such file"),
        ([album, "https://example.org/a.jpg"], False, r"https://example\.org/a\.jpg: addresses"),
        ([], False, "at least one"),
    ]:
        with pytest.raises(PhotoError, match=message):
            photo_paths(paths, recursive)

    monkeypatch.setattr(os, "scandir", Mock(side_effect=PermissionError(13, "Permission denied", str(empty))))
    with pytest.raises(PhotoError, match=r"empty: .*Permission denied"):
        photo_paths([empty])
