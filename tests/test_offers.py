"""What a place knows: offered as it comes, and never waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from pyjob_magic import connect
from pyjob_magic.client import Client
from pyjob_magic.connection import Connection
from pyjob_magic.doctor import examine
from pyjob_magic.models import ConfigMap
from pyjob_magic.offers import left, look
from pyjob_magic.quantity import Quantity
from pyjob_magic.target import Target
from tests.conftest import eventually
from tests.test_doctor import NOW

Told = dict[str, list[str]]

OBJECTS: dict[str, list[Any]] = {
    "/api/v1/namespaces": ["team-a", "team-b"],
    "/apis/kueue.x-k8s.io/v1/namespaces/team-a/localqueues": ["gold"],
    "/api/v1/namespaces/team-a/persistentvolumeclaims": ["data", "home"],
    "/api/v1/namespaces/team-a/configmaps": ["settings", "kube-root-ca.crt"],
    "/api/v1/namespaces/team-a/serviceaccounts": ["default", "trainer"],
    "/apis/scheduling.k8s.io/v1/priorityclasses": ["high", "system-node-critical"],
}
KNOWN = {
    "namespace": ["team-a", "team-b"],
    "queue": ["gold"],
    "mounts": ["configmap:settings:/", "pvc:data:/", "pvc:home:/"],
    "pull_secrets": ["registry"],
    "service_account": ["default", "trainer"],
    "priority_class": ["high"],
    "gpu_resource": ["amd.com/gpu", "nvidia.com/gpu"],
    "on": ["cci", "kubernetes", "local"],
}


def a_server(request: httpx.Request) -> httpx.Response:
    """Answer as a cluster that has some of everything."""
    path = request.url.path
    if path == "/apis/kueue.x-k8s.io":
        return httpx.Response(200, json={"preferredVersion": {"groupVersion": "kueue.x-k8s.io/v1"}})
    names = OBJECTS.get(path, [])
    selector = request.url.params.get("fieldSelector")
    if path.endswith("/secrets") and selector == "type=kubernetes.io/dockerconfigjson":
        names = ["registry"]
    items: list[Any] = [{"metadata": {"name": name}} for name in names]
    if path.endswith("/configmaps"):
        owners = [{"kind": "PyTorchJob", "name": "x", "uid": "1"}]
        items.append({"metadata": {"name": "x-source-1", "ownerReferences": owners}})
    if path == "/api/v1/nodes":
        amounts = {"cpu": "8", "nvidia.com/gpu": "4", "amd.com/gpu": "1", "huawei.com/npu": "0"}
        items = [{"status": {"allocatable": amounts}}, {}]
    return httpx.Response(200, json={"items": items})


def a_connection(answer: Callable[[httpx.Request], httpx.Response], **said: Any) -> Connection:
    target = Target("k8s", "https://server", transport=httpx.MockTransport(answer), **said)
    return Connection(Client(target, "team-a"))


def nobody_looks() -> bool:
    return not [each for each in threading.enumerate() if each.name == "pyjob-offer"]


def found_by(connection: Connection) -> Told:
    """Return all that is told of a place, with the volumes and GPUs in order."""
    told: Told = {}
    close = look(connection, told.__setitem__)
    eventually(nobody_looks)
    close()
    return {field: sorted(offers) for field, offers in told.items()}


def test_all_that_a_cluster_knows_is_offered() -> None:
    """Under the field that it is for, as it is typed there."""
    assert found_by(a_connection(a_server)) == KNOWN


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(401, json={"kind": "Status", "message": "Unauthorized", "code": 401}),
        httpx.Response(403, json={"kind": "Status", "message": "not you", "code": 403}),
        httpx.Response(404, text="404 page not found"),
        httpx.Response(503, headers={"Retry-After": "30"}, text="later"),
        httpx.Response(200, text="<html>Log in</html>"),
        httpx.Response(200, json=["no", "object"]),
        httpx.Response(200, json={"items": "none"}),
        httpx.Response(200, json={"items": [None, 3]}),
        httpx.Response(200, json={"items": [{"metadata": {"name": ["x"]}}]}),
        httpx.Response(200, json={"items": [{"metadata": {"name": "<img src=x>"}}]}),
        httpx.Response(200, json={"items": [{"status": {"allocatable": {"x/gpu": "many"}}}]}),
        httpx.ReadTimeout("timed out"),
    ],
)
@pytest.mark.parametrize(
    ("sick", "lost"),
    [
        ("/namespaces", "namespace"),
        ("/localqueues", "queue"),
        ("/secrets", "pull_secrets"),
        ("/serviceaccounts", "service_account"),
        ("/priorityclasses", "priority_class"),
        ("/nodes", "gpu_resource"),
    ],
)
def test_what_fails_costs_its_own_offer(
    sick: str, lost: str, answer: httpx.Response | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Silently, and at once: nothing is asked twice."""
    asked: list[str] = []

    def serve(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith(sick):
            return a_server(request)
        asked.append(str(request.url))
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert found_by(a_connection(serve)) == {f: KNOWN[f] for f in KNOWN if f != lost}
    assert len(asked) == len(set(asked)) > 0
    assert not [record for record in caplog.records if record.name == "pyjob_magic"]


def test_several_sources_of_one_field_add_up() -> None:
    """The one that refuses takes nothing from the other."""

    def serve(request: httpx.Request) -> httpx.Response:
        refused = request.url.path.endswith("claims")
        return httpx.Response(403, text="no") if refused else a_server(request)

    assert found_by(a_connection(serve))["mounts"] == ["configmap:settings:/"]


def test_nothing_is_told_after_the_end() -> None:
    """Also of what was on its way; the others did not wait for it."""
    told: Told = {}
    slow, asked = threading.Event(), threading.Event()

    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/serviceaccounts"):
            asked.set()
            assert slow.wait(20)
        return a_server(request)

    close = look(a_connection(serve), told.__setitem__)
    others = set(KNOWN) - {"service_account"}
    eventually(lambda: asked.is_set() and others <= set(told) and len(told["mounts"]) == 3)
    close()
    slow.set()
    eventually(nobody_looks)

    assert set(told) == others


def test_who_is_told_may_end_it() -> None:
    """Where the form is closed because of what it was told."""
    told: Told = {}
    ends: list[Callable[[], None]] = []
    looking = threading.Event()

    def tell(field: str, offers: list[str]) -> None:
        assert looking.wait(20)
        told[field] = offers
        ends[0]()

    ends.append(look(a_connection(a_server), tell))
    looking.set()
    eventually(nobody_looks)

    assert len(told) == 1


@contextmanager
def a_silent_server() -> Iterator[str]:
    """Lend the address of a server that takes requests and answers none."""
    over = threading.Event()

    class Silence(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            over.wait(60)

    with ThreadingHTTPServer(("127.0.0.1", 0), Silence) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            over.set()
            server.shutdown()
            serving.join()


def test_patience_ends() -> None:
    """A server that never answers leaves no thread behind, and what is known here is offered."""
    with a_silent_server() as address:
        told: Told = {}
        connection = Connection(Client(Target("k8s", address), "team-a"))
        look(connection, told.__setitem__)
        eventually(lambda: "on" in told, timeout=1)
        eventually(nobody_looks, timeout=10)

        assert left(connection) == []
        assert set(told) == {"on"}


def test_no_secret_is_read() -> None:
    """Of secrets only the names are asked for, of ConfigMaps where the server can."""
    accepted: dict[str, str] = {}

    def serve(request: httpx.Request) -> httpx.Response:
        accepted[request.url.path.rpartition("/")[2]] = request.headers["Accept"]
        return a_server(request)

    found_by(a_connection(serve))

    only_names = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    assert accepted["secrets"] == only_names
    assert accepted["configmaps"].startswith(only_names)


@pytest.mark.parametrize(("code", "requests"), [(401, 1), (403, 8)])
def test_who_is_not_let_in_knocks_once(code: int, requests: int) -> None:
    """Where that locks the key for a while."""
    asked: list[str] = []

    def serve(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(code, json={"kind": "Status", "message": "no", "code": code})

    assert found_by(a_connection(serve, examine=lambda *_: [])) == {"on": KNOWN["on"]}
    assert len(asked) == requests


def test_a_look_leaves_the_connections_of_others() -> None:
    """Those of a target's own transport carry the watches, too."""
    closed: list[bool] = []

    class Transport(httpx.MockTransport):
        def close(self) -> None:
            closed.append(True)

    target = Target("k8s", "https://server", transport=Transport(a_server))
    connection = Connection(Client(target, "team-a"))
    found_by(connection)
    left(connection)
    examine(target, "team-a", now=NOW)

    assert not closed


def test_settings_and_contexts_are_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are now; a file that is broken costs its own offer."""
    (tmp_path / "pyjob.toml").write_text("[profiles.small]\n[profiles.large]\n")
    config = {"contexts": [{"name": "prod", "context": {}}], "current-context": "prod"}
    (tmp_path / "config").write_text(str(config))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))

    found = found_by(a_connection(a_server))
    (tmp_path / "pyjob.toml").write_text("broken")

    assert (found["profile"], found["context"]) == (["large", "small"], ["prod"])
    assert found_by(a_connection(a_server)) == {**KNOWN, "context": ["prod"]}


def test_the_embedded_api_is_asked_in_the_same_way(home: Path) -> None:
    """What is there is offered."""
    connection = connect()
    wire = {"metadata": {"name": "tables", "namespace": "default"}, "data": {"a": "b"}}
    connection.client.create_config_map(ConfigMap.from_wire(wire))

    found = found_by(connection)

    assert "default" in found["namespace"]
    assert found["mounts"] == ["configmap:tables:/"]


# -- how much is left ----------------------------------------------------------------------------


def quota(hard: dict[str, str], used: dict[str, str], **spec: Any) -> dict[str, Any]:
    return {"spec": {"hard": hard, **spec}, "status": {"hard": hard, "used": used}}


def test_what_quotas_leave_is_told_by_resource() -> None:
    """Of several the least; one that is not for every pod does not count."""
    items = [
        quota(
            {"requests.cpu": "10", "limits.cpu": "8", "requests.nvidia.com/gpu": "4"},
            {"requests.cpu": "500m", "limits.cpu": "3500m", "requests.nvidia.com/gpu": "6"},
        ),
        quota({"requests.memory": "64Gi"}, {"requests.memory": "1536Mi"}),
        quota({"cpu": "1"}, {"cpu": "1"}, scopes=["BestEffort"]),
    ]

    def serve(request: httpx.Request) -> httpx.Response:
        quotas = request.url.path == "/api/v1/namespaces/team-a/resourcequotas"
        return httpx.Response(200, json={"items": items if quotas else []})

    assert left(a_connection(serve)) == [
        {"resource": "cpu", "left": "4500m", "of": "8"},
        {"resource": "nvidia.com/gpu", "left": "0", "of": "4"},
        {"resource": "memory", "left": "62.5Gi", "of": "64Gi"},
    ]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(403, text="no"),
        httpx.Response(200, json={"items": [{"status": {"hard": {"cpu": "much"}}}]}),
        httpx.Response(200, json={"items": []}),
    ],
)
def test_where_nobody_tells_nothing_is_left_or_missing(answer: httpx.Response) -> None:
    """No number is better than a wrong one."""
    assert left(a_connection(lambda _: answer)) == []


def test_this_machine_has_less_left_while_a_job_runs(home: Path) -> None:
    """By what the replicas asked for, until they end."""
    connection = connect()

    def memory() -> Any:
        amounts = {each["resource"]: each for each in left(connection)}
        return Quantity(amounts["memory"]["left"]).value

    before = memory()
    source = "import time\ntime.sleep(60)"
    job = connection.submit(connection.build(source, name="sleeper", workers=1, memory="256Mi"))
    eventually(lambda: before - memory() >= 512 * 2**20 * 0.9)
    job.delete()
    eventually(lambda: memory() == before)
