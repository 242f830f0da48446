"""One embedded API for the tests of this directory: a real process on a real socket."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pyjob_magic.local.home import Home
from pyjob_magic.local.launcher import Endpoint, ensure_running
from tests.local.api import Api
from tests.local.kubectl import Kubectl
from tests.state import VARIABLE, temporary_home

# Restarts after the first wait this long, doubled each time; Kubernetes begins with 10 s.
BACKOFF_SECONDS = 0.2


@pytest.fixture(scope="session")
def api_home() -> Iterator[Home]:
    with temporary_home() as path:
        yield Home(path)


@pytest.fixture(scope="session")
def endpoint(api_home: Home) -> Endpoint:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYJOB_MAGIC_BACKOFF_SECONDS", str(BACKOFF_SECONDS))
        return ensure_running(api_home)


@pytest.fixture(scope="session")
def http(endpoint: Endpoint) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    with httpx.Client(base_url=endpoint.url, headers=headers, timeout=30) as client:
        yield client


@pytest.fixture
def api(http: httpx.Client, request: pytest.FixtureRequest) -> Iterator[Api]:
    """Lend the embedded API in a namespace of the test's own, and empty it after the test."""
    api = Api.for_test(http, request.node.name)
    yield api
    api.clear()


@pytest.fixture(scope="session")
def kubeconfig(
    api_home: Home, endpoint: Endpoint, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Write what `pyjob-magic kubeconfig` prints: how other clients reach the API."""
    command = [sys.executable, "-m", "pyjob_magic.cli", "kubeconfig"]
    env = {**os.environ, VARIABLE: str(api_home.path)}
    printed = subprocess.run(command, env=env, capture_output=True, check=True)
    path = tmp_path_factory.mktemp("kubeconfig") / "config"
    path.write_bytes(printed.stdout)
    return path


@pytest.fixture(scope="session")
def kubectl_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lend one home directory to all tests, so that they find what was discovered before."""
    return tmp_path_factory.mktemp("kubectl")


@pytest.fixture
def kubectl(api: Api, kubeconfig: Path, kubectl_home: Path) -> Kubectl:
    return Kubectl(kubeconfig, kubectl_home, api.namespace)


@pytest.fixture
def own_home() -> Iterator[Home]:
    """Lend a state directory to a test that stops the API."""
    with temporary_home() as path:
        yield Home(path)


@pytest.fixture(scope="session")
def data() -> Path:
    return Path(__file__).parents[1] / "data"
