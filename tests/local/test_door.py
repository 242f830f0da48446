"""The embedded API lets nobody else in."""

from __future__ import annotations

import stat

import httpx
import pytest

from pyjob_magic.local.home import Home
from pyjob_magic.local.launcher import Endpoint

JOBS = "/apis/kubeflow.org/v1/pytorchjobs"


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}]
)
def test_without_the_token(endpoint: Endpoint, headers: dict[str, str]) -> None:
    response = httpx.get(endpoint.url + JOBS, headers=headers)
    assert response.status_code == 401
    assert response.json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "Unauthorized",
        "reason": "Unauthorized",
        "code": 401,
    }


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1", "localhost:1"])
def test_a_foreign_host_is_refused_even_with_the_token(http: httpx.Client, host: str) -> None:
    response = http.get(JOBS, headers={"Host": host})
    assert (response.status_code, response.json()["reason"]) == (403, "Forbidden")


def test_localhost_is_this_machine(http: httpx.Client, endpoint: Endpoint) -> None:
    port = endpoint.url.rpartition(":")[2]
    assert http.get(JOBS, headers={"Host": f"localhost:{port}"}).status_code == 200


def test_only_the_user_reads_the_state_directory(endpoint: Endpoint, api_home: Home) -> None:
    assert stat.S_IMODE(api_home.path.stat().st_mode) == 0o700
    for file in (api_home.token_file, api_home.api_file):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_token_does_not_show(endpoint: Endpoint) -> None:
    assert endpoint.token not in repr(endpoint)
