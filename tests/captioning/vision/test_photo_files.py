"""Photo files of all kinds: what they show, and what is said of those that cannot be read."""

import io
import os
import random
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from captioning.vision import photo_files
from captioning.vision.photo_files import ENDINGS, PhotoError, decode_photo, passed_over, photo_paths, read_photo

CAREFUL = {"quality": 100, "subsampling": 0}  # of JPEG: colours are within three levels
RED, WHITE, BLUE = (255, 0, 0), (255, 255, 255), (0, 0, 255)


def written(folder, picture, name="photo.png", **options):
    path = Path(folder, name)
    picture.save(path, **options)
    return path


def quarters(height=16, width=24):
    """Red, white, blue and black quarters: every turn of it is another picture."""
    photo = np.zeros((height, width, 3), np.uint8)
    photo[: height // 2, : width // 2], photo[: height // 2, width // 2 :] = RED, WHITE
    photo[height // 2 :, : width // 2] = BLUE
    return photo


@pytest.mark.parametrize("name", ["a.png", "a.gif", "a.bmp", "a.tif", "a.ppm", "a.webp", "a.jp2", "a.jpg", "a.JPEG"])
def test_every_format_gives_the_same_picture(tmp_path, name):
    options = {"webp": {"lossless": True}, "jpg": CAREFUL, "JPEG": CAREFUL}.get(name.split(".")[1], {})
    photo = read_photo(written(tmp_path, Image.fromarray(quarters()), name, **options))
    assert (photo.dtype, photo.flags.c_contiguous) == (np.uint8, True)
    lossy = name.lower().endswith(("jpg", "jpeg"))
    np.testing.assert_allclose(photo.astype(int), quarters(), atol=3 if lossy else 0)


def test_the_content_counts_and_not_the_ending(tmp_path):
    path = written(tmp_path, Image.fromarray(quarters()), "photo.jpg", format="PNG")
    np.testing.assert_array_equal(read_photo(path), quarters())


@pytest.mark.parametrize("shortest", [None, 8])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF"])
def test_a_files_content_is_read_as_the_file_is(tmp_path, kind, shortest):
    path = written(tmp_path, Image.fromarray(quarters(64, 96)), "photo", format=kind)
    np.testing.assert_array_equal(decode_photo(path.read_bytes(), shortest), read_photo(path, shortest))


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"\0\0\0\x18ftypheic" + bytes(99)])
def test_of_content_that_is_no_photo_the_same_is_said_without_a_name(tmp_path, content):
    path = tmp_path / "photo"
    path.write_bytes(content)
    with pytest.raises(PhotoError) as of_file:
        read_photo(path)
    with pytest.raises(PhotoError) as of_content:
        decode_photo(content)
    assert str(of_file.value) == f"{path}: {of_content.value}"


def test_a_photo_that_memory_does_not_suffice_for_is_said_to_be(tmp_path, monkeypatch):
    def fail(*arguments):
        raise MemoryError

    monkeypatch.setattr(photo_files, "_rgb", fail)
    with pytest.raises(PhotoError, match=r"photo\.png: needs more memory than there is"):
        read_photo(written(tmp_path, Image.fromarray(quarters())))


TURNED = {
    1: quarters(), 2: quarters()[:, ::-1], 3: quarters()[::-1, ::-1], 4: quarters()[::-1],
    5: quarters().swapaxes(0, 1), 6: np.rot90(quarters(), 3), 7: quarters()[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90(quarters()),
}  # fmt: skip


@pytest.mark.parametrize("ending", ["png", "webp", "tif"])
@pytest.mark.parametrize("orientation", [*TURNED, 0, 9])
def test_the_picture_is_turned_as_exif_says(tmp_path, orientation, ending):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if ending == "webp" else {}
    path = written(tmp_path, Image.fromarray(quarters()), f"a.{ending}", exif=exif, **options)
    np.testing.assert_array_equal(read_photo(path), TURNED.get(orientation, quarters()))


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"MM\0*\0\0\0\x08\xff\xff",
        b"\xff" * 40,
        struct.pack("<4sIHHHI4sI", b"II*\0", 8, 1, 0x0112, 2, 4, b"six\0", 0),  # the orientation is a text
    ],
)
def test_a_picture_whose_exif_is_damaged_is_as_it_lies_in_the_file(tmp_path, exif):
    photo = read_photo(written(tmp_path, Image.fromarray(quarters()), "a.jpg", exif=b"Exif\0\0" + exif, **CAREFUL))
    np.testing.assert_allclose(photo.astype(int), quarters(), atol=3)


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr"])
def test_other_modes_become_rgb(tmp_path, mode):
    picture = Image.fromarray(quarters()).convert(mode)
    path = written(tmp_path, picture, "a.tif")
    np.testing.assert_allclose(read_photo(path).astype(int), picture.convert("RGB"), atol=3)


