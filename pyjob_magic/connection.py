"""A target and a namespace: where jobs are submitted, found and listed."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pyjob_magic._card import JobTable
from pyjob_magic.client import Client
from pyjob_magic.job import Job
from pyjob_magic.manifest import SUFFIX_ALPHABET, Manifest, Origin, build, read
from pyjob_magic.models import PyTorchJob
from pyjob_magic.options import JobOptions
from pyjob_magic.rest import log
from pyjob_magic.targets import Access, resolve


def connect(
    target: str = "local", namespace: str | None = None, *, context: str | None = None
) -> Connection:
    """Return a connection to `target`; nothing is sent before it is used.

    Parameters
    ----------
    target
        ``local``: the embedded API of this machine, started when it is first needed;
        ``kubernetes``: the cluster of a kubeconfig, or the one that we run in.
    namespace
        Where the jobs live; the target's own if none is said.
    context
        Context of the kubeconfig; the current one if none is said.

    Raises
    ------
    OptionError
        If there is no such target or context.
    TargetError
        If it cannot be found out where the target is, or how to get in.
    """
    access = Access(context=context)
    connection = Connection(Client(resolve(target, access), namespace))
    for warning in connection.client.target.warnings:
        log.warning(warning)
    return connection


class Connection:
    """Where jobs are submitted, found and listed.

    Parameters
    ----------
    client
        The REST verbs of one namespace of one target.
    """

    def __init__(self, client: Client) -> None:
        self.client = client

    @property
    def target(self) -> str:
        """Name of the target."""
        return self.client.target.name

    @property
    def place(self) -> str:
        """The target as people are told it, with the context where there are several."""
        return self.client.target.full_name

    @property
    def namespace(self) -> str:
        """Namespace of the jobs."""
        return self.client.namespace

    def __repr__(self) -> str:
        return f"Connection(target={self.target!r}, namespace={self.namespace!r})"

    def build(
        self,
        source: str,
        options: JobOptions | None = None,
        *,
        base: PyTorchJob | None = None,
        notebook: str = "",
        cell: str = "",
        line: str = "",
        **said: Any,
    ) -> Manifest:
        """Return the manifest of a job that runs `source`, as `submit` would send it.

        Parameters
        ----------
        source
            The program: plain Python.
        options
            What is asked for; or say it as keywords, such as ``workers=2, memory="4Gi"``.
        base
            A manifest to start from.
        notebook, cell, line
            Where the source comes from, for the job's annotations.

        Raises
        ------
        OptionError, SourceError
            If an option cannot be, or the source cannot travel.
        """
        origin = Origin(
            time=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            suffix="".join(secrets.choice(SUFFIX_ALPHABET) for _ in range(5)),
            notebook=notebook,
            cell=cell,
            line=line,
            submission=str(uuid.uuid4()),
            target=self.client.target.annotations,
        )
        return build(
            options or JobOptions.read(said), source, origin, namespace=self.namespace, base=base
        )

    def submit(
        self, manifest: Manifest | PyTorchJob | Mapping[str, Any], *, dry_run: bool = False
    ) -> Job:
        """Create a job and return the handle on it.

        What is too large for the manifest follows as a ConfigMap that the job owns. If that
        fails, the job is deleted again.

        Parameters
        ----------
        manifest
            From `build`, or any PyTorchJob, also as a plain mapping.
        dry_run
            Let the API check it and create nothing.

        Raises
        ------
        ManifestError
            If it is no PyTorchJob.
        ExistsError, InvalidError, ForbiddenError
            If the API refuses it.
        """
        whole = manifest if isinstance(manifest, Manifest) else Manifest(_job(manifest))
        created = self.client.create_job(whole.job, dry_run=dry_run)
        if whole.config_map is not None and not dry_run:
            try:
                self.client.create_config_map(whole.owned_config_map(created))
            except BaseException:  # also an interrupt: nothing may be left half-way
                self.client.delete_job(created)
                raise
        return Job(self.client, created)

    def get(self, name: str) -> Job:
        """Return the handle on the job `name`.

        Raises
        ------
        NotFoundError
            If there is none.
        """
        return Job(self.client, self.client.get_job(name))

    def list(self) -> JobTable[Job]:
        """Return the jobs of the namespace, oldest first."""
        jobs = [Job(self.client, job) for job in self.client.list_jobs()]
        return JobTable(jobs, datetime.now(UTC))

    def close(self) -> None:
        """Close the connections; jobs go on."""
        self.client.close()


def _job(manifest: PyTorchJob | Mapping[str, Any]) -> PyTorchJob:
    return manifest if isinstance(manifest, PyTorchJob) else read(manifest)
