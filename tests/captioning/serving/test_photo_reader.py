"""Photos are decoded in a process of its own: whatever happens to it, the next photo is read."""

import threading
import time

import numpy as np
import pytest

from captioning.serving.photo_reader import PhotoReader
from captioning.vision.photo_files import PhotoError, decode_photo
from tests.captioning.serving.served import endless_jpeg, photo


@pytest.fixture(scope="module")
def reader():
    with PhotoReader(seconds=30) as reader:
        yield reader


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP"])
def test_photos_are_what_the_library_reads(reader, kind):
    content = photo(kind, (120, 90))
    np.testing.assert_array_equal(reader.read(content), decode_photo(content))
    np.testing.assert_array_equal(reader.read(content, 20), decode_photo(content, 20))


@pytest.mark.parametrize("content", [b"", b"hello", photo("JPEG")[:400], b"\0\0\0\x18ftypheic" + bytes(99)])
def test_other_files_are_refused_with_the_messages_of_the_library(reader, content):
    messages = []
    for read in (decode_photo, reader.read):
        with pytest.raises(PhotoError) as refused:
            read(content)
        messages.append(str(refused.value))
    assert messages[0] == messages[1]


def test_a_photo_that_takes_too_long_is_given_up_and_the_next_is_read(reader):
    endless, began = endless_jpeg(), time.monotonic()
    reader.seconds = 0.3
    with pytest.raises(PhotoError, match=r"more than 0\.3 seconds"):
        reader.read(endless)
    reader.seconds = 30
    assert time.monotonic() - began < 5
    assert reader.read(photo()).shape == (30, 40, 3)


def test_a_decoder_that_crashes_ends_one_photo_and_the_next_is_read(reader):
    endless = endless_jpeg()
    threading.Timer(0.3, reader.process.kill).start()
    with pytest.raises(PhotoError, match="the decoder crashed"):
        reader.read(endless)
    assert reader.read(photo()).shape == (30, 40, 3)
    reader.process.kill()  # between photos
    reader.process.join()
    assert reader.read(photo()).shape == (30, 40, 3)


def test_closing_ends_a_photo_that_is_being_read():
    reader, endless = PhotoReader(seconds=60), endless_jpeg()
    with reader:
        threading.Timer(0.3, reader.close).start()
        began = time.monotonic()
        with pytest.raises(PhotoError):
            reader.read(endless)
        assert time.monotonic() - began < 5
    assert not reader.process.is_alive()
    with pytest.raises(ValueError, match="closed"):
        reader.read(photo())