def test_a_jpeg_in_cmyk_has_its_colours_and_not_their_opposites(tmp_path):
    path = written(tmp_path, Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "a.jpg")
    assert np.abs(read_photo(path).astype(int) - RED).max() < 4


def test_transparent_parts_are_white(tmp_path):
    clear = Image.new("RGBA", (2, 1), (0, 0, 255, 0))
    clear.putpixel((1, 0), (0, 0, 255, 128))
    for name in ("a.png", "a.tif"):
        np.testing.assert_allclose(read_photo(written(tmp_path, clear, name)), [[WHITE, (127, 127, 255)]], atol=1)
    grey = Image.new("LA", (1, 1), (0, 0))
    np.testing.assert_array_equal(read_photo(written(tmp_path, grey)), [[WHITE]])


def test_a_palette_and_a_colour_may_be_transparent(tmp_path):
    palette = Image.new("P", (2, 1))
    palette.putpalette([*BLUE, *RED])
    palette.putpixel((1, 0), 1)
    for name in ("a.png", "a.gif"):
        path = written(tmp_path, palette, name, transparency=0)
        np.testing.assert_array_equal(read_photo(path), [[WHITE, RED]])
    path = written(tmp_path, palette, transparency=b"\0\xff")  # how opaque each entry is
    np.testing.assert_array_equal(read_photo(path), [[WHITE, RED]])
    path = written(tmp_path, Image.new("RGB", (1, 1), RED), transparency=RED)
    np.testing.assert_array_equal(read_photo(path), [[WHITE]])


def test_of_several_pictures_the_first_is_read(tmp_path):
    red, blue = Image.new("RGB", (4, 4), RED), Image.new("RGB", (4, 4), BLUE)
    for name in ("a.gif", "a.png", "a.webp", "a.tif"):
        options = {"lossless": True} if name.endswith("webp") else {}
        path = written(tmp_path, red, name, save_all=True, append_images=[blue], **options)
        np.testing.assert_array_equal(read_photo(path), np.broadcast_to(RED, (4, 4, 3)))


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm", "a.jp2"])
def test_grey_of_16_bits_becomes_8(tmp_path, name):
    grey = np.array([[0, 128, 129, 257 * 100, 65535]], np.uint16)
    photo = read_photo(written(tmp_path, Image.fromarray(grey), name))
    np.testing.assert_array_equal(photo[..., 0], [[0, 0, 1, 100, 255]])
    assert photo.shape == (1, 5, 3)


