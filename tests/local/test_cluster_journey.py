"""The journey that is made for clusters passes here, too: so it is fit to be made there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.local.api import Api

ROOT = Path(__file__).parents[2]


def test_the_journey_on_a_cluster_passes_on_the_embedded_api(api: Api, kubeconfig: Path) -> None:
    """All of it: over TLS, with the token of a kubeconfig, and with somebody who runs jobs."""
    cluster = {"PYJOB_TEST_KUBECONFIG": str(kubeconfig), "PYJOB_TEST_NAMESPACE": api.namespace}

    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "cluster", "tests/cluster"],
        cwd=ROOT,
        env={**os.environ, **cluster},
        capture_output=True,
        text=True,
    )

    assert ran.returncode == 0, ran.stdout
    assert "skipped" not in ran.stdout
