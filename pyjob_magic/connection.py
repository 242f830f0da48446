"""A target and a namespace: where jobs are submitted, found and listed."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pyjob_magic import doctor, history, inputs, settings, submission, values, withheld
from pyjob_magic._past import PastJob
from pyjob_magic._tables import FindingTable, HistoryTable, JobTable
from pyjob_magic.client import Client
from pyjob_magic.errors import ManifestError, OptionError
from pyjob_magic.job import Job
from pyjob_magic.manifest import SUBMISSION, Manifest, Origin, build, read
from pyjob_magic.models import PyTorchJob
from pyjob_magic.options import JobOptions
from pyjob_magic.profiles import NO_PROFILE, Profile
from pyjob_magic.streams import log
from pyjob_magic.targets import NAMES, Access, resolve, with_context


def connect(
    target: str | None = None,
    namespace: str | None = None,
    *,
    profile: str | None = None,
    context: str | None = None,
) -> Connection:
    """Return a connection to `target`; nothing is sent before it is used.

    Parameters
    ----------
    target
        ``local``: the embedded API of this machine, started when it is first needed.
        ``kubernetes``: the cluster of a kubeconfig, or the one that we run in. ``cci``: Huawei
        Cloud Container Instance. If none is said, that of the profile, or ``local``.
    namespace
        Where the jobs live; the profile's, or the target's own, if none is said.
    profile
        Name of the profile that says what jobs are built with; the default one if none is said.
    context
        Context of the kubeconfig; the profile's, or the current one, if none is said.

    Raises
    ------
    OptionError, SettingsError
        If there is no such target, context or profile, or settings or namespace cannot be.
    TargetError
        If it cannot be found out where the target is, or how to get in.
    """
    connection = open_connection(settings.read().choose(profile), target, namespace, context)
    for warning in connection.client.target.warnings:
        log.warning(warning)
    return connection


def open_connection(
    profile: Profile,
    target: str | None = None,
    namespace: str | None = None,
    context: str | None = None,
) -> Connection:
    """Return a connection to what was said, else to what the profile says.

    Raises
    ------
    OptionError
        If there is no such target or context, or the namespace cannot be.
    TargetError
        If it cannot be found out where the target is, or how to get in.
    """
    name = target or profile.on or NAMES[0]
    # It names a namespace and a way in, but those of its own target and context.
    own = name == (profile.on or name)
    access = profile.access if own else Access()
    if own and context in (None, access.context or context):
        namespace = namespace or profile.namespace
    where = resolve(name, with_context(name, access, context))
    try:
        values.namespace(namespace or where.namespace)
    except ValueError as error:
        raise OptionError("--namespace", str(error)) from None
    return Connection(Client(where, namespace), profile)


class Connection:
    """Where jobs are submitted, found and listed.

    Parameters
    ----------
    client
        The REST verbs of one namespace of one target.
    profile
        What jobs are built with where nothing else is said.
    """

    def __init__(self, client: Client, profile: Profile = NO_PROFILE) -> None:
        self.client = client
        self.profile = profile

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
        time: str = "",
        suffix: str = "",
        identity: str = "",
        **said: Any,
    ) -> Manifest:
        """Return the manifest of a job that runs `source`, as `submit` would send it.

        What is not said is taken from the profile; on top of a `base` only from one that was
        asked for by name.

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
        time, suffix, identity
            When it is submitted, the random end of generated names, and what tells this submission
            from every other one; who shows a manifest before it is sent keeps them.

        Raises
        ------
        OptionError, SourceError, ManifestError
            If an option cannot be, the source cannot travel, or a patch spoils the job.
        """
        origin = Origin(
            time=time or submission.time(),
            suffix=suffix or submission.suffix(),
            notebook=notebook,
            cell=cell,
            line=line,
            submission=identity or submission.identity(),
            profile=self.profile.name,
            user=submission.user(),
            target=self.client.target.annotations,
        )
        typed = options or JobOptions.read(said)
        whole = self.profile.under(typed) if base is None or self.profile.asked_for else typed
        manifest = build(
            inputs.with_files(whole), source, origin, namespace=self.namespace, base=base
        )
        return submission.prepared(manifest, self.client.target)

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
        OptionError
            If the target would not run it.
        ExistsError, InvalidError, ForbiddenError
            If the API refuses it; the message names the options that set the fields.
        """
        whole = manifest if isinstance(manifest, Manifest) else Manifest(_foreign(manifest))
        return Job(self.client, submission.submit(self.client, whole, dry_run=dry_run))

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
        found = self.client.list_jobs()
        history.note_ends(found)
        return JobTable([Job(self.client, job) for job in found], datetime.now(UTC))

    def history(self, name: str | None = None, *, limit: int = 20) -> HistoryTable[PastJob]:
        """Return the jobs that were submitted to this namespace from here, newest first.

        Also those that the cluster has forgotten; it is not asked. Each has the `source`, `line`
        and `manifest` that were submitted, and the `state`, `diagnosis`, `series` and `log` at its
        end, as far as that was seen; `rerun` takes it.

        Parameters
        ----------
        name
            Only those of this name.
        limit
            How many at most.

        Raises
        ------
        HistoryError
            If it cannot be read.
        """
        return HistoryTable(history.jobs(limit, where={**self._whereabouts, "name": name}))

    def rerun(
        self, past: PastJob, name: str | None = None, *, secrets: Mapping[str, Any] | None = None
    ) -> Job:
        """Submit a job of the history once more; return the handle on that.

        Parameters
        ----------
        past
            From `history`.
        name
            Its name; if none is said, that of before with the next number: ``train-2``.
        secrets
            Values of variables that were not kept, by name; what is not said is taken from the
            environment of this process.

        Raises
        ------
        ManifestError
            If there is a secret value that nobody says.
        OptionError, ExistsError, InvalidError, ForbiddenError
            As `submit`.
        """
        wire = copy.deepcopy(past.wire)
        withheld.fill(wire, {**os.environ, **(secrets or {})})
        if lacking := withheld.missing(wire):
            raise ManifestError(
                f"PyTorchJob {past.name!r} cannot run again as it was: the history keeps no "
                f"secret values; set {', '.join(lacking)} in the notebook, or in its environment"
            )
        wire["metadata"]["namespace"] = self.namespace
        taken = {each.name for each in history.entries(where=self._whereabouts)}
        created = submission.rerun(self.client, read(wire), name, source=past.moved, taken=taken)
        return Job(self.client, created)

    @property
    def _whereabouts(self) -> dict[str, str]:
        """What an `Entry` of a job that was submitted here says of where it is."""
        return {"place": self.place, "namespace": self.namespace}

    def doctor(self) -> FindingTable:
        """Look whether jobs can run here, and what to mend if not."""
        report = doctor.examine(
            self.client.target,
            self.namespace,
            now=datetime.now(UTC),
            pull_secrets=self.profile.under(JobOptions()).pull_secrets or (),
        )
        return FindingTable(report.findings, report.role)

    def close(self) -> None:
        """Close the connections; jobs go on."""
        self.client.close()


def _foreign(manifest: PyTorchJob | Mapping[str, Any]) -> PyTorchJob:
    """Return a job that was not built here with what makes it known again if an answer is lost."""
    job = manifest if isinstance(manifest, PyTorchJob) else read(manifest)
    meta = job.metadata
    generated = f"{meta.generate_name}{submission.suffix()}" if meta.generate_name else None
    # One that was fetched bears the annotation of when it was submitted before.
    annotations = {**(meta.annotations or {}), SUBMISSION: submission.identity()}
    known = meta.model_copy(update={"name": meta.name or generated, "annotations": annotations})
    return job.model_copy(update={"metadata": known})
