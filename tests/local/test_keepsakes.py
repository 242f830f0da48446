"""What replicas have printed stays readable as long as their job exists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pyjob_magic.local.home import Home
from pyjob_magic.local.kubelet.keepsakes import Keepsakes
from pyjob_magic.local.kubelet.process import Process
from tests.local.api import Api, a_job
from tests.state import eventually

SAYS = "import sys; print('said', flush=True); "


def log(api: Api, pod: str, **params: str) -> tuple[int, str]:
    response = api.http.get(f"{api.core('pods')}/{pod}/log", params=params)
    return response.status_code, response.text


@pytest.mark.parametrize(
    ("code", "policy", "limits"),
    [
        ("sys.exit(3)", "Never", {"cleanPodPolicy": "All"}),
        ("sys.exit(3)", "OnFailure", {"backoffLimit": 1}),
        ("import time; time.sleep(60)", "Never", {"activeDeadlineSeconds": 1}),
    ],
)
def test_the_log_outlives_the_replica(
    api: Api, code: str, policy: str, limits: dict[str, Any]
) -> None:
    """The operator removes the pods of failed jobs; what they said explains the failure."""
    api.submit(a_job("j", SAYS + code, policy=policy, **limits))
    api.wait("j", "Failed")
    eventually(lambda: not api.pods("j"))

    assert log(api, "j-master-0", tailLines="1") == (200, "said\n")
    assert log(api, "j-master-0", follow="true", container="pytorch")[0] == 200


def test_the_log_goes_with_the_job(api: Api, api_home: Home) -> None:
    """Deleting the job leaves neither an answer nor a file."""
    uid = api.submit(a_job("j", SAYS, cleanPodPolicy="All"))["metadata"]["uid"]
    api.wait("j", "Succeeded")
    eventually(lambda: not api.pods("j"))
    assert (api_home.keepsakes / uid).is_dir()

    api.http.delete(f"{api.jobs}/j")

    assert log(api, "j-master-0")[0] == 404
    eventually(lambda: not (api_home.keepsakes / uid).exists())


def test_a_live_replica_answers_before_a_gone_one(api: Api) -> None:
    """After a suspension the log is that of the new replica."""
    code = "import os, time; print('pid', os.getpid(), flush=True); time.sleep(60)"
    api.submit(a_job("j", code))
    first = api.wait_log("j-master-0", "pid")
    api.patch("j", {"spec": {"runPolicy": {"suspend": True}}})
    eventually(lambda: not api.pods("j"))
    assert log(api, "j-master-0") == (200, first)

    api.patch("j", {"spec": {"runPolicy": {"suspend": False}}})

    eventually(lambda: api.wait_log("j-master-0", "pid") != first)


def test_only_the_last_runs_are_kept(tmp_path: Path) -> None:
    """A replica that is made again all night long does not fill the disk."""
    keepsakes = Keepsakes(tmp_path / "logs")
    pod = {"metadata": {"name": "j-master-0"}}
    for number in range(25):
        run = Process(tmp_path / "run", "uid", "pytorch")
        run.directory.mkdir()
        run.log.write_text(f"run {number}\n")
        keepsakes.keep("job", pod, "pytorch", [run])
    kept = list((tmp_path / "logs/job/j-master-0/pytorch").iterdir())
    assert len(kept) == 10
    last = keepsakes.last("job", "j-master-0", "pytorch")
    assert last
    assert last.log.read_text() == "run 24\n"


@pytest.mark.parametrize("container", ["..", "../../..", "a/../..", "nope", "%2e%2e"])
def test_no_name_leads_elsewhere(api: Api, container: str) -> None:
    """A request can name any container; only those of the pod have a log."""
    api.submit(a_job("j", SAYS, cleanPodPolicy="All"))
    api.wait("j", "Succeeded")
    eventually(lambda: not api.pods("j"))

    assert log(api, "j-master-0", container=container)[0] == 404
