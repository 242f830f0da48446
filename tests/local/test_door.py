"""The embedded API lets nobody else in."""

from __future__ import annotations

import stat

import httpx
import pytest

from pyjob_magic.local import launcher
from pyjob_magic.local.home import Home
from pyjob_magic.local.launcher import Endpoint
from tests.local import raw

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


def ask(endpoint: Endpoint, version: str, *headers: str) -> int:
    with raw.connection(endpoint) as opened:
        lines = [f"GET {JOBS} HTTP/{version}", *headers, "Connection: close", "", ""]
        opened.sendall("\r\n".join(lines).encode("latin-1"))
        return raw.status(raw.rest(opened))


def test_one_host_and_one_credential_are_wanted(endpoint: Endpoint) -> None:
    """A second one would be read by another program than the first."""
    host = f"Host: 127.0.0.1:{raw.address(endpoint)[1]}"
    token = f"Authorization: Bearer {endpoint.token}"
    assert ask(endpoint, "1.1", host, token) == 200
    assert ask(endpoint, "1.0", token) == 403
    assert ask(endpoint, "1.1", host, "Host: evil.example", token) in (400, 403)
    assert ask(endpoint, "1.1", "Host: evil.example", host, token) in (400, 403)
    assert ask(endpoint, "1.1", host, token, "Authorization: Bearer x") == 401
    assert ask(endpoint, "1.1", host, "Authorization: Bearer x", token) == 401


@pytest.mark.parametrize(
    "host", ["[::1]:{}", "[::ffff:127.0.0.1]:{}", "0.0.0.0:{}", "ü:{}", "@:{}"]
)
def test_only_the_two_names_of_this_machine_are_its_own(endpoint: Endpoint, host: str) -> None:
    port = raw.address(endpoint)[1]
    token = f"Authorization: Bearer {endpoint.token}"
    assert ask(endpoint, "1.1", "Host: " + host.format(port), token) in (400, 403)


@pytest.mark.parametrize("credential", ["Bearer ü", "Bearer", "", "ü", "Bearer  ", "Bearer {}x"])
def test_what_is_not_the_token_is_not_let_in(endpoint: Endpoint, credential: str) -> None:
    host = f"Host: 127.0.0.1:{raw.address(endpoint)[1]}"
    text = credential.format(endpoint.token)
    assert ask(endpoint, "1.1", host, f"Authorization: {text}") == 401


def test_the_scheme_is_written_in_any_case(endpoint: Endpoint) -> None:
    host = f"Host: 127.0.0.1:{raw.address(endpoint)[1]}"
    assert ask(endpoint, "1.1", host, f"Authorization: bearer {endpoint.token}") == 200


def test_the_token_is_not_logged(own_home: Home) -> None:
    """Not even where a request with it goes wrong."""
    endpoint = launcher.ensure_running(own_home)
    host = f"Host: 127.0.0.1:{raw.address(endpoint)[1]}"
    ask(endpoint, "1.1", host, f"Authorization: Bearer {endpoint.token}", "Content-Length: x")
    ask(endpoint, "1.1", "Host: evil.example", f"Authorization: Bearer {endpoint.token}")
    launcher.stop(own_home)
    assert endpoint.token not in own_home.log.read_text()