def test_rgb_of_16_bits_becomes_8(tmp_path):
    """Written by hand: Pillow reads such files, and writes none."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = b"\0" + struct.pack(">6H", 65535, 0, 257 * 40, 0, 65535, 257 * 200)
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b""))
    path = tmp_path / "a.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    np.testing.assert_array_equal(read_photo(path), [[(255, 0, 40), (0, 255, 200)]])


def test_numbers_without_a_known_range_are_refused(tmp_path):
    path = written(tmp_path, Image.fromarray(np.ones((2, 2), np.float32)), "a.tif")
    with pytest.raises(PhotoError, match=r"a\.tif: its pixels are floating-point numbers.*8 or 16 bits"):
        read_photo(path)
    path = written(tmp_path, Image.fromarray(np.full((2, 2), 70000, np.int32)), "b.tif")
    with pytest.raises(PhotoError, match=r"b\.tif: its pixels are 32-bit numbers"):
        read_photo(path)


def test_the_smallest_photo_is_one_pixel(tmp_path):
    np.testing.assert_array_equal(read_photo(written(tmp_path, Image.new("RGB", (1, 1), RED))), [[RED]])


def test_a_large_jpeg_is_decoded_at_a_part_of_its_size_where_that_is_enough(tmp_path):
    path = written(tmp_path, Image.fromarray(quarters(900, 1300)), "a.jpg")
    assert read_photo(path).shape == (900, 1300, 3)
    assert read_photo(path, shortest=448).shape == (450, 650, 3)
    assert read_photo(path, shortest=451).shape == (900, 1300, 3)
    assert read_photo(path, shortest=64).shape == (113, 163, 3)
    assert read_photo(path, shortest=5000).shape == (900, 1300, 3)


def blank_png(width, height):
    """A PNG that claims to be so large, of a few bytes: a decompression bomb if it is large."""
    picture = io.BytesIO()
    Image.new("L", (1, 1)).save(picture, "PNG")
    content = bytearray(picture.getvalue())
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


@pytest.mark.parametrize("size", [(12_000, 10_001), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_more_pixels_than_the_limit_are_refused_before_they_are_decoded(tmp_path, size):
    path = tmp_path / "bomb.png"
    path.write_bytes(blank_png(*size))
    with pytest.raises(PhotoError, match=r"bomb\.png: .*the limit of 120 megapixels"):
        read_photo(path)


def test_an_honest_photo_of_50_megapixels_is_read(tmp_path):
    path = written(tmp_path, Image.new("L", (8688, 5792)), "large.jpg")
    assert read_photo(path, shortest=448).shape == (724, 1086, 3)


def test_what_pillow_warns_of_between_its_limit_and_ours_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    path = written(tmp_path, Image.fromarray(quarters()))
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        np.testing.assert_array_equal(read_photo(path), quarters())
    assert heard == []


# --- what is no photo ------------------------------------------------------------------------------


def test_what_is_no_photo_is_said_in_one_line_with_its_name(tmp_path):
    whole = written(tmp_path, Image.fromarray(quarters()), "whole.png").read_bytes()
    for name, content, message in [
        ("text.jpg", b"Dear diary, this is no photo.", "not a photo, or of a format that is not read here"),
        ("empty.jpg", b"", "an empty file"),
        ("cut.png", whole[: len(whole) // 2], "not a whole photo"),
        ("start.png", whole[:20], "not a"),
        ("drawing.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a photo"),
        ("phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100), "a HEIC photo.*save it as JPEG"),
    ]:
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(PhotoError, match=message) as caught:
            read_photo(path)
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)


def test_what_is_no_regular_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    os.symlink("loop.jpg", tmp_path / "loop.jpg")
    os.symlink("nothing.jpg", tmp_path / "dangling.jpg")
    for name, message in [
        ("pipe.jpg", "is a pipe, not a photo"),
        (".", "is a folder, not a photo"),
        ("loop.jpg", "is a link that leads to itself, not a photo"),
        ("dangling.jpg", "there is no such file"),
        ("none.jpg", "there is no such file"),
        ("n" * 300, "there is no such file"),
        ("null\0.jpg", "null character"),
    ]:
        with pytest.raises(PhotoError, match=message):
            read_photo(tmp_path / name)
    with pytest.raises(PhotoError, match="is a device"):
        read_photo("/dev/zero")


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    path = written(tmp_path, Image.fromarray(quarters()))

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", refused)
    with pytest.raises(PhotoError, match=r"photo\.png: cannot be opened: Permission denied$"):
        read_photo(path)


def test_odd_names_are_read_and_shown_on_one_line(tmp_path):
    for name in ("dög 犬.png", "a b\n.png", os.fsdecode(b"\xff\xfe.png"), "-rf.png", "%s{}.png"):
        path = written(tmp_path, Image.fromarray(quarters()), name)
        np.testing.assert_array_equal(read_photo(path), quarters())
        path.write_bytes(b"no photo")
        with pytest.raises(PhotoError) as caught:
            read_photo(str(path))
        assert str(caught.value).isprintable()
        str(caught.value).encode()


def test_an_error_that_is_not_about_the_photo_is_not_hidden(tmp_path, monkeypatch):
    def missing(module, extra):
        raise ModuleNotFoundError(f"this needs the package {module}, of {extra}")

    monkeypatch.setattr(photo_files, "require", missing)
    with pytest.raises(ModuleNotFoundError, match=r"PIL\.Image, of vision"):
        read_photo(written(tmp_path, Image.fromarray(quarters())))


# --- damaged files ---------------------------------------------------------------------------------


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Content that was cut, or of which some bits were flipped, bytes taken out, or others put in."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        place = rng.randrange(min(len(changed), rng.choice((64, len(changed)))))
        match rng.randrange(4):
            case 0:
                changed[place] ^= 1 << rng.randrange(8)
            case 1:
                changed[place:] = changed[place:][: rng.randrange(1, len(content))]
                del changed[len(changed) - rng.randrange(len(changed) // 2 + 1) :]
            case 2:
                del changed[place : place + rng.randrange(1, 9)]
            case 3:
                changed[place : place + 4] = rng.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"))
        if not changed:
            return b"\0"
    return bytes(changed)


def photo_or_line(path, shortest=None):
    """The photo, which is as all are; None if there is one PhotoError, of a line that names the file."""
    said = ""
    try:
        photo = read_photo(path, shortest)
    except PhotoError as error:
        said = str(error)
    if said:
        assert said.startswith(f"{path}: ")
        assert said.isprintable()
        return None
    assert (photo.dtype, photo.ndim, photo.shape[2]) == (np.uint8, 3, 3)
    return photo


def whole_files():
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    picture, exif = Image.fromarray(noise), Image.Exif()
    exif[0x0112] = 6
    for form, options in [
        ("JPEG", {"exif": exif}), ("JPEG", {"progressive": True}), ("PNG", {"exif": exif}), ("GIF", {}), ("WEBP", {}),
        ("WEBP", {"lossless": True, "exif": exif}), ("TIFF", {"exif": exif}), ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "jpeg"}), ("BMP", {}), ("PPM", {}), ("JPEG2000", {}),
    ]:  # fmt: skip
        file = io.BytesIO()
        picture.save(file, form, **options)
        yield f"{form} {options}", file.getvalue()


@pytest.mark.slow
def test_a_damaged_file_gives_a_picture_or_one_photo_error(tmp_path, full, capfd):
    """Nothing else: no other error, no warning, no photo of another form; and nothing is printed but by libtiff."""
    rng, files, path = random.Random(0), list(whole_files()), tmp_path / "damaged"
    read = refused = 0
    for number in range(1_000 if full else 120):
        kind, content = files[number % len(files)]
        path.write_bytes(damaged(content, rng))
        photo = photo_or_line(path, rng.choice((None, 8)))
        read, refused = read + (photo is not None), refused + (photo is None)
        printed = capfd.readouterr()
        assert printed == ("", "") or kind.startswith("TIFF"), kind
    assert min(read, refused) > (100 if full else 10)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_picture_or_one_photo_error(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "bytes"
    path.write_bytes(content)
    photo_or_line(path)


# --- folders ---------------------------------------------------------------------------------------


@pytest.fixture
def album(tmp_path):
    for name in ("b.png", "a.JPG", "c.jpeg", ".hidden.jpg", "notes.txt", "2024/d.webp", "2024/x/e.tif", ".trash/f.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def names(paths, folder):
    return [path.relative_to(folder).as_posix() for path in paths]


def test_a_folder_means_the_photos_in_it(album):
    assert names(photo_paths([album]), album) == ["a.JPG", "b.png", "c.jpeg"]


def test_a_folder_with_those_within_it(album):
    (album / "again").symlink_to(album)
    expected = ["a.JPG", "b.png", "c.jpeg", "2024/d.webp", "2024/x/e.tif"]
    assert names(photo_paths([album], recursive=True), album) == expected


def test_files_are_taken_as_they_are_named_and_once(album):
    named = [album / "notes.txt", str(album / "c.jpeg"), album, album / "c.jpeg"]
    assert names(photo_paths(named), album) == ["notes.txt", "c.jpeg", "a.JPG", "b.png"]


def test_addresses_are_refused_as_such(album, monkeypatch):
    for address in ("https://example.org/a.jpg", "file:///a.jpg"):
        with pytest.raises(PhotoError, match=f"{address}: addresses are not read, only files"):
            photo_paths([album, address])
    with pytest.raises(PhotoError, match=r"a: b\.jpg: there is no such file"):
        photo_paths(["a: b.jpg"])


def test_what_is_passed_over_is_counted(album):
    (album / "raw.CR2").touch()
    (album / "b.txt").touch()  # the captions of b.png
    assert passed_over([album]) == [album / "notes.txt", album / "raw.CR2"]
    assert passed_over([album / "raw.CR2", album, album / "b.png"]) == [album / "notes.txt"]
    (album / "2024" / "d.txt").touch()
    (album / "2024" / "b.txt").touch()
    expected = [album / "notes.txt", album / "raw.CR2", album / "2024" / "b.txt"]
    assert passed_over([album], recursive=True) == expected


def test_every_ending_counts(tmp_path):
    for ending in ENDINGS:
        (tmp_path / f"photo{ending}").touch()
    assert len(photo_paths([tmp_path])) == len(ENDINGS)


def test_what_has_no_photos_is_said(album, monkeypatch):
    empty = album / "empty"
    empty.mkdir()
    with pytest.raises(PhotoError, match=r"empty: no photo is in this folder, and folders within it.*\.jpg"):
        photo_paths([album / "a.JPG", empty])
    with pytest.raises(PhotoError, match=r"or in folders within it"):
        photo_paths([empty], recursive=True)
    with pytest.raises(PhotoError, match=r"none\.jpg: there is no such file or folder"):
        photo_paths([album / "none.jpg"])
    with pytest.raises(PhotoError, match="name at least one"):
        photo_paths([])
    with pytest.raises(TypeError, match=r"wants several paths, such as \['a.jpg'\]"):
        photo_paths("a.jpg")

    def refused(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(PhotoError, match=r"empty: the folder cannot be read: Permission denied"):
        photo_paths([empty])
