"""A cluster for each test, and a machine on which nothing else is configured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from pyjob_magic.client import Client
from pyjob_magic.targets import Access
from pyjob_magic.targets.kubernetes import target
from tests.targets.kubernetes.cluster import Cluster, serving

Enter = Callable[[Path], Client]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with serving() as running:
        yield running


@pytest.fixture(autouse=True)
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide what this machine has: its kubeconfig, its proxies, the pod that it may be."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "KUBERNETES_SERVICE_HOST", "KUBECONFIG"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def enter() -> Iterator[Enter]:
    """Return a function from a kubeconfig to a client of the cluster that it names."""
    with ExitStack() as stack:

        def client(kubeconfig: Path, context: str | None = None) -> Client:
            made = Client(target(Access(kubeconfig=str(kubeconfig), context=context)))
            stack.callback(made.close)
            return made

        yield client
