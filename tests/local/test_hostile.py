"""Whatever is sent: an answer, never a 500, and the API goes on."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.local.api import Api, a_job
from tests.state import eventually

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3)
    ),
    max_leaves=6,
)
shared_api = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
quantities = st.sampled_from(
    ["1e1.5", "1Gi\n", "-5Gi", "1e999999", "1e-999999", "", "٣", "1" * 400, -1, 2**70, "1e400"]
)
conditions = st.fixed_dictionaries(
    {"type": st.sampled_from(["Succeeded", "Failed", "Running", "Suspended", "x"]) | st.text()},
    optional={
        "status": st.sampled_from(["True", "False"]) | anything,
        "lastTransitionTime": st.sampled_from(["2026-01-01T00:00:00Z", "soon"]) | anything,
    },
)
statuses = st.dictionaries(
    st.sampled_from(["conditions", "replicaStatuses", "startTime", "completionTime"]),
    anything | st.lists(conditions, max_size=3) | st.dictionaries(st.text(), anything, max_size=2),
)


def job_with(amounts: dict[str, Any]) -> dict[str, Any]:
    body = a_job(code="import time; time.sleep(600)", policy="OnFailure")
    container = body["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["containers"][0]
    container["resources"] = {"limits": amounts}
    return body


bodies = (
    anything
    | st.builds(lambda status: {"status": status}, statuses | anything)
    | st.builds(
        job_with,
        st.dictionaries(st.sampled_from(["cpu", "memory", "nvidia.com/gpu", "x"]), quantities),
    )
)
PATHS = ["", "/j", "/j/status", "/j/log"]
PLURALS = ["pytorchjobs", "pods", "configmaps", "events"]


def root(api: Api, plural: str) -> str:
    return api.jobs if plural == "pytorchjobs" else api.core(plural)


@shared_api
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]),
    plural=st.sampled_from(PLURALS),
    path=st.sampled_from(PATHS),
    body=bodies,
    params=st.dictionaries(
        st.sampled_from(
            ["limit", "continue", "labelSelector", "fieldSelector", "dryRun", "resourceVersion"]
        ),
        st.text(),
    ),
)
def test_any_request_gets_an_answer(
    api: Api, method: str, plural: str, path: str, body: Any, params: dict[str, str]
) -> None:
    api.http.post(api.jobs, json=job_with({}))  # unless it is still there
    response = api.http.request(
        method,
        root(api, plural) + path,
        content=json.dumps(body),
        params=params,
        headers={"content-type": "application/merge-patch+json" if method == "PATCH" else ""},
    )
    assert response.status_code < 500


@shared_api
@given(
    status=statuses,
    amounts=st.dictionaries(st.sampled_from(["cpu", "memory", "nvidia.com/gpu"]), quantities),
)
def test_no_job_hurts_another(api: Api, status: dict[str, Any], amounts: dict[str, Any]) -> None:
    """Whatever a job asks for and whatever its status is made: the control loop goes on."""
    api.http.post(api.jobs, json=job_with(amounts))
    media_type = {"content-type": "application/merge-patch+json"}
    response = api.http.patch(f"{api.jobs}/j/status", json={"status": status}, headers=media_type)
    assert response.status_code < 500
    api.http.delete(f"{api.jobs}/j")
    api.http.delete(f"{api.jobs}/next")
    api.submit(a_job("next", suspend=True))
    api.wait("next", "Suspended")


@shared_api
@given(fields=st.dictionaries(st.sampled_from(["data", "metadata", "binaryData", "x"]), anything))
def test_any_config_map_gets_an_answer(api: Api, fields: dict[str, Any]) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", **fields}
    response = api.http.post(api.core("configmaps"), json=body, params={"dryRun": "All"})
    assert response.status_code < 500


@pytest.mark.parametrize("depth", [100, 900, 100_000])
def test_deep_nesting(api: Api, depth: int) -> None:
    nested = "[" * depth + "]" * depth
    deep = json.dumps(a_job(spec={"x": "NESTED"})).replace('"NESTED"', nested)
    kept = json.dumps(a_job() | {"metadata": {"managedFields": [{"x": "NESTED"}]}})
    for body in (nested, deep, kept.replace('"NESTED"', nested)):
        assert api.http.post(api.jobs, content=body).status_code < 500


@pytest.mark.parametrize("number", ["1e999", "NaN", "-Infinity", "1" * 5000])
def test_numbers_that_are_none(api: Api, number: str) -> None:
    body = json.dumps(a_job(ttlSecondsAfterFinished="N")).replace('"N"', number)
    assert api.http.post(api.jobs, content=body).status_code in (400, 422)


@pytest.mark.parametrize(
    "argument",
    ["\0", "\ud800", "x" * 131_072, "-x", "$(", "\U0001f600", "a\r\nb"],
    ids=["nul", "half", "long", "option", "open", "emoji", "crlf"],
)
def test_any_argument_is_passed_or_refused(api: Api, argument: str) -> None:
    manifest = a_job(container={"args": [argument]}, code="import sys; print(repr(sys.argv[1]))")
    response = api.http.post(api.jobs, content=json.dumps(manifest))
    assert response.status_code == 201
    eventually(lambda: {"Succeeded", "Failed"} & api.conditions("j").keys())
    if "Succeeded" in api.conditions("j"):
        shown = argument.encode(errors="surrogatepass").decode(errors="replace")
        assert api.log("j-master-0").strip() == repr(shown)


@pytest.mark.parametrize("name", ["..", "../../etc", "a/b", "%2e%2e", "x%00y"])
def test_names_stay_names(http: httpx.Client, name: str) -> None:
    response = http.get(f"/api/v1/namespaces/default/pods/{name}/log")
    assert response.status_code in (400, 404)


def test_an_absurd_number_of_replicas_is_not_begun(api: Api) -> None:
    api.submit(a_job(workers=2_000_000_000))
    eventually(lambda: any(reason == "FailedCreatePod" for _, reason, _ in api.events("j")))
    assert not api.pods()


def test_an_absurd_grace_period_does_not_hurt(api: Api) -> None:
    code = "import time; print('up', flush=True); time.sleep(600)"
    api.submit(a_job(code=code, pod={"terminationGracePeriodSeconds": 2**62}))
    api.wait_log("j-master-0", "up")
    api.http.delete(f"{api.jobs}/j")
    eventually(lambda: not api.pods())


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x]\nb: [*a, *a]",
        "a: &a [b, *a]",
        "when: !!python/object/apply:os.system [exit]",
        "[" * 5000,
        "a: 1\n---\nb: 2",
        "\x00",
        "? [a]\n: b",
        "a: .nan",
        "- 1",
    ],
)
def test_yaml_that_says_more_than_json_is_refused(api: Api, text: str) -> None:
    """Aliases, tags, several documents: one clear answer, no crash, nothing stored."""
    response = api.http.post(
        api.jobs, content=text.encode(), headers={"content-type": "application/yaml"}
    )
    assert (response.status_code, response.json()["reason"]) == (400, "BadRequest")
    assert api.http.get(api.jobs).json()["items"] == []


def test_yaml_is_read_as_kubernetes_reads_it(api: Api) -> None:
    """Dates stay strings; the rest is what the JSON of the same object is."""
    job = a_job(suspend=True)
    job["metadata"]["annotations"] = {"day": "2026-01-01"}
    text = yaml.safe_dump(job).replace("'2026-01-01'", "2026-01-01")
    headers = {"content-type": "application/yaml"}
    response = api.http.post(api.jobs, content=text.encode(), headers=headers)
    assert response.status_code == 201, response.text
    assert response.json()["metadata"]["annotations"] == {"day": "2026-01-01"}
