"""Signatures are those that Huawei publishes, for the URL that is sent."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyjob_magic.targets.cci.credentials import Keys, Secret
from pyjob_magic.targets.cci.signature import canonical, sign
from tests.targets.cci import server

NOW = datetime(2019, 11, 15, 3, 36, 55, tzinfo=UTC)
# Published sample keys of "API Request Signing Guide".
SAMPLE = Keys(Secret("QTWAOYTTINDUT2QVKYUC"), Secret("MFyfvK41ba2giqM7Uio6PznpdUKGpownRZlmVmHc"))
KEYS = Keys(Secret(server.ACCESS_KEY), Secret(server.SECRET_KEY))


def sent(request: httpx.Request, keys: Keys = KEYS) -> tuple[list[str], str]:
    """Return what the signature of a signed request says: the names, and the signature."""
    sign(request, keys, NOW)
    names, _, signature = request.headers["Authorization"].rpartition(", Signature=")
    return names.rpartition("SignedHeaders=")[2].split(";"), signature


def test_the_published_example_is_met() -> None:
    """Canonical request and signature are those of the guide."""
    request = httpx.Request(
        "GET",
        "https://service.region.example.com/v1/77b6a44cba5143ab91d13ab9a8ff44fd/vpcs"
        "?limit=2&marker=13551d6b-755d-4757-b956-536f674975c0",
        headers={"Content-Type": "application/json"},
    )

    names, signature = sent(request, SAMPLE)

    assert request.headers["X-Sdk-Date"] == "20191115T033655Z"
    assert names == ["content-type", "host", "x-sdk-date"]
    assert hashlib.sha256(canonical(request).encode()).hexdigest() == (
        "b25362e603ee30f4f25e7858e8a7160fd36e803bb2dfe206278659d71a9bcd7a"
    )
    assert signature == "7be6668032f70418fcc22abc52071e57aff61b84a1d2381bb430d6870f4f6ebe"


@pytest.mark.parametrize(
    "url",
    [
        "https://cci/",
        "https://cci",
        "https://cci/a/b/",
        "https://cci/a%2Fb/c d",
        "https://cci/päth/名/~-_.!*'()@:",
        "https://cci/x?empty=&name",
        "https://cci/x?b=2&a=1&b=10&b=1&a=",
        "https://cci/x?q=a+b%20c%2Bd",
        "https://cci/x?ä=ö&~=%7E&a=%2f",
        "https://cci/x?fieldSelector=metadata.name%3Dmnist&limit=500",
        "https://cci:8443/x?a=1",
    ],
)
def test_what_is_sent_is_what_is_signed(url: str) -> None:
    """The server reads the URL as it arrives: any encoding, empty values, repeated names."""
    request = httpx.Request("GET", url)

    names, signature = sent(request)

    assert server.signature(request, names, server.SECRET_KEY) == signature


@given(
    st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=4),
    st.lists(st.text(min_size=1), max_size=3),
    st.binary(),
)
def test_any_request_can_be_verified(
    query: list[tuple[str, Any]], path: list[str], body: bytes
) -> None:
    """Whatever the names, the values and the body are."""
    url = "https://cci/" + "/".join(quote(segment, safe="") for segment in path)
    request = httpx.Request("POST", url, params=httpx.QueryParams([*query]), content=body)
    before = sorted(request.url.params.multi_items())

    names, signature = sent(request)

    assert sorted(request.url.params.multi_items()) == before
    assert server.signature(request, names, server.SECRET_KEY) == signature


def test_temporary_keys_send_their_token_and_sign_it() -> None:
    """`X-Security-Token` is part of what is signed."""
    request = httpx.Request("GET", "https://cci/x")

    names, signature = sent(request, Keys(*[KEYS.access_key, KEYS.secret_key, Secret("temp")]))

    assert request.headers["X-Security-Token"] == "temp"
    assert names == ["host", "x-sdk-date", "x-security-token"]
    assert server.signature(request, names, server.SECRET_KEY) == signature


def test_dates_are_in_utc() -> None:
    """Wherever this machine is."""
    request = httpx.Request("GET", "https://cci/x")

    sign(request, KEYS, NOW.astimezone(timezone(timedelta(hours=8))))

    assert request.headers["X-Sdk-Date"] == "20191115T033655Z"
