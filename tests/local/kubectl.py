"""Kubernetes' own patches, by ``kubectl patch --local``, which needs no server."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from typing import Any

import pytest

Json = dict[str, Any]

needs_kubectl = pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="kubectl, which tells what is right, is not installed"
)


def patched(obj: Json, kind: str, patch: Any) -> Json | None:
    """Return what kubectl makes of an object by a patch of type `kind`; None if it refuses."""
    options = ["--local", "--dry-run=client", "--filename=-", "--output=json"]
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            ["kubectl", "patch", *options, "--type", kind, "--patch", json.dumps(patch)],
            input=json.dumps(obj),
            env={**os.environ, "HOME": home, "KUBECONFIG": os.devnull},
            capture_output=True,
            text=True,
            timeout=60,
        )
    return json.loads(done.stdout) if done.returncode == 0 else None
