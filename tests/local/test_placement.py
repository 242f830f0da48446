"""Places are given and kept: GPUs, ports, the queue. Real replicas, on GPUs that do not exist."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import httpx
import psutil
import pytest

from pyjob_magic.local import launcher
from pyjob_magic.local.home import Home
from pyjob_magic.local.objects import timestamp
from pyjob_magic.local.resources import EVENTS, PODS
from pyjob_magic.local.store import Store
from tests.local.api import Api, Json, a_job
from tests.state import eventually, processes_with, temporary_home

GPUS = "4,7"
ONE_GPU = {"resources": {"limits": {"nvidia.com/gpu": 1}}}
SHOW = "import os, time; print('gpu', os.environ['CUDA_VISIBLE_DEVICES'], flush=True); "
HOLD = SHOW + "time.sleep(600)"
# Ends when its file `go` is there, which tests put into its working directory.
UNTIL_TOLD = SHOW + "\nwhile not os.path.exists('go'): time.sleep(0.01)\n"


@contextmanager
def running(home: Home, namespace: str = "default") -> Iterator[Api]:
    """Start an API whose machine has two GPUs, or find the one that runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", GPUS)
        endpoint = launcher.ensure_running(home)
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    with httpx.Client(base_url=endpoint.url, headers=headers, timeout=30) as client:
        yield Api(client, namespace)


@pytest.fixture(scope="module")
def gpu_home() -> Iterator[Home]:
    with temporary_home() as path:
        yield Home(path)


@pytest.fixture
def gpu_api(gpu_home: Home) -> Iterator[Api]:
    with running(gpu_home) as api:
        yield api
        api.clear()


def kill(home: Home) -> None:
    """SIGKILL the API, and wait until it is gone."""
    found = launcher.status(home)
    assert found is not None
    psutil.Process(found.pid).kill()
    eventually(lambda: launcher.status(home) is None)


def gpu(api: Api, pod: str) -> str:
    return api.wait_log(pod, "gpu").partition(" ")[2].strip()


def tell(home: Home, api: Api, pod: str) -> None:
    """Have a replica end."""
    uid = api.pod(pod)["metadata"]["uid"]
    (home.pods / uid / "work" / "go").touch()


def waits(api: Api, pod: str, why: str) -> None:
    """Wait until a pod waits for that reason."""

    def told() -> bool:
        entries = (api.pods().get(pod) or {}).get("status", {}).get("conditions") or [{}]
        return why in entries[0].get("message", "")

    eventually(told)


def kill_replica(api: Api, pod: str, number: int = signal.SIGKILL) -> None:
    """Send a signal to the program of a replica, not to the shell that watches over it."""
    processes = processes_with("PYJOB_POD_UID", api.pod(pod)["metadata"]["uid"])
    (program,) = (process for process in processes if process.name().startswith("python"))
    program.send_signal(number)


def made_again(api: Api, pod: str, uid: str) -> None:
    """Wait until another pod than that of this uid runs under a name."""

    def runs() -> bool:
        found = api.pods().get(pod)
        return bool(
            found and found["metadata"]["uid"] != uid and found["status"]["phase"] == "Running"
        )

    eventually(runs)


def scale(api: Api, name: str, workers: int) -> None:
    api.patch(name, {"spec": {"pytorchReplicaSpecs": {"Worker": {"replicas": workers}}}})


def test_each_replica_has_gpus_of_its_own(gpu_api: Api) -> None:
    gpu_api.submit(a_job("a", HOLD, workers=1, container=ONE_GPU))
    gpu_api.submit(a_job("none", HOLD))
    assert {gpu(gpu_api, "a-master-0"), gpu(gpu_api, "a-worker-0")} == {"4", "7"}
    assert gpu_api.wait_log("none-master-0", "gpu") == "gpu \n"


def test_a_replica_that_chooses_among_gpus_chooses_among_its_own(gpu_api: Api) -> None:
    """As in a container, where they are counted from 0."""
    env = [{"name": "CUDA_VISIBLE_DEVICES", "value": "0"}]
    gpu_api.submit(a_job("first", HOLD, container=ONE_GPU))
    assert gpu(gpu_api, "first-master-0") == "4"
    gpu_api.submit(a_job("second", HOLD, container=ONE_GPU | {"env": env}))
    assert gpu(gpu_api, "second-master-0") == "7"


