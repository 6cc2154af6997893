"""Uploads stay within their limits."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.serving.upload_limits import Limits, RefusedError, Uploads

LIMITS = Limits(upload_bytes=20, upload_seconds=0.05, held_bytes=30, uploads=2)


class Request:
    """A request of Starlette's kind whose body comes in parts; `ends` is False if the client stops in the middle."""

    def __init__(self, parts, ends=True, **headers):
        self.parts, self.ends, self.headers = parts, ends, headers

    async def stream(self):
        for part in self.parts:
            yield part
        if not self.ends:
            await asyncio.sleep(60)


def read(uploads, request, within=None):
    """The body; `within` is called while it is held."""

    async def reading():
        async with uploads.receive(request) as content:
            return content if within is None else within()

    return asyncio.run(reading())


def status_of(uploads, request):
    with pytest.raises(RefusedError) as refused:
        read(uploads, request)
    return refused.value.status


@given(st.lists(st.binary(max_size=12), max_size=6))
def test_a_body_is_its_parts_up_to_the_limit(parts):
    uploads, whole = Uploads(LIMITS), b"".join(parts)
    if 0 < len(whole) <= LIMITS.upload_bytes:
        assert read(uploads, Request(parts)) == whole
    else:
        assert status_of(uploads, Request(parts)) == (413 if whole else 400)
    assert (uploads.count, uploads.held_bytes) == (0, 0)


def test_a_length_that_is_too_large_is_refused_before_anything_is_read():
    with pytest.raises(RefusedError, match="32 MiB") as refused:
        read(Uploads(Limits()), Request(None, **{"content-length": str(2**25 + 1)}))
    assert refused.value.status == 413
    assert read(Uploads(Limits()), Request([b"x"], **{"content-length": str(2**25)})) == b"x"


def test_a_body_that_does_not_end_is_given_up():
    assert status_of(Uploads(LIMITS), Request([b"half"], ends=False)) == 408


def test_a_time_limit_of_the_captioner_is_not_one_of_the_upload():
    with pytest.raises(TimeoutError):
        read(Uploads(LIMITS), Request([b"whole"]), lambda: (_ for _ in ()).throw(TimeoutError))


def test_all_uploads_together_have_limits():
    uploads = Uploads(LIMITS)

    async def nested():
        async with uploads.receive(Request([b"x" * 18])):
            assert (uploads.count, uploads.held_bytes) == (1, 18)
            with pytest.raises(RefusedError) as too_many_bytes:
                async with uploads.receive(Request([b"x" * 13])):
                    pass
            async with uploads.receive(Request([b"x" * 12])) as content:
                with pytest.raises(RefusedError) as too_many:
                    async with uploads.receive(Request([b"x"])):
                        pass
        return content, too_many_bytes.value.status, too_many.value.status

    assert asyncio.run(nested()) == (b"x" * 12, 503, 503)
    assert (uploads.count, uploads.held_bytes) == (0, 0)
