"""Tokens are fetched once, renewed in time, and errors of IAM are explained."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from pyjob_magic.errors import ApiError, UnauthorizedError
from pyjob_magic.targets import Access
from pyjob_magic.targets.cci.auth import CloudAuth
from pyjob_magic.targets.cci.credentials import MARGIN, Source
from tests.targets.cci.server import CCI_HOST, IAM_HOST, CciServer

APIS = f"https://{CCI_HOST}/apis"


def a_client(server: CciServer, handler: httpx.MockTransport | None = None) -> httpx.Client:
    source = Source(Access(), "cn-north-4", now=server.now)
    auth = CloudAuth(source, f"https://{IAM_HOST}", now=server.now)
    return httpx.Client(auth=auth, transport=handler or server.transport())


def fetched(server: CciServer) -> int:
    return len(server.sent("POST", "/v3/auth/tokens"))


def test_a_token_is_fetched_once(password: None, server: CciServer) -> None:
    """And without the catalog, which is large and of no use here."""
    with a_client(server) as client:
        assert [client.get(APIS).status_code for _ in range(3)] == [200] * 3

    assert fetched(server) == 1
    assert server.requests[0].url.params["nocatalog"]


def test_many_threads_fetch_one_token(password: None, server: CciServer) -> None:
    """Those that come while it is fetched wait for it; the same when it is refused."""
    together = threading.Barrier(16)

    def ask(client: httpx.Client) -> int:
        together.wait()
        return client.get(APIS).status_code

    with a_client(server) as client, ThreadPoolExecutor(16) as threads:
        assert set(threads.map(ask, [client] * 16)) == {200}
        assert fetched(server) == 1
        server.expire_tokens()
        assert set(threads.map(ask, [client] * 16)) == {200}
        assert fetched(server) == 2


def test_a_token_is_renewed_before_it_expires(password: None) -> None:
    """By IAM's own times, so that a wrong clock here does no harm."""
    now = [1_000_000.0]
    server = CciServer(now=lambda: now[0])
    with a_client(server) as client:
        client.get(APIS)
        now[0] += 24 * 3600 - MARGIN - 1
        client.get(APIS)
        assert fetched(server) == 1
        now[0] += 2
        client.get(APIS)
        assert fetched(server) == 2


def test_another_user_gets_another_token(
    password: None, server: CciServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who changes OS_USERNAME does not go on with the token of before."""
    with a_client(server) as client:
        client.get(APIS)
        monkeypatch.setenv("OS_USERNAME", "bob")
        server.passwords["acme", "bob"] = "pw-very-secret-value"
        client.get(APIS)

    assert fetched(server) == 2


def test_a_token_refused_twice_is_an_error(password: None, server: CciServer) -> None:
    """It is renewed once, not for ever."""

    def refuse(request: httpx.Request) -> httpx.Response:
        return server(request) if request.url.host == IAM_HOST else httpx.Response(401)

    with a_client(server, httpx.MockTransport(refuse)) as client:
        assert client.get(APIS).status_code == 401

    assert fetched(server) == 2


def test_a_wrong_password_is_explained(password: None, server: CciServer) -> None:
    """With user, account and what else it could be."""
    server.passwords.clear()

    with a_client(server) as client, pytest.raises(UnauthorizedError) as wrong:
        client.get(APIS)

    assert str(wrong.value) == (
        "iam.cn-north-4.myhuaweicloud.com refused to give a token to user 'alice' of account "
        "'acme' for project 'cn-north-4' (401): The username or password is wrong.; check user, "
        "password and account (domain); a HUAWEI ID gets no token, so make an IAM user or use "
        "an access key"
    )


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (httpx.Response(201, json={}), "(201): HTTP 201 without a token"),
        (httpx.Response(502, text="<html>"), "(502): HTTP 502 without a token"),
        (
            httpx.Response(429, json={"error_msg": "slow", "error_code": "IAM.0429"}),
            "(429, IAM.0429): slow",
        ),
    ],
)
def test_other_answers_are_errors_too(
    password: None, server: CciServer, answer: httpx.Response, message: str
) -> None:
    """Whatever stands between us and IAM."""
    with (
        a_client(server, httpx.MockTransport(lambda _: answer)) as client,
        pytest.raises(ApiError) as refused,
    ):
        client.get(APIS)

    assert message in str(refused.value)


def test_a_failure_leaves_nothing_locked(password: None, server: CciServer) -> None:
    """A lost connection to IAM in one thread does not stop the others."""
    broken = [True]

    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.host == IAM_HOST and broken[0]:
            broken[0] = False
            raise httpx.ConnectError("refused", request=request)
        return server(request)

    with a_client(server, httpx.MockTransport(serve)) as client:
        with pytest.raises(httpx.ConnectError):
            client.get(APIS)
        assert client.get(APIS).status_code == 200


def test_a_log_that_is_followed_is_not_read_to_its_end_first(
    password: None, server: CciServer
) -> None:
    """Only IAM's answers are read while credentials are shown."""

    def endless() -> object:
        while True:
            yield b"line\n"

    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.host == IAM_HOST:
            return server(request)
        return httpx.Response(200, content=endless())  # type: ignore[arg-type]

    with (
        a_client(server, httpx.MockTransport(serve)) as client,
        client.stream("GET", APIS) as response,
    ):
        assert next(response.iter_lines()) == "line"