def test_a_template_cannot_help_itself(gpu_api: Api) -> None:
    """Who gets what is written into pods by the scheduler alone."""
    noted = {"pyjob-magic/gpus": "0,1,2,3", "pyjob-magic/port": "x", "pyjob-magic/queued": "-"}
    manifest = a_job("a", SHOW, container=ONE_GPU)
    template = manifest["spec"]["pytorchReplicaSpecs"]["Master"]["template"]
    template["metadata"] = {"annotations": noted | {"mine": "stays"}}
    gpu_api.submit(manifest)
    assert gpu(gpu_api, "a-master-0") in ("4", "7")
    assert gpu_api.pod("a-master-0")["metadata"]["annotations"]["mine"] == "stays"


def test_a_pod_that_names_its_node_waits_like_the_others(gpu_api: Api) -> None:
    """It gets its GPU when there is one, and behind those who came first."""
    gpu_api.submit(a_job("a", HOLD, workers=1, container=ONE_GPU))
    gpu(gpu_api, "a-worker-0")
    main = {"name": "main", "image": "i", "command": ["python", "-c", SHOW], **ONE_GPU}
    spec = {"containers": [main], "restartPolicy": "Never", "nodeName": "elsewhere"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "alone"}, "spec": spec}
    assert gpu_api.http.post(gpu_api.core("pods"), json=pod).status_code == 201
    gpu_api.submit(a_job("b", SHOW, container=ONE_GPU))
    waits(gpu_api, "alone", "0 of 2 are free")
    waits(gpu_api, "b-master-0", f"waits for {gpu_api.namespace}/alone, which came first")
    gpu_api.http.delete(f"{gpu_api.jobs}/a")
    gpu_api.wait_phase("alone", "Succeeded")
    gpu_api.wait("b", "Succeeded")


def test_gpus_are_not_given_twice_across_a_restart(own_home: Home) -> None:
    """Nor while the API is away, nor when it comes back and takes stock."""
    with running(own_home) as api:
        api.submit(a_job("a", HOLD, container=ONE_GPU))
        first = gpu(api, "a-master-0")
    kill(own_home)
    with running(own_home) as api:
        api.submit(a_job("b", HOLD, container=ONE_GPU))
        api.submit(a_job("c", HOLD, container=ONE_GPU))
        assert {first, gpu(api, "b-master-0")} == {"4", "7"}
        waits(api, "c-master-0", "the job asks for 1, 0 of 2 are free")


def test_a_replica_that_still_ends_keeps_its_gpu(gpu_api: Api) -> None:
    code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + HOLD
    pod = {"terminationGracePeriodSeconds": 1}
    gpu_api.submit(a_job("a", code, workers=1, container=ONE_GPU, pod=pod))
    mine = {gpu(gpu_api, "a-master-0"), gpu(gpu_api, "a-worker-0")}
    assert mine == {"4", "7"}
    gpu_api.http.delete(f"{gpu_api.jobs}/a")
    gpu_api.submit(a_job("b", SHOW, container=ONE_GPU))
    waits(gpu_api, "b-master-0", "0 of 2 are free")
    gpu_api.wait("b", "Succeeded")
    assert not [name for name in gpu_api.pods() if name.startswith("a-")]


