"""What `kubectl get` makes of our tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pyjob_magic.local import discovery
from pyjob_magic.local.objects import timestamp
from pyjob_magic.local.resources import PODS
from pyjob_magic.local.views import View
from pyjob_magic.local.wire import listing
from tests.local.kubectl import Kubectl, serving

Json = dict[str, Any]
NOW = 1_800_000_000.0


def pod(name: str, state: Json, restarts: int = 0) -> Json:
    """Return a pod that was made two minutes ago and restarted ten seconds ago."""
    last = {"terminated": {"exitCode": 1, "finishedAt": timestamp(NOW - 10)}}
    entry = {"name": "c", "state": state, "ready": "running" in state, "restartCount": restarts}
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": name,
            "resourceVersion": "1",
            "creationTimestamp": timestamp(NOW - 120),
            "labels": {"team": name},
        },
        "spec": {"containers": [{"name": "c"}], "nodeName": "here"},
        "status": {
            "phase": "Running",
            "podIPs": [{"ip": "127.0.0.1"}],
            "containerStatuses": [{**entry, **({"lastState": last} if restarts else {})}],
        },
    }


PODS_OF_ALL_KINDS = [
    pod("crashes", {"waiting": {"reason": "CrashLoopBackOff"}}, restarts=3),
    pod("runs", {"running": {}}),
]


async def serve_pods(request: Request) -> Response:
    """Answer with the pods, or with two events about the first, in the form that is asked for."""
    view = View.asked_for(request.headers.get("accept", ""), request.query_params)
    if "watch" not in request.query_params:
        return JSONResponse(view.of(PODS, listing(PODS, PODS_OF_ALL_KINDS, 1), NOW))
    shape = view.events(PODS) or (lambda obj, _now: obj)
    changed = pod("crashes", {"running": {}}, restarts=4)
    lines = (("MODIFIED", changed), ("DELETED", changed))
    body = "".join(
        json.dumps({"type": kind, "object": shape(obj, NOW)}) + "\n" for kind, obj in lines
    )
    return Response(body, media_type="application/json")


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubectl]:
    paths = ("/api/v1/pods", "/api/v1/namespaces/default/pods")
    app = Starlette(routes=[*discovery.routes(), *(Route(path, serve_pods) for path in paths)])
    with serving(app) as address:
        yield Kubectl.at(address, tmp_path_factory.mktemp("kubectl"))


def test_the_columns_that_everybody_sees(kubectl: Kubectl) -> None:
    """The cells are printed as the server has computed them."""
    assert kubectl("get", "pods").splitlines() == [
        "NAME      READY   STATUS             RESTARTS      AGE",
        "crashes   0/1     CrashLoopBackOff   3 (10s ago)   2m",
        "runs      1/1     Running            0             2m",
    ]


def test_more_columns(kubectl: Kubectl) -> None:
    """Wide output shows all of them."""
    header, first, *_ = kubectl("get", "pods", "-o", "wide").splitlines()
    assert " ".join(header.split("AGE")[1].split()) == "IP NODE NOMINATED NODE READINESS GATES"
    assert first.split("2m")[1].split() == ["127.0.0.1", "here", "<none>", "<none>"]


def test_namespaces_and_labels(kubectl: Kubectl) -> None:
    """They are taken from the metadata that each row carries."""
    rows = kubectl.rows("get", "pods", "-A", "--show-labels", "--no-headers")
    assert [(row[0], row[1], row[-1]) for row in rows] == [
        ("default", "crashes", "team=crashes"),
        ("default", "runs", "team=runs"),
    ]


def test_sorting_needs_whole_objects(kubectl: Kubectl) -> None:
    """By the last of fields that no column shows."""
    path = "{.status.containerStatuses[0].restartCount}"
    rows = kubectl.rows("get", "pods", "--sort-by", path, "--no-headers")
    assert [row[0] for row in rows] == ["runs", "crashes"]


def test_names_alone(kubectl: Kubectl) -> None:
    """They are asked for without tables."""
    assert kubectl("get", "pods", "-o", "name").split() == ["pod/crashes", "pod/runs"]


def test_a_watch_goes_on_below_its_list(kubectl: Kubectl) -> None:
    """The columns are named once, and each event adds a row."""
    rows = kubectl.rows("get", "pods", "--watch", "--output-watch-events")
    assert [row[:4] for row in rows] == [
        ["EVENT", "NAME", "READY", "STATUS"],
        ["ADDED", "crashes", "0/1", "CrashLoopBackOff"],
        ["ADDED", "runs", "1/1", "Running"],
        ["MODIFIED", "crashes", "1/1", "Running"],
        ["DELETED", "crashes", "1/1", "Running"],
    ]
