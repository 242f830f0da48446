"""The cluster that ``PYJOB_TEST_KUBECONFIG`` names, and what is known about it.

    PYJOB_TEST_KUBECONFIG=~/.kube/config .venv/bin/python -m pytest -m cluster

The current context and its namespace are used; ``PYJOB_TEST_CONTEXT`` and ``PYJOB_TEST_NAMESPACE``
name others, ``PYJOB_TEST_IMAGE`` an image with python3 (``python:3.11-slim``). What is created is
deleted again.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from pyjob_magic import Connection, connect
from pyjob_magic.errors import NotFoundError
from tests.state import eventually

KUBECONFIG = "PYJOB_TEST_KUBECONFIG"
IMAGE = os.environ.get("PYJOB_TEST_IMAGE", "python:3.11-slim")
_REACTION = 30.0  # seconds in which an operator gives a job its first condition


@dataclass
class Cluster:
    """A connection, and the names of what was created through it."""

    connection: Connection
    run: str = field(default_factory=lambda: secrets.token_hex(3))
    names: list[str] = field(default_factory=list)

    def name(self, kind: str) -> str:
        """Return a name that no other run uses; the job is deleted at the end."""
        self.names.append(f"pyjob-test-{kind}-{self.run}")
        return self.names[-1]

    def clean(self) -> None:
        """Delete what is left."""
        for name in self.names:
            try:
                self.connection.get(name).delete()
            except NotFoundError:
                continue


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Lend the cluster."""
    if KUBECONFIG not in os.environ:
        pytest.skip(f"{KUBECONFIG} names no cluster")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBECONFIG", os.environ[KUBECONFIG])
        connection = connect(
            "kubernetes",
            os.environ.get("PYJOB_TEST_NAMESPACE"),
            context=os.environ.get("PYJOB_TEST_CONTEXT"),
        )
        lent = Cluster(connection)
        yield lent
        lent.clean()
        connection.close()


@pytest.fixture(scope="module")
def has_operator(cluster: Cluster) -> bool:
    """Whether somebody reacts to jobs: a suspended one, which starts nothing, gets a condition."""
    connection = cluster.connection
    manifest = connection.build("pass", name=cluster.name("probe"), suspend=True, image=IMAGE)
    job = connection.submit(manifest)
    try:
        eventually(lambda: job.status.current, timeout=_REACTION, every=0.5)
    except AssertionError:
        return False
    finally:
        job.delete()
    return True