def test_no_replica_starts_before_all_can_be_made(gpu_api: Api) -> None:
    """One of an earlier job of the same name still ends; the new job starts as a whole."""
    stubborn = (
        "import signal\nif os.environ['RANK'] == '1':"
        " signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    )
    pod = {"terminationGracePeriodSeconds": 2}
    gpu_api.submit(a_job("a", "import os; " + stubborn + HOLD, workers=1, pod=pod))
    for name in ("a-master-0", "a-worker-0"):
        gpu(gpu_api, name)
    gpu_api.http.delete(f"{gpu_api.jobs}/a")

    gpu_api.submit(a_job("a", HOLD, workers=1))

    waits(gpu_api, "a-master-0", "waits for replicas of an earlier job of this name to end")
    gpu_api.wait("a", "Running")
    gpu_api.wait_phase("a-worker-0", "Running")


def test_a_replica_that_is_made_again_gets_its_place_back(gpu_api: Api) -> None:
    """Although another job has waited for a GPU: the peers wait for it, and hold theirs."""
    job = a_job("a", HOLD, workers=1, policy="ExitCode", container=ONE_GPU)
    gpu_api.submit(job)
    gpus = {pod: gpu(gpu_api, pod) for pod in ("a-master-0", "a-worker-0")}
    gpu_api.submit(a_job("b", HOLD, container=ONE_GPU))
    waits(gpu_api, "b-master-0", "0 of 2 are free")
    uid = gpu_api.pod("a-worker-0")["metadata"]["uid"]

    kill_replica(gpu_api, "a-worker-0")

    made_again(gpu_api, "a-worker-0", uid)
    assert gpu(gpu_api, "a-worker-0") == gpus["a-worker-0"]
    assert gpu_api.pod("b-master-0")["status"]["phase"] == "Pending"


def test_a_replica_that_was_deleted_by_hand_gets_its_place_back(gpu_api: Api) -> None:
    job = a_job("a", HOLD, workers=1, policy="OnFailure", container=ONE_GPU)
    gpu_api.submit(job)
    first = gpu(gpu_api, "a-worker-0")
    gpu_api.submit(a_job("b", HOLD, container=ONE_GPU))
    waits(gpu_api, "b-master-0", "0 of 2 are free")
    uid = gpu_api.pod("a-worker-0")["metadata"]["uid"]
    gpu_api.http.delete(f"{gpu_api.core('pods')}/a-worker-0")
    made_again(gpu_api, "a-worker-0", uid)
    assert gpu(gpu_api, "a-worker-0") == first
    assert gpu_api.pod("b-master-0")["status"]["phase"] == "Pending"


def test_the_queue_outlives_the_api(own_home: Home) -> None:
    """Jobs that came within one second start in the order in which they came."""
    names = [f"q{number}" for number in (3, 1, 4, 0, 2)]
    both = {"resources": {"limits": {"nvidia.com/gpu": 2}}}
    with running(own_home) as api:
        api.submit(a_job("first", UNTIL_TOLD, container=both))
        gpu(api, "first-master-0")
        for name in names:
            api.submit(a_job(name, "import time; print(time.time_ns())", container=both))
        waits(api, "q3-master-0", "0 of 2 are free")
        waits(api, "q2-master-0", "waits for default/q0, which came first")
    kill(own_home)
    with running(own_home) as api:
        tell(own_home, api, "first-master-0")
        for name in names:
            api.wait(name, "Succeeded")
        starts = {name: int(api.log(f"{name}-master-0")) for name in names}
        assert sorted(names, key=lambda name: starts[name]) == names


def test_a_job_that_grows_waits_for_room_and_keeps_others_back(
    gpu_api: Api, gpu_home: Home
) -> None:
    """It goes on with what it has; who came later does not overtake it."""
    gpu_api.submit(a_job("other", UNTIL_TOLD, container=ONE_GPU))
    manifest = a_job("a", HOLD, workers=1, container=ONE_GPU)
    del manifest["spec"]["pytorchReplicaSpecs"]["Master"]
    gpu_api.submit(manifest)
    assert gpu(gpu_api, "a-worker-0") != gpu(gpu_api, "other-master-0")
    scale(gpu_api, "a", 2)
    waits(gpu_api, "a-worker-1", "the job asks for 1 more, 0 of 2 are free")
    gpu_api.submit(a_job("later", HOLD, container=ONE_GPU))
    waits(gpu_api, "later-master-0", f"waits for {gpu_api.namespace}/a, which came first")
    assert gpu_api.conditions("a")["Running"] == "True"

    tell(gpu_home, gpu_api, "other-master-0")

    assert gpu(gpu_api, "a-worker-1") in ("4", "7")
    assert gpu_api.pod("later-master-0")["status"]["phase"] == "Pending"


def test_some_replicas_start_where_the_job_says_that_they_are_enough(
    gpu_api: Api, gpu_home: Home
) -> None:
    """``minAvailable``; the others follow when there is room."""
    gpu_api.submit(a_job("other", UNTIL_TOLD, container=ONE_GPU))
    gpu(gpu_api, "other-master-0")
    policy = {"minAvailable": 1}
    job = a_job("a", HOLD, workers=1, container=ONE_GPU, schedulingPolicy=policy)
    gpu_api.submit(job)
    gpu(gpu_api, "a-master-0")
    waits(gpu_api, "a-worker-0", "Insufficient nvidia.com/gpu")
    tell(gpu_home, gpu_api, "other-master-0")
    gpu(gpu_api, "a-worker-0")


def test_a_job_that_has_grown_beyond_the_machine_is_told_so(gpu_api: Api) -> None:
    gpu_api.submit(a_job("a", HOLD, workers=1, container=ONE_GPU))
    gpu(gpu_api, "a-worker-0")
    scale(gpu_api, "a", 2)
    waits(
        gpu_api, "a-worker-1", "can never run it: Insufficient nvidia.com/gpu: the job asks for 3"
    )
    gpu_api.submit(a_job("b", SHOW))
    gpu_api.wait("b", "Succeeded")
    scale(gpu_api, "a", 1)
    eventually(lambda: "a-worker-1" not in gpu_api.pods())
    assert gpu_api.conditions("a")["Running"] == "True"


def test_why_a_job_waits_is_said_again_when_it_was_forgotten(own_home: Home) -> None:
    """Events are forgotten after an hour, however long a job waits."""
    with running(own_home) as api:
        api.submit(a_job("a", HOLD, workers=1, container=ONE_GPU))
        gpu(api, "a-worker-0")
        api.submit(a_job("b", SHOW, container=ONE_GPU))
        waits(api, "b-master-0", "0 of 2 are free")
    kill(own_home)
    with closing(Store(own_home.database)) as store:
        for event in list(store.objects(EVENTS)):
            store.update(EVENTS, {**event, "lastTimestamp": timestamp(time.time() - 7200)})
    with running(own_home) as api:
        eventually(lambda: not api.events("a"))
        eventually(lambda: "FailedScheduling" in [event[1] for event in api.events("b-master-0")])


def test_a_log_is_kept_although_the_api_was_killed_while_it_removed_the_pod(
    own_home: Home,
) -> None:
    """The object was gone, its directory not yet."""
    with running(own_home) as api:
        api.submit(a_job("a", "print('said')"))
        api.wait("a", "Succeeded")
    kill(own_home)
    with closing(Store(own_home.database)) as store:
        for pod in list(store.objects(PODS)):
            store.delete(PODS, pod)
    with running(own_home) as api:
        assert api.wait_log("a-master-0", "said") == "said\n"
        eventually(lambda: not list(own_home.pods.iterdir()))


def with_port(number: int) -> Json:
    return {"ports": [{"name": "pytorchjob-port", "containerPort": number}]}


MEET = (
    "import os, time; print('port', os.environ['MASTER_PORT'], os.environ['MASTER_ADDR'], "
    "flush=True); time.sleep(600)"
)


def port(api: Api, pod: str) -> str:
    return api.wait_log(pod, "port").split()[1]


def test_a_job_meets_at_one_port_whatever_number_it_names(api: Api) -> None:
    """Two jobs that name the same one do not meet each other."""
    for name in ("a", "b"):
        api.submit(a_job(name, MEET, workers=1, container=with_port(29500)))
    ports = {
        name: {port(api, f"{name}-{replica}-0") for replica in ("master", "worker")}
        for name in ("a", "b")
    }
    assert len(ports["a"]) == len(ports["b"]) == 1
    assert ports["a"] != ports["b"]


def test_a_job_keeps_its_port_across_a_restart_of_api_and_replica(own_home: Home) -> None:
    with running(own_home) as api:
        api.submit(a_job("a", MEET, workers=1, policy="OnFailure"))
        before = port(api, "a-worker-0")
    kill(own_home)
    with running(own_home) as api:
        uid = api.pod("a-worker-0")["metadata"]["uid"]
        api.http.delete(f"{api.core('pods')}/a-worker-0")
        made_again(api, "a-worker-0", uid)
        assert port(api, "a-worker-0") == port(api, "a-master-0") == before
