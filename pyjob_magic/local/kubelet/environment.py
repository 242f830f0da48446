"""The environment of a replica: what the operator gives it, and what becomes of it here.

`operator_env` is upstream's. `localize` turns it into that of a process of this machine.

Source: ``pkg/controller.v1/pytorch/envvar.go``, ``master.go``, ``elastic.go``, training-operator
v1.9.0; ``third_party/forked/golang/expansion`` of Kubernetes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pyjob_magic.local.objects import JOB_NAME, Json, labels
from pyjob_magic.quantity import Quantity

PORT_NAME = "pytorchjob-port"
DEFAULT_PORT = 23456
LOOPBACK = "127.0.0.1"

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REFERENCE = re.compile(r"\$(?:\$|\((?P<name>[^)]*)\))")


def operator_env(job: Json, replica_type: str, index: int) -> list[Json]:
    """Return the variables that the operator appends to every container of a replica."""
    name, spec = job["metadata"]["name"], job["spec"]
    specs = spec["pytorchReplicaSpecs"]
    elastic = spec.get("elasticPolicy")
    nproc = nproc_per_node(spec)
    total = sum(replicas(specs[kind]) for kind in specs)
    env = {"PYTHONUNBUFFERED": "1"}
    if "Master" in specs:
        port = str(rendezvous_port(specs["Master"]))
        env["MASTER_PORT"] = env["PET_MASTER_PORT"] = port
        env["MASTER_ADDR"] = env["PET_MASTER_ADDR"] = f"{name}-master-0"
        env["WORLD_SIZE"] = str(total * (int(nproc) if nproc and _is_int(nproc) else 1))
        rank = index if replica_type == "Master" else index + 1
        env["RANK"] = env["PET_NODE_RANK"] = str(rank)
    if nproc is not None:
        env["PET_NPROC_PER_NODE"] = nproc
    env |= {"PET_NNODES": str(total)} if elastic is None else _elastic(job, elastic)
    return [{"name": key, "value": value} for key, value in env.items()]


def replicas(replica_spec: Json) -> int:
    """Return how many replicas a type has; 1 if that is not said."""
    count = replica_spec.get("replicas")
    return 1 if count is None else int(count)


def nproc_per_node(spec: Json) -> str | None:
    """Return the defaulted ``nprocPerNode``; None if the elastic policy has its own."""
    given: str | None = spec.get("nprocPerNode")
    if given is None and "nProcPerNode" in (spec.get("elasticPolicy") or {}):
        return None
    return "auto" if given is None else given


def rendezvous_port(replica_spec: Json) -> int:
    """Return the port that the ``pytorch`` container names as the job's own."""
    for container in replica_spec["template"]["spec"]["containers"]:
        for port in container.get("ports") or ():
            if container["name"] == "pytorch" and port.get("name") == PORT_NAME:
                return int(port["containerPort"])
    return DEFAULT_PORT


def _elastic(job: Json, elastic: Json) -> dict[str, str]:
    worker = job["spec"]["pytorchReplicaSpecs"]["Worker"]
    fewest, most = elastic.get("minReplicas"), elastic.get("maxReplicas")
    if fewest is None:
        fewest = most if most is not None else replicas(worker)
    most = fewest if most is None else most
    host = elastic.get("rdzvHost") or f"{job['metadata']['name']}-worker-0"
    port = elastic.get("rdzvPort") or rendezvous_port(worker)
    env = {
        "PET_RDZV_ENDPOINT": f"{host}:{port}",
        "PET_RDZV_BACKEND": elastic.get("rdzvBackend") or "c10d",
        "PET_NNODES": f"{fewest}:{most}",
    }
    optional = {
        "PET_MAX_RESTARTS": elastic.get("maxRestarts"),
        "PET_NPROC_PER_NODE": elastic.get("nProcPerNode"),
        "PET_RDZV_ID": elastic.get("rdzvId"),
        "PET_RDZV_CONF": ",".join(
            f"{entry.get('key', '')}={entry.get('value', '')}"
            for entry in elastic.get("rdzvConf") or ()
        ),
        "PET_STANDALONE": "" if elastic.get("standalone") else None,
    }
    absent = ("", None)
    env |= {
        key: str(value)
        for key, value in optional.items()
        if value not in absent or (key == "PET_STANDALONE" and value is not None)
    }
    return env


def _is_int(text: str) -> bool:
    return re.fullmatch(r"[+-]?[0-9]+", text) is not None


def is_variable(name: str) -> bool:
    """Whether a variable can have this name: shells drop others, such as ``my.key``."""
    return _VARIABLE.fullmatch(name) is not None


@dataclass(frozen=True, repr=False)  # it may hold secrets
class Program:
    """What a container runs: the command with its arguments, and its variables.

    Parameters
    ----------
    argv, env
        What is run, and its environment.
    skipped
        Sentences about variables that it cannot have.
    """

    argv: list[str]
    env: dict[str, str]
    skipped: list[str] = field(default_factory=list)


