"""A request whose answer is lost is sent again where that does no harm, and only there."""

from __future__ import annotations

import dataclasses
import json
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from pyjob_magic import errors
from pyjob_magic.client import Client
from pyjob_magic.connection import Connection
from pyjob_magic.manifest import SUBMISSION
from pyjob_magic.models import PyTorchJob
from pyjob_magic.rest import Rest
from pyjob_magic.retries import PATIENCE
from pyjob_magic.target import Target
from tests.data import SEED

Answer = httpx.Response | Exception
CUT = httpx.ReadError("Connection reset by peer")
REFUSED = httpx.ConnectError("Connection refused")


def status(code: int, reason: str = "", **headers: str) -> httpx.Response:
    body = {"kind": "Status", "reason": reason, "message": f"say {code}", "code": code}
    return httpx.Response(
        code, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


class Server:
    """Answers what it is told, in turn; the last answer again and again."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.slept: list[float] = []
        self.now = 0.0
        self.notes: list[str] = []
        transport = httpx.MockTransport(self._answer)
        self.target = Target("k8s", "http://server", "kube-test", transport=transport)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def rest(self) -> Rest:
        return Rest(self.target, self.notes.append, clock=lambda: self.now, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def ask(rest: Rest, method: str = "GET") -> Any:
    return rest.ask("look", method, "/version")


@pytest.mark.parametrize("lost", [CUT, status(500), status(502), status(503), status(504)])
def test_a_lost_answer_is_asked_for_again(lost: Answer) -> None:
    """With pauses that grow, and one note to whoever waits."""
    server = Server(lost, lost, httpx.Response(200, json={"major": "1"}))

    assert ask(server.rest()) == {"major": "1"}
    assert len(server.requests) == 3
    assert 0 < server.slept[0] < 0.3 < 0.1 + server.slept[1]
    (note,) = server.notes
    assert "asked to look" in note or "refused to look" in note
    assert note.endswith("; trying again")


def test_a_server_that_wants_to_be_left_alone_is() -> None:
    """For as long as it says."""
    server = Server(status(429, Retry_After="7"), status(503, Retry_After="2"), status(200))

    ask(server.rest())

    assert server.slept == [7.0, 2.0]


def test_a_pause_beyond_all_patience_is_not_waited_for() -> None:
    """Better to say so at once."""
    server = Server(status(429, Retry_After="3600"))

    with pytest.raises(errors.ApiError, match="429"):
        ask(server.rest())
    assert server.slept == []


@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 410, 413, 422])
def test_a_refusal_is_final(code: int) -> None:
    """Asking again would change nothing."""
    server = Server(status(code))

    with pytest.raises(errors.ApiError):
        ask(server.rest())
    assert len(server.requests) == 1
    assert server.notes == []


def test_an_object_that_is_too_large_is_not_sent_again() -> None:
    """A real API server answers 500 to it."""
    message = "etcdserver: request is too large"
    server = Server(httpx.Response(500, json={"kind": "Status", "message": message}))

    with pytest.raises(errors.ApiError, match="too large"):
        ask(server.rest())
    assert len(server.requests) == 1


def test_an_address_where_nothing_ever_answered_is_given_up_at_once() -> None:
    """A wrong address, a VPN that is off: nobody wants to wait for that."""
    server = Server(REFUSED)

    with pytest.raises(errors.TargetError, match="Connection refused") as failed:
        ask(server.rest())
    assert len(server.requests) == 1
    assert not failed.value.sent


def test_a_server_that_is_restarted_is_waited_for() -> None:
    """One that has answered before gets half a minute."""
    server = Server(status(200), *[REFUSED] * 6, httpx.Response(200, json={"major": "2"}))
    rest = server.rest()
    ask(rest)

    assert ask(rest) == {"major": "2"}
    assert len(server.notes) == 1


def test_a_server_that_stays_away_is_given_up() -> None:
    """After the half minute, with the reason."""
    server = Server(status(200), REFUSED)
    rest = server.rest()
    ask(rest)

    with pytest.raises(errors.TargetError, match="Connection refused"):
        ask(rest)
    assert PATIENCE <= sum(server.slept) < 2 * PATIENCE


def test_a_header_that_cannot_be_sent_is_not_shown() -> None:
    """It may be a credential; and sending it again would not help."""
    quoting = httpx.LocalProtocolError("Illegal header value b'SECRET\\n'")
    server = Server(httpx.Response(200, json={}), quoting)
    rest = server.rest()
    ask(rest)

    with pytest.raises(errors.TargetError, match="holds what cannot be sent") as failed:
        ask(rest)

    assert not server.slept
    assert "SECRET" not in "".join(traceback.format_exception(failed.value))


@pytest.mark.parametrize(
    ("header", "value", "secrets"),
    [
        ("Authorization", "Bearer tok-123456789", ["tok-123456789"]),
        (
            "Authorization",
            "SDK-HMAC-SHA256 Access=AK123456, Signature=abcdef01",
            ["AK123456", "abcdef01"],
        ),
        ("X-Auth-Token", "MIIC12345678", ["MIIC12345678"]),
    ],
)
def test_credentials_that_a_gateway_repeats_are_not_shown(
    header: str, value: str, secrets: list[str]
) -> None:
    """What was sent to prove who we are is in no message."""

    class Credentials(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
            request.headers[header] = value
            yield request

    body = {"kind": "Status", "message": f"bad request: {header}: {value}", "code": 400}
    server = Server(httpx.Response(400, json=body))
    server.target = dataclasses.replace(server.target, auth=Credentials())

    with pytest.raises(errors.InvalidError) as refused:
        ask(server.rest())

    assert "(hidden)" in str(refused.value)
    for secret in secrets:
        assert secret not in str(refused.value) + refused.value.message


def test_a_connection_that_fails_names_where_it_was_to_go() -> None:
    """Host and port are what people have mistyped."""
    with pytest.raises(errors.TargetError, match=r"no connection to server: Connection refused"):
        ask(Server(REFUSED).rest())


def test_what_a_server_remarks_is_passed_on() -> None:
    """Once for what was changed; looks are made too often for that."""
    remarks = '299 - "unknown field \\"spec.x\\"", 299 - "v1 is deprecated"'
    server = Server(httpx.Response(201, json={}, headers={"Warning": remarks}))
    rest = server.rest()

    ask(rest, "POST")
    ask(rest, "GET")

    assert server.notes == [
        'k8s remarks: unknown field \\"spec.x\\"',
        "k8s remarks: v1 is deprecated",
    ]


# -- what is created -----------------------------------------------------------------------------


class Cluster(Server):
    """Keeps what is created; loses the first `losses` answers to POSTs after carrying them out."""

    def __init__(self, losses: int = 0, fault: Callable[[], Answer] = lambda: CUT) -> None:
        super().__init__(status(200))
        self.losses, self.fault = losses, fault
        self.stored: dict[str, Any] = {}
        self.deleted: list[bytes] = []

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.method == "POST":
            return self._create(request)
        name = request.url.path.rpartition("/")[2]
        if request.method == "DELETE":
            self.deleted.append(request.content)
            return self._lost() or (status(200) if self.stored.pop(name, None) else status(404))
        return httpx.Response(200, json=self.stored[name]) if name in self.stored else status(404)

    def _create(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        name = body["metadata"]["name"]
        if name in self.stored:
            return status(409, "AlreadyExists")
        self.stored[name] = {**body, "metadata": {**body["metadata"], "uid": f"uid-{name}"}}
        return self._lost() or httpx.Response(201, json=self.stored[name])

    def _lost(self) -> httpx.Response | None:
        if not self.losses:
            return None
        self.losses -= 1
        answer = self.fault()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def connection(self) -> Connection:
        return Connection(Client(self.target, notify=self.notes.append))


@pytest.mark.parametrize("fault", [lambda: CUT, lambda: status(504), lambda: httpx.ReadTimeout("")])
def test_a_job_whose_answer_was_lost_is_adopted(fault: Callable[[], Answer]) -> None:
    """It is there already, and it is ours: one job, and a handle on it."""
    cluster = Cluster(1, fault)
    connection = cluster.connection()

    job = connection.submit(connection.build("print(1)", name="one"))

    assert job.uid == "uid-one"
    assert len(cluster.stored) == 1
    assert len(cluster.notes) == 1


def test_a_job_of_somebody_else_is_not_adopted() -> None:
    """The name was taken before; that the answer was lost changes nothing."""
    cluster = Cluster(1, lambda: status(503))
    connection = cluster.connection()
    cluster.stored["one"] = {**SEED, "metadata": {"name": "one", "uid": "theirs"}}
    answers = iter([status(503)])
    create = cluster._create
    cluster._create = lambda request: next(answers, None) or create(request)  # type: ignore[method-assign]

    with pytest.raises(errors.ExistsError):
        connection.submit(connection.build("print(1)", name="one"))
    assert cluster.stored["one"]["metadata"]["uid"] == "theirs"


def test_a_job_that_nobody_can_know_again_is_not_adopted() -> None:
    """Without the annotation, as a patch may leave it, two jobs of one name may be anybody's."""
    cluster = Cluster(1, lambda: status(503))
    cluster.stored["one"] = {**SEED, "metadata": {"name": "one", "uid": "theirs"}}
    answers = iter([status(503)])
    create = cluster._create
    cluster._create = lambda request: next(answers, None) or create(request)  # type: ignore[method-assign]
    mine = PyTorchJob.from_wire({**SEED, "metadata": {"name": "one"}})

    with pytest.raises(errors.ExistsError):
        cluster.connection().client.create_job(mine)


def test_a_job_whose_second_creation_is_refused_is_adopted() -> None:
    """A quota counts the first one: it refuses another before anybody looks at the name."""
    cluster = Cluster(1)
    create = cluster._create
    cluster._create = lambda request: status(403) if cluster.stored else create(request)  # type: ignore[method-assign]
    connection = cluster.connection()

    job = connection.submit(connection.build("print(1)", name="one"))

    assert job.uid == "uid-one"


def test_the_same_manifest_is_not_submitted_twice() -> None:
    """Without a lost answer a name that is taken is taken, also by ourselves."""
    cluster = Cluster()
    connection = cluster.connection()
    manifest = connection.build("print(1)", name="one")
    connection.submit(manifest)

    with pytest.raises(errors.ExistsError):
        connection.submit(manifest)


@pytest.mark.parametrize("meta", [{"name": "theirs"}, {"generateName": "theirs-"}])
def test_foreign_manifests_are_known_again_too(meta: dict[str, str]) -> None:
    """The name is decided before anything is sent."""
    cluster = Cluster(1)

    job = cluster.connection().submit({**SEED, "metadata": meta})

    assert job.name.startswith("theirs")
    assert list(cluster.stored) == [job.name]


def test_a_fetched_job_that_is_sent_again_is_another_submission() -> None:
    """Else the one that was fetched would be taken for it."""
    cluster = Cluster()
    connection = cluster.connection()
    first = connection.submit({**SEED, "metadata": {"name": "one"}}).manifest
    cluster.stored.clear()

    again = connection.submit(first).manifest

    marks = [(job.metadata.annotations or {})[SUBMISSION] for job in (first, again)]
    assert marks[0] != marks[1]


def test_who_gives_up_says_that_the_job_may_be_there() -> None:
    """And how to find out."""
    server = Server(httpx.ReadTimeout("timed out"))
    connection = Connection(Client(server.target))
    connection.client._rest = server.rest()

    with pytest.raises(errors.TargetError, match=r"may have been created .* show one tells"):
        connection.submit(connection.build("print(1)", name="one"))


def test_an_interrupted_creation_is_told_as_such() -> None:
    """Nobody knows whether the server got it."""

    def interrupt() -> Answer:
        raise KeyboardInterrupt

    connection = Cluster(1, interrupt).connection()

    with pytest.raises(errors.DetachedError, match="show one tells whether it is there"):
        connection.submit(connection.build("print(1)", name="one"))


def test_deleting_means_this_job_and_not_another_of_its_name() -> None:
    """Its uid goes along; if only the answer was lost, it is deleted all the same."""
    cluster = Cluster()
    connection = cluster.connection()
    job = connection.submit(connection.build("print(1)", name="one"))
    cluster.losses = 1
    cluster.stored.pop("one")

    job.delete()

    assert json.loads(cluster.deleted[0]) == {"preconditions": {"uid": "uid-one"}}
    with pytest.raises(errors.NotFoundError):
        job.delete()
