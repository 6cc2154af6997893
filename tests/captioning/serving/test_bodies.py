"""Uploads as they arrive, within their limits."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.serving.bodies import ClientGoneError, HeldBytes, read_body
from captioning.serving.limits import Limits
from captioning.serving.refusals import RefusedError

LIMITS = Limits(upload_bytes=20, upload_seconds=0.05, held_bytes=30)


def receiving(parts, at_end=None):
    """ASGI's `receive` of a body in parts; at_end: the message after them, where the client does not end it."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    if at_end is None:
        messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive():
        if messages:
            return messages.pop(0)
        if at_end is None:
            raise AssertionError("read beyond the end")
        return await at_end()

    return receive


async def silence():
    await asyncio.sleep(60)


async def gone():
    return {"type": "http.disconnect"}


def read(parts, headers=None, held=None, at_end=None, limits=LIMITS):
    with (held or HeldBytes(limits.held_bytes)).account() as add:
        return asyncio.run(read_body(receiving(parts, at_end), headers or {}, limits, add))


@given(st.lists(st.binary(max_size=12), max_size=6))
def test_a_body_is_its_parts_up_to_the_limit(parts):
    held, whole = HeldBytes(LIMITS.held_bytes), b"".join(parts)
    if 0 < len(whole) <= LIMITS.upload_bytes:
        assert read(parts, held=held) == whole
    else:
        with pytest.raises(RefusedError) as refused:
            read(parts, held=held)
        assert refused.value.status == (413 if whole else 400)
    assert held.count == 0


def test_a_length_that_is_too_large_is_refused_before_anything_is_read():
    with pytest.raises(RefusedError, match="more than 32 MiB") as refused:
        asyncio.run(read_body(None, {"content-length": str(2**40)}, Limits(), lambda count: None))
    assert (refused.value.status, refused.value.headers()) == (413, {"connection": "close"})


def test_a_body_that_does_not_end_is_given_up():
    with pytest.raises(RefusedError, match=r"within 0\.05 seconds") as refused:
        read([b"half"], at_end=silence)
    assert refused.value.status == 408


def test_a_client_that_goes_away_is_noticed():
    with pytest.raises(ClientGoneError):
        read([b"half"], at_end=gone)


def test_all_uploads_together_have_a_limit_and_give_it_back():
    held = HeldBytes(30)
    with held.account() as add:
        add(18)
        with pytest.raises(RefusedError) as refused:
            read([b"x" * 13], held=held)
        assert (refused.value.status, refused.value.retry_after) == (503, 1)
        assert read([b"x" * 12], held=held) == b"x" * 12
    assert held.count == 0