def localize(
    pod: Json,
    container: Json,
    *,
    port: int,
    threads: int,
    resolve: Callable[[Json], str | None],
    env_from: Callable[[Json], Mapping[str, str]],
) -> Program:
    """Return what runs on this machine in place of a container.

    Names of pods do not resolve here and all replicas share one network: the job meets on
    127.0.0.1 and a port of its own. What is nothing but the name of a replica, as a word of the
    command or a variable, with an option, a scheme or a port, becomes that address, too.
    ``$(VAR)`` is expanded as the kubelet does it.

    Parameters
    ----------
    pod
        The pod, as the operator made it.
    container
        One of its containers.
    port
        Where the job meets.
    threads
        ``OMP_NUM_THREADS``, where the user does not set it.
    resolve
        Gives the value of a ``valueFrom``; None leaves the variable out.
    env_from
        Gives the variables of an ``envFrom`` entry.
    """
    env: dict[str, str] = {}
    skipped: list[str] = []
    for source in container.get("envFrom") or ():
        env |= env_from(source)
    here = _here(pod, port)
    for entry in container.get("env") or ():
        name = entry["name"]
        if "valueFrom" in entry:
            value = resolve(entry["valueFrom"])
        else:
            value = here.get((name, entry.get("value"))) or _with_address(
                expand(entry.get("value") or "", env), pod
            )
        if not is_variable(name):
            where = f"container {container['name']}"
            skipped.append(f"Variable {name} of {where} was skipped: a shell cannot pass it on.")
        elif value is not None:
            env[name] = value
    env = _rendezvous(pod, env)
    command = [*(container.get("command") or ()), *(container.get("args") or ())]
    argv = [_with_address(expand(word, env), pod) for word in command]
    return Program(argv, {**_defaults(threads), **env}, skipped)


def expand(text: str, env: Mapping[str, str]) -> str:
    """Expand ``$(VAR)``; ``$$`` is a dollar, and what is not known stays as it is."""

    def replacement(match: re.Match[str]) -> str:
        name = match["name"]
        return "$" if name is None else env.get(name, match[0])

    return _REFERENCE.sub(replacement, text)


def _with_address(word: str, pod: Json) -> str:
    """Return a word that names a replica of the pod's job with the address that it has here."""
    job = labels(pod).get(JOB_NAME, "")
    replica = rf"{re.escape(job)}-(?:master|worker)-[0-9]+"
    match = job and re.fullmatch(rf"(-{{1,2}}[\w-]+=)?(\w+://)?{replica}(:[0-9]+)?", word)
    return "".join((match[1] or "", match[2] or "", LOOPBACK, match[3] or "")) if match else word


def threads(container: Json, cpus: int, replicas: int, nproc: str | None) -> int:
    """Return how many threads each process of a container gets.

    Its CPU limit, else its share of the machine; divided by the processes that it will start.
    """
    limit = ((container.get("resources") or {}).get("limits") or {}).get("cpu")
    share = int(Quantity(limit).value) if limit is not None else cpus // max(1, replicas)
    processes = int(nproc) if nproc and nproc.isdecimal() else 1
    return max(1, share // max(1, processes))


def _here(pod: Json, port: int) -> dict[tuple[str, str], str]:
    """Map the operator's variables that hold a name or a port to what they are here."""
    job = labels(pod).get(JOB_NAME, "")
    here: dict[tuple[str, str], str] = {}
    for container in pod["spec"]["containers"]:
        for entry in container.get("env") or ():
            name, value = entry["name"], entry.get("value") or ""
            if name in ("MASTER_PORT", "PET_MASTER_PORT"):
                here[name, value] = str(port)
            elif name in ("MASTER_ADDR", "PET_MASTER_ADDR") and value == f"{job}-master-0":
                here[name, value] = LOOPBACK
            elif name == "PET_RDZV_ENDPOINT" and value.startswith(f"{job}-worker-0:"):
                here[name, value] = f"{LOOPBACK}:{port}"
    return here


def _rendezvous(pod: Json, env: Mapping[str, str]) -> dict[str, str]:
    """Return `env` with what torchrun must be told where all nodes of an elastic job are here.

    Each would take itself for the host of the store, for the address is its own: it is the first
    Worker. A node that joins later would wait for ever for an address that the others have agreed
    on before (torch 2.13), unless they agree on one in every round.
    """
    ours = env.get("PET_RDZV_ENDPOINT", "").startswith(f"{LOOPBACK}:")
    if not ours or env.get("PET_RDZV_BACKEND") != "c10d":
        return dict(env)
    conf, first = env.get("PET_RDZV_CONF", ""), pod["metadata"]["name"].endswith("-worker-0")
    if "is_host=" not in conf:
        conf += f"{',' if conf else ''}is_host={int(first)}"
    unless_given = {"PET_LOCAL_ADDR": LOOPBACK, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    return {**unless_given, **env, "PET_RDZV_CONF": conf}


def _defaults(threads: int) -> dict[str, str]:
    return {"OMP_NUM_THREADS": str(threads)}
