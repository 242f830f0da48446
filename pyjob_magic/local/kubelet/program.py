"""What a container becomes on this machine: a command, an environment, a directory."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from pyjob_magic.local.kubelet import environment, machine
from pyjob_magic.local.kubelet.environment import Program
from pyjob_magic.local.kubelet.inheritance import inherited
from pyjob_magic.local.kubelet.interpreter import interpreter, search_path, virtual_env
from pyjob_magic.local.kubelet.references import Find, References
from pyjob_magic.local.kubelet.volumes import MountError, within
from pyjob_magic.local.objects import INTERPRETER, PORT, Json, notes
from pyjob_magic.local.scheduler import visible_gpus

ROOT_VARIABLE = "PYJOB_ROOT"
_GPUS = "CUDA_VISIBLE_DEVICES"
_LONGEST_ARGUMENT = 131_071  # bytes, on Linux
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126  # the exit codes of shells


class StartError(Exception):
    """A program that cannot be started; `code` is the exit code that its container gets."""

    code = 128

    def __init__(self, message: str, code: int = code) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Place:
    """Where a pod is at home: its directory, and one with a short name for sockets."""

    directory: Path
    scratch: Path

    @property
    def work(self) -> Path:
        """Where its programs start."""
        return self.directory / "work"

    @property
    def root(self) -> Path:
        """Where its volumes are, by mount path."""
        return self.directory / "root"

    def create(self) -> None:
        """Make the directories."""
        for path in (self.work, self.root, self.scratch):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)


def program(pod: Json, container: Json, job: Json | None, place: Place, find: Find) -> Program:
    """Return what runs in place of a container.

    Raises
    ------
    MissingError
        If the environment refers to what does not exist yet.
    StartError
        If the job names an interpreter that does not exist.
    """
    references = References(pod, container, find)
    spec = job["spec"] if job else {"pytorchReplicaSpecs": {}}
    count = sum(map(environment.replicas, spec["pytorchReplicaSpecs"].values()))
    nproc = environment.nproc_per_node(spec)
    own = environment.localize(
        pod,
        container,
        port=int(notes(pod).get(PORT, 0)),
        threads=environment.threads(container, len(machine.cpus()), count, nproc),
        resolve=references.value,
        env_from=references.variables,
    )
    env = _base(pod, job, place) | own.env
    if (gpus := visible_gpus(pod, container, own.env.get(_GPUS))) is not None:
        env[_GPUS] = gpus
    return Program(own.argv, env, references.skipped + own.skipped)


def working_directory(container: Json, place: Place) -> Path:
    """Return where a container starts; make it if it is the user's.

    Raises
    ------
    StartError
        If it is outside of the pod.
    """
    given = container.get("workingDir")
    if not given:
        return place.work
    try:
        path = within(place.root, given)
    except MountError as error:
        raise StartError(str(error)) from None
    path.mkdir(parents=True, exist_ok=True)
    return path


def _base(pod: Json, job: Json | None, place: Place) -> dict[str, str]:
    """Return what every container of a pod has, the user's variables aside."""
    try:
        python = interpreter(notes(job).get(INTERPRETER) if job else None)
    except ValueError as error:
        raise StartError(str(error)) from None
    env = inherited(os.environ)
    env.pop("VIRTUAL_ENV", None)
    if home := virtual_env(python):
        env["VIRTUAL_ENV"] = home
    env["PATH"] = search_path(python, place.directory / "bin", env.get("PATH", ""))
    env["TMPDIR"] = str(place.scratch)
    env["HOSTNAME"] = pod["metadata"]["name"]
    env[ROOT_VARIABLE] = str(place.root)
    env.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    return env


def check(program: Program, cwd: Path) -> None:
    """Raise if the program does not exist, in the words of a container runtime."""
    if not program.argv:
        raise StartError("no command given, and there is no image here that would have one")
    command = program.argv[0]
    if "/" in command:
        path = cwd / command
        if not path.exists():
            why = f"stat {command}: no such file or directory"
            raise StartError(f'exec: "{command}": {why}', _NOT_FOUND)
        if not os.access(path, os.X_OK) or path.is_dir():
            raise StartError(f'exec: "{command}": permission denied', _NOT_EXECUTABLE)
    elif shutil.which(command, path=program.env.get("PATH")) is None:
        raise StartError(f'exec: "{command}": executable file not found in $PATH', _NOT_FOUND)
    size = max(len(os.fsencode(word)) for word in program.argv)
    if size > _LONGEST_ARGUMENT and sys.platform == "linux":
        raise StartError(
            f"argument list too long: one has {size} bytes, {_LONGEST_ARGUMENT} is the limit"
        )
