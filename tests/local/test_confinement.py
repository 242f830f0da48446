"""No name, key or path of an object leads out of the state directory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pyjob_magic.local import launcher
from pyjob_magic.local.home import Home
from tests.guardian import guard
from tests.local.api import Api, a_job
from tests.local.test_launcher import running
from tests.state import eventually, temporary_home

OUT = "../" * 12


@pytest.fixture(scope="module")
def inner() -> Iterator[Home]:
    """Lend a state directory beside which nothing must change."""
    with temporary_home() as outer:
        home = Home(outer / "state")
        guard(home.path)
        (outer / "outside").mkdir()
        (outer / "outside" / "file").write_text("as it was")
        yield home
        launcher.stop(home, force=True)


def beside(home: Home) -> dict[str, str]:
    """Return what is in the directory that holds the state directory."""
    others = [path for path in home.path.parent.iterdir() if path != home.path]
    files = [*others, *(file for path in others for file in path.rglob("*"))]
    return {str(file): file.read_text() if file.is_file() else "" for file in files}


def mounted(mount: dict[str, Any], volume: dict[str, Any]) -> dict[str, Any]:
    """Return a job that mounts a volume."""
    return a_job(
        container={"volumeMounts": [{"name": "v", **mount}]},
        pod={"volumes": [{"name": "v", **volume}]},
    )


MAP = {"configMap": {"name": "keys"}}


def hostile(path: str) -> dict[str, dict[str, Any]]:
    """Return jobs with a path in every place that names a file."""
    item = {"configMap": {"name": "keys", "items": [{"key": "file", "path": path}]}}
    return {
        "mount path": mounted({"mountPath": path}, MAP),
        "mount path of an empty directory": mounted({"mountPath": path}, {"emptyDir": {}}),
        "sub path": mounted({"mountPath": "/x", "subPath": path}, MAP),
        "sub path of an empty directory": mounted(
            {"mountPath": "/x", "subPath": path}, {"emptyDir": {}}
        ),
        "path of a key": mounted({"mountPath": "/x"}, item),
        "working directory": a_job(container={"workingDir": path}),
        "termination log": a_job(container={"terminationMessagePath": path}),
        "container": a_job(pod={"initContainers": [{"name": path, "image": "x"}]}),
        "job": a_job(path),
        "volume": a_job(pod={"volumes": [{"name": path, "emptyDir": {}}]}),
    }


@pytest.mark.parametrize(
    "path", [f"{OUT}OUTSIDE/file", f"/{OUT}OUTSIDE/new", f"/a/{OUT}OUTSIDE/dir/", "..", "/.."]
)
def test_no_path_of_a_job_leads_out(inner: Home, path: str) -> None:
    """It is refused, or taken for one in the replica's own root."""
    before = beside(inner)
    path = path.replace("OUTSIDE", str(inner.path.parent / "outside").lstrip("/"))
    with running(inner) as api:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "keys"}}
        api.http.post(api.core("configmaps"), json={**body, "data": {"file": "changed"}})
        submitted = [submit(api, number, job) for number, job in enumerate(hostile(path).values())]
        accepted = list(filter(None, submitted))
        eventually(lambda: all(settled(api, name) for name in accepted))
        for name in accepted:
            api.http.delete(f"{api.jobs}/{name}")
        eventually(lambda: not api.pods())
    assert beside(inner) == before


def submit(api: Api, number: int, job: dict[str, Any]) -> str:
    """Create a job and return its name; empty if it is refused."""
    if job["metadata"]["name"] == "j":
        job["metadata"]["name"] = f"j{number}"
    response = api.http.post(api.jobs, json=job)
    assert response.status_code in (201, 403, 422), response.text
    return str(job["metadata"]["name"]) if response.status_code == 201 else ""


def settled(api: Api, name: str) -> bool:
    """Whether a job has ended, or it was said why it cannot begin."""
    said = {reason for about in (name, f"{name}-master-0") for _, reason, _ in api.events(about)}
    ended = {"Succeeded", "Failed"} & api.conditions(name).keys()
    return bool(ended or said & {"FailedMount", "FailedCreatePod"})


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
@pytest.mark.parametrize("name", [f"{OUT}etc/x", "..", ".", "a/b", "/x", "a\0b"])
def test_no_key_or_name_is_a_path(inner: Home, kind: str, name: str) -> None:
    with running(inner) as api:
        path = api.core(f"{kind.lower()}s")
        body: dict[str, Any] = {"apiVersion": "v1", "kind": kind}
        for meta, data in (({"name": name}, {}), ({"name": "n"}, {name: "eA=="})):
            response = api.http.post(path, json={**body, "metadata": meta, "data": data})
            assert response.status_code == 422, response.text


def test_the_log_of_a_pod_is_asked_for_by_name_only(inner: Home) -> None:
    with running(inner) as api:
        for name in ("..%2f..%2ftoken", "%2e%2e", "..", f"{'..%2f' * 12}etc%2fpasswd"):
            response = api.http.get(f"{api.core('pods')}/{name}/log")
            assert response.status_code in (400, 404)
            assert inner.token() not in response.text
