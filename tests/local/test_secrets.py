"""Secrets reach the replica, and nobody else."""

from __future__ import annotations

import json
from typing import Any

from pyjob_magic.local.home import Home
from tests.local.api import Api, a_job
from tests.local.hiding import UNTIL_GO
from tests.local.test_launcher import kill, running
from tests.state import eventually

VALUE = "hidden-4711"
VOLUME = {"volumes": [{"name": "s", "secret": {"secretName": "s"}}]}
MOUNT = {"volumeMounts": [{"name": "s", "mountPath": "/s", "readOnly": True}]}


def create(api: Api, **data: str) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": data}
    assert api.http.post(api.core("secrets"), json=secret).status_code == 201


def from_key(**more: Any) -> dict[str, Any]:
    reference = {"name": "s", "key": "key", **more}
    return {"env": [{"name": "KEY", "valueFrom": {"secretKeyRef": reference}}]}


def waiting(api: Api) -> dict[str, str]:
    """Return why the container waits."""
    pod = api.pods().get("j-master-0", {})
    entries = pod.get("status", {}).get("containerStatuses") or [{}]
    reason: dict[str, str] = entries[0].get("state", {}).get("waiting", {})
    return reason


def test_a_replica_waits_for_its_secret(api: Api) -> None:
    """And starts when it comes."""
    api.submit(a_job(code="import os; print(len(os.environ['KEY']))", container=from_key()))
    eventually(lambda: waiting(api).get("reason") == "CreateContainerConfigError")
    assert waiting(api)["message"] == 'secret "s" not found'

    create(api, key=VALUE)

    api.wait("j", "Succeeded")
    assert api.log("j-master-0") == f"{len(VALUE)}\n"


def test_a_replica_waits_for_the_key(api: Api) -> None:
    """A Secret that changes is looked at again."""
    create(api, other="x")
    api.submit(a_job(container=from_key()))
    eventually(lambda: "couldn't find key key in Secret" in waiting(api).get("message", ""))

    change = {"stringData": {"key": VALUE}}
    media_type = {"content-type": "application/merge-patch+json"}
    api.http.patch(f"{api.core('secrets')}/s", json=change, headers=media_type)

    api.wait("j", "Succeeded")


def test_what_is_optional_is_not_waited_for(api: Api) -> None:
    """The variable is not there then."""
    code = "import os; print('KEY' in os.environ)"
    api.submit(a_job(code=code, container=from_key(optional=True)))

    api.wait("j", "Succeeded")

    assert api.log("j-master-0") == "False\n"


def test_keys_that_are_no_variables_are_named(api: Api) -> None:
    """The others are there."""
    create(api, **{"GOOD": "1", "not.good": VALUE})
    source = {"envFrom": [{"secretRef": {"name": "s"}}]}
    api.submit(a_job(code="import os; print(os.environ['GOOD'])", container=source))

    api.wait("j", "Succeeded")

    said = {reason: message for _, reason, message in api.events("j-master-0")}
    assert "Keys [not.good] from the EnvFrom secret" in said["InvalidEnvironmentVariableNames"]
    assert api.log("j-master-0") == "1\n"


def test_a_secret_becomes_files(api: Api) -> None:
    """That only their owner can read; the pod waits until it is there."""
    code = "import os; path = os.environ['PYJOB_ROOT'] + '/s/key'\n"
    code += "print(oct(os.stat(path).st_mode)[-3:], len(open(path).read()))"
    api.submit(a_job(code=code, pod=VOLUME, container=MOUNT))
    eventually(lambda: any(reason == "FailedMount" for _, reason, _ in api.events("j-master-0")))
    (message,) = [m for _, reason, m in api.events("j-master-0") if reason == "FailedMount"]
    assert message == 'MountVolume.SetUp failed for volume "s" : secret "s" not found'

    create(api, key=VALUE)

    api.wait("j", "Succeeded")
    assert api.log("j-master-0") == f"600 {len(VALUE)}\n"


def test_a_value_appears_nowhere(api: Api, api_home: Home) -> None:
    """Not in the pod, its events, the log of the API; whatever goes wrong."""
    create(api, key=VALUE, **{"0bad": VALUE})
    env = {**from_key(), "envFrom": [{"secretRef": {"name": "s"}}]}
    api.submit(a_job("runs", "import sys; sys.exit(3)", pod=VOLUME, container={**env, **MOUNT}))
    api.submit(a_job("not", command=["/no/such/program", "$(KEY)"], container=env))
    for name in ("runs", "not"):
        api.wait(name, "Failed")

    shown = json.dumps([api.pods(), api.events()])

    assert VALUE not in shown
    assert VALUE not in api_home.log.read_text()


def test_a_running_replica_outlives_its_secret(own_home: Home) -> None:
    """The API that adopts it does not miss what the replica has already."""
    with running(own_home) as api:
        create(api, key=VALUE)
        api.submit(a_job(code="import os, time\n" + UNTIL_GO, pod=VOLUME, container=MOUNT))
        api.wait_log("j-master-0", "up")
        uid = api.pod("j-master-0")["metadata"]["uid"]
        api.http.delete(f"{api.core('secrets')}/s")
    kill(own_home)

    with running(own_home) as api:
        (own_home.pods / uid / "work" / "go").touch()
        api.wait("j", "Succeeded")
