"""Whom the server answers."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.serving.guards import check_sender
from captioning.serving.refusals import RefusedError

OURS = {"host": "127.0.0.1:8000"}


def status(method="POST", **headers):
    """The status of what is refused, or None."""
    try:
        check_sender(method, {name.replace("_", "-"): value for name, value in headers.items()})
    except RefusedError as refusal:
        return refusal.status
    return None


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "localhost", "127.0.0.1", "localhost:9"])
def test_this_machine_by_its_names_and_any_port(host):
    assert status("GET", host=host) is None


@pytest.mark.parametrize("host", [
    "", "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.nip.io:8000",
    "localhost:8000@evil.example", "127.0.0.2:8000",
    "192.168.1.2:8000", "0.0.0.0:8000", "[::1]:8000", "localhost:8000, evil.example",
    "xlocalhost",
    "localhost:123456", "localhost:", "127x0x0x1", "localhost\n",
])  # fmt: skip
def test_no_other_name(host):
    assert status("GET", host=host) == status("POST", host=host) == 421


@given(st.text(max_size=40))
def test_a_name_is_ours_or_refused_in_one_line(host):
    if re.match(r"(127\.0\.0\.1|localhost)(:[0-9]{1,5})?\Z", host):
        check_sender("GET", {"host": host})
        return
    with pytest.raises(RefusedError) as refused:
        check_sender("GET", {"host": host})
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 700


@pytest.mark.parametrize("headers", [
    {}, {"origin": "http://127.0.0.1:8000"}, {"origin": "http://127.0.0.1:8000", "sec_fetch_site": "same-origin"},
    {"sec_fetch_site": "same-origin"}, {"sec_fetch_site": "none"},
])  # fmt: skip
def test_uploads_of_the_page_and_of_programs(headers):
    assert status(**OURS, **headers) is None


@pytest.mark.parametrize("headers", [
    {"origin": "http://evil.example"}, {"origin": "null"}, {"origin": ""}, {"origin": "http://127.0.0.1:9000"},
    {"origin": "http://localhost:8000"}, {"origin": "https://127.0.0.1:8000"},
    {"origin": "http://127.0.0.1:8000.evil.example"}, {"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"},
])  # fmt: skip
@pytest.mark.parametrize("method", ["POST", "PUT", "OPTIONS"])
def test_no_upload_of_another_sites_page(headers, method):
    assert status(method, **OURS, **headers) == 403


def test_a_link_from_another_site_may_lead_to_the_page():
    assert status("GET", **OURS, sec_fetch_site="cross-site") is None
