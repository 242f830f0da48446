"""Submitting: a manifest becomes a job, with all that it needs, or nothing is left of it."""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import secrets
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime

from pyjob_magic import causes, fields, history, values
from pyjob_magic.client import Client
from pyjob_magic.errors import (
    DetachedError,
    ForbiddenError,
    InvalidError,
    OptionError,
    PyJobError,
    TargetError,
)
from pyjob_magic.manifest import SUFFIX_ALPHABET, Manifest, again, next_name
from pyjob_magic.models import PyTorchJob
from pyjob_magic.streams import log
from pyjob_magic.target import Target


def time() -> str:
    """Return when a job that is submitted now was submitted."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def suffix() -> str:
    """Return the random end of a generated name."""
    return "".join(secrets.choice(SUFFIX_ALPHABET) for _ in range(5))


def identity() -> str:
    """Return what tells a submission from every other one."""
    return str(uuid.uuid4())


def user() -> str:
    """Return what this machine calls whoever submits; nothing if it does not know them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        return ""


def prepared(manifest: Manifest, target: Target) -> Manifest:
    """Return the manifest as the target takes it.

    Raises
    ------
    OptionError
        If the target would not run the job.
    """
    job = target.prepare(manifest.job)
    target.dialect.check(job)
    return dataclasses.replace(manifest, job=job, dialect=target.dialect)


def submit(client: Client, manifest: Manifest, *, dry_run: bool = False) -> PyTorchJob:
    """Create a job and return it as stored; see `Connection.submit`."""
    target = client.target
    if dry_run and not target.dialect.dry_runs:
        raise OptionError(
            "--dry-run", f"{target.name} checks nothing without creating it; leave =server out"
        )
    whole = prepared(manifest, target)
    created = _create(client, whole.job, dry_run=dry_run)
    if whole.config_map is not None and not dry_run:
        try:
            client.create_config_map(whole.owned_config_map(created))
        except BaseException as error:  # also an interrupt: nothing may be left half-way
            _take_back(client, created, error)
            raise
    if not dry_run:
        history.record(whole, created, target)
    return created


def rerun(
    client: Client,
    job: PyTorchJob,
    name: str | None,
    *,
    source: str | None = None,
    taken: Iterable[str] = (),
) -> PyTorchJob:
    """Submit a job once more and return it as stored; see `Job.rerun`.

    Parameters
    ----------
    name
        Its name; if none is said, that of `job` with the next number.
    source
        The code, where that lay in a ConfigMap.
    taken
        Names that are not to be used, beside those of the jobs that are there.
    """
    try:
        chosen = None if name is None else values.job_name(name)
    except ValueError as error:
        raise OptionError("NAME", str(error)) from None
    if chosen is None:
        there: set[str] = set()
        with contextlib.suppress(ForbiddenError):  # one that may not look may still submit
            there = {each.name for each in client.list_jobs()}
        chosen = next_name(job.name, {*there, *taken})
    manifest = again(
        job, chosen, time=time(), submission=identity(), suffix=suffix(), source=source
    )
    return submit(client, manifest)


def _create(client: Client, job: PyTorchJob, *, dry_run: bool) -> PyTorchJob:
    try:
        created = client.create_job(job, dry_run=dry_run)
    except (InvalidError, ForbiddenError) as error:
        refusal = causes.explain(error.message, error.details, job.to_wire())
        error.explain(refusal.text)
        error.by_option = refusal.by_option
        raise
    except KeyboardInterrupt:
        if dry_run:
            raise
        raise DetachedError(
            f"interrupted while PyTorchJob {job.name!r} was being created; "
            f"%pytorchjob show {job.name} tells whether it is there"
        ) from None
    dialect = client.target.dialect
    sent = dialect.decode(dialect.encode(job)).to_wire()
    if dropped := fields.lost(sent["spec"], created.to_wire()["spec"], "spec"):
        # A server that validates strictly refuses them; older ones say nothing.
        log.warning(
            f"{client.target.full_name} does not know {', '.join(dropped)} and has left that out"
        )
    return created


def _take_back(client: Client, job: PyTorchJob, error: BaseException) -> None:
    """Delete a job whose source could not follow, or say that it is left."""
    try:
        client.delete_job(job)
    except PyJobError as left:
        why = str(error) or "interrupted"
        raise TargetError(
            f"{why}; PyTorchJob {job.name!r}, which cannot run without it, is left: {left}; "
            f"delete it with %pytorchjob delete {job.name}"
        ) from error
