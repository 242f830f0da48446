"""Replicas are real processes: what they get, how they end, what is left of them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from pyjob_magic.local.home import Home
from tests.local.api import Api, a_job
from tests.state import eventually, processes_with

SLEEP = "import time; print('up', flush=True); time.sleep(600)"


def terminated(api: Api, pod: str) -> dict[str, object]:
    status = api.pod(pod)["status"]["containerStatuses"][0]
    state: dict[str, object] = status["state"]["terminated"]
    return state


def test_every_replica_runs_with_its_rank(api: Api) -> None:
    code = "import os, json; print(json.dumps(dict(os.environ)))"
    api.submit(a_job(code=code, workers=2))
    api.wait("j", "Succeeded")
    names = ["j-master-0", "j-worker-0", "j-worker-1"]
    for name in names:
        api.wait_phase(name, "Succeeded")
    envs = [json.loads(api.log(name)) for name in names]
    assert [env["RANK"] for env in envs] == ["0", "1", "2"]
    assert {env["WORLD_SIZE"] for env in envs} == {"3"}
    assert {env["MASTER_ADDR"] for env in envs} == {"127.0.0.1"}
    assert len({env["MASTER_PORT"] for env in envs}) == 1
    assert len({env["PYJOB_ROOT"] for env in envs}) == 3


def services(api: Api) -> list[str]:
    response = api.http.get(api.core("services"))
    return [service["metadata"]["name"] for service in response.json()["items"]]


def test_every_replica_has_its_service(api: Api) -> None:
    """They come and go with the replicas, and with the job."""
    api.submit(a_job(code=SLEEP, workers=1))
    api.wait("j", "Running")
    assert services(api) == ["j-master-0", "j-worker-0"]
    assert ("Normal", "SuccessfulCreateService", "Created service: j-worker-0") in api.events("j")
    api.patch("j", {"spec": {"runPolicy": {"suspend": True}}})
    api.wait("j", "Suspended")
    assert services(api) == []
    assert ("Normal", "SuccessfulDeleteService", "Deleted service: j-worker-0") in api.events("j")
    api.patch("j", {"spec": {"runPolicy": {"suspend": False}}})
    eventually(lambda: services(api))
    api.http.delete(f"{api.jobs}/j")
    eventually(lambda: not services(api))


def test_two_jobs_do_not_meet(api: Api) -> None:
    code = "import os; print(os.environ['MASTER_PORT'], flush=True)\n" + SLEEP
    for name in ("a", "b"):
        api.submit(a_job(name, code))
    ports = {api.wait_log(f"{name}-master-0", "up").split()[0] for name in ("a", "b")}
    assert len(ports) == 2


def test_python_is_the_interpreter_of_the_api(api: Api) -> None:
    code = (
        "import sys, subprocess; print(sys.prefix, flush=True)\n"
        "subprocess.run(['python3', '-c', 'import sys; print(sys.prefix)'])"
    )
    api.submit(a_job(code=code))
    api.wait("j", "Succeeded")
    assert api.log("j-master-0").split() == [sys.prefix, sys.prefix]


def test_a_job_can_name_its_interpreter(api: Api, tmp_path: Path) -> None:
    chosen = tmp_path / "my python"
    chosen.write_text(f'#!/bin/sh\necho chosen\nexec {sys.executable} "$@"\n')
    chosen.chmod(0o755)
    manifest = a_job(code="print('ran')")
    manifest["metadata"]["annotations"] = {"pyjob-magic/interpreter": str(chosen)}
    api.submit(manifest)
    api.wait("j", "Succeeded")
    assert api.log("j-master-0").split() == ["chosen", "ran"]


def test_an_interpreter_that_is_not_there_is_named(api: Api) -> None:
    manifest = a_job()
    manifest["metadata"]["annotations"] = {"pyjob-magic/interpreter": "/no/python"}
    api.submit(manifest)
    api.wait("j", "Failed")
    assert "'/no/python' is no executable file" in str(terminated(api, "j-master-0")["message"])


def test_a_failure_names_the_exit_code(api: Api) -> None:
    api.submit(a_job(code="import sys; print('oh'); sys.exit(3)"))
    job = api.wait("j", "Failed")
    message = job["status"]["conditions"][-1]["message"]
    assert message == "PyTorchJob j is failed because 1 Master replica(s) failed."
    assert {k: terminated(api, "j-master-0")[k] for k in ("exitCode", "reason")} == {
        "exitCode": 3,
        "reason": "Error",
    }
    assert api.log("j-master-0") == "oh\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_signal_shows_as_128_and_its_number(api: Api, number: signal.Signals) -> None:
    api.submit(a_job(code=f"import os; os.kill(os.getpid(), {int(number)})"))
    api.wait("j", "Failed")
    assert terminated(api, "j-master-0")["exitCode"] == 128 + number
    assert api.log("j-master-0") == ""


def test_a_command_that_does_not_exist(api: Api) -> None:
    api.submit(a_job(command=["no-such-program"]))
    api.wait("j", "Failed")
    state = terminated(api, "j-master-0")
    assert (state["reason"], state["exitCode"]) == ("ContainerCannotRun", 127)
    assert state["message"] == 'exec: "no-such-program": executable file not found in $PATH'


def test_output_and_errors_are_one_log(api: Api) -> None:
    code = "import sys; print('a', flush=True); print('b', file=sys.stderr)"
    api.submit(a_job(code=code))
    api.wait("j", "Succeeded")
    assert api.log("j-master-0") == "a\nb\n"


TREE = """
import os, subprocess, sys, time
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
subprocess.Popen(sleep)
subprocess.Popen(sleep, start_new_session=True)
subprocess.Popen(sleep, env={})
subprocess.Popen(sleep, env={}, process_group=0)
print("up", flush=True)
while not os.path.exists("go"): time.sleep(0.01)
"""


def family(api: Api, pod: str) -> list[psutil.Process]:
    """Return the processes of a pod: those that bear its mark, and what shares their sessions."""
    marked = processes_with("PYJOB_POD_UID", api.pod(pod)["metadata"]["uid"])
    sessions = {session(process.pid) for process in marked}
    return [p for p in psutil.process_iter() if session(p.pid) in sessions]


def session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:  # gone meanwhile
        return -1


def tree(api: Api) -> list[psutil.Process]:
    """Wait for the shell, the program and its four children."""
    api.wait_log("j-master-0", "up")
    processes = family(api, "j-master-0")
    assert len(processes) == 6
    return processes


def gone(processes: list[psutil.Process]) -> bool:
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes)


@pytest.mark.parametrize("how", ["job", "pod"])
def test_deleting_ends_the_whole_tree(api: Api, how: str) -> None:
    api.submit(a_job(code=TREE))
    processes = tree(api)
    path = f"{api.jobs}/j" if how == "job" else f"{api.core('pods')}/j-master-0"
    assert api.http.delete(path).status_code == 200
    eventually(lambda: gone(processes))


@pytest.mark.parametrize("end", ["by itself", "killed"])
def test_nothing_outlives_the_program(api: Api, api_home: Home, end: str) -> None:
    """Neither children that kept their marks nor those that threw their environment away."""
    api.submit(a_job(code=TREE))
    processes = tree(api)
    uid = api.pod("j-master-0")["metadata"]["uid"]
    if end == "killed":  # its shell, too, which would have cleaned up
        for process in processes[:2]:
            with contextlib.suppress(psutil.NoSuchProcess):  # the kubelet may be quicker
                process.kill()
    (api_home.pods / uid / "work" / "go").touch()
    api.wait("j", "Failed" if end == "killed" else "Succeeded")
    eventually(lambda: gone(processes))


def test_a_program_may_end_in_its_own_way(api: Api) -> None:
    code = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('bye', flush=True), sys.exit(0)))\n"
        + SLEEP
    )
    api.submit(a_job(code=code, pod={"terminationGracePeriodSeconds": 30}))
    api.wait_log("j-master-0", "up")
    params = {"follow": "true"}
    with api.http.stream("GET", f"{api.core('pods')}/j-master-0/log", params=params) as log:
        api.http.delete(f"{api.jobs}/j")
        assert log.read().decode() == "up\nbye\n"
    eventually(lambda: not api.pods())


def test_a_program_that_does_not_end_is_killed_after_its_grace(api: Api) -> None:
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEP
    api.submit(a_job(code=code))
    api.wait_log("j-master-0", "up")
    api.http.delete(f"{api.jobs}/j")
    assert api.pod("j-master-0")["metadata"]["deletionTimestamp"]
    eventually(lambda: not api.pods())


FLAKY = """
import os, sys
n = len(os.listdir("."))
open(str(n), "w").close()
print("run", n, flush=True)
sys.exit(n < 2)
"""


def test_on_failure_restarts_in_place(api: Api) -> None:
    api.submit(a_job(code=FLAKY, policy="OnFailure"))
    uid = eventually(lambda: api.pods())["j-master-0"]["metadata"]["uid"]
    api.wait("j", "Succeeded")
    pod = api.pod("j-master-0")
    status = pod["status"]["containerStatuses"][0]
    assert pod["metadata"]["uid"] == uid
    assert status["restartCount"] == 2
    assert status["lastState"]["terminated"]["exitCode"] == 1
    assert api.log("j-master-0") == "run 2\n"
    assert api.log("j-master-0", previous="true") == "run 1\n"
    reasons = {reason for _, reason, _ in api.events("j-master-0")}
    assert "BackOff" in reasons


def test_restarts_slow_down(api: Api) -> None:
    api.submit(a_job(code="import sys; sys.exit(1)", policy="OnFailure"))

    def waiting() -> str:
        pod = api.pods().get("j-master-0", {})
        entries = pod.get("status", {}).get("containerStatuses") or [{}]
        reason: str = entries[0].get("state", {}).get("waiting", {}).get("reason", "")
        return reason

    eventually(lambda: waiting() == "CrashLoopBackOff")
    assert api.pod("j-master-0")["status"]["phase"] == "Running"
    assert api.conditions("j")["Running"] == "True"


def test_the_backoff_limit_ends_the_job(api: Api) -> None:
    api.submit(a_job(code="import sys; sys.exit(1)", policy="OnFailure", backoffLimit=2))
    job = api.wait("j", "Failed")
    message = job["status"]["conditions"][-1]["message"]
    assert message == "Job j has failed because it has reached the specified backoff limit"
    eventually(lambda: not api.pods())


def test_suspend_ends_and_resume_starts_again(api: Api) -> None:
    api.submit(a_job(code=SLEEP))
    api.wait_log("j-master-0", "up")
    first = api.pod("j-master-0")["metadata"]["uid"]
    api.patch("j", {"spec": {"runPolicy": {"suspend": True}}})
    api.wait("j", "Suspended")
    api.patch("j", {"spec": {"runPolicy": {"suspend": False}}})
    api.wait("j", "Running")
    assert api.pod("j-master-0")["metadata"]["uid"] != first


def test_scaling_ends_and_starts_replicas(api: Api) -> None:
    """The last ones go, whole trees and services with them; the others do not notice."""
    api.submit(a_job(code=SLEEP, workers=2))
    for index in (0, 1):
        api.wait_log(f"j-worker-{index}", "up")
    uids = {name: pod["metadata"]["uid"] for name, pod in api.pods().items()}
    surplus = processes_with("PYJOB_POD_UID", uids["j-worker-1"])

    scale(api, 1)

    eventually(lambda: gone(surplus))
    eventually(lambda: services(api) == ["j-master-0", "j-worker-0"] == list(api.pods()))
    scale(api, 3)
    for index in (1, 2):
        api.wait_log(f"j-worker-{index}", "up")
    assert api.conditions("j")["Running"] == "True"
    for name in ("j-master-0", "j-worker-0"):
        assert api.pod(name)["metadata"]["uid"] == uids[name]


def scale(api: Api, workers: int) -> None:
    api.patch("j", {"spec": {"pytorchReplicaSpecs": {"Worker": {"replicas": workers}}}})


def test_a_deadline_ends_a_job_that_nobody_touches(api: Api) -> None:
    api.submit(a_job(code=SLEEP, activeDeadlineSeconds=1))
    job = api.wait("j", "Failed")
    assert "active longer than specified deadline" in job["status"]["conditions"][-1]["message"]


def test_the_time_to_live_removes_job_and_pods(api: Api) -> None:
    api.submit(a_job(ttlSecondsAfterFinished=0))
    eventually(lambda: api.http.get(f"{api.jobs}/j").status_code == 404)
    eventually(lambda: not api.pods())
    assert ("Normal", "SuccessfulDeletePod", "Deleted job: j") in api.events("j")


def test_clean_pods_running_ends_the_workers_with_the_master(api: Api) -> None:
    code = "import os, time; time.sleep(600 if os.environ['RANK'] == '1' else 0)"
    api.submit(a_job(code=code, workers=1, cleanPodPolicy="Running"))
    api.wait("j", "Succeeded")
    eventually(lambda: list(api.pods()) == ["j-master-0"])


def test_a_name_can_be_used_again_at_once(api: Api) -> None:
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEP
    api.submit(a_job(code=code))
    api.wait_log("j-master-0", "up")
    api.http.delete(f"{api.jobs}/j")
    api.submit(a_job(code="print('second')"))
    api.wait("j", "Succeeded")
    assert api.log("j-master-0") == "second\n"


def test_what_never_fits_says_so(api: Api) -> None:
    resources = {"limits": {"nvidia.com/gpu": "64"}}
    api.submit(a_job(container={"resources": resources}))
    eventually(lambda: any(reason == "FailedScheduling" for _, reason, _ in api.events()))
    pod = api.pod("j-master-0")
    assert pod["status"]["phase"] == "Pending"
    message = pod["status"]["conditions"][0]["message"]
    assert "this machine can never run it: Insufficient nvidia.com/gpu" in message
    assert ("Warning", "Unschedulable") in [event[:2] for event in api.events("j")]
    log = api.http.get(f"{api.core('pods')}/j-master-0/log", params={"follow": "true"})
    assert (log.status_code, log.content) == (204, b"")


@pytest.mark.parametrize(
    ("name", "amount", "why"),
    [
        ("memory", "1e1.5", "quantities must match the regular expression"),
        ("memory", "1e999999", "quantities must match the regular expression"),
        ("memory", "-5Gi", "must be greater than or equal to 0"),
        ("cpu", -1, "must be greater than or equal to 0"),
        ("nvidia.com/gpu", "500m", "must be an integer"),
    ],
)
def test_an_amount_that_is_none_is_a_mistake_and_hurts_nobody(
    api: Api, name: str, amount: object, why: str
) -> None:
    """What the schema lets pass, and the pod of a cluster does not."""
    api.submit(a_job("bad", container={"resources": {"limits": {name: amount}}}))
    eventually(lambda: any(reason == "FailedCreatePod" for _, reason, _ in api.events("bad")))
    (message,) = {m for _, reason, m in api.events("bad") if reason == "FailedCreatePod"}
    where = f"spec.containers[0].resources.limits[{name}]: Invalid value"
    assert message.startswith(f'Error creating: Pod "bad-master-0" is invalid: {where}')
    assert why in message
    assert "status" not in api.job("bad")
    api.submit(a_job("good"))
    api.wait("good", "Succeeded")


def test_an_amount_with_a_newline_is_refused(api: Api) -> None:
    response = api.http.post(
        api.jobs, json=a_job(container={"resources": {"limits": {"cpu": "1\n"}}})
    )
    assert response.status_code == 422


def test_more_cpus_than_there_are_run_and_are_mentioned(api: Api) -> None:
    resources = {"limits": {"cpu": str(os.cpu_count() or 1)}}
    api.submit(a_job(workers=2, container={"resources": resources}))
    api.wait("j", "Succeeded")
    assert "CPUOvercommitted" in {reason for _, reason, _ in api.events("j")}


def test_each_thing_that_is_not_honoured_is_said_once(api: Api) -> None:
    pod = {
        "nodeSelector": {"gpu": "a100"},
        "tolerations": [{"operator": "Exists"}],
        "serviceAccountName": "robot",
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "shm", "emptyDir": {"medium": "Memory"}},
        ],
    }
    container = {"volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}]}
    api.submit(a_job(workers=2, pod=pod, container=container))
    api.wait("j", "Succeeded")
    warned = sorted(reason for kind, reason, _ in api.events("j") if kind == "Warning")
    assert warned == [
        "ImageNotUsed",
        "NodeSelectorIgnored",
        "ServiceAccountIgnored",
        "TolerationsIgnored",
        "VolumeNotMounted",
    ]


def config_map(name: str, owner: dict[str, object] | None = None) -> dict[str, object]:
    reference = owner and {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "name": "j",
        "uid": owner["uid"],
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, **({"ownerReferences": [reference]} if reference else {})},
        "data": {"main.py": "print('from the map')\n", "other": "x"},
    }


def with_config_map(path: str, items: list[dict[str, str]] | None = None) -> dict[str, object]:
    source = {"name": "code", **({"items": items} if items else {})}
    run = "import os, runpy; r = os.environ['PYJOB_ROOT']; "
    return a_job(
        code=run + f"print(sorted(os.listdir(r + '/code'))); runpy.run_path(r + '{path}')",
        pod={"volumes": [{"name": "code", "configMap": source}]},
        container={"volumeMounts": [{"name": "code", "mountPath": "/code"}]},
    )


def test_a_pod_waits_for_its_config_map_and_takes_it_along(api: Api) -> None:
    job = api.submit(with_config_map("/code/main.py"))
    eventually(lambda: any(reason == "FailedMount" for _, reason, _ in api.events("j-master-0")))
    pod = api.pod("j-master-0")
    assert (
        pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ContainerCreating"
    )
    response = api.http.get(f"{api.core('pods')}/j-master-0/log")
    assert response.status_code == 400
    assert "is waiting to start: ContainerCreating" in response.json()["message"]
    made = api.http.post(api.core("configmaps"), json=config_map("code", job["metadata"]))
    assert made.status_code == 201
    api.wait("j", "Succeeded")
    assert api.log("j-master-0") == "['main.py', 'other']\nfrom the map\n"
    api.http.delete(f"{api.jobs}/j")
    eventually(lambda: api.http.get(f"{api.core('configmaps')}/code").status_code == 404)


def test_a_config_map_that_comes_at_once_is_not_missed(api: Api) -> None:
    for number in range(20):
        name = f"j{number}"
        manifest = with_config_map("/code/main.py")
        manifest["metadata"] = {"name": name}
        api.submit(manifest)
        api.http.post(api.core("configmaps"), json=config_map("code"))
        api.wait(name, "Succeeded")
        api.http.delete(f"{api.core('configmaps')}/code")


def test_a_config_map_of_a_job_that_is_gone_goes_soon(api: Api) -> None:
    """The job was deleted between the two requests of a submit."""
    owner = api.submit(a_job(suspend=True))["metadata"]
    api.http.delete(f"{api.jobs}/j")
    api.http.post(api.core("configmaps"), json=config_map("code", owner))
    eventually(lambda: api.http.get(f"{api.core('configmaps')}/code").status_code == 404)


def test_items_choose_what_is_mounted(api: Api) -> None:
    api.http.post(api.core("configmaps"), json=config_map("code"))
    api.submit(with_config_map("/code/run/it.py", [{"key": "main.py", "path": "run/it.py"}]))
    api.wait("j", "Succeeded")
    assert api.log("j-master-0") == "['run']\nfrom the map\n"
    api.http.delete(f"{api.jobs}/j")
    eventually(lambda: not api.pods())
    assert api.http.get(f"{api.core('configmaps')}/code").status_code == 200


@pytest.mark.parametrize("path", ["../../evil", "/../../evil"])
def test_a_mount_cannot_leave_the_pod(api: Api, path: str) -> None:
    api.http.post(api.core("configmaps"), json=config_map("code"))
    manifest = with_config_map("/x", [{"key": "other", "path": path}])
    api.submit(manifest)
    eventually(lambda: any("leaves the pod's root" in e[2] for e in api.events("j-master-0")))


def test_values_come_from_fields_and_maps(api: Api) -> None:
    api.http.post(api.core("configmaps"), json=config_map("code"))
    env = [
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "code", "key": "other"}}},
    ]
    code = "import os; print(os.environ['POD'], os.environ['KEY'])"
    api.submit(a_job(code=code, container={"env": env}))
    api.wait("j", "Succeeded")
    assert api.log("j-master-0") == "j-master-0 x\n"


def test_init_containers_come_first_and_several_run_together(api: Api) -> None:
    def container(name: str, code: str) -> dict[str, object]:
        return {"name": name, "image": "i", "command": ["python", "-c", code]}

    pod = {
        "initContainers": [container("prepare", "open('ready', 'w').close()")],
        "containers": [
            container("pytorch", "import os; print(os.path.exists('ready'))"),
            container("side", "print('beside')"),
        ],
    }
    api.submit(a_job(pod=pod))
    api.wait("j", "Succeeded")
    assert api.log("j-master-0", container="pytorch") == "True\n"
    assert api.log("j-master-0", container="side") == "beside\n"
    response = api.http.get(f"{api.core('pods')}/j-master-0/log")
    assert response.json()["message"] == (
        "a container name must be specified for pod j-master-0, "
        "choose one of: [prepare pytorch side]"
    )


def test_a_bad_container_is_refused(api: Api) -> None:
    api.submit(a_job())
    api.wait("j", "Succeeded")
    response = api.http.get(f"{api.core('pods')}/j-master-0/log", params={"container": "nope"})
    assert response.status_code == 400
    assert response.json()["message"] == "container nope is not valid for pod j-master-0"


def test_sockets_fit_into_the_temporary_directory(api: Api) -> None:
    """What multiprocessing puts there has some 32 characters more, and 107 bytes are allowed."""
    code = (
        "import os, socket, tempfile\n"
        "path = tempfile.mkdtemp(prefix='pymp-') + '/listener-abcdefgh'\n"
        "socket.socket(socket.AF_UNIX).bind(path)\n"
        "print(len(path) - len(os.environ['PYJOB_MAGIC_HOME']))\n"
    )
    api.submit(a_job(code=code))
    api.wait("j", "Succeeded")
    assert int(api.log("j-master-0")) < 60
