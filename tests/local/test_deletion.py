"""What goes with an object that is deleted, and what holds it."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import httpx
import pytest

from pyjob_magic.local.home import Home
from pyjob_magic.local.resources import JOBS, NAMESPACES, SECRETS
from pyjob_magic.local.store import Store
from tests.local.api import Api, a_job
from tests.local.test_launcher import kill, running
from tests.state import eventually

MERGE_PATCH = {"content-type": "application/merge-patch+json"}
ENDLESS = "import time; print('up', flush=True); time.sleep(600)"


def a_config_map(name: str, owner: dict[str, Any] | None = None) -> dict[str, Any]:
    meta: dict[str, Any] = {"name": name}
    if owner is not None:
        own = {key: owner["metadata"][key] for key in ("name", "uid")}
        meta["ownerReferences"] = [
            {"apiVersion": owner["apiVersion"], "kind": owner["kind"], **own}
        ]
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"a": "b"}}


def created(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


def names(api: Api, plural: str) -> list[str]:
    items = api.http.get(api.core(plural)).json()["items"]
    return [item["metadata"]["name"] for item in items]


def delete(api: Api, path: str, **options: Any) -> httpx.Response:
    return api.http.request("DELETE", path, json=options)


def test_a_finalizer_holds_an_object_until_it_is_taken_off(api: Api) -> None:
    job = a_job(suspend=True)
    job["metadata"]["finalizers"] = ["example.com/mine"]
    api.submit(job)

    answer = api.http.delete(f"{api.jobs}/j").json()

    assert answer["kind"] == "PyTorchJob"
    assert api.job("j")["metadata"]["deletionTimestamp"]
    api.patch("j", {"metadata": {"finalizers": None}})
    assert api.http.get(f"{api.jobs}/j").status_code == 404


def test_dependents_go_with_their_owner(api: Api) -> None:
    job = api.submit(a_job(suspend=True))
    created(api.http.post(api.core("configmaps"), json=a_config_map("mine", job)))

    api.http.delete(f"{api.jobs}/j")

    eventually(lambda: names(api, "configmaps") == [])


def test_foreground_means_dependents_first(api: Api) -> None:
    """The job is there until the last replica has ended."""
    api.submit(a_job(code=ENDLESS))
    api.wait_log("j-master-0", "up")

    delete(api, f"{api.jobs}/j", propagationPolicy="Foreground")

    if (response := api.http.get(f"{api.jobs}/j")).status_code == 200:
        assert response.json()["metadata"]["finalizers"] == ["foregroundDeletion"]
    eventually(lambda: api.http.get(f"{api.jobs}/j").status_code == 404)
    assert api.pods() == {}


def test_orphans_live_on(api: Api) -> None:
    job = api.submit(a_job(suspend=True))
    created(api.http.post(api.core("configmaps"), json=a_config_map("mine", job)))

    delete(api, f"{api.jobs}/j", propagationPolicy="Orphan")

    found = api.http.get(f"{api.core('configmaps')}/mine").json()
    assert found["metadata"]["ownerReferences"] == []


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"propagationPolicy": "Sideways"}, 422),
        ({"gracePeriodSeconds": -1}, 400),
        ({"gracePeriodSeconds": "1"}, 400),
        ({"preconditions": "none"}, 400),
    ],
)
def test_options_that_are_none_change_nothing(api: Api, options: Any, code: int) -> None:
    api.submit(a_job(suspend=True))
    assert delete(api, f"{api.jobs}/j", **options).status_code == code
    assert api.job("j")


def test_a_namespace_goes_with_all_that_is_in_it(api: Api) -> None:
    api.submit(a_job(code=ENDLESS))
    api.wait_log("j-master-0", "up")
    place = f"/api/v1/namespaces/{api.namespace}"
    assert api.http.get(place).json()["status"] == {"phase": "Active"}

    assert api.http.delete(place).json()["status"] == {"phase": "Terminating"}

    refused = api.http.post(api.jobs, json=a_job("late", suspend=True))
    assert refused.status_code in (201, 403)  # it may have gone already, and is made anew
    eventually(lambda: "j-master-0" not in api.pods())


def test_the_default_namespace_stays(api: Api) -> None:
    assert api.http.delete("/api/v1/namespaces/default").status_code == 403
    assert api.http.get("/api/v1/namespaces/default").status_code == 200


def test_a_finalizer_also_holds_what_goes_with_a_job(api: Api) -> None:
    job = api.submit(a_job(suspend=True))
    held = a_config_map("held", job)
    held["metadata"]["finalizers"] = ["example.com/mine"]
    created(api.http.post(api.core("configmaps"), json=held))

    api.http.delete(f"{api.jobs}/j")

    path = f"{api.core('configmaps')}/held"
    eventually(lambda: "deletionTimestamp" in api.http.get(path).json()["metadata"])
    api.http.patch(path, json={"metadata": {"finalizers": None}}, headers=MERGE_PATCH)
    assert api.http.get(path).status_code == 404


def test_dependents_go_with_owners_of_every_kind(api: Api) -> None:
    owner = created(api.http.post(api.core("configmaps"), json=a_config_map("owner")))
    created(api.http.post(api.core("configmaps"), json=a_config_map("mine", owner)))
    api.http.delete(f"{api.core('configmaps')}/owner")
    eventually(lambda: names(api, "configmaps") == [])


def test_what_belongs_to_nobody_any_more_goes_at_once(api: Api) -> None:
    owner = created(api.http.post(api.core("configmaps"), json=a_config_map("owner")))
    api.http.delete(f"{api.core('configmaps')}/owner")
    created(api.http.post(api.core("configmaps"), json=a_config_map("late", owner)))
    eventually(lambda: names(api, "configmaps") == [])


def test_deletions_go_on_after_a_kill(own_home: Home) -> None:
    """A job that waits for its dependents, and a namespace that waits for its content."""
    with running(own_home) as api:
        job = a_job(suspend=True)
        api.submit(job)
        api.http.post(api.core("secrets"), json={"metadata": {"name": "s"}})
    kill(own_home)
    with closing(Store(own_home.database)) as store:
        for resource, place in ((JOBS, "default"), (NAMESPACES, "")):
            name = "j" if resource == JOBS else "other"
            found = store.find(resource, place, name)
            if found is None:
                found = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
                found["metadata"]["uid"] = "u"
            found["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z"}
            if resource == JOBS:
                found["metadata"]["finalizers"] = ["foregroundDeletion"]
            store.update(resource, found)
        inside = {"name": "s", "namespace": "other", "uid": "v"}
        store.create(SECRETS, {"kind": "Secret", "metadata": inside})
    with running(own_home) as api:
        eventually(lambda: api.http.get(f"{api.jobs}/j").status_code == 404)
        eventually(lambda: api.http.get("/api/v1/namespaces/other").status_code == 404)
