"""Photos are decoded in a process of their own: whatever happens to it, the next photo is read."""

import os
import signal
import sys
import threading
import time

import numpy as np
import pytest

from captioning.serving.photo_reader import PhotoReader
from captioning.vision.photo_files import PhotoError, decode_photo
from tests.captioning.serving.served import endless_jpeg, photo

CRASHING = (sys.executable, "-c", "import sys; print(end='R', flush=True); sys.stdin.buffer.read(12)")


@pytest.fixture(scope="module")
def reader():
    with PhotoReader() as reader:
        yield reader


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP"])
def test_photos_are_what_the_library_reads(reader, kind):
    content = photo(kind, (120, 90))
    np.testing.assert_array_equal(reader.read(content), decode_photo(content))
    np.testing.assert_array_equal(reader.read(content, 20), decode_photo(content, 20))


@pytest.mark.parametrize(
    "content", [b"", b"hello", photo("JPEG")[:400], photo()[:60], b"\0\0\0\x18ftypheic" + bytes(99)]
)
def test_what_is_no_photo_is_refused_in_the_same_words(reader, content):
    with pytest.raises(PhotoError) as expected:
        decode_photo(content)
    with pytest.raises(PhotoError) as found:
        reader.read(content)
    assert str(found.value) == str(expected.value)


def test_a_photo_that_takes_too_long_is_given_up_and_the_next_is_read():
    with PhotoReader(seconds=30) as reader:
        reader.read(photo())
        reader.seconds = 0.5
        began = time.monotonic()
        with pytest.raises(PhotoError, match=r"takes more than 0\.5 seconds"):
            reader.read(endless_jpeg())
        assert time.monotonic() - began < 5
        reader.seconds = 30
        assert reader.read(photo()).shape == (30, 40, 3)


def test_a_process_that_was_killed_is_started_again(reader):
    os.kill(reader._process.pid, signal.SIGKILL)
    reader._process.wait()
    assert reader.read(photo()).shape == (30, 40, 3)


def test_a_decoder_that_crashes_is_said_to_and_the_next_photo_is_read(reader):
    working, reader.command = reader.command, CRASHING
    reader._process.kill()
    reader._process.wait()
    try:
        with pytest.raises(PhotoError, match="its decoder crashed"):
            reader.read(photo())
    finally:
        reader.command = working
    assert reader.read(photo()).shape == (30, 40, 3)


def test_closing_ends_a_photo_that_is_read_and_leaves_no_process():
    reader = PhotoReader(seconds=60)
    with reader:
        reader.read(photo())
        process, failed, endless = reader._process, [], endless_jpeg()

        def read():
            try:
                reader.read(endless)
            except PhotoError as error:
                failed.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        while not any(isinstance(each, threading.Timer) for each in threading.enumerate()):
            time.sleep(0.01)  # until it is read
        began = time.monotonic()
    thread.join(10)
    assert time.monotonic() - began < 2
    assert (process.poll() is not None, len(failed)) == (True, 1)
    with pytest.raises(ValueError, match="closed"):
        reader.read(photo())


def test_a_process_that_does_not_start_is_no_photos_fault():
    with PhotoReader(command=(sys.executable, "-c", "")) as reader, pytest.raises(OSError, match="does not start"):
        reader.read(photo())
