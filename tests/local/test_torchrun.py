"""torchrun finds what it needs in a replica: real processes, that add up ones with gloo."""

from __future__ import annotations

from pathlib import Path

from tests.local.api import Api, Json, a_job
from tests.state import eventually

PATIENCE = 120.0  # seconds; each process imports torch, and machines can be slow

SUM = """
import sys
import torch
import torch.distributed as dist

dist.init_process_group("gloo")
ones = torch.ones(1)
dist.all_reduce(ones)
sys.stdout.write(f"sum {int(ones)} as {dist.get_rank()}\\n")  # one write: processes share the log
"""

# Without it a process may abort at its end, when gloo's threads are still at work.
END = "dist.destroy_process_group()\n"

# Goes on with those who are there until its file `stop` is; who joins or leaves restarts it.
LOOP = f"""
import os, time
{SUM}
while True:
    stop = torch.tensor(float(os.path.exists(sys.argv[1])))
    dist.all_reduce(stop)
    if stop:
        break
    time.sleep(0.05)
{END}"""


def torchrun(path: Path, program: str, *args: str) -> Json:
    """Return the container that starts a program with torchrun."""
    path.write_text(program)
    return {"command": ["torchrun", str(path), *args]}


def sums(api: Api, pod: str) -> list[str]:
    """Return the lines of a replica about a sum; gloo and torchrun have their own."""
    response = api.http.get(f"{api.core('pods')}/{pod}/log")
    lines = response.text.splitlines() if response.status_code == 200 else []
    return [line for line in lines if line.startswith("sum")]


def succeeds(api: Api) -> None:
    """Wait for the end of the job, which is no failure."""
    conditions = eventually(
        lambda: c if {"Succeeded", "Failed"} & set(c := api.conditions("j")) else None,
        timeout=PATIENCE,
    )
    assert "Failed" not in conditions, [api.log(pod) for pod in api.pods()]


def sums_up_to(total: int, api: Api, pod: str) -> None:
    """Wait until a replica has added up so many ones."""
    wanted = f"sum {total} "
    eventually(lambda: any(line.startswith(wanted) for line in sums(api, pod)), timeout=PATIENCE)


def test_all_ranks_of_all_nodes_meet(api: Api, tmp_path: Path) -> None:
    """A Master and a Worker with two processes each are a world of four."""
    container = torchrun(tmp_path / "sum.py", SUM + END)
    api.submit(a_job(workers=1, container=container, spec={"nprocPerNode": "2"}))
    succeeds(api)
    eventually(lambda: len(sums(api, "j-worker-0")) == 2)
    assert sorted(sums(api, "j-master-0")) == ["sum 4 as 0", "sum 4 as 1"]
    assert sorted(sums(api, "j-worker-0")) == ["sum 4 as 2", "sum 4 as 3"]


def test_an_elastic_job_takes_in_who_joins(api: Api, tmp_path: Path) -> None:
    """Two Workers go on as three when the job is scaled, and end as one job."""
    stop = tmp_path / "stop"
    policy = {
        "minReplicas": 2,
        "maxReplicas": 3,
        "rdzvBackend": "c10d",
        "rdzvConf": [{"key": "last_call_timeout", "value": "1"}],
        "maxRestarts": 3,
    }
    container = torchrun(tmp_path / "loop.py", LOOP, str(stop))
    manifest = a_job(workers=2, container=container, spec={"elasticPolicy": policy})
    del manifest["spec"]["pytorchReplicaSpecs"]["Master"]
    api.submit(manifest | {"spec": manifest["spec"] | {"nprocPerNode": "1"}})
    sums_up_to(2, api, "j-worker-1")

    api.patch("j", {"spec": {"pytorchReplicaSpecs": {"Worker": {"replicas": 3}}}})

    workers = [f"j-worker-{index}" for index in range(3)]
    for worker in workers:
        sums_up_to(3, api, worker)
    assert api.conditions("j")["Running"] == "True"
    stop.touch()
    succeeds(api)
    for worker in workers:
        api.wait_phase(worker, "Succeeded")
