"""No secret is in any representation, message, log, manifest, card or pickle."""

from __future__ import annotations

import copy
import dataclasses
import http.server
import io
import json
import logging
import pickle
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from pyjob_magic._card import Card
from pyjob_magic.client import Client
from pyjob_magic.connection import Connection
from pyjob_magic.errors import PyJobError
from pyjob_magic.targets import Access, resolve
from pyjob_magic.targets.cci.auth import CloudAuth
from pyjob_magic.targets.cci.credentials import Keys, Password, Secret, Source, Token
from tests.targets.cci import server as cci
from tests.targets.cci.server import NAMESPACE, CciServer

SECRETS = (cci.ACCESS_KEY, cci.SECRET_KEY, cci.PASSWORD, cci.SECURITY_TOKEN, "secret-token")


def shown(*things: Any) -> str:
    """Return all that can be seen of `things`."""
    return "\n".join(f"{thing!r} {thing!s} {vars(thing)!r}" for thing in things)


def assert_no_secret(text: str) -> None:
    assert not [secret for secret in SECRETS if secret in text]


@pytest.fixture(params=["keys", "password"])
def connection(request: pytest.FixtureRequest, server: CciServer) -> Iterator[Connection]:
    """Connect with each way in, both with wrong and with right credentials."""
    request.getfixturevalue(request.param)
    target = dataclasses.replace(resolve("cci", Access()), transport=server.transport())
    connection = Connection(Client(target, NAMESPACE))
    yield connection
    connection.close()


def test_nothing_that_is_shown_holds_a_secret(
    connection: Connection, server: CciServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Objects, the card, the preview and the log, after requests were sent."""
    caplog.set_level(logging.DEBUG)
    manifest = connection.build("x = 1", name="mnist", cpu=2, memory="4Gi")
    job = connection.submit(manifest)

    target = connection.client.target
    assert_no_secret(shown(target, connection, connection.client, job, target.auth))
    assert_no_secret(str(manifest) + manifest.to_json())
    assert_no_secret(json.dumps(server.jobs))
    assert_no_secret(json.dumps(Card(job.manifest, "cci")._repr_mimebundle_()))
    assert_no_secret(caplog.text)


def test_no_error_holds_a_secret(connection: Connection, server: CciServer) -> None:
    """Nor does its traceback, with the values of all local variables of ours."""
    server.secret_keys.clear()
    server.passwords.clear()

    with pytest.raises(PyJobError) as refused:
        connection.list()

    told = traceback.TracebackException.from_exception(refused.value, capture_locals=True)
    ours = [frame for frame in told.stack if "pyjob_magic" in frame.filename]
    assert ours
    assert_no_secret("".join(told.format_exception_only()) + repr([f.locals for f in ours]))
    assert_no_secret("\n".join(refused.value._render_traceback_()))


@pytest.mark.parametrize(
    "credentials",
    [
        Keys(Secret(cci.ACCESS_KEY), Secret(cci.SECRET_KEY), Secret(cci.SECURITY_TOKEN)),
        Password("alice", Secret(cci.PASSWORD), "acme", "cn-north-4"),
        Token(Secret("secret-token")),
    ],
)
def test_credentials_are_neither_shown_nor_stored(credentials: Any) -> None:
    """They say what they are, and cannot be pickled or copied."""
    assert_no_secret(shown(credentials))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="credentials are not pickled"):
            pickle.dumps(credentials, protocol)
    with pytest.raises(TypeError, match="credentials are not pickled"):
        copy.deepcopy(credentials)


class Iam(http.server.BaseHTTPRequestHandler):
    """Gives out a token on a real socket."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(201)
        self.send_header("X-Subject-Token", "secret-token")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_GET(self) -> None:
        assert self.headers["X-Auth-Token"] == "secret-token"
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Print nothing."""


def test_the_debug_log_of_the_http_library_holds_no_token(password: None) -> None:
    """It would show the headers of each answer, and IAM's has the token."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    library = logging.getLogger("httpcore")
    level = library.level
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Iam) as iam:
        thread = threading.Thread(target=iam.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        library.addHandler(handler)
        library.setLevel(logging.DEBUG)
        url = f"http://127.0.0.1:{iam.server_address[1]}"
        try:
            with httpx.Client(auth=CloudAuth(Source(Access(), "x"), url)) as client:
                assert client.get(f"{url}/apis").status_code == 204
        finally:
            library.removeHandler(handler)
            library.setLevel(level)
            iam.shutdown()
            thread.join()

    assert "receive_response_headers" in written.getvalue()
    assert_no_secret(written.getvalue())
